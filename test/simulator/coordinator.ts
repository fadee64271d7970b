/** A candidate for the office of coordinator: the real election and the real executor. */

import type { MigrationTransport } from '../../plugin/engines/migration-agent/migration-transport.ts';
import { RpcStorageEngine } from '../../plugin/engines/migration-agent/rpc-storage-engine.ts';
import { ReadGuardFeed } from '../../plugin/host/coordinator/read-guard-feed.ts';
import { silentLogger } from '../../src/base/logger.ts';
import type { Random } from '../../src/base/random.ts';
import { MigrationExecutor } from '../../src/migration/executor.ts';
import type { ReadWatch } from '../../src/migration/reads/read-watch.ts';
import type { RecordCodec } from '../../src/migration/records/records.ts';
import type { MigrationSettings } from '../../src/migration/settings.ts';
import { asNodeId, asPartitionId } from '../../src/model/ids.ts';
import type { PartitionRecord } from '../../src/model/migration.ts';
import type { Proposal } from '../../src/model/proposal.ts';
import type { Leadership, MetadataStore } from '../../src/ports/metadata-store.ts';
import type { StorageEngine } from '../../src/ports/storage-engine.ts';
import type { Life } from './life.ts';
import type { Mutant } from './mutants.ts';
import { drawnDistress, type QueryReports } from './query-reports.ts';
import { LEASE_MS, PARTITION_COUNT } from './scenario.ts';

const TICK_MS = 30;

export interface CoordinatorOptions {
  readonly life: Life;
  readonly random: Random;
  readonly metadata: MetadataStore;
  readonly transport: MigrationTransport;
  readonly codec: RecordCodec;
  readonly settings: MigrationSettings;
  readonly mutant: Mutant;
  readonly reports: QueryReports;
  readonly distressShare: number;
}

export class SimCoordinator {
  readonly life: Life;
  readonly #options: CoordinatorOptions;
  readonly #executor: MigrationExecutor;
  #leadership: Leadership | null = null;

  constructor(options: CoordinatorOptions) {
    const { life, random, metadata, transport, codec, settings, mutant } = options;
    this.life = life;
    this.#options = options;
    const engine = new RpcStorageEngine(transport);
    this.#executor = new MigrationExecutor(settings, {
      clock: life.clock,
      random,
      logger: silentLogger,
      engine: mutant.engine?.(engine) ?? engine,
      metadata: mutant.metadata?.(metadata, { transport, codec }) ?? metadata,
      codec,
      leadership: () => this.#leadership,
      readGuard: mutant.guard?.(this.#guard(engine)) ?? this.#guard(engine),
      clientWatch: drawnDistress(random.fork('distress'), options.distressShare),
    });
  }

  /** The real one, on what query nodes would have published. */
  #guard(engine: StorageEngine): ReadWatch {
    const { life, metadata, codec, settings, reports } = this.#options;
    const read = async () => {
      try {
        await metadata.get(codec.keys.coordinator);
        return reports.read();
      } catch {
        return null;
      }
    };
    return new ReadGuardFeed(settings.readGuard, {
      reports: { read },
      engine,
      clock: life.clock,
      logger: silentLogger,
    });
  }

  get isLeading(): boolean {
    return !this.life.isOver && this.#leadership?.isHeld() === true;
  }

  /** Stands for election, and when elected works until the office is lost; over and over. */
  async run(): Promise<void> {
    const { life, metadata, codec } = this.#options;
    const { clock } = life;
    while (!life.isOver) {
      try {
        this.#leadership = await metadata.campaign({
          election: codec.keys.coordinator,
          candidate: life.name,
          ttlMs: LEASE_MS,
          signal: new AbortController().signal,
        });
      } catch {
        await clock.sleep(TICK_MS);
        continue;
      }
      while (this.#leadership.isHeld()) {
        await this.#executor.tick();
        await clock.sleep(TICK_MS);
      }
    }
  }

  /** As the planner would; what cannot begin is dropped with the next proposal. */
  propose(record: PartitionRecord, targetNodeId: number): void {
    this.life.run(() => void this.#executor.admit(proposalOf(record, targetNodeId)).catch(() => {}));
  }
}

function proposalOf(record: PartitionRecord, targetNodeId: number): Proposal {
  const baseOwnerOf = new Int32Array(PARTITION_COUNT);
  const baseEpochOf = new Uint32Array(PARTITION_COUNT);
  baseOwnerOf[record.partitionId] = record.ownerNodeId;
  baseEpochOf[record.partitionId] = record.epoch;
  const move = {
    partitionId: asPartitionId(record.partitionId),
    sourceNodeId: record.ownerNodeId,
    targetNodeId: asNodeId(targetNodeId),
    sizeBytes: 100,
    gain: 1,
    cost: 0,
    reason: 'simulated',
    schedule: null,
  };
  return {
    baseOwnerOf,
    baseEpochOf,
    targetOwnerOf: baseOwnerOf,
    moves: [move],
    costBefore: 1,
    costAfter: 0,
    costOverTime: 0,
    leftOut: [],
    growth: [],
    lowerBound: 0,
    algorithm: 'simulated',
    seed: 0n,
    iterations: 0,
  };
}

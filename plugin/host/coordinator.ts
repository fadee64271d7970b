import { ForeshardError } from '../../src/base/errors.ts';
import type { Components } from '../../src/components.ts';
import {
  type ClusterState,
  type CycleComponents,
  type CycleReport,
  type ProposalBackground,
  runCycle,
  type SilentNode,
} from '../../src/controller.ts';
import type { MigrationExecutor } from '../../src/migration/executor.ts';
import type { ClusterKeys } from '../../src/migration/records.ts';
import type { Forecast } from '../../src/model/forecast.ts';
import type { LoadProfile } from '../../src/model/load-profile.ts';
import type { Proposal } from '../../src/model/proposal.ts';
import type { Leadership } from '../../src/ports/metadata-store.ts';
import type { Settings } from '../../src/settings.ts';
import type { MigrationStatusReport } from './control-messages.ts';
import { inputsHash } from './inputs-hash.ts';
import { readPlanMemory } from './plan-memory-record.ts';
import { encodeProposal, encodeStays } from './proposal-record.ts';

/** Without open migrations the executor only looks for records that a predecessor left. */
const IDLE_TICK_MS = 250;

/** The clock is the one by which cycles are stamped: a replay's, where there is one. */
export interface CoordinatorComponents extends Components {
  readonly keys: ClusterKeys;
  readonly proposalKey: string;
  readonly staysKey: string;
  /** Of the kernels that search: a plan replays with the same ones only. */
  readonly kernelHash: string;
  readonly forecaster: { forecast(profile: LoadProfile): Promise<Forecast> };
  readonly affinity: CycleComponents['affinity'];
  readonly observer: { observe(profile: LoadProfile): Promise<ClusterState> };
  /** Measured load as it is now, of all query nodes. */
  readonly loadProfile: () => Promise<LoadProfile>;
  /** The executor acts only while the leadership that it is handed is held. */
  readonly makeExecutor: (leadership: () => Leadership | null) => MigrationExecutor;
}

/**
 * Stands for election and, while elected, plans and drives migrations. It keeps nothing that matters: a successor reads
 * the map and goes on.
 */
export class Coordinator {
  readonly #settings: Settings;
  readonly #candidate: string;
  readonly #components: CoordinatorComponents;
  readonly #executor: MigrationExecutor;
  readonly #end = new AbortController();
  readonly #firstElection: Promise<void>;
  #leadership: Leadership | null = null;
  #loops: readonly Promise<void>[] = [];
  /** Cycles run one at a time. */
  #cycle: Promise<unknown> = Promise.resolve();

  constructor(settings: Settings, candidate: string, components: CoordinatorComponents) {
    this.#settings = settings;
    this.#candidate = candidate;
    this.#components = components;
    this.#executor = components.makeExecutor(() => this.#leadership);
    let elected: () => void = () => undefined;
    this.#firstElection = new Promise((resolve) => {
      elected = resolve;
    });
    this.#loops = [this.#campaignLoop(elected), this.#executorLoop()];
  }

  get isElected(): boolean {
    return this.#leadership?.isHeld() === true;
  }

  /** Resolves once elected, or when it is clear that another process holds the office. */
  async waitForElection(): Promise<void> {
    if (this.isElected) return;
    const patience = new AbortController();
    const { clock } = this.#components;
    // A lease that a dead process left behind runs out within its time to live.
    await Promise.race([
      this.#firstElection,
      clock.sleep(this.#settings.controller.leaseTtlMs * 1.5, patience.signal),
    ]);
    patience.abort();
  }

  /** One cycle, after the one that may be running; null when this process is not the coordinator. */
  runCycle(): Promise<CycleReport | null> {
    const next = this.#cycle.then(() => (this.isElected ? this.#runCycleNow() : null));
    this.#cycle = next.catch(() => undefined);
    return next;
  }

  migrationStatus(): MigrationStatusReport {
    const status = this.#executor.status();
    return {
      open: status.open.map(({ partitionId, migrationId, sourceNodeId, targetNodeId, phase }) => ({
        partitionId,
        migrationId,
        sourceNodeId,
        targetNodeId,
        phase,
      })),
      queuedCount: status.queuedMoveCount,
      scheduledCount: status.scheduledMoveCount,
      doneCount: status.doneCount,
      abortedCount: status.abortedCount,
      movedBytes: status.copiedBytes,
    };
  }

  async close(): Promise<void> {
    this.#end.abort();
    await this.#cycle;
    await Promise.all(this.#loops);
    await this.#executor.settled();
    await this.#leadership?.resign();
  }

  #runCycleNow(): Promise<CycleReport> {
    const { clock, logger, metadata, loadProfile, forecaster, affinity, observer, keys, proposalKey } =
      this.#components;
    const { forecast, analyzer } = this.#settings;
    const horizonMs = forecast.horizonSteps * analyzer.windowMs;
    let profile: LoadProfile | null = null;
    let silentNodes: readonly SilentNode[] = [];
    return runCycle({
      mode: this.#settings.plugin.mode,
      skillMin: this.#settings.controller.skillMin,
      clock,
      logger,
      analyzer: {
        loadProfile: async () => {
          profile = await loadProfile();
          return profile;
        },
        forecast: (measured) => forecaster.forecast(measured),
      },
      cluster: {
        observe: async () => {
          const state = await observer.observe(profile as LoadProfile);
          silentNodes = state.silentNodes ?? [];
          return state;
        },
      },
      affinity,
      proposals: {
        memory: () => readPlanMemory(metadata, { keys, proposalKey, horizonMs, nowMs: clock.nowMs() }),
        record: (proposal, background) => this.#record(proposal, { ...background, silentNodes }),
      },
      migration: {
        admit: async (proposal) => {
          const { queued } = await this.#executor.admit(proposal);
          const { queuedMoveCount, scheduledMoveCount } = this.#executor.status();
          return {
            admittedCount: queued.length,
            queuedCount: queuedMoveCount,
            scheduledCount: scheduledMoveCount,
          };
        },
      },
    });
  }

  async #record(
    proposal: Proposal,
    {
      ignoredForecasts,
      silentNodes,
      inputs,
      evidence,
    }: ProposalBackground & { readonly silentNodes: readonly SilentNode[] },
  ): Promise<void> {
    const { clock, metadata, proposalKey, staysKey, kernelHash } = this.#components;
    const { controller, migration, affinity } = this.#settings;
    const term = this.#leadership;
    if (term === null) return;
    const atMs = clock.nowMs();
    const value = encodeProposal(proposal, {
      atMs,
      expiresAtMs: atMs + controller.cycleIntervalMs,
      wayBackMs: migration.graceMs,
      inputsHash: inputs && inputsHash(inputs, affinity),
      kernelHash,
      ignoredForecasts,
      silentNodes,
      evidence,
    });
    const stays = encodeStays(evidence?.stays ?? [], atMs);
    // Apart: both may be large, and a transaction has a limit. A deposed coordinator must not write over its successor's.
    for (const [key, bytes] of [
      [proposalKey, value],
      [staysKey, stays],
    ] as const)
      await metadata.commit({ conditions: [term.fence], writes: [{ kind: 'put', key, value: bytes }] });
  }

  async #campaignLoop(elected: () => void): Promise<void> {
    const { metadata, keys, logger, clock } = this.#components;
    const { signal } = this.#end;
    const { leaseTtlMs } = this.#settings.controller;
    while (!signal.aborted) {
      try {
        const leadership = await metadata.campaign({
          election: keys.coordinator,
          candidate: this.#candidate,
          ttlMs: leaseTtlMs,
          signal,
        });
        if (signal.aborted && !leadership.isHeld()) return;
        this.#leadership = leadership;
        elected();
        logger.info({ candidate: this.#candidate }, 'elected coordinator');
        await Promise.race([leadership.lost, aborted(signal)]);
        if (!signal.aborted) logger.warn({ candidate: this.#candidate }, 'no longer the coordinator');
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof ForeshardError)) throw error;
        logger.warn({ fault: error.message }, 'the election could not be held');
        await clock.sleep(leaseTtlMs / 4, signal);
      }
    }
  }

  async #executorLoop(): Promise<void> {
    const { clock } = this.#components;
    const { signal } = this.#end;
    while (!signal.aborted) {
      if (this.isElected) await this.#executor.tick();
      const { open, queuedMoveCount } = this.#executor.status();
      const isBusy = open.length > 0 || queuedMoveCount > 0;
      await clock.sleep(isBusy ? this.#settings.controller.executorIntervalMs : IDLE_TICK_MS, signal);
    }
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

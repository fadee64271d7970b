/** One schedule: a small cluster, clients, moves and faults, all drawn from one seed; then healing, then the last checks. */
import { RpcStorageEngine } from '../../plugin/engines/lmdb/rpc-storage-engine.ts';
import { bootstrapCluster, ClusterMapReader, recordCodec } from '../../plugin/metadata/cluster-map.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { type Random, seededRandom } from '../../src/base/random.ts';
import { MigrationExecutor } from '../../src/migration/executor.ts';
import { DEFAULT_MIGRATION_SETTINGS, type MigrationSettings } from '../../src/migration/settings.ts';
import { asNodeId, asPartitionId } from '../../src/model/ids.ts';
import type { PartitionRecord } from '../../src/model/migration.ts';
import type { Leadership, MetadataStore } from '../../src/ports/metadata-store.ts';
import type { PartitionMeta } from '../../src/ports/partition-store.ts';
import { newDisk } from '../support/memory-partition-store.ts';
import type { Bug } from './bugs.ts';
import { ClientHistory, SimClient } from './sim-clients.ts';
import { Life, SimClock } from './sim-clock.ts';
import { SimMetadata } from './sim-metadata.ts';
import { type Faults, NO_FAULTS, SimNetwork } from './sim-network.ts';
import { SimNode } from './sim-node.ts';

const CLUSTER = 'sim';
const NODE_COUNT = 3;
const PARTITION_COUNT = 16;
/** Of the 16 only these are written and moved. */
const BUSY_PARTITIONS = 2;
const KEY_COUNT = 8;
const CLIENT_COUNT = 4;
const FAULTY_MS = 2_500;
const HEALING_MS_MAX = 30_000;
const TICK_MS = 20;

const SETTINGS: MigrationSettings = {
  ...DEFAULT_MIGRATION_SETTINGS,
  residenceMs: 0,
  readWeightSteps: [0.5, 1],
  readWeightHoldMs: 30,
  fenceBudgetMs: 200,
  graceMs: 80,
  prepareTimeoutMs: 800,
  phaseTimeoutMs: 1_500,
  unreachableMs: 400,
  retryMsMin: 10,
  retryMsMax: 200,
  attemptsMax: 1_000,
  quarantineMs: 1,
  freeBytesReserve: 0,
};

export interface ScheduleResult {
  readonly violations: readonly string[];
  readonly switchCount: number;
  readonly abortCount: number;
  readonly eventCount: number;
  readonly writeCount: number;
  readonly readCount: number;
  readonly copyReadCount: number;
}

export async function runSchedule(seed: bigint, bug: Bug = 'none'): Promise<ScheduleResult> {
  return new World(seed, bug).run();
}

class World {
  readonly #clock = new SimClock();
  readonly #random: Random;
  readonly #bug: Bug;
  readonly #codec = recordCodec(CLUSTER);
  readonly #network: SimNetwork;
  readonly #metadata: SimMetadata;
  readonly #nodes: readonly SimNode[];
  readonly #history = new ClientHistory(KEY_COUNT);
  readonly #violations: string[] = [];
  readonly #ownersEver = new Map<string, number>();
  readonly #outcomes = new Map<string, 'SWITCHED' | 'ABORT'>();
  readonly #coordinators: { life: Life; executor: MigrationExecutor | null }[] = [];
  #isHealed = false;
  #switchCount = 0;
  #abortCount = 0;

  constructor(seed: bigint, bug: Bug) {
    this.#random = seededRandom(seed);
    this.#bug = bug;
    this.#network = new SimNetwork(this.#clock, this.#random.fork('network'));
    this.#metadata = new SimMetadata({
      clock: this.#clock,
      random: this.#random.fork('metadata'),
      faults: () => this.#network.faults,
      onPut: (key, before, value) => this.#checkMap(key, before?.value, value),
    });
    this.#nodes = Array.from({ length: NODE_COUNT }, (_, nodeId) => this.#makeNode(nodeId));
  }

  async run(): Promise<ScheduleResult> {
    await this.#form();
    const random = this.#random.fork('schedule');
    this.#network.faults = drawFaults(random.fork('faults'));
    for (const index of [0, 1]) this.#startCoordinator(index);
    const endMs = this.#clock.nowMs() + FAULTY_MS;
    const clients = this.#startClients();
    this.#scheduleMoves(random.fork('moves'), endMs);
    this.#scheduleCrashes(random.fork('crashes'));
    await this.#clock.runUntil(endMs, () => this.#violations.length > 0);
    this.#heal();
    const isOver = { clients: false };
    void clients.then(() => {
      isOver.clients = true;
    });
    await this.#clock.runUntil(
      this.#clock.nowMs() + HEALING_MS_MAX,
      () => this.#violations.length > 0 || (isOver.clients && this.#isStable()),
    );
    if (this.#violations.length === 0) this.#checkEnd(isOver.clients);
    for (const { life } of this.#coordinators) life.end();
    for (const node of this.#nodes) node.crash();
    return {
      violations: this.#violations,
      switchCount: this.#switchCount,
      abortCount: this.#abortCount,
      eventCount: this.#clock.eventCount,
      writeCount: this.#history.writes,
      readCount: this.#history.ownerReads,
      copyReadCount: this.#history.copyReads,
    };
  }

  #makeNode(nodeId: number): SimNode {
    return new SimNode({
      nodeId,
      disk: newDisk(`store-${nodeId}`),
      partitionCount: PARTITION_COUNT,
      clock: this.#clock,
      bug: this.#bug,
      makeTransport: (life) => this.#network.transportOf(String(nodeId), life),
      makeReader: (life) => new ClusterMapReader(this.#metadata.handleOf(life), CLUSTER),
      onMeta: (node, partitionId, before, after) => this.#checkMeta(node, partitionId, before, after),
    });
  }

  async #form(): Promise<void> {
    const nodes = this.#nodes.map((node) => ({ nodeId: node.nodeId, storeId: node.disk.storeId }));
    const forming = bootstrapCluster(this.#metadata.handleOf(new Life()), CLUSTER, {
      partitionCount: PARTITION_COUNT,
      nodes,
    });
    await this.#clock.runUntil(this.#clock.nowMs() + 100);
    await forming;
    for (const node of this.#nodes) this.#startNode(node);
    await this.#clock.runUntil(this.#clock.nowMs() + 100);
  }

  #startNode(node: SimNode): void {
    this.#network.handlers.set(node.nodeId, (operation, body) => {
      const handle = node.handle;
      return handle ? handle(operation, body) : new Promise(() => {});
    });
    void node.start();
  }

  #startCoordinator(index: number): void {
    const life = new Life();
    const metadata = this.#metadata.handleOf(life);
    const transport = this.#network.transportOf(`c${index}`, life);
    let leadership: Leadership | null = null;
    const executor = new MigrationExecutor(SETTINGS, {
      clock: life.clock(this.#clock),
      random: this.#random.fork(`coordinator-${index}-${this.#clock.nowMs()}`),
      logger: silentLogger,
      engine: new RpcStorageEngine(transport),
      metadata: this.#coordinatorMetadata(metadata, transport),
      codec: this.#codec,
      leadership: () => leadership,
    });
    this.#coordinators[index] = { life, executor };
    const lead = async (): Promise<void> => {
      while (!life.isOver) {
        try {
          leadership = await metadata.campaign({
            election: this.#codec.keys.coordinator,
            candidate: String(index),
            ttlMs: 400,
            signal: new AbortController().signal,
          });
        } catch {
          await life.clock(this.#clock).sleep(TICK_MS);
          continue;
        }
        while (leadership.isHeld()) {
          await executor.tick();
          await life.clock(this.#clock).sleep(TICK_MS);
        }
      }
    };
    void lead();
  }

  /** Where the coordinator's own mistakes are planted. */
  #coordinatorMetadata(
    metadata: MetadataStore,
    transport: ReturnType<SimNetwork['transportOf']>,
  ): MetadataStore {
    if (this.#bug === 'coordinator-without-conditions')
      return { ...metadata, commit: ({ writes }) => metadata.commit({ conditions: [], writes }) };
    if (this.#bug !== 'commit-timeout-taken-as-failure') return metadata;
    return {
      ...metadata,
      commit: async (transaction) => {
        try {
          return await metadata.commit(transaction);
        } catch (error) {
          const put = transaction.writes[0];
          const isRecord = put?.kind === 'put' && put.key.startsWith(this.#codec.keys.mapPrefix);
          const record = isRecord ? this.#decode(put.key, put.value) : null;
          if (record?.migration?.phase === 'SWITCHED') {
            const { sourceNodeId, migrationId } = record.migration;
            const command = { partitionId: record.partitionId, migrationId, epoch: record.epoch - 1 };
            void transport.request(sourceNodeId, 'redirect.abort', command).catch(() => {});
          }
          throw error;
        }
      },
    };
  }

  #startClients(): Promise<unknown> {
    const world = {
      clock: this.#clock,
      network: this.#network,
      nodes: this.#nodes,
      keyCount: KEY_COUNT,
      partitionOf: (keyIndex: number) => keyIndex % BUSY_PARTITIONS,
      onViolation: (what: string) => this.#violations.push(what),
    };
    const running: Promise<void>[] = [];
    for (let index = 0; index < CLIENT_COUNT; index++) {
      const life = new Life();
      const ownKeys = Array.from({ length: KEY_COUNT }, (_, key) => key).filter(
        (key) => key % CLIENT_COUNT === index,
      );
      const client = new SimClient(
        {
          name: `client ${index}`,
          ownKeys,
          random: this.#random.fork(`client-${index}`),
          reader: new ClusterMapReader(this.#metadata.handleOf(life), CLUSTER),
          life,
        },
        world,
        this.#history,
      );
      running.push(client.run(24));
    }
    return Promise.all(running);
  }

  #scheduleMoves(random: Random, endMs: number): void {
    const propose = (): void => {
      if (this.#isHealed || this.#clock.nowMs() >= endMs) return;
      const partitionId = random.nextBelow(BUSY_PARTITIONS);
      const targetNodeId = random.nextBelow(NODE_COUNT);
      for (const coordinator of this.#coordinators)
        void this.#admit(coordinator.executor, partitionId, targetNodeId);
      this.#clock.after(30 + random.nextFloat() * 250, propose);
    };
    this.#clock.after(20, propose);
  }

  async #admit(executor: MigrationExecutor | null, partitionId: number, targetNodeId: number): Promise<void> {
    const record = this.#recordOf(partitionId);
    if (!executor || !record || record.ownerNodeId === targetNodeId) return;
    const baseOwnerOf = new Int32Array(PARTITION_COUNT);
    const baseEpochOf = new Uint32Array(PARTITION_COUNT);
    baseOwnerOf[partitionId] = record.ownerNodeId;
    baseEpochOf[partitionId] = record.epoch;
    const move = {
      partitionId: asPartitionId(partitionId),
      sourceNodeId: record.ownerNodeId,
      targetNodeId: asNodeId(targetNodeId),
      sizeBytes: 100,
      gain: 1,
      cost: 0,
      reason: 'simulated',
      schedule: null,
    };
    const proposal = {
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
    await executor.admit(proposal).catch(() => {});
  }

  #scheduleCrashes(random: Random): void {
    const crashesMax = random.nextBelow(6);
    for (let i = 0; i < crashesMax; i++) {
      const atMs = random.nextFloat() * FAULTY_MS;
      const downMs = 10 + random.nextFloat() * 400;
      const victim = random.nextBelow(NODE_COUNT + 2);
      this.#clock.after(atMs, () => {
        if (this.#isHealed) return;
        if (victim >= NODE_COUNT) this.#restartCoordinator(victim - NODE_COUNT, downMs);
        else this.#restartNode(this.#nodes[victim] as SimNode, downMs);
      });
    }
    const cutsMax = random.nextBelow(3);
    for (let i = 0; i < cutsMax; i++) {
      const ends = [random.nextBelow(NODE_COUNT), random.nextBelow(NODE_COUNT), random.nextBelow(2)];
      const from = random.nextFloat() < 0.5 ? String(ends[0]) : `c${ends[2]}`;
      const cut = random.nextFloat() < 0.5 ? `${from}>${ends[1]}` : `${ends[1]}>${from}`;
      const lengthMs = 50 + random.nextFloat() * 600;
      this.#clock.after(random.nextFloat() * FAULTY_MS, () => {
        if (this.#isHealed) return;
        this.#network.cuts.add(cut);
        this.#clock.after(lengthMs, () => this.#network.cuts.delete(cut));
      });
    }
  }

  #restartNode(node: SimNode, downMs: number): void {
    if (!node.isUp) return;
    node.crash();
    this.#clock.after(downMs, () => {
      if (!node.isUp) this.#startNode(node);
    });
  }

  #restartCoordinator(index: number, downMs: number): void {
    const coordinator = this.#coordinators[index];
    if (!coordinator || coordinator.life.isOver) return;
    coordinator.life.end();
    coordinator.executor = null;
    this.#clock.after(downMs, () => this.#startCoordinator(index));
  }

  #heal(): void {
    this.#isHealed = true;
    this.#network.faults = NO_FAULTS;
    this.#network.cuts.clear();
    for (const node of this.#nodes) if (!node.isUp) this.#startNode(node);
  }

  #isStable(): boolean {
    for (let p = 0; p < BUSY_PARTITIONS; p++) if (this.#recordOf(p)?.migration) return false;
    return this.#nodes.every((node) => node.isUp && node.handle !== null);
  }

  #recordOf(partitionId: number): PartitionRecord | null {
    const key = this.#codec.keys.map(partitionId);
    const entry = this.#metadata.entries.get(key);
    return entry ? this.#decode(key, entry.value) : null;
  }

  #decode(key: string, value: Uint8Array): PartitionRecord {
    return this.#codec.decodePartition(Number(key.slice(this.#codec.keys.mapPrefix.length)), value);
  }

  /** I1, I2, I3, I5: roles and numbers of one partition over all disks, at every change of any. */
  #checkMeta(nodeId: number, partitionId: number, before: PartitionMeta, after: PartitionMeta): void {
    const violate = (what: string): void => {
      this.#violations.push(`partition ${partitionId} at node ${nodeId}: ${what}`);
    };
    const isBackwards =
      after.epochMax < before.epochMax ||
      after.closedMigrationId < before.closedMigrationId ||
      after.lsn < before.lsn;
    if (isBackwards) violate('a number went back');
    if (after.role !== 'OWNER') return;
    const owners = this.#nodes.filter((node) => {
      const meta = node.nodeId === nodeId ? after : node.disk.partitions.get(partitionId)?.meta;
      return meta?.role === 'OWNER';
    });
    if (owners.length > 1) violate(`two owners: nodes ${owners.map((node) => node.nodeId).join(' and ')}`);
    const ofEpoch = `${partitionId}@${after.epoch}`;
    const first = this.#ownersEver.get(ofEpoch) ?? nodeId;
    this.#ownersEver.set(ofEpoch, first);
    if (first !== nodeId) violate(`epoch ${after.epoch} was owned by node ${first} already`);
    const record = this.#recordOf(partitionId);
    if (record && after.epoch > record.epoch)
      violate(`owner at epoch ${after.epoch}, the map is at ${record.epoch}`);
  }

  /** I7, I15: what the map may become. */
  #checkMap(key: string, before: Uint8Array | undefined, value: Uint8Array): void {
    if (!key.startsWith(this.#codec.keys.mapPrefix) || !before) return;
    const [old, next] = [this.#decode(key, before), this.#decode(key, value)];
    const violate = (what: string): void => {
      this.#violations.push(`map of partition ${next.partitionId}: ${what}`);
    };
    if (next.migrationSeq < old.migrationSeq || next.epoch < old.epoch) violate('a number went back');
    const isSwitch = old.migration?.phase === 'FENCED' && next.migration?.phase === 'SWITCHED';
    if (old.ownerNodeId !== next.ownerNodeId && !isSwitch) violate('the owner changed outside the switch');
    if (isSwitch) this.#switchCount++;
    const phase = next.migration?.phase;
    if (phase !== 'SWITCHED' && phase !== 'ABORT') return;
    if (phase === 'ABORT' && old.migration?.phase !== 'ABORT') this.#abortCount++;
    const migration = `${next.partitionId}/${next.migration?.migrationId}`;
    const outcome = this.#outcomes.get(migration) ?? phase;
    this.#outcomes.set(migration, outcome);
    if (outcome !== phase) violate(`migration ${migration} was both switched and aborted`);
  }

  /** I9, I13, I14: after healing everything is in order, and no acknowledged write is missing. */
  #checkEnd(areClientsDone: boolean): void {
    if (!areClientsDone || !this.#isStable()) {
      const open = [0, 1]
        .map((p) => this.#recordOf(p)?.migration)
        .map((m) => m && `${m.phase} since ${m.phaseAtMs}: ${m.reason}`);
      this.#violations.push(`not stable ${HEALING_MS_MAX} ms after healing: ${open.join(', ')}`);
      return;
    }
    for (let p = 0; p < BUSY_PARTITIONS; p++) {
      const record = this.#recordOf(p) as PartitionRecord;
      for (const { nodeId, disk } of this.#nodes) {
        const partition = disk.partitions.get(p);
        const expected = nodeId === record.ownerNodeId ? 'OWNER' : 'NONE';
        if ((partition?.meta.role ?? 'NONE') !== expected)
          this.#violations.push(
            `partition ${p} at node ${nodeId} is ${partition?.meta.role}, the map says ${expected}`,
          );
        if (expected === 'NONE' && (partition?.entries.size ?? 0) > 0)
          this.#violations.push(`partition ${p} has left entries at node ${nodeId}`);
      }
    }
    this.#history.keys.forEach((key, index) => {
      const record = this.#recordOf(index % BUSY_PARTITIONS) as PartitionRecord;
      const owner = this.#nodes[record.ownerNodeId] as SimNode;
      const value = owner.disk.partitions.get(index % BUSY_PARTITIONS)?.entries.get(`key-${index}`);
      if (key.explain(value, key.acknowledged) === null)
        this.#violations.push(`key ${index}: acknowledged write ${key.acknowledged} is lost`);
    });
    const left = [...this.#metadata.entries.keys()].filter((key) =>
      key.startsWith(this.#codec.keys.cleanupPrefix),
    );
    if (left.length > 0) this.#violations.push(`cleanup records are left: ${left.join(', ')}`);
  }
}

function drawFaults(random: Random): Faults {
  const rate = (max: number): number => (random.nextFloat() < 0.4 ? 0 : random.nextFloat() * max);
  return {
    lossRate: rate(0.08),
    duplicateRate: rate(0.2),
    lateRate: rate(0.08),
    unknownRate: rate(0.2),
    metadataDownRate: rate(0.05),
  };
}

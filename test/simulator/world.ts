/** One schedule: a cluster, clients, moves and faults, all drawn from one seed; then healing, then the last checks. */
import { bootstrapCluster } from '../../plugin/metadata/form-cluster.ts';
import { type Random, seededRandom } from '../../src/base/random.ts';
import { DEFAULT_MIGRATION_SETTINGS, type MigrationSettings } from '../../src/migration/settings.ts';
import type { PartitionRecord } from '../../src/model/migration.ts';
import { SimClient } from './clients.ts';
import { SimClock } from './clock.ts';
import { SimCoordinator } from './coordinator.ts';
import { CopyLimits } from './copy-limits.ts';
import { SimDisk } from './disk.ts';
import { FaultInjector } from './fault-injector.ts';
import { decodeValue, History } from './history.ts';
import { type CheckedWorld, checkEnd, MapChecks, RoleChecks } from './invariants.ts';
import { Life } from './life.ts';
import { LossOperator } from './loss-operator.ts';
import { CLUSTER, describeChange, memoizingCodec, recordReader } from './map-records.ts';
import { SimMetadata } from './metadata.ts';
import { type Mutant, NO_MUTANT } from './mutants.ts';
import { SimNetwork } from './network.ts';
import { QueryReports } from './query-reports.ts';
import {
  COORDINATOR_COUNT,
  drawScenario,
  type End,
  FAULTY_MS,
  NO_RATES,
  PARTITION_COUNT,
  type PlannedMove,
  type Rates,
  type Scenario,
} from './scenario.ts';
import { SimNode } from './storage-node.ts';

const HEALING_MS_MAX = 20_000;
/** A node looks once a second whether its store is retired. */
const RETIREMENT_HEARD_MS_MAX = 1_000;
/** So often it is looked whether nothing but time is waited for. */
const IDLE_STEP_MS = 500;

export interface ScheduleResult {
  readonly violations: readonly string[];
  readonly switchCount: number;
  readonly abortCount: number;
  readonly eventCount: number;
  readonly writeCount: number;
  readonly readCount: number;
  readonly copyReadCount: number;
}

export interface ScheduleOptions {
  readonly mutant?: Mutant;
  /** What is left of the scenario when it is shrunk. */
  readonly reduce?: (scenario: Scenario) => Scenario;
  /** Told of every change in the metadata store but the leader's heartbeats. */
  readonly trace?: (line: string) => void;
}

export async function runSchedule(seed: bigint, options: ScheduleOptions = {}): Promise<ScheduleResult> {
  const mutant = options.mutant ?? NO_MUTANT;
  const scenario = scenarioOf(seed, mutant);
  return new World(seededRandom(seed), options.reduce?.(scenario) ?? scenario, mutant, options.trace).run();
}

/** All that will happen in a schedule. */
export function scenarioOf(seed: bigint, mutant: Mutant = NO_MUTANT): Scenario {
  const drawn = drawScenario(seededRandom(seed).fork('scenario'));
  return mutant.world?.(drawn) ?? drawn;
}

class World {
  readonly #random: Random;
  readonly #scenario: Scenario;
  readonly #mutant: Mutant;
  readonly #settings: MigrationSettings;
  readonly #clock = new SimClock();
  readonly #codec = memoizingCodec();
  readonly #violations: string[] = [];
  readonly #history = new History((what) => this.#violate(what));
  readonly #keys: readonly { readonly name: string; readonly partitionId: number }[];
  readonly #checked: CheckedWorld;
  readonly #reports: QueryReports;
  readonly #copyLimits: CopyLimits;
  readonly #roleChecks: RoleChecks;
  readonly #mapChecks: MapChecks;
  readonly #network: SimNetwork;
  readonly #metadata: SimMetadata;
  readonly #nodes: readonly SimNode[];
  readonly #coordinators: SimCoordinator[] = [];
  readonly #wallOffsets = new Map<End, number>();
  readonly #faults: FaultInjector;
  #rates: Rates = NO_RATES;
  /** Passed over while nothing happened, on every machine's clock. */
  #skippedMs = 0;
  /** As of a revision of the metadata store. */
  #grief: { readonly revision: number; readonly text: string | null } = { revision: -1, text: null };
  #busyClientCount = 0;
  #lastValue = 0;

  constructor(random: Random, scenario: Scenario, mutant: Mutant, trace?: (line: string) => void) {
    this.#random = random;
    this.#scenario = scenario;
    this.#mutant = mutant;
    this.#settings = settingsOf(scenario);
    this.#keys = scenario.partitionIds.flatMap((partitionId) =>
      Array.from({ length: scenario.keysPerPartition }, (_, i) => ({
        name: `p${partitionId}-${i}`,
        partitionId,
      })),
    );
    this.#reports = new QueryReports(this.#clock, this.#wallMs);
    this.#copyLimits = new CopyLimits(this.#settings.copyBytesPerSecond, this.#clock, (what) =>
      this.#violate(what),
    );
    this.#checked = this.#checkedWorld();
    this.#roleChecks = new RoleChecks(this.#checked);
    this.#mapChecks = new MapChecks(this.#checked, (partitionId, migration) =>
      this.#faults.phaseEntered(partitionId, migration),
    );
    this.#network = new SimNetwork({
      clock: this.#clock,
      random: random.fork('network'),
      rates: () => this.#rates,
      handlerOf: (nodeId) => this.#nodes[nodeId]?.listening ?? null,
    });
    this.#metadata = new SimMetadata({
      clock: this.#clock,
      random: random.fork('metadata'),
      network: this.#network,
      rates: () => this.#rates,
      onChange: (key, before, value) => {
        trace?.(`${this.#atMs()} ms: ${describeChange(this.#codec, key, value)}`);
        this.#mapChecks.changed(key, before, value);
        if (key.startsWith(this.#codec.keys.storePrefix)) this.#storeChanged(key, value);
      },
    });
    this.#nodes = Array.from({ length: scenario.nodeCount }, (_, nodeId) => this.#makeNode(nodeId));
    this.#faults = new FaultInjector({
      clock: this.#clock,
      network: this.#network,
      metadata: this.#metadata,
      codec: this.#codec,
      nodes: this.#nodes,
      coordinators: this.#coordinators,
      wallMs: this.#wallMs,
      lossOperator: new LossOperator({
        clock: this.#clock,
        wallMs: this.#wallMs,
        metadata: this.#metadata,
        codec: this.#codec,
        nodes: this.#nodes,
        partitionCount: PARTITION_COUNT,
        partitionIds: scenario.partitionIds,
        recordOf: (partitionId) => this.#recordOf(partitionId),
        isRetired: (storeId) => this.#isRetired(storeId),
      }),
      startCoordinator: (index) => this.#startCoordinator(index),
      wallOffsets: this.#wallOffsets,
    });
  }

  async run(): Promise<ScheduleResult> {
    const { rates, faults, ambushes, moves } = this.#scenario;
    await this.#form();
    for (let index = 0; index < COORDINATOR_COUNT; index++) this.#startCoordinator(index);
    this.#rates = rates;
    this.#startClients();
    this.#planMoves(moves);
    this.#faults.plan(faults, ambushes);
    await this.#runFor(FAULTY_MS, () => false);
    this.#rates = NO_RATES;
    this.#faults.heal();
    await this.#untilStable();
    if (this.#violations.length === 0) {
      checkEnd(this.#checked, this.#scenario.partitionIds, this.#metadata.entries.keys());
      this.#history.checkLinearizability();
    }
    for (const { life } of this.#coordinators) life.end();
    for (const node of this.#nodes) node.life?.end();
    return {
      violations: this.#violations,
      switchCount: this.#mapChecks.switchCount,
      abortCount: this.#mapChecks.abortCount,
      eventCount: this.#clock.eventCount,
      writeCount: this.#history.writes,
      readCount: this.#history.ownerReads,
      copyReadCount: this.#history.copyReads,
    };
  }

  #violate(what: string): void {
    this.#violations.push(`${this.#atMs()} ms: ${what}`);
  }

  /** Since the schedule began. */
  #atMs(): number {
    return Math.round(this.#clock.nowMs() - 1_000_000);
  }

  #runFor(ms: number, isOver: () => boolean): Promise<void> {
    return this.#clock.runUntil(this.#clock.nowMs() + ms, () => this.#violations.length > 0 || isOver());
  }

  async #form(): Promise<void> {
    const nodes = this.#nodes.map((node) => ({ nodeId: node.nodeId, storeId: node.disk.memory.storeId }));
    const life = new Life('operator', this.#clock);
    const forming = bootstrapCluster(this.#metadata.handleOf(life), CLUSTER, {
      partitionCount: PARTITION_COUNT,
      nodes,
    });
    await this.#runFor(50, () => false);
    await forming;
    for (const node of this.#nodes) void node.start();
    await this.#runFor(20, () => false);
  }

  /** Liveness: with everything mended every migration ends, every client is done, every node serves. */
  async #untilStable(): Promise<void> {
    const isStable = (): boolean => this.#unrest() === null;
    const endMs = this.#clock.nowMs() + HEALING_MS_MAX;
    while (!isStable() && this.#violations.length === 0 && this.#clock.nowMs() < endMs) {
      await this.#runFor(IDLE_STEP_MS, isStable);
      this.#skipToStamps();
    }
    const unrest = this.#unrest();
    if (unrest !== null && this.#violations.length === 0)
      this.#violate(`not stable ${HEALING_MS_MAX} ms after healing: ${unrest}`);
  }

  /** What still goes on; null for nothing. Asked after every event. */
  #unrest(): string | null {
    if (this.#mapChecks.openCount > 0) return this.#openText();
    if (this.#busyClientCount > 0) return `${this.#busyClientCount} clients wait`;
    const down = this.#nodes.find((node) => !node.isGone && node.listening === null);
    if (down) return `node ${down.nodeId} does not serve`;
    if (!this.#nodes.some(({ isGone }) => isGone)) return null;
    const { revision } = this.#metadata;
    if (this.#grief.revision !== revision) this.#grief = { revision, text: this.#griefText() };
    return this.#grief.text;
  }

  #openText(): string {
    const texts: string[] = [];
    for (let id = 0; id < PARTITION_COUNT; id++) {
      const migration = this.#recordOf(id)?.migration;
      if (migration) texts.push(`partition ${id} in ${migration.phase}: ${migration.reason}`);
    }
    return texts.join(', ');
  }

  /** What the nodes that are gone have left undone. */
  #griefText(): string | null {
    for (const { isGone, disk } of this.#nodes)
      if (isGone && !this.#isRetired(disk.memory.storeId)) return `${disk.memory.storeId} is not retired`;
    for (const id of this.#scenario.partitionIds) {
      const ownerNodeId = this.#recordOf(id)?.ownerNodeId ?? -1;
      if (this.#nodes[ownerNodeId]?.isGone !== false)
        return `node ${ownerNodeId}, which is gone, owns partition ${id}`;
    }
    // Forgotten by the sweeper, which looks every few seconds.
    const left = this.#cleanupsLeft();
    return left.length > 0 ? `clean-ups are left: ${left.join(', ')}` : null;
  }

  #isRetired(storeId: string): boolean {
    const entry = this.#metadata.entries.get(this.#codec.keys.store(storeId));
    return entry !== undefined && this.#codec.decodeStoreState(entry.value) === 'retired';
  }

  /** A node whose store is retired hears of it a little later, and serves no more. */
  #storeChanged(key: string, value: Uint8Array | null): void {
    if (value === null || this.#codec.decodeStoreState(value) !== 'retired') return;
    const node = this.#nodes.find(({ disk }) => this.#codec.keys.store(disk.memory.storeId) === key);
    if (!node || node.isGone) return;
    this.#clock.after(this.#random.fork(key).nextFloat() * RETIREMENT_HEARD_MS_MAX, () => {
      if (!node.isGone) node.retire();
    });
  }

  /** An operator's clock is right. */
  readonly #wallMs = (): number => this.#clock.nowMs() + this.#skippedMs;

  #cleanupsLeft(): string[] {
    const { cleanupPrefix } = this.#codec.keys;
    return [...this.#metadata.entries.keys()].filter((key) => key.startsWith(cleanupPrefix));
  }

  /**
   * A clock that was wrong by minutes leaves stamps in records that are minutes ahead, and a grace or a read weight is held
   * until then. Nothing else happens meanwhile: that time is passed over.
   */
  #skipToStamps(): void {
    const open = this.#scenario.partitionIds.flatMap((id) => this.#checked.recordOf(id)?.migration ?? []);
    const wallMs = this.#wallMs();
    const leftMs = Math.max(
      0,
      ...open.map(({ notBeforeMs, phaseAtMs }) => Math.max(notBeforeMs, phaseAtMs) - wallMs),
    );
    if (leftMs > this.#settings.graceMs) this.#skippedMs += leftMs;
  }

  #makeNode(nodeId: number): SimNode {
    return new SimNode({
      nodeId,
      disk: new SimDisk(`store-${nodeId}`, this.#mutant.disk),
      partitionCount: PARTITION_COUNT,
      pieceBytes: this.#scenario.settings.pieceBytes,
      clock: this.#clock,
      mutant: this.#mutant,
      wallOffsetMs: () => this.#wallOffsetOf(`n${nodeId}`),
      makeTransport: (life) => this.#network.transportOf(life),
      makeReader: (life) => recordReader(this.#metadata.handleOf(life), this.#codec),
      hooks: {
        onMeta: (partitionId, before, after) =>
          this.#roleChecks.roleChanged(nodeId, partitionId, before, after),
        onRemove: (partitionId, meta) => this.#roleChecks.deleted(nodeId, partitionId, meta),
      },
      onWrite: (node, { partitionId, key, value }, lsn) => {
        this.#roleChecks.wrote(node, partitionId);
        this.#history.wrote(partitionId, key, lsn, decodeValue(value ?? undefined));
      },
      onAcknowledge: (node) => this.#roleChecks.acknowledged(node),
      onDiskFault: (node) => this.#faults.diskFailed(node),
      onTorn: (partitionId, migrationId) => this.#mapChecks.torn(partitionId, migrationId),
      onCopied: (life, copy, sizeBytes) => this.#copyLimits.applied(life, copy, sizeBytes),
    });
  }

  #wallOffsetOf(process: End): number {
    return this.#skippedMs + (this.#wallOffsets.get(process) ?? 0);
  }

  #startCoordinator(index: number): void {
    const name = `c${index}`;
    const life = new Life(name, this.#clock, () => this.#wallOffsetOf(name));
    const coordinator = new SimCoordinator({
      life,
      random: this.#random.fork(`${name}@${this.#clock.nowMs()}`),
      metadata: this.#metadata.handleOf(life),
      transport: this.#network.transportOf(life),
      codec: this.#codec,
      settings: this.#settings,
      mutant: this.#mutant,
      reports: this.#reports,
      distressShare: this.#scenario.settings.distressShare,
    });
    this.#coordinators[index] = coordinator;
    void coordinator.run();
  }

  #startClients(): void {
    const { clientCount, operationsPerClient, clientThinkMs } = this.#scenario;
    const world = {
      clock: this.#clock,
      network: this.#network,
      nodes: this.#nodes,
      history: this.#history,
      reports: this.#reports,
      mutant: this.#mutant,
      keys: this.#keys,
      nextValue: () => ++this.#lastValue,
      onViolation: (what: string) => this.#violate(what),
    };
    for (let index = 0; index < clientCount; index++) {
      const name = `k${index}`;
      const life = new Life(name, this.#clock);
      const client = new SimClient(
        {
          life,
          random: this.#random.fork(name),
          reader: recordReader(this.#metadata.handleOf(life), this.#codec),
          thinkMs: clientThinkMs,
        },
        world,
      );
      this.#busyClientCount++;
      void client.run(operationsPerClient).then(() => {
        this.#busyClientCount--;
      });
    }
  }

  #planMoves(moves: readonly PlannedMove[]): void {
    for (const { atMs, partitionId, targetNodeId } of moves)
      this.#clock.after(atMs, () => {
        const record = this.#checked.recordOf(partitionId);
        if (!record || record.ownerNodeId === targetNodeId || !this.#nodes[targetNodeId]) return;
        for (const coordinator of this.#coordinators) coordinator.propose(record, targetNodeId);
      });
  }

  #checkedWorld(): CheckedWorld {
    const keysOf = new Map(
      this.#scenario.partitionIds.map((id) => [
        id,
        this.#keys.filter(({ partitionId }) => partitionId === id).map(({ name }) => name),
      ]),
    );
    return {
      codec: this.#codec,
      history: this.#history,
      nodeCount: this.#scenario.nodeCount,
      onDisk: (nodeId, partitionId) => this.#nodes[nodeId]?.disk.memory.partitions.get(partitionId),
      recordOf: (partitionId) => this.#recordOf(partitionId),
      keysOf: (partitionId) => keysOf.get(partitionId) ?? [],
      hasFailed: (nodeId) => this.#nodes[nodeId]?.disk.failure !== null,
      isLost: (nodeId) => this.#nodes[nodeId]?.isLost === true,
      isGone: (nodeId) => this.#nodes[nodeId]?.isGone === true,
      isRetired: (storeId) => this.#isRetired(storeId),
      takenOver: ({ partitionId, migration }) =>
        this.#history.takenOver(
          partitionId,
          migration?.takeover?.isEmpty ? 0 : (migration?.fenceLsn ?? 0),
          keysOf.get(partitionId) ?? [],
          this.#clock.nowMs(),
        ),
      lostReads: (partitionId, migrationId, span) =>
        this.#isCoordinatorCalm ? this.#reports.lostInARow(partitionId, migrationId, span) : 0,
      nowMs: () => this.#clock.nowMs(),
      violate: (what) => this.#violate(what),
    };
  }

  /** Nothing keeps a coordinator from what query nodes publish, nor from acting on it. */
  get #isCoordinatorCalm(): boolean {
    const { rates, faults, ambushes } = this.#scenario;
    const isAbout = (process: End): boolean => process === 'm' || process.startsWith('c');
    const touches = faults.some(
      ({ fault }) =>
        fault.kind.startsWith('metadata') ||
        fault.kind === 'operator-pause' ||
        ('process' in fault && isAbout(fault.process)) ||
        (fault.kind === 'cut' && (isAbout(fault.from) || isAbout(fault.to))),
    );
    const isAmbushed = ambushes.some(({ victim, kind }) => victim === 'coordinator' && kind !== 'cancel');
    return rates.unknownCommit === 0 && rates.metadataDown === 0 && !touches && !isAmbushed;
  }

  #recordOf(partitionId: number): PartitionRecord | null {
    const entry = this.#metadata.entries.get(this.#codec.keys.map(partitionId));
    return entry ? this.#codec.decodePartition(partitionId, entry.value) : null;
  }
}

function settingsOf({ settings }: Scenario): MigrationSettings {
  return {
    ...DEFAULT_MIGRATION_SETTINGS,
    residenceMs: 0,
    copyBytesPerSecond: settings.copyBytesPerSecond,
    throttle: { ...DEFAULT_MIGRATION_SETTINGS.throttle, bytesPerSecondMin: 1_024 },
    readWeightSteps: settings.readWeightSteps,
    readWeightHoldMs: settings.readWeightHoldMs,
    readGuard: {
      ...DEFAULT_MIGRATION_SETTINGS.readGuard,
      readsMin: 5,
      windowMs: 50,
      // Requests wait in queues for up to 30 ms, and of a copy that has just begun many are behind.
      latencyMsMin: 70,
      behindShareMax: 0.5,
      holdMs: 40,
    },
    verifyLagMax: settings.lagMax,
    fenceLagMax: settings.lagMax,
    fenceBudgetMs: settings.fenceBudgetMs,
    fenceRetryMs: 40,
    graceMs: settings.graceMs,
    prepareTimeoutMs: 800,
    phaseTimeoutMs: 1_500,
    unreachableMs: 400,
    retryMsMin: 10,
    retryMsMax: 200,
    attemptsMax: 1_000,
    quarantineMs: 1,
    freeBytesReserve: 1,
  };
}

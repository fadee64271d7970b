/** Relief between cycles by a virtual clock: a cluster of three nodes whose moves take three minutes. */
import type { Planning } from '../../plugin/host/analysis/planning.ts';
import { ReliefWatch, watchedCluster } from '../../plugin/host/analysis/relief-watch.ts';
import { readPlanMemory } from '../../plugin/host/records/plan-memory-record.ts';
import { decodeProposal, encodeProposal } from '../../plugin/host/records/proposal-record.ts';
import { proposalKey, reliefKey } from '../../plugin/host/records/record-keys.ts';
import { decodeRelief, type ReliefRecord } from '../../plugin/host/records/relief-record.ts';
import { recordCodec } from '../../plugin/metadata/record-codec.ts';
import { greedy } from '../../src/affinity/optimisers/greedy.ts';
import { AffinityManager } from '../../src/affinity/planner.ts';
import { reliefAlone } from '../../src/affinity/relief/plan-relief.ts';
import { VirtualClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { ClusterState, PluginMode } from '../../src/controller.ts';
import { asNodeId, asPartitionId } from '../../src/model/ids.ts';
import { LOAD_DIMENSION_COUNT, type LoadProfile } from '../../src/model/load-profile.ts';
import type { Move, Proposal } from '../../src/model/proposal.ts';
import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import { DEFAULT_SETTINGS, type Settings } from '../../src/settings.ts';
import { nodeOf } from './placement.ts';
import { PlainMetadata } from './plain-metadata.ts';

export const HOUR_MS = 3_600_000;
export const LOOK_MS = 30_000;
export const AFTER_MS = DEFAULT_SETTINGS.controller.reliefAfterMs;
const MOVE_MS = 180_000;
export const START_MS = 1000 * HOUR_MS;
export const NAME = 'test';
const CAPACITY = 100;
export const HOME = [0, 0, 0, 1, 2];
const codec = recordCodec(NAME);
/** A quiet cluster: 45 %, 15 % and 15 %. */
export const QUIET = [15, 15, 15, 15, 15];

export const settingsOf = (mode: PluginMode, windows: readonly string[] = []): Settings => ({
  ...DEFAULT_SETTINGS,
  cluster: {
    ...DEFAULT_SETTINGS.cluster,
    ...{
      name: NAME,
      storageNodeCount: 3,
      nodeCapacity: { ...DEFAULT_SETTINGS.cluster.nodeCapacity, queries: CAPACITY },
    },
  },
  plugin: { ...DEFAULT_SETTINGS.plugin, mode },
  affinity: {
    ...DEFAULT_SETTINGS.affinity,
    timetable: { ...DEFAULT_SETTINGS.affinity.timetable, windows },
  },
});

export class World {
  readonly clock = new VirtualClock(START_MS);
  readonly plain = new PlainMetadata();
  readonly metadata = this.plain as unknown as MetadataStore;
  readonly ownerOf = Int32Array.from(HOME);
  readonly epochOf = new Uint32Array(HOME.length).fill(1);
  readonly open = new Map<number, { readonly target: number; readonly endMs: number }>();
  readonly admitted: {
    readonly moves: readonly Move[];
    readonly isAddition: boolean | undefined;
    readonly atMs: number;
  }[] = [];
  fence = { key: 'leader', revisionIs: 0 };
  plannedIn: typeof this.fence | null = null;
  isElected = true;
  /** Before relief's turn comes. */
  onTurn: () => void = () => undefined;
  /** That stay, whoever wants them moved. */
  readonly resting = new Set<number>();
  #migrationCount = 0;
  load: (ms: number) => readonly number[] = () => QUIET;
  /** Nodes that tell of it. */
  told: (ms: number) => readonly number[] = () => [0, 1, 2];
  readonly manager: AffinityManager;
  settings: Settings;

  constructor(mode: PluginMode, windows: readonly string[] = []) {
    this.settings = settingsOf(mode, windows);
    const random = seededRandom(1n);
    this.manager = new AffinityManager(this.settings.affinity, {
      random,
      logger: silentLogger,
      optimiser: greedy,
    });
  }

  /** Of the last day, in which nothing happened. */
  profile(): LoadProfile {
    const values = new Float64Array(24 * HOME.length * LOAD_DIMENSION_COUNT);
    for (let w = 0; w < 24; w++)
      QUIET.forEach((own, p) => {
        values[(w * HOME.length + p) * LOAD_DIMENSION_COUNT] = own * 3600;
      });
    const shape = { windowMs: HOUR_MS, windowCount: 24, partitionCount: HOME.length };
    return { startMs: START_MS - 24 * HOUR_MS, ...shape, values, coverage: new Float64Array(24).fill(1) };
  }

  state(): ClusterState {
    return {
      map: { partitionCount: HOME.length, ownerOf: this.ownerOf.slice(), epochOf: this.epochOf.slice() },
      nodes: [0, 1, 2].map((id) => nodeOf(id, CAPACITY * 3600)),
      partitionBytes: new Float64Array(HOME.length).fill(1e6),
      restingPartitions: new Set([...this.open.keys(), ...this.resting]),
      openMigrations: new Map([...this.open].map(([p, { target }]) => [p, target])),
    };
  }

  memory() {
    const options = { keys: codec.keys, proposalKey: proposalKey(NAME), horizonMs: 168 * HOUR_MS };
    return readPlanMemory(this.metadata, { ...options, nowMs: this.clock.nowMs() });
  }

  /** As of a process that has just begun. */
  newWatch(): ReliefWatch {
    const planning = {
      settings: this.settings,
      coordinator: {
        isElected: this.isElected,
        admit: async (proposal: Proposal, _: unknown, options?: { readonly isAddition?: boolean }) => {
          this.admitted.push({
            moves: proposal.moves,
            isAddition: options?.isAddition,
            atMs: this.clock.nowMs(),
          });
          for (const { partitionId, targetNodeId } of proposal.moves)
            this.open.set(partitionId, { target: targetNodeId, endMs: this.clock.nowMs() + MOVE_MS });
          return { admittedCount: proposal.moves.length, queuedCount: 0, scheduledCount: 0 };
        },
      },
      cycles: {
        inTurn: (work: (fence: unknown) => unknown) => {
          this.onTurn();
          return work(this.fence);
        },
        plannedIn: this.plannedIn,
      },
      rooms: {
        ...{ clock: this.clock, logger: silentLogger, kernelHash: 'k', tell: () => undefined },
        loadProfile: async () => this.profile(),
        observe: async () => this.state(),
        memory: () => this.memory(),
        relieve: this.manager.relieve.bind(this.manager),
      },
    } as unknown as Planning;
    return new ReliefWatch({
      ...{ metadata: this.metadata, name: 'query-1', logger: silentLogger, told: ['queries'] },
      planning: () => ({ ...planning, settings: this.settings }),
      cluster: async () => watchedCluster(this.settings, this.ownerOf, []),
      onFault: (error) => {
        throw error;
      },
    });
  }

  /** Looks, and whatever else happens, until then. */
  async until(toMs: number, watch: ReliefWatch): Promise<void> {
    while (this.clock.nowMs() < toMs) {
      const atMs = this.clock.nowMs() + LOOK_MS;
      const perSecond = new Float64Array(HOME.length * LOAD_DIMENSION_COUNT);
      const nodeIds = new Set(this.told(this.clock.nowMs() - START_MS));
      for (let ms = this.clock.nowMs(); ms < atMs; ms += 1_000)
        this.load(ms - START_MS).forEach((own, p) => {
          if (nodeIds.has(this.ownerOf[p] as number)) perSecond[p * LOAD_DIMENSION_COUNT]! += own / 30;
        });
      this.clock.advanceTo(atMs);
      for (const [p, { target, endMs }] of this.open) if (endMs <= atMs) this.#end(p, target);
      await watch.look({ atMs, durationMs: LOOK_MS, perSecond, nodeIds });
    }
  }

  #end(partitionId: number, target: number): void {
    const source = this.ownerOf[partitionId] as number;
    this.open.delete(partitionId);
    this.ownerOf[partitionId] = target;
    this.epochOf[partitionId]!++;
    this.noteEnd('done', { partitionId, source, target });
  }

  /** Whatever is open is given up, as by an engine that cannot move it. */
  giveUp(): void {
    for (const [partitionId, { target }] of this.open)
      this.noteEnd('aborted', { partitionId, source: HOME[partitionId] as number, target });
    this.open.clear();
  }

  noteEnd(
    outcome: 'done' | 'aborted',
    move: { readonly partitionId: number; readonly source: number; readonly target: number },
    endedAtMs = this.clock.nowMs(),
  ): void {
    const { partitionId, source, target } = move;
    const migrationId = ++this.#migrationCount;
    const history = codec.encodeHistory({
      ...{ partitionId, migrationId, sourceNodeId: source, targetNodeId: target, outcome, reason: '' },
      ...{ startedAtMs: endedAtMs - MOVE_MS, endedAtMs, epoch: 2, fenceLsn: 1, verifiedLsn: 1 },
      ...{ copiedBytes: 1, copySeconds: 1, fenceSeconds: 0.01 },
    });
    this.plain.put(codec.keys.history(partitionId, migrationId), history);
  }

  /** A plan of the last cycle that moves partition 0 or another at some time from now. */
  plan(partitionId: number, targetNodeId: number, startMs: number): void {
    const schedule = { startMs, endMs: startMs + MOVE_MS, seconds: 1, bytesPerSecond: 1, price: 0, gain: 1 };
    const move: Move = {
      partitionId: asPartitionId(partitionId),
      sourceNodeId: asNodeId(HOME[partitionId] as number),
      targetNodeId: asNodeId(targetNodeId),
      ...{ sizeBytes: 1, gain: 1, cost: 0, reason: 'planned', schedule },
    };
    const nothing = { moves: [], evidence: [], refusal: null, costBefore: 2, costAfter: 1 } as const;
    const value = encodeProposal(
      { ...reliefAlone(this.state(), nothing), moves: [move] },
      {
        ...{
          atMs: START_MS,
          expiresAtMs: START_MS + HOUR_MS,
          wayBackMs: 1,
          inputsHash: 'i',
          kernelHash: 'k',
        },
        ...{ ignoredForecasts: [], evidence: null },
      },
    );
    this.plain.put(proposalKey(NAME), value);
    this.plannedIn = this.fence;
  }

  async last(): Promise<ReliefRecord | null> {
    const entry = await this.plain.get(reliefKey(NAME));
    return entry === undefined ? null : decodeRelief(entry.key, entry.value);
  }

  async proposed() {
    return decodeProposal((await this.plain.get(proposalKey(NAME)))?.value as Uint8Array);
  }
}

export const SHOCK_MS = 10 * 60_000;
/** Partition 0 is asked for four times as much, all of a sudden: node 0 is at 90 %. */
export const shock = (ms: number): readonly number[] => (ms >= SHOCK_MS ? [60, ...QUIET.slice(1)] : QUIET);

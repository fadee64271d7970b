/** Relief between cycles by a virtual clock: a cluster of three nodes whose moves take three minutes. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import type { Planning } from '../../../../plugin/host/analysis/planning.ts';
import { ReliefWatch, reliefLookMs, watchedCluster } from '../../../../plugin/host/analysis/relief-watch.ts';
import { readPastProposals } from '../../../../plugin/host/records/past-proposals.ts';
import { readPlanMemory } from '../../../../plugin/host/records/plan-memory-record.ts';
import {
  changedAtMs,
  decodeProposal,
  encodeProposal,
  withReliefMoves,
} from '../../../../plugin/host/records/proposal-record.ts';
import { pastProposalsPrefix, proposalKey, reliefKey } from '../../../../plugin/host/records/record-keys.ts';
import {
  decodeRelief,
  encodeRelief,
  type ReliefRecord,
} from '../../../../plugin/host/records/relief-record.ts';
import { readDecisions } from '../../../../plugin/metadata/decisions.ts';
import { recordCodec } from '../../../../plugin/metadata/record-codec.ts';
import { approve } from '../../../../plugin/operator/approval/approve.ts';
import { readAudit } from '../../../../plugin/operator/migration/audit-command.ts';
import { greedy } from '../../../../src/affinity/optimisers/greedy.ts';
import { AffinityManager } from '../../../../src/affinity/planner.ts';
import { NO_RELIEF, reliefAlone } from '../../../../src/affinity/relief/plan-relief.ts';
import { VirtualClock } from '../../../../src/base/clock.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import type { ClusterState, PluginMode } from '../../../../src/controller.ts';
import { asNodeId, asPartitionId } from '../../../../src/model/ids.ts';
import { LOAD_DIMENSION_COUNT, type LoadProfile } from '../../../../src/model/load-profile.ts';
import type { Move, Proposal } from '../../../../src/model/proposal.ts';
import type { MetadataStore } from '../../../../src/ports/metadata-store.ts';
import { DEFAULT_SETTINGS, type Settings } from '../../../../src/settings.ts';
import { forecastOf, inputsOf, nodeOf } from '../../../support/placement.ts';
import { PlainMetadata } from '../../../support/plain-metadata.ts';

const test = suite('host/relief between cycles');
const HOUR_MS = 3_600_000;
const LOOK_MS = 30_000;
const AFTER_MS = DEFAULT_SETTINGS.controller.reliefAfterMs;
const MOVE_MS = 180_000;
const START_MS = 1000 * HOUR_MS;
const NAME = 'test';
const CAPACITY = 100;
const HOME = [0, 0, 0, 1, 2];
const codec = recordCodec(NAME);
/** A quiet cluster: 45 %, 15 % and 15 %. */
const QUIET = [15, 15, 15, 15, 15];

const settingsOf = (mode: PluginMode, windows: readonly string[] = []): Settings => ({
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

class World {
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

const SHOCK_MS = 10 * 60_000;
/** Partition 0 is asked for four times as much, all of a sudden: node 0 is at 90 %. */
const shock = (ms: number): readonly number[] => (ms >= SHOCK_MS ? [60, ...QUIET.slice(1)] : QUIET);

test('auto: relief comes within reliefAfterMs and a look of the shock, and once', async () => {
  for (const shiftMs of [0, 1_000, 14_000, 29_000]) {
    const world = new World('auto');
    world.load = (ms) => shock(ms - shiftMs);
    await world.until(START_MS + 2 * HOUR_MS, world.newWatch());
    check.is(world.admitted.length, 1, `shift ${shiftMs}`);
    const [{ moves, isAddition, atMs }] = world.admitted as [(typeof world.admitted)[number]];
    const tookMs = atMs - START_MS - SHOCK_MS - shiftMs;
    check.ok(tookMs <= AFTER_MS + LOOK_MS, `after ${tookMs} ms`);
    check.is(isAddition, true, 'the plan stays in the queue');
    check.ok(moves.length > 0 && moves.every((move) => move.sourceNodeId === 0 && move.targetNodeId !== 0));
    check.match(
      moves[0]?.reason ?? '',
      /^relief: node 0 was at (8[5-9]|90)\.\d % of its queries for 2 min, above 80\.0 %/,
    );
    const [audit] = await readAudit(world.metadata, NAME);
    check.is(`${audit?.action} ${audit?.by} ${audit?.outcome}`, 'relief query-1 done');
    check.match(audit?.message ?? '', /^to be moved at once: partition \d+: node 0 -> [12]/);
  }
});

test('a spike shorter than that is left alone', async () => {
  const world = new World('auto');
  world.load = (ms) => (ms < SHOCK_MS + AFTER_MS - LOOK_MS ? shock(ms) : QUIET);
  await world.until(START_MS + HOUR_MS, world.newWatch());
  check.equal([world.admitted.length, await world.last()], [0, null]);
});

test('observe does nothing, propose proposes and no more', async () => {
  const observed = new World('observe');
  observed.load = shock;
  await observed.until(START_MS + HOUR_MS, observed.newWatch());
  check.is(observed.plain.entries.size, 0);
  const world = new World('propose');
  world.load = shock;
  await world.until(START_MS + SHOCK_MS + AFTER_MS + LOOK_MS, world.newWatch());
  check.is(world.admitted.length, 0);
  const { moves, relief, evidence, expiresAtMs, atMs } = await world.proposed();
  check.ok(moves.length > 0);
  check.is(evidence, null);
  check.is(expiresAtMs - atMs, world.settings.controller.cycleIntervalMs);
  check.match(relief?.reason ?? '', /^node 0 was at 90\.0 %/);
  const past = await readPastProposals(world.metadata, pastProposalsPrefix(NAME));
  check.equal(
    past.map(({ moveCount }) => moveCount),
    [moves.length],
  );
});

/** As `foreshard apply` does after somebody has been shown a proposal and said yes. */
async function approving(world: World, shown: { readonly atMs: number; readonly ids?: readonly number[] }) {
  const order = {
    ...{ partitionIds: shown.ids ?? null, isNow: true, fromMs: null, untilMs: null, reason: 'seen' },
    proposalAtMs: shown.atMs,
  };
  const nowMs = world.clock.nowMs();
  const refusal = await approve(world.metadata, NAME, order, nowMs).then(
    () => null,
    (error: Error) => error.message,
  );
  const { approvals } = await readDecisions(world.metadata, NAME, nowMs);
  return { refusal, approved: approvals.map((own) => `${own.partitionId}>${own.targetNodeId}`) };
}

test('propose: nobody approves moves of relief that came after he was shown the plan', async () => {
  // Another partition's, one that relief moves as well, and one that it sends elsewhere.
  for (const [planned, target] of [
    [3, 2],
    [1, 1],
    [1, 2],
  ] as const) {
    const world = new World('propose');
    world.plan(planned, target, START_MS + 50 * 60_000);
    world.load = shock;
    const watch = world.newWatch();
    await world.until(START_MS + SHOCK_MS, watch);
    const shown = await world.proposed();
    await world.until(START_MS + SHOCK_MS + AFTER_MS + LOOK_MS, watch);
    for (const ids of [undefined, [planned]]) {
      const { refusal, approved } = await approving(world, {
        atMs: changedAtMs(shown),
        ...(ids && { ids }),
      });
      check.match(refusal ?? '', /^another proposal came meanwhile/);
      check.equal(approved, []);
    }
    const seen = await world.proposed();
    check.is(seen.atMs, shown.atMs, 'its plan is the one that is kept under this name');
    const { refusal, approved } = await approving(world, { atMs: changedAtMs(seen) });
    check.is(refusal, null);
    check.equal(approved.sort(), seen.moves.map((own) => `${own.partitionId}>${own.targetNodeId}`).sort());
  }
});

test('each change of a proposal is another moment, by a clock that goes back as well', async () => {
  const world = new World('propose');
  world.plan(3, 2, START_MS + 50 * 60_000);
  const first = await world.proposed();
  const alone = reliefAlone(world.state(), NO_RELIEF);
  const changed = (record: typeof first, atMs: number) =>
    withReliefMoves(record, alone, { atMs, reason: '', evidence: [], expiresAtMs: 0 });
  const second = changed(first, START_MS + 60_000);
  const third = changed(second, START_MS - 60_000);
  const moments = [first, second, third].map(changedAtMs);
  check.equal(moments, [START_MS, START_MS + 60_000, START_MS + 60_001]);
});

test('propose: relief can be approved when the last plan is past, without it, and when it is about to be', async () => {
  const past = new World('propose');
  past.plan(3, 2, START_MS + 50 * 60_000);
  past.load = (ms) => shock(ms - 2 * HOUR_MS);
  await past.until(START_MS + 2 * HOUR_MS + SHOCK_MS + AFTER_MS + LOOK_MS, past.newWatch());
  const alone = await past.proposed();
  check.ok(alone.moves.length > 0 && alone.moves.every(({ reason }) => reason.startsWith('relief:')));
  check.is(alone.atMs, (await past.last())?.atMs, 'it is no plan of two hours ago');
  check.is((await approving(past, { atMs: changedAtMs(alone) })).refusal, null);

  const ending = new World('propose');
  ending.plan(3, 2, START_MS + 50 * 60_000);
  ending.load = (ms) => shock(ms - HOUR_MS + SHOCK_MS + AFTER_MS);
  await ending.until(START_MS + HOUR_MS, ending.newWatch());
  const { moves, expiresAtMs, relief } = await ending.proposed();
  check.is(moves.length, 2, 'the plan holds still');
  check.is(expiresAtMs - (relief?.atMs ?? 0), ending.settings.controller.reliefIntervalMs);
  await ending.until(START_MS + HOUR_MS + 60_000, ending.newWatch());
  check.is((await approving(ending, { atMs: changedAtMs(await ending.proposed()) })).refusal, null);
});

test('auto: relief after a plan that is past leaves it past', async () => {
  const world = new World('auto');
  world.plan(3, 2, START_MS + 50 * 60_000);
  world.load = (ms) => shock(ms - 2 * HOUR_MS);
  await world.until(START_MS + 2 * HOUR_MS + SHOCK_MS + AFTER_MS + LOOK_MS, world.newWatch());
  const { moves, expiresAtMs } = await world.proposed();
  check.equal([moves.at(-1)?.reason, expiresAtMs], ['planned', START_MS + HOUR_MS]);
});

test('off, and where somebody else leads, nothing is watched', async () => {
  const world = new World('auto');
  world.load = shock;
  world.isElected = false;
  await world.until(START_MS + HOUR_MS, world.newWatch());
  check.is(world.admitted.length, 0);
  const off = new World('auto');
  off.settings = {
    ...off.settings,
    controller: { ...off.settings.controller, reliefAfterMs: 0 },
  };
  off.load = shock;
  await off.until(START_MS + HOUR_MS, off.newWatch());
  check.is(off.admitted.length, 0);
});

test('a coordinator that follows one that has died in the middle of it does not do it again', async () => {
  const world = new World('auto');
  world.load = shock;
  await world.until(START_MS + SHOCK_MS + AFTER_MS + LOOK_MS, world.newWatch());
  check.is(world.admitted.length, 1);
  // Its moves never end, and the load stays: the successor sees the stress that it saw.
  for (const [p, open] of world.open) world.open.set(p, { ...open, endMs: Number.POSITIVE_INFINITY });
  const first = await world.last();
  const successor = world.newWatch();
  const { reliefIntervalMs } = world.settings.controller;
  await world.until((first?.atMs ?? 0) + reliefIntervalMs - LOOK_MS, successor);
  check.equal(await world.last(), first, 'not within the interval');
  await world.until((first?.atMs ?? 0) + reliefIntervalMs + LOOK_MS, successor);
  check.is(world.admitted.length, 1);
  check.is((await world.last())?.refusal, 'on-its-way', 'moves that are open count as done');
});

test('a planned move that helps within the same time is relief enough; a later one is not, and stays planned', async () => {
  const soon = new World('auto');
  soon.plan(0, 1, START_MS + SHOCK_MS + AFTER_MS + 60_000);
  soon.load = shock;
  await soon.until(START_MS + SHOCK_MS + AFTER_MS + LOOK_MS, soon.newWatch());
  check.equal([soon.admitted.length, (await soon.last())?.refusal], [0, 'on-its-way']);

  const later = new World('auto');
  later.plan(3, 2, START_MS + 50 * 60_000);
  later.load = shock;
  await later.until(START_MS + SHOCK_MS + AFTER_MS + LOOK_MS, later.newWatch());
  check.is(later.admitted.length, 1);
  const { moves, atMs, expiresAtMs, costBefore } = await later.proposed();
  check.equal(
    moves.map(({ reason }) => reason.slice(0, 7)),
    ['relief:', 'planned'],
  );
  check.equal([atMs, expiresAtMs, costBefore], [START_MS, START_MS + HOUR_MS, 2], 'it is the plan of before');

  // One that would help, too late.
  const late = new World('auto');
  late.plan(0, 1, START_MS + 50 * 60_000);
  late.load = shock;
  await late.until(START_MS + SHOCK_MS + AFTER_MS + LOOK_MS, late.newWatch());
  check.is(late.admitted.length, 1);

  // In the queue of a coordinator that is gone it helps nobody.
  const gone = new World('auto');
  gone.plan(0, 1, START_MS + SHOCK_MS + AFTER_MS + 60_000);
  gone.plannedIn = { key: 'leader', revisionIs: 7 };
  gone.load = shock;
  await gone.until(START_MS + SHOCK_MS + AFTER_MS + LOOK_MS, gone.newWatch());
  check.is(gone.admitted.length, 1);
  const left = (await gone.proposed()).moves.filter(({ partitionId }) => partitionId === 0);
  check.ok(left.length <= 1, 'a partition moves once');
});

test('a planned move is no help where the plan is past, or its partition has to stay', async () => {
  const past = new World('auto');
  past.plan(0, 1, START_MS + 60_000);
  past.load = (ms) => shock(ms - HOUR_MS);
  await past.until(START_MS + HOUR_MS + SHOCK_MS + AFTER_MS + LOOK_MS, past.newWatch());
  check.is(past.admitted.length, 1);
  const resting = new World('auto');
  resting.plan(0, 1, START_MS + 60_000);
  resting.resting.add(0);
  resting.load = shock;
  await resting.until(START_MS + SHOCK_MS + AFTER_MS + LOOK_MS, resting.newWatch());
  check.is(resting.admitted.length, 1);
  check.ok(resting.admitted[0]?.moves.every(({ partitionId }) => partitionId !== 0));
});

test('one that is stamped later than now keeps nobody from relief', async () => {
  const world = new World('auto');
  const nothing = { lasting: [], moves: [], evidence: [], refusal: null };
  world.plain.put(reliefKey(NAME), encodeRelief({ ...nothing, atMs: START_MS + 10 * HOUR_MS }, 'auto'));
  world.load = shock;
  await world.until(START_MS + SHOCK_MS + AFTER_MS + LOOK_MS, world.newWatch());
  check.is(world.admitted.length, 1);
});

test('whoever has lost the office writes nothing of relief', async () => {
  const world = new World('auto');
  world.load = shock;
  world.plain.put('leader', new Uint8Array(1));
  await world.until(START_MS + SHOCK_MS + AFTER_MS + LOOK_MS, world.newWatch());
  check.equal([...world.plain.entries.keys()], ['leader']);
});

test('relief whose turn comes after a reload keeps to the settings that hold then', async () => {
  const of = async (settings: Settings) => {
    const world = new World('auto');
    world.load = shock;
    world.onTurn = () => {
      world.settings = settings;
    };
    await world.until(START_MS + SHOCK_MS + AFTER_MS + LOOK_MS, world.newWatch());
    return [world.admitted.length, (await world.last())?.mode];
  };
  const auto = settingsOf('auto');
  check.equal(await of(settingsOf('observe')), [0, undefined]);
  check.equal(await of({ ...auto, controller: { ...auto.controller, reliefAfterMs: 0 } }), [0, undefined]);
  check.equal(await of(settingsOf('propose')), [0, 'propose']);
  check.equal(await of(auto), [1, 'auto']);
});

test('a planned move that was given up since is no help; one before the plan, or to elsewhere, says nothing of it', async () => {
  const move = { partitionId: 0, source: 0, target: 1 };
  for (const [ended, endedAtMs, admitted] of [
    [move, START_MS + 70_000, 1],
    [move, START_MS - 70_000, 0],
    [{ ...move, target: 2 }, START_MS + 70_000, 0],
    [{ ...move, partitionId: 1 }, START_MS + 70_000, 0],
  ] as const) {
    const world = new World('auto');
    world.plan(0, 1, START_MS + 60_000);
    world.noteEnd('aborted', ended, endedAtMs);
    world.load = shock;
    await world.until(START_MS + SHOCK_MS + AFTER_MS + LOOK_MS, world.newWatch());
    const refusal = admitted === 1 ? null : 'on-its-way';
    check.equal([world.admitted.length, (await world.last())?.refusal], [admitted, refusal], `${endedAtMs}`);
  }
});

test('moves of relief that were given up are tried again after the interval, each time; those that wait are not', async () => {
  // Some engines tell of the same refusal once.
  for (const given of ['up', 'up, told once', 'no place']) {
    const world = new World('auto');
    world.plan(3, 2, START_MS + 55 * 60_000);
    world.load = shock;
    const watch = world.newWatch();
    for (let minute = 1; minute <= 40; minute++) {
      await world.until(START_MS + minute * 60_000, watch);
      if (given === 'up' || (given !== 'no place' && minute < 20)) world.giveUp();
      else world.open.clear();
    }
    const times = world.admitted.map(({ atMs }) => Math.round((atMs - START_MS) / 60_000));
    check.equal(times, given === 'no place' ? [12] : [12, 22, 32], given);
  }
});

test('a node that does not tell its load is no target, however idle it was; a node that owns nothing is one', async () => {
  const moved = async (told: readonly number[], load: readonly number[], empty: number | null = null) => {
    const world = new World('auto');
    for (const [p, own] of HOME.entries()) if (own === empty) world.ownerOf[p] = 0;
    world.load = (ms) => (ms >= SHOCK_MS ? load : QUIET.map((own) => own / 2));
    world.told = (ms) => (ms >= SHOCK_MS ? told : [0, 1, 2]);
    await world.until(START_MS + SHOCK_MS + AFTER_MS + LOOK_MS, world.newWatch());
    const targets = world.admitted.flatMap(({ moves }) => moves.map((move) => move.targetNodeId as number));
    return { targets: [...new Set(targets)].sort(), refusal: (await world.last())?.refusal };
  };
  // Node 0 is at 90 %, node 1 at 95 % and silent, node 2 at 15 %.
  const load = [60, 15, 15, 95, 15];
  check.equal(await moved([0, 2], load), { targets: [2], refusal: null });
  check.equal(await moved([0], load), { targets: [], refusal: 'silent-nodes' });
  check.equal(await moved([0, 1, 2], [60, 15, 15, 95, 70]), { targets: [], refusal: 'no-move' });
  // Nobody asks it for anything: it has nothing to tell.
  check.equal((await moved([0, 1], [60, 15, 15, 95, 0], 2)).targets, [2]);
});

test('nothing is moved outside the windows, and it is said', async () => {
  // The world begins on a Wednesday.
  const world = new World('auto', ['sun 00:00-01:00']);
  world.load = shock;
  await world.until(START_MS + SHOCK_MS + AFTER_MS + LOOK_MS, world.newWatch());
  check.equal([world.admitted.length, (await world.last())?.refusal], [0, 'outside-windows']);
  check.equal(await readAudit(world.metadata, NAME), [], 'nothing was done');
  // By the time that it is, not by the end of the window that is open.
  const inside = new World('auto', ['wed 16:00-16:30']);
  inside.load = shock;
  await inside.until(START_MS + SHOCK_MS + AFTER_MS + LOOK_MS, inside.newWatch());
  check.is(inside.admitted.length, 1);
});

test('the next cycle does not take it back, though the load is over', async () => {
  const world = new World('auto');
  world.load = shock;
  await world.until(START_MS + HOUR_MS, world.newWatch());
  const moved = world.admitted.flatMap(({ moves }) => moves.map(({ partitionId }) => partitionId as number));
  check.ok(moved.length > 0 && moved.every((p) => world.ownerOf[p] !== 0));
  // Whatever is left on the target is hot now, and its old node idle: by load alone it would go home.
  const target = world.ownerOf[moved[0] as number];
  const forecast = forecastOf({
    horizonSteps: 24,
    partitionCount: HOME.length,
    loadOf: (_, p) => 3600 * (world.ownerOf[p] === target ? 44 : world.ownerOf[p] === 0 ? 1 : 40),
  });
  const { nodes } = world.state();
  const plan = async (memory: Awaited<ReturnType<World['memory']>>) => {
    const { moves } = await world.manager.propose(
      inputsOf({ ownerOf: world.ownerOf, nodes, forecast, changes: { memory } }),
    );
    return moves.filter((move) => moved.includes(move.partitionId) && move.targetNodeId === 0).length;
  };
  check.ok((await plan({ lastMoves: [], recentMoves: [] })) > 0, 'it would pay');
  check.is(await plan(await world.memory()), 0);
});

test('looks are as many as relief in time takes, and not more than one a second', () => {
  const of = (reliefAfterMs: number) =>
    reliefLookMs({ ...DEFAULT_SETTINGS.controller, reliefAfterMs }, 30_000);
  check.equal([0, 1_000, 60_000, 120_000, 3_600_000].map(of), [30_000, 1_000, 15_000, 30_000, 30_000]);
});

test.run();

import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { PlacementState } from '../../../src/affinity/cost-model.ts';
import { planWithinDay } from '../../../src/affinity/day-budget.ts';
import type { PlacementInputs } from '../../../src/affinity/instance.ts';
import { buildRuledInstance } from '../../../src/affinity/instance.ts';
import { annealer, DEFAULT_ANNEAL_SETTINGS } from '../../../src/affinity/optimisers/anneal.ts';
import type { InstancePlan } from '../../../src/affinity/plan-instance.ts';
import type { RecentMove } from '../../../src/affinity/plan-memory.ts';
import { AffinityManager } from '../../../src/affinity/planner.ts';
import { type AffinitySettings, DEFAULT_AFFINITY_SETTINGS } from '../../../src/affinity/settings.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import { inlineRunner } from '../../../src/kernels/pool.ts';
import type { Proposal } from '../../../src/model/proposal.ts';
import { forecastOf, inputsOf, nodeOf } from '../../support/placement.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('affinity/moves of a day');
const SEED = testSeed('affinity/moves of a day');
const PARTITIONS = 24;
const HOUR_MS = 3_600_000;

const forecast = forecastOf({
  horizonSteps: 48,
  partitionCount: PARTITIONS,
  loadOf: (_, p) => 1 + p / 8,
});

/** All on the first of three nodes, which is nearly full. */
const inputs = (changes: Partial<PlacementInputs> = {}, isFirstAlive = true): PlacementInputs =>
  inputsOf({
    ownerOf: new Int32Array(PARTITIONS),
    nodes: [nodeOf(0, 70, { isAlive: isFirstAlive }), nodeOf(1, 70), nodeOf(2, 70)],
    forecast,
    changes,
  });

function propose(problem: PlacementInputs, changes: Partial<AffinitySettings>): Promise<Proposal> {
  const optimiser = annealer(inlineRunner(loadKernels()), { ...DEFAULT_ANNEAL_SETTINGS, iterations: 20_000 });
  const settings = { ...DEFAULT_AFFINITY_SETTINGS, urgentGain: 1, ...changes };
  const components = {
    random: seededRandom(SEED),
    logger: silentLogger,
    optimiser,
    bound: 'poured' as const,
  };
  return new AffinityManager(settings, components).propose(problem);
}

/** Moves that ended so many hours before the forecast begins, of partitions that have settled at the first node. */
const ended = (...hoursAgo: readonly number[]): Partial<PlacementInputs> => ({
  memory: {
    lastMoves: [],
    recentMoves: hoursAgo.map(
      (hours, p): RecentMove => ({
        partitionId: p,
        sourceNodeId: 2,
        endedAtMs: forecast.startMs - hours * HOUR_MS,
      }),
    ),
  },
});

test('moves of the last day and those that run leave so many fewer, and the others wait', async () => {
  const whole = await propose(inputs(), { movesPerDay: 64 });
  check.ok(whole.moves.length > 5, `${whole.moves.length} moves, SEED=${SEED}`);
  check.equal(whole.leftOut, []);
  const first = await propose(inputs(), { movesPerDay: 5 });
  check.is(first.moves.length, 5);
  check.ok(first.costAfter < first.costBefore);
  const waiting = first.leftOut.filter(({ code }) => code === 'moves-per-day');
  check.is(waiting.length, first.leftOut.length);
  check.ok(waiting.length > 0 && first.refusal === undefined);
  for (const { partitionId } of waiting) check.is(first.targetOwnerOf[partitionId], 0);

  const later = await propose(inputs({ ...ended(1, 23), openMigrations: new Map([[20, 1]]) }), {
    movesPerDay: 5,
  });
  check.is(later.moves.length, 2);
});

test('a day that has had its moves has none left, and says so', async () => {
  const { moves, refusal, leftOut, costAfter, costBefore } = await propose(inputs(ended(1, 2, 3)), {
    movesPerDay: 3,
  });
  check.equal([moves.length, refusal, costAfter], [0, 'moves-per-day', costBefore]);
  check.ok(leftOut.length > 0);
});

test('what ended before the day, and what another clock has stamped, does not count', async () => {
  const { moves } = await propose(inputs(ended(25, 30, -24 * 365)), { movesPerDay: 3 });
  check.is(moves.length, 3);
});

test('a plan that gains much, or empties a node, waits for no other day', async () => {
  const urgent = await propose(inputs(ended(1, 2, 3)), { movesPerDay: 3, urgentGain: 0.1 });
  check.ok(urgent.moves.length > 3, `${urgent.moves.length} moves, SEED=${SEED}`);
  const emptied = await propose(inputs(ended(1, 2, 3), false), { movesPerDay: 3 });
  check.is(emptied.moves.length, PARTITIONS);
});

test('what has to go is not counted, and frees no other move', async () => {
  // Two partitions may not be on the first node; the others would gain by leaving it as well.
  const rules = {
    ...DEFAULT_AFFINITY_SETTINGS.rules,
    forbidden: [{ partitions: [4, 5], nodes: [0] }],
  };
  const { moves, leftOut } = await propose(inputs(ended(1)), { movesPerDay: 3, rules });
  const ids = moves.map(({ partitionId }) => partitionId as number);
  check.ok(ids.includes(4) && ids.includes(5), ids.join(' '));
  check.is(moves.length, 4, `two that have to and two that may, SEED=${SEED}`);
  check.ok(leftOut.length > 0);
  const spent = await propose(inputs(ended(1, 2, 3)), { movesPerDay: 3, rules });
  check.equal(spent.moves.map(({ partitionId }) => partitionId as number).sort(), [4, 5]);
});

test('moves that the day has for those that have to go are not made of others', async () => {
  // 4 and 5 may not be where they are. A search that may make three moves finds three that gain more quickly.
  const rules = { ...DEFAULT_AFFINITY_SETTINGS.rules, forbidden: [{ partitions: [4, 5], nodes: [0] }] };
  const { instance } = buildRuledInstance(inputs(), { ...DEFAULT_AFFINITY_SETTINGS, rules });
  const planOf = (...order: number[]): InstancePlan => {
    const ownerOf = instance.home.map((owner, p) => (order.includes(p) ? 1 + (p % 2) : owner));
    const costAfter = new PlacementState(instance, ownerOf).cost();
    const costBefore = new PlacementState(instance).cost();
    return { order, ownerOf, costBefore, costAfter, lowerBound: 0, iterations: 0 };
  };
  const settings = { movesPerDay: 1, movesPerNodeAndDay: 0, urgentGain: 1 };
  for (const units of [[], [[4, 6]]]) {
    const answers = [planOf(4, 5, 6, 20, 21, 22), planOf(21, 22, 23)];
    const planFor = async (): Promise<InstancePlan> => answers.shift() as InstancePlan;
    const { plan, waiting } = await planWithinDay(instance, planFor, { movesLeft: 1, settings, units });
    const having = units.length > 0 ? [4, 5, 6] : [4, 5];
    check.is(plan.order.length, having.length + 1);
    for (const p of having) check.is.not(plan.ownerOf[p], 0, `partition ${p}, units ${units}`);
    check.is(plan.costAfter, new PlacementState(instance, plan.ownerOf).cost());
    check.is(waiting.length, 6 - plan.order.length);
  }
});

test('what makes room for a move that has to be is not counted, and a breach that is mended is no gain of load', async () => {
  // 0 may be on the second node alone, where there is room when 1 has left.
  const rules = { ...DEFAULT_AFFINITY_SETTINGS.rules, forbidden: [{ partitions: [0], nodes: [0, 2] }] };
  const sizes = [4, 5, 3, 1];
  const problem = inputsOf({
    ownerOf: [0, 1, 1, 0],
    nodes: [nodeOf(0, 10), nodeOf(1, 10), nodeOf(2, 10)],
    forecast: forecastOf({ horizonSteps: 2, partitionCount: 4, loadOf: (_, p) => sizes[p] as number }),
  });
  const { instance } = buildRuledInstance(problem, { ...DEFAULT_AFFINITY_SETTINGS, rules });
  const costOf = (owners: Int32Array): number => new PlacementState(instance, owners).cost();
  const planOf = (order: readonly number[], owners: readonly number[]): InstancePlan => {
    const ownerOf = Int32Array.from(owners);
    const costBefore = costOf(instance.home);
    return { order, ownerOf, costBefore, costAfter: costOf(ownerOf), lowerBound: 0, iterations: 0 };
  };
  const whole = planOf([1, 0, 3], [1, 2, 1, 2]);
  check.ok(whole.costAfter < 0.2 * whole.costBefore, 'for the breach');
  const answers = [whole, planOf([3], [0, 1, 1, 2])];
  const planFor = async (): Promise<InstancePlan> => answers.shift() as InstancePlan;
  const settings = { movesPerDay: 0, movesPerNodeAndDay: 0, urgentGain: 0.8 };
  const { plan, waiting } = await planWithinDay(instance, planFor, { movesLeft: 0, settings });
  check.equal(plan.order, [1, 0]);
  check.equal(
    waiting.map(({ partition }) => partition),
    [3],
  );
});

test('what makes room for a move that finds no hour is counted like any other', async () => {
  // 0 may be on the second node alone, where there is room when 1 has left; its copy would take longer than the horizon.
  const rules = { ...DEFAULT_AFFINITY_SETTINGS.rules, forbidden: [{ partitions: [0], nodes: [0, 2, 3] }] };
  const sizes = [2, 5, 4, 4.5, 3];
  const problem = (bytesOfFirst: number): PlacementInputs =>
    inputsOf({
      ownerOf: [0, 1, 1, 0, 0],
      nodes: [0, 1, 2, 3].map((n) => nodeOf(n, 10, { dataBytesMax: 1e18 })),
      forecast: forecastOf({ horizonSteps: 24, partitionCount: 5, loadOf: (_, p) => sizes[p] as number }),
      changes: { partitionBytes: Float64Array.of(bytesOfFirst, 1e6, 1e6, 1e6, 1e6) },
    });
  const settings = { movesPerNodeAndDay: 0, rules };
  const of = async (bytesOfFirst: number, movesPerDay: number) => {
    const { moves, leftOut, refusal } = await propose(problem(bytesOfFirst), { ...settings, movesPerDay });
    const codeOf = Object.fromEntries(leftOut.map(({ partitionId, code }) => [partitionId, code]));
    return { moved: moves.map(({ partitionId }) => partitionId as number).sort(), codeOf, refusal };
  };
  const soon = await of(1e6, 1);
  check.ok(soon.moved.length === 3 && soon.moved.includes(0), `two that have to, and one: ${soon.moved}`);
  const late = await of(1e15, 1);
  check.is(late.moved.length, 1, late.moved.join(' '));
  check.is(late.codeOf[0], 'horizon');
  check.ok(Object.values(late.codeOf).includes('moves-per-day'));
  const none = await of(1e15, 0);
  check.equal([none.moved, none.refusal], [[], 'moves-per-day']);
});

test('of two that are to be apart whichever the plan lets go is not counted, and the other one is', async () => {
  const rules = { ...DEFAULT_AFFINITY_SETTINGS.rules, apart: [{ partitions: [0, 1] }] };
  const sizes = [4, 2, 3, 1];
  const problem = inputsOf({
    ownerOf: [0, 0, 1, 0],
    nodes: [nodeOf(0, 10), nodeOf(1, 10), nodeOf(2, 10)],
    forecast: forecastOf({ horizonSteps: 2, partitionCount: 4, loadOf: (_, p) => sizes[p] as number }),
  });
  const { instance } = buildRuledInstance(problem, { ...DEFAULT_AFFINITY_SETTINGS, rules });
  const planOf = (order: readonly number[]): InstancePlan => {
    const ownerOf = instance.home.map((owner, p) => (order.includes(p) ? 2 - (p % 2) : owner));
    const costAfter = new PlacementState(instance, ownerOf).cost();
    const costBefore = new PlacementState(instance).cost();
    return { order, ownerOf, costBefore, costAfter, lowerBound: 0, iterations: 0 };
  };
  const settings = { movesPerDay: 0, movesPerNodeAndDay: 0, urgentGain: 1 };
  for (const order of [
    [0, 3],
    [1, 3],
    [0, 1, 3],
    [1, 0, 3],
  ]) {
    const answers = [planOf(order), planOf([3])];
    const planFor = async (): Promise<InstancePlan> => answers.shift() as InstancePlan;
    const { plan, waiting } = await planWithinDay(instance, planFor, { movesLeft: 0, settings });
    check.equal(plan.order, order.slice(0, 1), String(order));
    check.is(waiting.length, order.length - 1);
  }
});

test('a cluster of many nodes has a day of more moves, by those that live', async () => {
  const nodeCount = 12;
  const nodes = Array.from({ length: nodeCount }, (_, n) => nodeOf(n, 70, { isAlive: n < 10 }));
  const of = (movesPerNodeAndDay: number): Promise<Proposal> =>
    propose(inputs({ nodes }), { movesPerDay: 2, movesPerNodeAndDay });
  check.is((await of(0.5)).moves.length, 5);
  check.is((await of(0.75)).moves.length, 7);
  check.is((await of(0.1)).moves.length, 2, 'never fewer than movesPerDay');
});

test.run();

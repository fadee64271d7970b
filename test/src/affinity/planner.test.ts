import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { PlacementState } from '../../../src/affinity/cost-model.ts';
import { buildInstance, type PlacementInputs } from '../../../src/affinity/instance.ts';
import { annealer, DEFAULT_ANNEAL_SETTINGS } from '../../../src/affinity/optimisers/anneal.ts';
import { greedy } from '../../../src/affinity/optimisers/greedy.ts';
import type { Optimiser } from '../../../src/affinity/optimisers/optimiser.ts';
import { AffinityManager } from '../../../src/affinity/planner.ts';
import { type AffinitySettings, DEFAULT_AFFINITY_SETTINGS } from '../../../src/affinity/settings.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { seededRandom } from '../../../src/base/random.ts';
import type { Pace } from '../../../src/base/slices.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import { inlineRunner } from '../../../src/kernels/pool.ts';
import { dimensionIndex, LOAD_DIMENSION_COUNT } from '../../../src/model/load-profile.ts';
import type { Proposal } from '../../../src/model/proposal.ts';
import { forecastOf, inputsOf, nodeOf, randomInputs } from '../../support/placement.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('affinity/planner');
const SEED = testSeed('affinity/planner');

const search = (): Optimiser =>
  annealer(inlineRunner(loadKernels()), { ...DEFAULT_ANNEAL_SETTINGS, iterations: 20_000 });

function propose(
  inputs: PlacementInputs,
  changes: Partial<AffinitySettings> = {},
  { optimiser = search(), seed = 1n }: { optimiser?: Optimiser; seed?: bigint } = {},
): Promise<Proposal> {
  const manager = new AffinityManager(
    { ...DEFAULT_AFFINITY_SETTINGS, ...changes },
    { random: seededRandom(seed), logger: silentLogger, optimiser },
  );
  return manager.propose(inputs);
}

/** 16 partitions of `loads` each, constant over two days. */
function steady(
  loads: readonly number[],
  ownerOf: readonly number[],
  nodes: PlacementInputs['nodes'],
  changes: Partial<PlacementInputs> = {},
): PlacementInputs {
  const forecast = forecastOf({
    horizonSteps: 48,
    partitionCount: loads.length,
    loadOf: (_, p) => loads[p] as number,
  });
  return inputsOf({ ownerOf, nodes, forecast, changes });
}

const filled = (count: number, value: number): number[] => new Array<number>(count).fill(value);

/** Highest utilisation of a node after a proposal, in expectation. */
function peakAfter(proposal: Proposal, loads: readonly number[], capacities: readonly number[]): number {
  const used = capacities.map(() => 0);
  for (let p = 0; p < loads.length; p++) used[proposal.targetOwnerOf[p] as number] += loads[p];
  return Math.max(...used.map((load, n) => load / capacities[n]));
}

test('a node beyond its capacity is relieved, hottest partition of the hottest node first', async () => {
  const loads = [9, 7, ...filled(14, 1)];
  const ownerOf = [0, 0, ...filled(14, 0).map((_, i) => i % 3)];
  const proposal = await propose(steady(loads, ownerOf, [nodeOf(0, 14), nodeOf(1, 14), nodeOf(2, 14)]));
  check.is(proposal.refusal, undefined);
  check.is(proposal.moves[0].sourceNodeId, 0);
  check.ok(proposal.moves[0].partitionId <= 1, 'one of the two hot ones goes first');
  check.ok(peakAfter(proposal, loads, [14, 14, 14]) < 0.8);
  check.match(proposal.moves[0].reason, /relieves node 0 in queries/);
});

test('two that are read at the same night hour are taken apart, for that resource and hour; by queries all is well', async () => {
  const readBytes = dimensionIndex('readBytes');
  const forecast = forecastOf({
    horizonSteps: 48,
    partitionCount: 16,
    loadOf: (step, p, dimension) => (dimension === readBytes && p < 2 && step % 24 === 3 ? 8 : 0.5),
  });
  // Eight partitions each, and the two that are read at night on the first node.
  const ownerOf = Array.from({ length: 16 }, (_, p) => (p < 8 ? 0 : 1));
  const inputs = inputsOf({ ownerOf, forecast, nodes: [nodeOf(0, 14), nodeOf(1, 14)] });
  const dimensions = (['queries', 'readBytes'] as const).map((dimension) => ({ dimension, weight: 1 }));
  const proposal = await propose(inputs, { dimensions });
  const [move] = proposal.moves.filter(({ partitionId }) => partitionId < 2);
  check.match(move?.reason ?? '', /relieves node 0 in readBytes, most at 2001-01-0[12] 03:00 UTC/);
  check.is.not(proposal.targetOwnerOf[0], proposal.targetOwnerOf[1]);
  const byQueries = await propose(inputs, { dimensions: [{ dimension: 'queries', weight: 1 }] });
  check.is(byQueries.moves.length, 0);
});

test('no prefix of the moves is worse than staying', async () => {
  const first = SEED;
  for (let seed = first; seed < first + 6n; seed++) {
    const inputs = randomInputs(seededRandom(seed), { partitionCount: 64, nodeCount: 6, horizonSteps: 24 });
    const proposal = await propose(inputs, {}, { seed });
    check.ok(proposal.moves.length > 3, `seed ${seed}: ${proposal.moves.length} moves`);
    const state = new PlacementState(buildInstance(inputs, DEFAULT_AFFINITY_SETTINGS));
    const stay = state.loadCost();
    for (const move of proposal.moves) {
      check.is(state.ownerOf[move.partitionId], move.sourceNodeId);
      state.move(move.partitionId, move.targetNodeId);
      check.ok(state.loadCost() <= stay, `seed ${seed}: worse after partition ${move.partitionId}`);
    }
    check.equal(state.ownerOf, proposal.targetOwnerOf);
    check.ok(Math.abs(state.cost() - proposal.costAfter) < 1e-9, 'cost after is that of the map proposed');
    check.ok(proposal.lowerBound <= proposal.costAfter && proposal.costAfter < proposal.costBefore);
  }
});

test('a plan is never worse than greedy or staying, even if the search returns rubbish', async () => {
  const rubbish: Optimiser = {
    name: 'rubbish',
    optimise: (instance, start) =>
      Promise.resolve({ ownerOf: start.map((n, p) => (instance.isMovable[p] ? 0 : n)), iterations: 1 }),
  };
  const seed = SEED;
  const inputs = randomInputs(seededRandom(seed), { partitionCount: 64, nodeCount: 6, horizonSteps: 24 });
  const [withRubbish, withGreedy, withSearch] = await Promise.all([
    propose(inputs, {}, { optimiser: rubbish }),
    propose(inputs, {}, { optimiser: greedy }),
    propose(inputs),
  ]);
  check.equal(withRubbish.targetOwnerOf, withGreedy.targetOwnerOf);
  check.ok(withGreedy.costAfter < withGreedy.costBefore);
  check.ok(withSearch.costAfter <= withGreedy.costAfter + 1e-12);
});

test('each move earns its price so many times over when it alone is left out', async () => {
  const seed = SEED;
  const inputs = randomInputs(seededRandom(seed), { partitionCount: 64, nodeCount: 6, horizonSteps: 24 });
  for (const benefitCostRatio of [1.5, 6]) {
    const proposal = await propose(inputs, { benefitCostRatio });
    check.ok(proposal.moves.length > 0);
    for (const { partitionId, gain, cost } of proposal.moves)
      check.ok(
        gain >= benefitCostRatio * cost,
        `seed ${seed}: partition ${partitionId}, ${gain} for ${cost}`,
      );
    const paid = proposal.moves.reduce((sum, { cost }) => sum + cost, 0);
    const earned = proposal.costBefore - (proposal.costAfter - paid);
    check.ok(earned >= benefitCostRatio * paid, `seed ${seed}: the plan earns ${earned} for ${paid}`);
  }
});

test('nothing moves when the gain is too small for the price', async () => {
  const loads = [3, ...filled(15, 1)];
  const ownerOf = filled(16, 0).map((_, p) => p % 2);
  const nodes = [nodeOf(0, 40), nodeOf(1, 40)];
  const cheap = await propose(steady(loads, ownerOf, nodes), { moveFixedIndexHours: 0, boundTolerance: 0 });
  check.is(cheap.moves.length, 1);
  const dear = await propose(steady(loads, ownerOf, nodes), { moveFixedIndexHours: 5, boundTolerance: 0 });
  check.is(dear.refusal, 'below-minimum-gain');
  check.is(dear.moves.length, 0);
  check.equal(dear.targetOwnerOf, Int32Array.from(ownerOf));
});

test('nothing moves when staying is near the bound', async () => {
  const proposal = await propose(
    steady(
      filled(16, 1),
      filled(16, 0).map((_, p) => p % 2),
      [nodeOf(0, 16), nodeOf(1, 16)],
    ),
    { riskZ: 0 },
  );
  check.is(proposal.refusal, 'near-bound');
});

test('unequal nodes get load in proportion to what they carry', async () => {
  const loads = filled(32, 1);
  const capacities = [10, 10, 15, 20];
  const proposal = await propose(
    steady(
      loads,
      loads.map((_, p) => p % 4),
      capacities.map((own, n) => nodeOf(n, own)),
    ),
  );
  const used = [0, 0, 0, 0];
  for (const owner of proposal.targetOwnerOf) used[owner]++;
  check.ok(used[3] > used[2] && used[2] > used[0], used.join(' '));
  check.ok(peakAfter(proposal, loads, capacities) < 0.65, used.join(' '));
});

test('a node whose own background leaves it little is given little', async () => {
  const busy = nodeOf(1, 20, { background: new Float64Array(4).fill(10) });
  const proposal = await propose(
    steady(
      filled(16, 1),
      filled(16, 0).map((_, p) => p % 2),
      [nodeOf(0, 20), busy],
    ),
  );
  const onBusy = proposal.targetOwnerOf.filter((n) => n === 1).length;
  check.ok(onBusy <= 4, `${onBusy} partitions beside a background of 50 %`);
});

test('a node that is down is emptied first, idle partitions included, and receives nothing', async () => {
  const loads = [5, 0, 0, 0, ...filled(12, 1)];
  const ownerOf = [1, 1, 1, 1, ...filled(12, 0).map((_, i) => (i % 2) * 2)];
  const nodes = [nodeOf(0, 20), nodeOf(1, 0, { isAlive: false }), nodeOf(2, 20)];
  const proposal = await propose(steady(loads, ownerOf, nodes));
  check.not.ok(proposal.targetOwnerOf.includes(1));
  check.equal(
    proposal.moves.slice(0, 4).map(({ sourceNodeId }) => sourceNodeId as number),
    [1, 1, 1, 1],
  );
  check.is(proposal.moves[0].partitionId, 0, 'the busy one first');
  check.match(proposal.moves[0].reason, /node 1 takes no writes/);
});

test('a node without room for the bytes receives none, however idle it is', async () => {
  const full = nodeOf(1, 100, { dataBytes: 9e6, dataBytesMax: 9.5e6 });
  const inputs = steady(filled(16, 1), filled(16, 0), [nodeOf(0, 18), full]);
  const proposal = await propose(inputs);
  check.is(proposal.refusal, 'below-minimum-gain');
  const roomier = { ...inputs, nodes: [inputs.nodes[0], { ...full, dataBytesMax: 11.5e6 }] };
  check.is((await propose(roomier)).moves.length, 2, 'room for two of 1 MB');
});

test('partitions that rest stay, and those on their way count where they go', async () => {
  const ownerOf = filled(16, 0);
  const nodes = [nodeOf(0, 20), nodeOf(1, 20)];
  const all = new Set(ownerOf.keys());
  check.is(
    (await propose(steady(filled(16, 1), ownerOf, nodes, { restingPartitions: all }))).refusal,
    'residence',
  );

  const openMigrations = new Map(Array.from({ length: 8 }, (_, p) => [p, 1] as const));
  const restingPartitions = new Set(openMigrations.keys());
  const halfway = await propose(
    steady(filled(16, 1), ownerOf, nodes, { openMigrations, restingPartitions }),
    { riskZ: 0 },
  );
  check.is(halfway.refusal, 'near-bound', 'eight of sixteen on their way: balanced');
});

test('no more moves than allowed, and those that gain most', async () => {
  const loads = filled(16, 0).map((_, p) => 1 + p / 4);
  const inputs = steady(loads, filled(16, 0), [nodeOf(0, 60), nodeOf(1, 60)]);
  const proposal = await propose(inputs, { movesMax: 2 });
  check.is(proposal.moves.length, 2);
  check.ok(proposal.moves.every(({ partitionId }) => partitionId >= 13));
  check.is((await propose(inputs, { movesMax: 0 })).moves.length, 0);
});

test('the same inputs and seed give the same bytes', async () => {
  const inputs = randomInputs(seededRandom(2n), { partitionCount: 64, nodeCount: 6, horizonSteps: 24 });
  const [first, again] = await Promise.all([
    propose(inputs, {}, { seed: 5n }),
    propose(inputs, {}, { seed: 5n }),
  ]);
  check.equal(again, first);
});

test('made a few milliseconds at a time it is the same plan, and cancelled none', async () => {
  const inputs = randomInputs(seededRandom(SEED), { partitionCount: 64, nodeCount: 5, horizonSteps: 24 });
  const clock = systemClock();
  const managerWith = (pace?: Pace) =>
    new AffinityManager(DEFAULT_AFFINITY_SETTINGS, {
      random: seededRandom(1n),
      logger: silentLogger,
      optimiser: search(),
      ...(pace && { pace }),
    });
  const atOnce = await managerWith().propose(inputs);
  check.ok(atOnce.moves.length > 0);
  const resting = managerWith({ clock });
  const proposal = await resting.propose(inputs);
  check.equal(proposal, atOnce);
  check.equal(await resting.evidence(inputs, proposal), await managerWith().evidence(inputs, proposal));
  for (const after of [0, 3, 30]) {
    let asked = 0;
    const cancelled = managerWith({ clock, isCancelled: () => asked++ >= after });
    const error = await cancelled.propose(inputs).then(
      () => null,
      (reason: { code: string }) => reason,
    );
    check.is(error?.code, 'FORESHARD_UNAVAILABLE', `after ${after} questions`);
  }
});

test('a plan carried out leaves next to nothing to do, by the search that is shipped', async () => {
  // Other seeds are other searches. A weaker one (a fifth of the iterations, one temperature) stops short now and then,
  // and the next finds five moves more; of seeds 1..200 the shipped one left one move worth 0.1 % of the cost to two.
  const optimiser = annealer(inlineRunner(loadKernels()));
  let inputs = randomInputs(seededRandom(SEED), { partitionCount: 64, nodeCount: 6, horizonSteps: 24 });
  const proposals: Proposal[] = [];
  for (let round = 0n; round < 4n; round++) {
    const proposal = await propose(inputs, {}, { optimiser, seed: round });
    proposals.push(proposal);
    inputs = { ...inputs, map: { ...inputs.map, ownerOf: proposal.targetOwnerOf } };
  }
  const counts = proposals.map(({ moves }) => moves.length);
  const [first, ...followers] = proposals;
  check.ok(first.moves.length > 3, counts.join(' '));
  check.ok(counts[1] + counts[2] + counts[3] <= 2, `seed ${SEED}: ${counts.join(', ')} moves`);
  for (const { costBefore, costAfter } of followers)
    check.ok(
      costAfter <= costBefore && costAfter >= 0.99 * costBefore,
      `seed ${SEED}: ${costBefore} to ${costAfter}`,
    );
});

test('load on weekdays and load on weekends are put together rather than moved to and fro', async () => {
  // Half of the partitions work on weekdays, the others at the weekend; node 0 has all of the former.
  const isWeekend = (t: number): boolean => Math.floor(t / 24) % 7 >= 5;
  const forecast = forecastOf({
    horizonSteps: 168,
    partitionCount: 16,
    loadOf: (t, p) => (isWeekend(t) === p >= 8 ? 2 : 0.1),
  });
  const ownerOf = filled(16, 0).fill(1, 8);
  const nodes = [nodeOf(0, 20), nodeOf(1, 20)];
  const proposal = await propose(inputsOf({ ownerOf, nodes, forecast }));
  const weekday = proposal.targetOwnerOf.slice(0, 8).filter((n) => n === 0).length;
  check.is(weekday, 4, 'weekday load on both');
  const settled = await propose(inputsOf({ ownerOf: proposal.targetOwnerOf, nodes, forecast }));
  check.is(settled.moves.length, 0, 'and nothing is undone');
});

test('nothing is moved by a forecast whose bounds are too wide, unless it has to leave', async () => {
  const ownerOf = filled(8, 0);
  const loads = filled(8, 1.5);
  const wide = (count: number): PlacementInputs['forecast'] => {
    const sure = forecastOf({ horizonSteps: 48, partitionCount: 8, loadOf: (_, p) => loads[p] as number });
    const ofWide = (i: number): boolean => Math.floor(i / LOAD_DIMENSION_COUNT) % 8 < count;
    return { ...sure, upper: sure.upper.map((value, i) => (ofWide(i) ? 6 * value : value)) };
  };
  const inputs = (count: number, isAlive = true): PlacementInputs =>
    inputsOf({ ownerOf, nodes: [nodeOf(0, 16, { isAlive }), nodeOf(1, 16)], forecast: wide(count) });
  const settings = { isCapacityHard: false, riskZ: 0 };
  const all = await propose(inputs(8), settings);
  check.is(all.moves.length, 0);
  check.is(all.refusal, 'wide-bounds');
  const half = await propose(inputs(4), settings);
  check.ok(half.moves.length > 0);
  check.ok(half.moves.every(({ partitionId }) => partitionId >= 4));
  const allowed = await propose(inputs(8), { ...settings, boundRatioMax: 8 });
  check.ok(allowed.moves.length > 0);
  check.is(
    (await propose(inputs(8, false), settings)).moves.length,
    8,
    'a node that is down is left all the same',
  );
});

test('a forecast without load, and one without a step, move nothing', async () => {
  const nodes = [nodeOf(0, 20), nodeOf(1, 20)];
  check.is((await propose(steady(filled(16, 0), filled(16, 0), nodes))).moves.length, 0);
  const empty = forecastOf({ horizonSteps: 0, partitionCount: 16, loadOf: () => 1 });
  try {
    await propose(inputsOf({ ownerOf: filled(16, 0), nodes, forecast: empty }));
    check.unreachable();
  } catch (error) {
    check.is((error as { code: string }).code, 'FORESHARD_NOT_READY');
  }
});

test('where nobody knows yet what nodes carry, since nothing was asked, a cycle plans nothing and does not fail', async () => {
  const unknown = (nodeId: number) => nodeOf(nodeId, Number.POSITIVE_INFINITY);
  const idle = await propose(steady(filled(16, 0), filled(16, 0), [unknown(0), unknown(1)]));
  check.is(idle.moves.length, 0);
  check.ok([idle.costBefore, idle.costAfter, idle.lowerBound].every(Number.isFinite));
  const mixed = steady(filled(16, 1), filled(16, 0), [nodeOf(0, 10), unknown(1), nodeOf(2, 10)]);
  const instance = buildInstance(mixed, DEFAULT_AFFINITY_SETTINGS);
  check.equal([...instance.capacity.subarray(0, 1), ...instance.capacity.slice(-1)], [1, 1]);
  check.ok(
    peakAfter(await propose(mixed), filled(16, 1), [10, 10, 10]) < 1,
    'one that cannot say counts as an average one',
  );
});

test.run();

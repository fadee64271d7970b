import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { PlacementState } from '../../../../src/affinity/cost-model.ts';
import { buildInstance } from '../../../../src/affinity/instance.ts';
import { descend } from '../../../../src/affinity/optimisers/greedy.ts';
import { naiveHillClimb } from '../../../../src/affinity/optimisers/naive-hill-climb.ts';
import { DEFAULT_AFFINITY_SETTINGS } from '../../../../src/affinity/settings.ts';
import { balanceByMeanLoad } from '../../../../src/affinity/static-balance.ts';
import { ForeshardError } from '../../../../src/base/errors.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import { forecastOf, inputsOf, nodeOf, randomInputs } from '../../../support/placement.ts';
import { testSeed } from '../../../support/seed.ts';

const test = suite('affinity/baselines');

test('the naive hill climb is the sketch: everything heavy ends on the node that was idle, beyond its capacity', async () => {
  const loads = Array.from({ length: 32 }, (_, p) => 1 + p / 8);
  // Eight of the lightest on node 1, so it is the idle one; swaps cannot change how many a node holds.
  const ownerOf = loads.map((_, p) => (p < 8 ? 1 : 0));
  const total = loads.reduce((sum, own) => sum + own, 0);
  const nodes = [nodeOf(0, total), nodeOf(1, total / 4)];
  const forecast = forecastOf({ horizonSteps: 1, partitionCount: 32, loadOf: (_, p) => loads[p] });
  const instance = buildInstance(inputsOf({ ownerOf, nodes, forecast }), DEFAULT_AFFINITY_SETTINGS);
  const result = await naiveHillClimb().optimise(instance, instance.home, { random: seededRandom(1n) });
  const onIdle = [...result.ownerOf.keys()].filter((p) => result.ownerOf[p] === 1);
  check.equal(onIdle, [24, 25, 26, 27, 28, 29, 30, 31], 'the eight heaviest');
  const before = new PlacementState(instance);
  const after = new PlacementState(instance, result.ownerOf);
  check.ok(after.utilisation(1, 0, 0) > 1, 'beyond capacity');
  check.ok(after.loadCost() > before.loadCost(), 'worse than doing nothing');
});

test('the naive hill climb keeps the limit of moves and partitions that rest', async () => {
  const inputs = randomInputs(seededRandom(4n), { partitionCount: 64, nodeCount: 4, horizonSteps: 2 });
  const restingPartitions = new Set(Array.from({ length: 20 }, (_, p) => p));
  const instance = buildInstance(
    { ...inputs, restingPartitions },
    { ...DEFAULT_AFFINITY_SETTINGS, movesMax: 10 },
  );
  const { ownerOf } = await naiveHillClimb().optimise(instance, instance.home, { random: seededRandom(1n) });
  const moved = [...ownerOf.keys()].filter((p) => ownerOf[p] !== instance.home[p]);
  check.ok(moved.length > 5 && moved.length <= 10, `${moved.length} moves`);
  check.ok(moved.every((p) => p >= 20));
});

test('greedy only ever improves, and stops where no single move helps', () => {
  const first = testSeed('affinity/greedy');
  for (let seed = first; seed < first + 5n; seed++) {
    const inputs = randomInputs(seededRandom(seed), { partitionCount: 32, nodeCount: 4, horizonSteps: 8 });
    const instance = buildInstance(inputs, DEFAULT_AFFINITY_SETTINGS);
    const state = new PlacementState(instance, descend(instance, instance.home).ownerOf);
    check.ok(state.cost() < new PlacementState(instance).cost(), `seed ${seed}`);
    for (let p = 0; p < 32; p++)
      for (let n = 0; n < 4; n++)
        if (state.canMove(p, n))
          check.ok(state.moveDelta(p, n) >= -1e-12, `seed ${seed}: ${p} would gain on ${n}`);
  }
});

test('balance by mean load fills unequal nodes alike', () => {
  const load = Float64Array.from({ length: 64 }, (_, p) => 1 + (p % 9));
  const capacity = Float64Array.of(100, 100, 150, 200);
  const used = new Float64Array(4);
  balanceByMeanLoad(load, capacity).forEach((n, p) => {
    used[n] += load[p];
  });
  const utilisation = used.map((own, n) => own / capacity[n]);
  check.ok(Math.max(...utilisation) - Math.min(...utilisation) < 0.03, [...utilisation].join(' '));
});

test('balance by mean load refuses load and capacity that cannot be', () => {
  const isCorrupt = (error: unknown): boolean =>
    error instanceof ForeshardError && error.code === 'FORESHARD_CORRUPT';
  check.throws(() => balanceByMeanLoad(Float64Array.of(Number.NaN), Float64Array.of(1)), isCorrupt);
  check.throws(() => balanceByMeanLoad(Float64Array.of(1), Float64Array.of(0)), isCorrupt);
});

test.run();

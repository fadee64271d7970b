import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { pouredBound } from '../../../../src/affinity/bound.ts';
import { PlacementState } from '../../../../src/affinity/cost-model.ts';
import { buildInstance, type PlacementInstance } from '../../../../src/affinity/instance.ts';
import { Relaxation } from '../../../../src/affinity/lp/relaxation.ts';
import { roundRelaxation } from '../../../../src/affinity/lp/rounding.ts';
import { type AffinitySettings, DEFAULT_AFFINITY_SETTINGS } from '../../../../src/affinity/settings.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import { bestOfAllMaps } from '../../../support/enumerate.ts';
import { randomInputs } from '../../../support/placement.ts';
import { testSeed } from '../../../support/seed.ts';

const test = suite('affinity/lp/relaxation');
const SEED = testSeed('affinity/lp/relaxation');

const instanceOf = (
  seed: bigint,
  sizes: { partitionCount: number; nodeCount: number; horizonSteps: number },
  changes: Partial<AffinitySettings> = {},
): PlacementInstance =>
  buildInstance(randomInputs(seededRandom(seed), sizes), { ...DEFAULT_AFFINITY_SETTINGS, ...changes });

/** Runs until the duality gap is a rounding error. */
function relaxed(instance: PlacementInstance, rounds = 200): { relaxation: Relaxation; gap: number } {
  const relaxation = Relaxation.from(instance, instance.home);
  let gap = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds && gap > 1e-9; round++) gap = relaxation.advance();
  return { relaxation, gap };
}

test('no map costs less than the bound, however early it is taken', () => {
  for (let seed = SEED; seed < SEED + 6n; seed++) {
    const priced = instanceOf(
      seed,
      { partitionCount: 7, nodeCount: 3, horizonSteps: 2 },
      { moveFixedIndexHours: 0.01, moveBlipIndexHours: 0.01 },
    );
    const instance = { ...priced, peakWeight: Number(seed % 2n) * 10 };
    const best = bestOfAllMaps(instance);
    const relaxation = Relaxation.from(instance, instance.home);
    for (let round = 0; round < 5; round++) {
      relaxation.advance();
      check.ok(
        relaxation.lowerBound <= best.cost + 1e-12,
        `${relaxation.lowerBound} <= ${best.cost}, round ${round}, seed ${seed}`,
      );
    }
  }
});

test('without integrality to lose, the bound is the optimum', () => {
  // One partition with nowhere better to go, and many that may stay: the relaxed optimum is a map.
  const instance = instanceOf(
    SEED,
    { partitionCount: 8, nodeCount: 2, horizonSteps: 3 },
    { moveFixedIndexHours: 1e6 },
  );
  const { relaxation } = relaxed(instance);
  const best = bestOfAllMaps({ ...instance, riskZ: 0 });
  const free = relaxed({ ...instance, riskZ: 0 }).relaxation;
  check.ok(relaxation.lowerBound <= best.cost + 1e3);
  check.ok(Math.abs(free.lowerBound - best.cost) < 1e-9 * best.cost, `${free.lowerBound} is ${best.cost}`);
});

test('the duality gap closes, and the bound is at least that of pouring load like water', () => {
  for (let seed = SEED; seed < SEED + 4n; seed++) {
    const instance = instanceOf(seed, { partitionCount: 60, nodeCount: 5, horizonSteps: 6 });
    const { relaxation, gap } = relaxed(instance);
    check.ok(gap < 1e-5, `gap ${gap}, seed ${seed}`);
    const poured = pouredBound(instance);
    // The overload's kink is rounded off by 0.0005 of utilisation.
    check.ok(relaxation.lowerBound > poured - 1e-4, `${relaxation.lowerBound} > ${poured}, seed ${seed}`);
  }
});

test('shares of a partition sum to 1, and its loads are where its shares are', () => {
  const instance = instanceOf(SEED, { partitionCount: 40, nodeCount: 4, horizonSteps: 5 });
  const { relaxation } = relaxed(instance, 10);
  const { choices, shareOf } = relaxation;
  const loads = instance.background.slice();
  for (let p = 0; p < instance.partitionCount; p++) {
    let sum = 0;
    for (let c = choices.startOf[p] as number; c < (choices.startOf[p + 1] as number); c++) {
      const share = shareOf[c] as number;
      check.ok(share >= 0 && share <= 1 + 1e-12, `share ${share}`);
      sum += share;
      for (let d = 0; d < instance.depth; d++)
        loads[(choices.nodeOf[c] as number) * instance.depth + d]! +=
          share * (instance.load[p * instance.depth + d] as number);
    }
    check.ok(Math.abs(sum - 1) < 1e-9, `partition ${p}: ${sum}`);
  }
  const off = relaxation.loads().map((used, at) => Math.abs(used - (loads[at] as number)));
  check.ok(Math.max(...off) < 1e-9);
});

test('a rounded relaxation keeps the rules and is near to the bound', () => {
  for (let seed = SEED; seed < SEED + 4n; seed++) {
    const instance = instanceOf(
      seed,
      { partitionCount: 64, nodeCount: 4, horizonSteps: 4 },
      { movesMax: 20, riskZ: 0, moveFixedIndexHours: 0.01 },
    );
    const { relaxation } = relaxed(instance, 30);
    const ownerOf = roundRelaxation(relaxation, relaxation.reducedCosts());
    const moved = [...ownerOf.keys()].filter((p) => ownerOf[p] !== instance.home[p]);
    check.ok(moved.length > 0 && moved.length <= 20, `${moved.length} moves`);
    const free = { ...instance, movesMax: 64 };
    const cost = new PlacementState(
      free,
      roundRelaxation(relaxed(free, 30).relaxation, relaxation.reducedCosts()),
    ).cost();
    check.ok(cost < 1.02 * relaxation.lowerBound, `${cost} is near ${relaxation.lowerBound}, seed ${seed}`);
  }
});

test.run();

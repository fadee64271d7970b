import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { PlacementState } from '../../../../src/affinity/cost-model.ts';
import { buildInstance } from '../../../../src/affinity/instance.ts';
import { crossing, settling } from '../../../../src/affinity/optimisers/crossover.ts';
import { Elites } from '../../../../src/affinity/optimisers/elites.ts';
import { DEFAULT_GENETIC_SETTINGS, genetic } from '../../../../src/affinity/optimisers/genetic.ts';
import { descend } from '../../../../src/affinity/optimisers/greedy.ts';
import { DEFAULT_AFFINITY_SETTINGS } from '../../../../src/affinity/settings.ts';
import { VirtualClock } from '../../../../src/base/clock.ts';
import { type Random, seededRandom } from '../../../../src/base/random.ts';
import { atOnce } from '../../../../src/base/slices.ts';
import { bestOfAllMaps } from '../../../support/enumerate.ts';
import { randomInputs } from '../../../support/placement.ts';
import { testSeed } from '../../../support/seed.ts';

const test = suite('affinity/genetic');
const SEED = testSeed('affinity/genetic');

const instanceOf = (
  seed: bigint,
  sizes: { partitionCount: number; nodeCount: number; horizonSteps: number },
  movesMax = 24,
) =>
  buildInstance(randomInputs(seededRandom(seed), sizes), {
    ...DEFAULT_AFFINITY_SETTINGS,
    moveFixedIndexHours: 0.005,
    movesMax,
  });

const SIZES = { partitionCount: 48, nodeCount: 4, horizonSteps: 4 };

/** Nothing here sleeps for long enough to need time to pass. */
const search = (iterations: number) =>
  genetic({ clock: new VirtualClock() }, { ...DEFAULT_GENETIC_SETTINGS, iterations, populationSize: 24 });

const randomMap = (instance: ReturnType<typeof instanceOf>, random: Random): Int32Array => {
  const state = new PlacementState(instance);
  for (let i = 0; i < instance.movesMax; i++) {
    const p = random.nextBelow(instance.partitionCount);
    const n = random.nextBelow(instance.nodeCount);
    if (state.canMove(p, n)) state.move(p, n);
  }
  return state.ownerOf;
};

test('a child takes each partition from one parent, or leaves it home where the rules forbid both', () => {
  const random = seededRandom(SEED);
  const instance = instanceOf(SEED, SIZES);
  for (let i = 0; i < 20; i++) {
    const first = randomMap(instance, random);
    const second = randomMap(instance, random);
    const { child, disputed } = atOnce(crossing(instance, { first, second }, random));
    check.ok(child.movedCount <= instance.movesMax, `${child.movedCount} moves`);
    child.ownerOf.forEach((n, p) => {
      check.ok(n === first[p] || n === second[p] || n === instance.home[p], `partition ${p}`);
      if (first[p] === second[p]) check.not(disputed.includes(p));
    });
  }
});

test('settling never makes a map dearer', () => {
  const random = seededRandom(SEED);
  const instance = instanceOf(SEED, SIZES);
  const state = new PlacementState(instance, randomMap(instance, random));
  const before = state.cost();
  check.ok(atOnce(settling(state, [...instance.home.keys()], 3)) > 0);
  check.ok(state.cost() < before);
});

test('elites are different, sorted, legal, and the best is kept', () => {
  const random = seededRandom(SEED);
  const instance = instanceOf(SEED, SIZES);
  const elites = new Elites(instance, instance.home, 5);
  check.ok(elites.offer(instance.home));
  let least = new PlacementState(instance).cost();
  for (let i = 0; i < 40; i++) {
    // Half of them twice; a map of too many moves as well.
    const map =
      i % 4 === 3 ? instance.home.map((n) => (n + 1) % instance.nodeCount) : randomMap(instance, random);
    elites.offer(map);
    elites.offer(map);
    if (i % 4 !== 3) least = Math.min(least, new PlacementState(instance, map).cost());
  }
  check.ok(elites.best.cost <= least);
  check.is(elites.all.length, 5);
  elites.all.forEach(({ cost, ownerOf }, i) => {
    check.is(new PlacementState(instance, ownerOf).cost(), cost);
    check.ok(new PlacementState(instance, ownerOf).movedCount <= instance.movesMax);
    if (i > 0) check.ok(cost > (elites.all[i - 1] as { cost: number }).cost, 'no two are the same');
  });
});

test('it beats the greedy descent, and the same seed gives the same map', async () => {
  const instance = instanceOf(SEED, SIZES);
  const first = await search(400).optimise(instance, instance.home, { random: seededRandom(SEED) });
  const again = await search(400).optimise(instance, instance.home, { random: seededRandom(SEED) });
  check.equal([...again.ownerOf], [...first.ownerOf]);
  check.is(first.iterations, 400);
  const cost = new PlacementState(instance, first.ownerOf).cost();
  const greedyCost = new PlacementState(instance, descend(instance, instance.home).ownerOf).cost();
  check.ok(cost < greedyCost, `${cost} < ${greedyCost}`);
});

test('on tiny problems it finds the best of all maps', async () => {
  for (let seed = SEED; seed < SEED + 3n; seed++) {
    const instance = instanceOf(seed, { partitionCount: 7, nodeCount: 3, horizonSteps: 2 }, 7);
    const { ownerOf } = await search(300).optimise(instance, instance.home, { random: seededRandom(seed) });
    const best = bestOfAllMaps(instance).cost;
    const cost = new PlacementState(instance, ownerOf).cost();
    check.ok(cost <= best * (1 + 1e-9), `${cost} is ${best}, seed ${seed}`);
  }
});

test('cancelled at any time, it is no worse than its start', async () => {
  const instance = instanceOf(SEED, SIZES);
  const start = descend(instance, instance.home).ownerOf;
  for (const after of [0, 1, 5, 50]) {
    let asked = 0;
    const { ownerOf } = await search(1e9).optimise(instance, start, {
      random: seededRandom(SEED),
      isCancelled: () => asked++ >= after,
    });
    const cost = new PlacementState(instance, ownerOf).cost();
    check.ok(cost <= new PlacementState(instance, start).cost(), `after ${after}`);
  }
});

test.run();

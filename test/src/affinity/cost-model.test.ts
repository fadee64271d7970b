import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { aloneBound, pouredBound, relaxedBound } from '../../../src/affinity/bound.ts';
import { PlacementState } from '../../../src/affinity/cost-model.ts';
import { buildInstance } from '../../../src/affinity/instance.ts';
import { normalQuantile } from '../../../src/affinity/normal-quantile.ts';
import { descend } from '../../../src/affinity/optimisers/greedy.ts';
import { phi } from '../../../src/affinity/phi.ts';
import { type AffinitySettings, DEFAULT_AFFINITY_SETTINGS } from '../../../src/affinity/settings.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { forecastOf, inputsOf, nodeOf, randomInputs } from '../../support/placement.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('affinity/cost-model');
const SEED = testSeed('affinity/cost-model');

const near = (value: number, expected: number, tolerance: number, what: string): void =>
  check.ok(Math.abs(value - expected) <= tolerance, `${what}: ${value}, expected ${expected}`);

const settingsWith = (changes: Partial<AffinitySettings>): AffinitySettings => ({
  ...DEFAULT_AFFINITY_SETTINGS,
  ...changes,
});
/** Latency alone: no doubt, no overload, no price. */
const BARE = settingsWith({
  riskZ: 0,
  overloadWeight: 0,
  moveFixedIndexHours: 0,
  moveIndexHoursPerSecond: 0,
  moveBlipIndexHours: 0,
});

/** 16 partitions of load 1 on two nodes of capacity 16. */
const evenInputs = (ownerOf: readonly number[]) =>
  inputsOf({
    ownerOf,
    nodes: [nodeOf(0, 16), nodeOf(1, 16)],
    forecast: forecastOf({ horizonSteps: 3, partitionCount: 16, spread: 0, loadOf: () => 1 }),
  });

test('the queueing curve is continuous where its tangent takes over, and finite beyond capacity', () => {
  near(phi(0.5), 1, 1e-12, 'half used');
  near(phi(0.95 + 1e-9), phi(0.95 - 1e-9), 1e-6, 'value at 0.95');
  near((phi(0.96) - phi(0.95)) / 0.01, (phi(0.95) - phi(0.9499999)) / 1e-7, 0.01, 'slope at 0.95');
  check.ok(Number.isFinite(phi(3)));
});

test('an even cluster costs what its utilisation says, and a lopsided one the load-weighted mean', () => {
  const even = evenInputs(Array.from({ length: 16 }, (_, p) => p & 1));
  near(new PlacementState(buildInstance(even, BARE)).cost(), phi(0.5), 1e-12, '8 of 16 on each');
  const lopsided = evenInputs(Array.from({ length: 16 }, (_, p) => (p < 12 ? 0 : 1)));
  const expected = (12 * phi(12 / 16) + 4 * phi(4 / 16)) / 16;
  near(new PlacementState(buildInstance(lopsided, BARE)).cost(), expected, 1e-12, '12 and 4');
});

test('doubt costs: a wider forecast makes the same map dearer, and partitions that err together most of all', () => {
  const cost = (spread: number, commonError: number): number => {
    const inputs = {
      ...evenInputs(new Array<number>(16).fill(0).fill(1, 8)),
      forecast: forecastOf({ horizonSteps: 3, partitionCount: 16, spread, loadOf: () => 1 }),
    };
    return new PlacementState(buildInstance(inputs, { ...BARE, riskZ: 1, commonError })).cost();
  };
  check.ok(cost(0.5, 0) > cost(0.2, 0) && cost(0.2, 0) > cost(0, 0));
  // Upper bound 0.5 above is sigma 0.39; eight of them together are sqrt(8) x 0.39.
  near(cost(0.5, 0), phi((8 + Math.sqrt(8) * (0.5 / normalQuantile(0.9))) / 16), 1e-9, 'independent errors');
  near(cost(0, 0.1), phi((8 * 1.1) / 16), 1e-12, 'common errors');
});

test('the change of a move or a swap is the difference of two full evaluations', () => {
  const seed = SEED;
  const random = seededRandom(seed);
  const sizes = { partitionCount: 32, nodeCount: 5, horizonSteps: 13 };
  const inputs = randomInputs(random, sizes);
  const nodes = inputs.nodes.map((node, n) => ({ ...node, isAlive: n !== 3 }));
  const settings = settingsWith({
    riskZ: 1.3,
    discountPerDay: 0.7,
    dimensions: [
      { dimension: 'cpuSeconds', weight: 1 },
      { dimension: 'writeBytes', weight: 3 },
    ],
  });
  const instance = buildInstance({ ...inputs, nodes }, settings);
  const state = new PlacementState(instance);
  for (let step = 0; step < 300; step++) {
    const p = random.nextBelow(32);
    const q = random.nextBelow(32);
    const isSwap = step % 3 === 0;
    const node = isSwap ? (state.ownerOf[q] as number) : random.nextBelow(5);
    const source = state.ownerOf[p] as number;
    const before = state.cost();
    const delta = isSwap ? state.swapDelta(p, q) : state.moveDelta(p, node);
    state.move(p, node);
    if (isSwap) state.move(q, source);
    near(state.cost() - before, delta, 1e-9, `step ${step}, seed ${seed}`);
    near(
      state.cost(),
      new PlacementState(instance, state.ownerOf).cost(),
      1e-9,
      `from scratch, step ${step}, seed ${seed}`,
    );
  }
});

test('no map costs less than the bound, whatever the nodes', () => {
  const first = SEED;
  for (let seed = first; seed < first + 20n; seed++) {
    const random = seededRandom(seed);
    const inputs = randomInputs(random, { partitionCount: 16, nodeCount: 3, horizonSteps: 5 });
    // From half empty to far beyond capacity, with all the weight on overload at times.
    const forecast = { ...inputs.forecast };
    const scale = 0.5 + 2 * random.nextFloat();
    for (const bound of ['point', 'lower', 'upper'] as const)
      forecast[bound] = forecast[bound].map((v) => v * scale);
    const instance = buildInstance(
      { ...inputs, forecast },
      settingsWith({ riskZ: 2 * random.nextFloat(), overloadWeight: 50 * random.nextFloat() }),
    );
    const good = descend(instance, instance.home).ownerOf;
    const bounds = [
      pouredBound(instance),
      aloneBound(instance),
      relaxedBound(instance, instance.home, 1),
      relaxedBound(instance, good, 20),
    ];
    const bound = Math.max(...bounds);
    check.ok(
      new PlacementState(instance, good).cost() >= bound,
      `seed ${seed}: greedy is below the bound ${bounds}`,
    );
    for (let trial = 0; trial < 50; trial++) {
      const ownerOf = Int32Array.from({ length: 16 }, () => random.nextBelow(3));
      const cost = new PlacementState(instance, ownerOf).cost();
      check.ok(cost >= bound, `seed ${seed}: ${cost} is below the bound ${bounds}`);
    }
  }
});

test('the bound is reached where load can be poured: equal partitions on equal nodes', () => {
  const instance = buildInstance(evenInputs(Array.from({ length: 16 }, (_, p) => p & 1)), BARE);
  near(pouredBound(instance), new PlacementState(instance).cost(), 1e-12, 'poured');
  near(relaxedBound(instance, instance.home, 1), new PlacementState(instance).cost(), 1e-12, 'relaxed');
});

test('a few partitions on many nodes: the bound knows that they are whole', () => {
  const inputs = inputsOf({
    ownerOf: [0, 0],
    nodes: Array.from({ length: 40 }, (_, n) => nodeOf(n, 16)),
    forecast: forecastOf({ horizonSteps: 3, partitionCount: 2, spread: 0, loadOf: () => 7 }),
  });
  const instance = buildInstance(inputs, BARE);
  const apart = new PlacementState(instance, Int32Array.of(0, 1)).loadCost();
  near(aloneBound(instance), apart, 1e-12, 'alone');
  check.ok(pouredBound(instance) < 0.1 * apart, 'split over all nodes they would hardly be felt');
});

test('a one-off price weighs less the longer the horizon', () => {
  const priceOver = (horizonSteps: number): number =>
    buildInstance(
      {
        ...evenInputs(new Array<number>(16).fill(0)),
        forecast: forecastOf({ horizonSteps, partitionCount: 16, loadOf: () => 1 }),
      },
      DEFAULT_AFFINITY_SETTINGS,
    ).movePrice[0] as number;
  near(priceOver(24) / priceOver(168), 7, 1e-9, 'a day against a week');
});

test('larger partitions and busier ones are dearer to move', () => {
  const inputs = inputsOf({
    ownerOf: new Array<number>(16).fill(0),
    nodes: [nodeOf(0, 99), nodeOf(1, 99)],
    forecast: forecastOf({ horizonSteps: 2, partitionCount: 16, loadOf: (_, p) => (p === 2 ? 5 : 1) }),
  });
  inputs.partitionBytes[1] = 1e9;
  const { movePrice } = buildInstance(inputs, DEFAULT_AFFINITY_SETTINGS);
  check.ok(movePrice[1] > movePrice[0]);
  check.ok(movePrice[2] > movePrice[0]);
});

test('numbers that cannot be are refused with the place they stand in', () => {
  const good = evenInputs(new Array<number>(16).fill(0));
  const spoilt = (edit: (inputs: ReturnType<typeof evenInputs>) => void): typeof good => {
    const inputs = structuredClone(good);
    edit(inputs);
    return inputs;
  };
  const cases: readonly [string, typeof good, RegExp][] = [
    [
      'NaN load',
      spoilt(({ forecast }) => forecast.point.fill(Number.NaN, 0, 1)),
      /partition 0, step 0 is NaN/,
    ],
    ['negative load', spoilt(({ forecast }) => forecast.point.fill(-1, 4, 5)), /partition 1, step 0 is -1/],
    [
      'an upper bound below the point',
      spoilt(({ forecast }) => forecast.upper.fill(0.5)),
      /is 1 \(upper 0\.5\)/,
    ],
    ['no capacity', spoilt(({ nodes }) => nodes[1].capacity.fill(0)), /capacity of node 1 in queries is 0/],
    ['NaN capacity', spoilt(({ nodes }) => nodes[1].capacity.fill(Number.NaN)), /capacity of node 1/],
    ['an unknown owner', spoilt(({ map }) => map.ownerOf.fill(7, 5, 6)), /partition 5 belongs to node 7/],
    ['negative bytes', spoilt(({ partitionBytes }) => partitionBytes.fill(-1)), /partition 0 has -1 bytes/],
    ['no nodes', { ...good, nodes: [] }, /no storage node/],
    ['nobody alive', { ...good, nodes: [nodeOf(0, 1, { isAlive: false })] }, /no storage node is alive/],
    [
      'an open migration to nowhere',
      { ...good, openMigrations: new Map([[3, 9]]) },
      /open migration names partition 3 and node 9/,
    ],
    [
      'another partition count',
      { ...good, forecast: { ...good.forecast, partitionCount: 8 } },
      /8 partitions/,
    ],
  ];
  for (const [name, inputs, message] of cases)
    check.throws(
      () => buildInstance(inputs, DEFAULT_AFFINITY_SETTINGS),
      (error: unknown) =>
        error instanceof ForeshardError && error.code === 'FORESHARD_CORRUPT' && message.test(error.message),
      name,
    );
});

test('nodes carry sums of means, and doubt is what lies between the middle and the upper bound', () => {
  const inputs = evenInputs(new Array<number>(16).fill(0));
  const built = (mean: number) =>
    buildInstance(
      { ...inputs, forecast: { ...inputs.forecast, mean: inputs.forecast.point.map((own) => mean * own) } },
      DEFAULT_AFFINITY_SETTINGS,
    );
  check.is(built(3).load[0], 3 * built(1).load[0]);
  check.is(built(3).variance[0], built(1).variance[0]);
});

test('a setting out of range is refused by name', () => {
  const inputs = evenInputs(new Array<number>(16).fill(0));
  const cases: readonly [Partial<AffinitySettings>, RegExp][] = [
    [{ riskZ: -1 }, /riskZ/],
    [{ benefitCostRatio: Number.NaN }, /benefitCostRatio/],
    [{ movesMax: 1.5 }, /movesMax must be an integer/],
    [{ dimensions: [] }, /dimensions/],
    [{ dimensions: [{ dimension: 'queries', weight: 0 }] }, /dimensions must be .*weights above 0/],
  ];
  for (const [changes, message] of cases)
    check.throws(
      () => buildInstance(inputs, settingsWith(changes)),
      (error: unknown) =>
        error instanceof ForeshardError && error.code === 'FORESHARD_CONFIG' && message.test(error.message),
    );
});

test('normal quantiles agree with the tables', () => {
  near(normalQuantile(0.9), 1.2815515655446004, 1e-8, '0.9');
  near(normalQuantile(0.975), 1.959963984540054, 1e-8, '0.975');
  near(normalQuantile(0.995), 2.5758293035489004, 1e-8, '0.995');
  near(normalQuantile(0.1), -1.2815515655446004, 1e-8, '0.1');
});

test.run();

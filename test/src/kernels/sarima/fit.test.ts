import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Random, seededRandom } from '../../../../src/base/random.ts';
import { loadKernels } from '../../../../src/kernels/instance.ts';
import { fitRow } from '../../../../src/kernels/sarima/fit.ts';
import {
  COEFFICIENT_COUNT,
  LAG_COUNT,
  LANES,
  parameterCount,
  type SarimaOrder,
  writeCoefficients,
} from '../../../../src/kernels/sarima/model.ts';
import { fitOrder } from '../../../../src/kernels/sarima/select.ts';
import { filterFirst, planSeries } from '../../../../src/kernels/sarima/series.ts';
import { workspaceAt, workspaceBytes } from '../../../../src/kernels/sarima/workspace.ts';
import { simulateArma } from '../../../support/arma.ts';
import { testSeed } from '../../../support/seed.ts';

const test = suite('kernels/sarima/fit');
const SEASON = 24;
const seed = testSeed('kernels/sarima/fit');
const random = (label: string): Random => seededRandom(seed).fork(label);

const ORDER: SarimaOrder = {
  ar: 0,
  difference: 0,
  ma: 0,
  seasonalAr: 0,
  seasonalDifference: 0,
  seasonalMa: 0,
};

function workspaceFor(count: number, season: number) {
  const { arena, exports, memory } = loadKernels();
  const shape = { count, season, horizon: 0 };
  return workspaceAt(exports, memory.buffer, arena.alloc(workspaceBytes(shape)).pointer, shape);
}

/** Coefficients of a fit by lag, as they are subtracted: AR, then MA. */
function coefficientsOf(order: SarimaOrder, free: Float64Array): { ar: number[]; ma: number[] } {
  const all = new Float64Array(COEFFICIENT_COUNT);
  writeCoefficients(order, free, 0, all, 0);
  const byLag = Array.from({ length: 2 * LAG_COUNT }, (_, k) => all[k * LANES] as number);
  return { ar: byLag.slice(0, LAG_COUNT), ma: byLag.slice(LAG_COUNT) };
}

function fitted(series: Float64Array, order: SarimaOrder) {
  const workspace = workspaceFor(series.length, SEASON);
  workspace.values.set(series);
  workspace.exports.tileOfOne(workspace.pointers.values, series.length, workspace.pointers.tile);
  const problem = { workspace, count: series.length, first: filterFirst(SEASON), season: SEASON };
  const { free, aicc } = fitOrder(problem, order);
  return { ...coefficientsOf(order, free), aicc };
}

function assertNear(actual: readonly number[], expected: readonly number[], tolerance: number): void {
  expected.forEach((value, i) => {
    if (!(Math.abs((actual[i] as number) - value) <= tolerance))
      assert.unreachable(`[${actual}] is not within ${tolerance} of [${expected}] (SEED=${seed})`);
  });
}

test('whatever the free parameters, polynomials are stationary and invertible', () => {
  const draw = random('free');
  for (let round = 0; round < 200; round++) {
    const order = { ...ORDER, ar: round % 4, ma: (round >> 2) % 4, seasonalAr: 1, seasonalMa: 1 };
    const free = Float64Array.from({ length: parameterCount(order) }, () => 7 * draw.nextFloat() - 3.5);
    const { ar, ma } = coefficientsOf(order, free);
    // Schur and Cohn: step down from the last coefficient; all reflections must lie inside the unit circle.
    for (const [short, sign] of [
      [ar.slice(0, order.ar), 1],
      [ma.slice(0, order.ma), -1],
    ] as const) {
      let polynomial = short.map((value) => sign * value);
      while (polynomial.length > 0) {
        const last = polynomial.at(-1) as number;
        assert.ok(Math.abs(last) < 1, `${short} has a root inside the unit circle`);
        const rest = polynomial.slice(0, -1);
        polynomial = rest.map((value, i) => (value + last * (rest.at(-1 - i) as number)) / (1 - last * last));
      }
    }
    assert.ok(Math.abs(ar[3] as number) < 1 && Math.abs(ma[3] as number) < 1);
  }
});

test('the polynomial of a model is the product of its short and its seasonal one', () => {
  const order = { ...ORDER, ar: 2, ma: 1, seasonalAr: 1, seasonalMa: 1 };
  const { ar, ma } = coefficientsOf(order, Float64Array.from([0.4, -0.3, 0.5, 0.2, -0.6]));
  // (1 - a B - b B^2)(1 - P B^m) = 1 - a B - b B^2 - P B^m + a P B^(m+1) + b P B^(m+2)
  assertNear(ar.slice(3), [ar[3]!, -ar[3]! * ar[0]!, -ar[3]! * ar[1]!, 0], 1e-15);
  // (1 + t B)(1 + T B^m) = 1 + t B + T B^m + t T B^(m+1)
  assertNear(ma.slice(3), [ma[3]!, ma[3]! * ma[0]!, 0, 0], 1e-15);
});

// Standard errors at 1,344 values are at most 0.03: the tolerances are three of them.
test('AR coefficients of a simulated process are found again within 0.09', () => {
  const series = simulateArma(random('ar'), {
    count: 1344,
    ar: [
      [1, 0.9],
      [2, -0.4],
    ],
  });
  assertNear(fitted(series, { ...ORDER, ar: 2 }).ar, [0.9, -0.4], 0.09);
});

test('MA coefficients of a simulated process are found again within 0.09', () => {
  const series = simulateArma(random('ma'), { count: 1344, ma: [[1, 0.6]] });
  assertNear(fitted(series, { ...ORDER, ma: 1 }).ma, [0.6], 0.09);
});

test('a seasonal MA term beside an AR term is found again within 0.09', () => {
  const series = simulateArma(random('seasonal'), { count: 1344, ar: [[1, 0.7]], ma: [[SEASON, -0.6]] });
  const { ar, ma } = fitted(series, { ...ORDER, ar: 1, seasonalMa: 1 });
  assertNear(ar, [0.7], 0.09);
  assertNear(ma, [0, 0, 0, -0.6], 0.09);
});

test('a seasonal AR term is found again within 0.09', () => {
  const series = simulateArma(random('seasonal ar'), { count: 1344, ar: [[SEASON, 0.5]] });
  assertNear(fitted(series, { ...ORDER, seasonalAr: 1 }).ar, [0, 0, 0, 0.5], 0.09);
});

test('the order that made a series has a better AICc than a smaller one', () => {
  const series = simulateArma(random('aicc'), { count: 672, ar: [[1, 0.5]], ma: [[1, 0.4]] });
  const small = fitted(series, { ...ORDER, ar: 1 }).aicc;
  assert.ok(fitted(series, { ...ORDER, ar: 1, ma: 1 }).aicc < small);
});

function selected(series: Float64Array): SarimaOrder {
  const plan = planSeries({ length: series.length, dayWindows: SEASON, weekWindows: 7 * SEASON });
  const state = fitRow(workspaceFor(plan.count, plan.season), series, plan, null, 1);
  assert.ok(state !== null);
  return (state as { order: SarimaOrder }).order;
}

test('white noise gets no difference and seldom a term', () => {
  const orders = Array.from({ length: 8 }, (_, i) =>
    selected(simulateArma(random(`noise ${i}`), { count: 672 })),
  );
  assert.ok(orders.every(({ seasonalDifference }) => seasonalDifference === 0));
  // A test at 5 %, and a criterion that lets in every sixth term that it looks at by chance.
  assert.ok(orders.filter(({ difference }) => difference === 0).length >= 6);
  const terms = orders.reduce((sum, order) => sum + parameterCount(order), 0);
  assert.ok(terms <= 12, `${terms} terms in 8 models (SEED=${seed})`);
});

test('a series with a season gets a seasonal difference', () => {
  const noise = simulateArma(random('season'), { count: 672, ar: [[1, 0.6]] });
  const series = noise.map((value, t) => value + 4 * Math.sin((2 * Math.PI * t) / SEASON));
  const order = selected(series);
  assert.is(order.seasonalDifference, 1);
  assert.is(
    order.seasonalMa,
    1,
    'a season that does not change is differenced too much: an MA term takes it back',
  );
  assert.ok(order.ar + order.ma > 0);
});

test('a random walk is differenced', () => {
  let level = 0;
  const walk = simulateArma(random('walk'), { count: 672 }).map((shock) => {
    level += shock;
    return level;
  });
  const order = selected(walk);
  assert.is(order.difference + order.seasonalDifference, 1);
});

test('a constant series has no model', () => {
  const plan = planSeries({ length: 672, dayWindows: SEASON, weekWindows: 7 * SEASON });
  assert.is(
    fitRow(workspaceFor(plan.count, plan.season), new Float64Array(672).fill(3), plan, null, 1),
    null,
  );
});

test.run();

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom } from '../../../src/base/random.ts';
import type { KernelBuild } from '../../../src/kernels/bytes.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import { LAG_COUNT, LANES } from '../../../src/kernels/sarima/model.ts';
import { workspaceAt, workspaceBytes } from '../../../src/kernels/sarima/workspace.ts';
import * as oracle from '../../oracles/css.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('kernels/css');
const SHORT_AND_SEASONAL = { ar: 3, seasonalAr: 1, ma: 3, seasonalMa: 1 };
const builds: readonly KernelBuild[] = ['debug', 'release'];
const seed = testSeed('kernels/css');

function assertSameBits(actual: ArrayLike<number>, expected: ArrayLike<number>, what: string): void {
  assert.is(actual.length, expected.length, what);
  for (let i = 0; i < expected.length; i++)
    if (!Object.is(actual[i], expected[i]))
      assert.unreachable(`${what}[${i}]: ${actual[i]} is not ${expected[i]} (SEED=${seed})`);
}

/** Eight different series with eight different sets of coefficients, zero where an order has no lag. */
function setup(build: KernelBuild, season: number) {
  const { arena, exports, memory } = loadKernels({ build });
  const random = seededRandom(seed);
  const shape = { count: 60, season, horizon: 2 * season + 3 };
  const workspace = workspaceAt(exports, memory.buffer, arena.alloc(workspaceBytes(shape)).pointer, shape);
  const fill = (order: Order): void => {
    for (let i = 0; i < shape.count * LANES; i++) workspace.tile[i] = random.nextFloat() - 0.5;
    workspace.residuals.fill(Number.NaN);
    workspace.coefficients.forEach((_, i) => {
      const k = Math.floor(i / LANES) % LAG_COUNT;
      const isMa = i >= LAG_COUNT * LANES;
      workspace.coefficients[i] = hasLag(
        k,
        isMa ? order.ma : order.ar,
        isMa ? order.seasonalMa : order.seasonalAr,
      )
        ? (random.nextFloat() - 0.5) / 2
        : 0;
    });
  };
  const lane = (index: number, first: number) => ({
    series: Array.from({ length: shape.count }, (_, t) => workspace.tile[t * LANES + index]!),
    first,
    season,
    ar: Array.from({ length: LAG_COUNT }, (_, k) => workspace.coefficients[k * LANES + index]!),
    ma: Array.from({ length: LAG_COUNT }, (_, k) => workspace.coefficients[(LAG_COUNT + k) * LANES + index]!),
  });
  const filter = (order: Order, first: number): void =>
    exports.cssResiduals(
      workspace.pointers.tile,
      shape.count,
      first,
      season,
      order.ar,
      order.seasonalAr,
      order.ma,
      order.seasonalMa,
      workspace.pointers.coefficients,
      workspace.pointers.residuals,
      workspace.pointers.sums,
    );
  return { ...workspace, shape, fill, lane, filter };
}

type Order = { ar: number; seasonalAr: number; ma: number; seasonalMa: number };

const hasLag = (k: number, short: number, seasonal: number): boolean =>
  k < 3 ? k < short : seasonal > 0 && k - 3 <= short;

function everyOrder(): Order[] {
  const orders: Order[] = [];
  for (let bits = 0; bits < 64; bits++)
    orders.push({ ar: bits & 3, ma: (bits >> 2) & 3, seasonalAr: (bits >> 4) & 1, seasonalMa: bits >> 5 });
  return orders;
}

for (const build of builds) {
  test(`${build}: residuals and sums of every order equal the oracle bit for bit, in all lanes`, () => {
    for (const season of [2, 7]) {
      const kernel = setup(build, season);
      for (const order of everyOrder()) {
        kernel.fill(order);
        const first = order.ar + season * order.seasonalAr + (order.ma % 2);
        kernel.filter(order, first);
        for (let index = 0; index < LANES; index++) {
          const expected = oracle.cssResiduals(kernel.lane(index, first));
          const actual = expected.residuals.map((_, t) => kernel.residuals[t * LANES + index]!);
          assertSameBits(
            actual,
            expected.residuals,
            `residuals of ${JSON.stringify({ ...order, season, index })}`,
          );
          assertSameBits([kernel.sums[index]!], [expected.sum], 'sum');
        }
      }
    }
  });

  test(`${build}: the Gram matrix of the differences to lane 0 equals the oracle bit for bit`, () => {
    const { tile, exports, pointers, gram, shape, fill } = setup(build, 3);
    fill(SHORT_AND_SEASONAL);
    const columns = Array.from({ length: LANES }, (_, lane) =>
      Array.from({ length: shape.count }, (_, t) => tile[t * LANES + lane]!),
    );
    exports.cssGram(pointers.tile, shape.count, pointers.gram);
    const expected = oracle.cssGram(columns);
    for (let row = 0; row < LANES; row++)
      assertSameBits(
        gram.subarray(row * LANES + row, (row + 1) * LANES),
        expected.subarray(row * LANES + row, (row + 1) * LANES),
        `row ${row}`,
      );
  });

  test(`${build}: forecasts equal the oracle bit for bit, over more than two seasons`, () => {
    for (const season of [2, 7, 24]) {
      const kernel = setup(build, season);
      const { shape, tile, exports, pointers } = kernel;
      kernel.fill(SHORT_AND_SEASONAL);
      const lanes = Array.from({ length: LANES }, (_, index) => kernel.lane(index, season + 3));
      kernel.filter(SHORT_AND_SEASONAL, season + 3);
      exports.cssForecast(
        pointers.tile,
        pointers.residuals,
        shape.count,
        shape.horizon,
        season,
        SHORT_AND_SEASONAL.ar,
        SHORT_AND_SEASONAL.seasonalAr,
        SHORT_AND_SEASONAL.ma,
        SHORT_AND_SEASONAL.seasonalMa,
        pointers.coefficients,
      );
      lanes.forEach((lane, index) => {
        const actual = Array.from(
          { length: shape.horizon },
          (_, step) => tile[(shape.count + step) * LANES + index]!,
        );
        assertSameBits(actual, oracle.cssForecast({ ...lane, horizon: shape.horizon }), `lane ${index}`);
      });
    }
  });

  test(`${build}: a sum that would begin before its lags are known is refused`, () => {
    const { filter } = setup(build, 7);
    assert.throws(() => filter(SHORT_AND_SEASONAL, 9), /begins where every lag is known.*css\.ts:\d+/);
    assert.throws(() => setup(build, 1).filter(SHORT_AND_SEASONAL, 9), /a season of one is none/);
    assert.throws(() => filter({ ...SHORT_AND_SEASONAL, ma: 4 }, 10), /three short lags at most/);
  });
}

test.run();

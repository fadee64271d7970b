import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom } from '../../../src/base/random.ts';
import type { TypedBlock } from '../../../src/kernels/arena.ts';
import type { KernelBuild } from '../../../src/kernels/bytes.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import { paddedToTile } from '../../../src/kernels/layout.ts';
import * as clusterOracle from '../../oracles/cluster.ts';
import * as ridgeOracle from '../../oracles/ridge.ts';
import * as seasonalOracle from '../../oracles/seasonal.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('kernels/forecast');
const builds: readonly KernelBuild[] = ['debug', 'release'];
const seed = testSeed('kernels/forecast');

/** Fails with the first place where two arrays differ in a bit. */
function assertSameBits(actual: ArrayLike<number>, expected: ArrayLike<number>, what: string): void {
  assert.is(actual.length, expected.length, what);
  for (let i = 0; i < expected.length; i++)
    if (!Object.is(actual[i], expected[i]))
      assert.unreachable(`${what}[${i}]: ${actual[i]} is not ${expected[i]} (SEED=${seed})`);
}

function setup(build: KernelBuild) {
  const kernels = loadKernels({ build });
  const random = seededRandom(seed);
  const filled = (count: number, draw: () => number): TypedBlock<Float64Array> => {
    const block = kernels.arena.f64(count);
    for (let i = 0; i < count; i++) block.view[i] = draw();
    return block;
  };
  return { kernels, arena: kernels.arena, exports: kernels.exports, random, filled };
}

for (const build of builds) {
  test(`${build}: seasonal members equal the oracle bit for bit, for odd seasons, wrapped and cut horizons`, () => {
    const { arena, exports, random, filled } = setup(build);
    const count = 3;
    const stride = 70;
    const series = filled(count * stride, () => random.nextFloat() * 9);
    for (const [length, season, cycles, horizon] of [
      [70, 7, 4, 20],
      [69, 24, 2, 24],
      [65, 13, 5, 5],
      [31, 1, 3, 4],
      [70, 70, 1, 1],
    ] as const) {
      const shape = { series: series.view, count, stride, length, season, horizon };
      const out = arena.f64(count * horizon);
      exports.seasonalNaive(series.pointer, count, stride, length, season, horizon, out.pointer);
      assertSameBits(out.view, seasonalOracle.seasonalNaive(shape), 'naive');
      exports.seasonalTrimmedMean(
        series.pointer,
        count,
        stride,
        length,
        season,
        cycles,
        horizon,
        out.pointer,
      );
      assertSameBits(out.view, seasonalOracle.seasonalTrimmedMean({ ...shape, cycles }), 'trimmed mean');
      arena.free(out);
    }
  });

  test(`${build}: a forecast that follows the level equals the oracle bit for bit, and is never below 0`, () => {
    const { exports, random, filled } = setup(build);
    const [count, stride] = [3, 40];
    const series = filled(count * stride, () => random.nextFloat() * 9);
    for (const [length, windows, horizon, fade] of [
      [40, 1, 7, 1],
      [37, 5, 20, 0.9],
      [12, 12, 1, 0.5],
    ] as const) {
      const expected = filled(count * windows, () => random.nextFloat() * 9);
      const out = filled(count * horizon, () => random.nextFloat());
      const forecast = out.view.slice();
      exports.followLevel(
        series.pointer,
        count,
        stride,
        length,
        expected.pointer,
        windows,
        fade,
        horizon,
        out.pointer,
      );
      const shape = { series: series.view, count, stride, length, horizon, windows, fade };
      const followed = seasonalOracle.followLevel({ ...shape, expected: expected.view, forecast });
      assertSameBits(out.view, followed, 'followed');
    }
  });

  test(`${build}: ridge rows, sums, weights and predictions equal the oracle bit for bit`, () => {
    const { arena, exports, random, filled } = setup(build);
    const shape = { count: 5, stride: 420, lagCount: 171, horizon: 6, origin: 400 };
    const inputs = paddedToTile(1 + shape.lagCount);
    const columns = inputs + paddedToTile(shape.horizon);
    const series = filled(shape.count * shape.stride, () => random.nextFloat() * 4);
    series.view.fill(2.5, shape.stride, 2 * shape.stride); // series 1 is constant
    series.view.fill(0, 3 * shape.stride, 4 * shape.stride); // series 3 is silent
    const list = arena.i32(shape.count);
    list.view.set([4, 1, 0, 3, 2]);
    const rows = arena.f64(shape.count * columns);
    const level = arena.f64(shape.count * 2);
    const sums = arena.f64(inputs * columns);
    const expectedSums = new Float64Array(inputs * columns);
    const common = {
      series: series.view,
      stride: shape.stride,
      list: [...list.view],
      lagCount: shape.lagCount,
    };
    const norms = { inputs, spreadMin: 0.01, spreadFloor: 0.05 };

    for (let origin = 200; origin <= shape.origin; origin += 10) {
      const written = exports.ridgeRows(
        series.pointer,
        shape.stride,
        list.pointer,
        shape.count,
        origin,
        shape.lagCount,
        shape.horizon,
        inputs,
        columns,
        norms.spreadMin,
        norms.spreadFloor,
        rows.pointer,
        level.pointer,
      );
      const expected = ridgeOracle.ridgeRows({
        ...common,
        ...norms,
        origin,
        horizon: shape.horizon,
        columns,
      });
      assert.is(written, 3, 'constant and silent series are left out');
      assert.is(expected.written, 3);
      assertSameBits(rows.view, expected.rows, 'rows');
      assertSameBits(level.view, expected.level, 'level');
      const weight = 1 + origin / 1000;
      exports.ridgeAccumulate(rows.pointer, written, inputs, columns, weight, sums.pointer);
      ridgeOracle.ridgeAccumulate(expectedSums, { ...expected, rowCount: written, inputs, columns, weight });
    }
    const upper = (matrix: Float64Array): number[] => {
      const kept: number[] = [];
      for (let i = 0; i < inputs; i++) kept.push(...matrix.subarray(i * columns + i, (i + 1) * columns));
      return kept;
    };
    assertSameBits(upper(sums.view), upper(expectedSums), 'sums');

    assert.is(exports.ridgeSolve(sums.pointer, inputs, columns, 0.1), 0);
    assert.is(ridgeOracle.ridgeSolve(expectedSums, { inputs, columns, lambda: 0.1 }), 0);
    assertSameBits(upper(sums.view), upper(expectedSums), 'weights');

    const newest = exports.ridgeRows(
      series.pointer,
      shape.stride,
      list.pointer,
      shape.count,
      shape.stride,
      shape.lagCount,
      0,
      inputs,
      inputs,
      norms.spreadMin,
      norms.spreadFloor,
      rows.pointer,
      level.pointer,
    );
    assert.is(newest, shape.count, 'every series is forecast, flat ones too');
    const newestExpected = ridgeOracle.ridgeRows({
      ...common,
      ...norms,
      origin: shape.stride,
      horizon: 0,
      columns: inputs,
    });
    const out = arena.f64(shape.count * shape.horizon);
    const expectedOut = new Float64Array(shape.count * shape.horizon);
    exports.ridgePredict(
      rows.pointer,
      level.pointer,
      list.pointer,
      newest,
      inputs,
      columns,
      shape.horizon,
      0.5,
      sums.pointer,
      out.pointer,
    );
    const prediction = { inputs, columns, horizon: shape.horizon, share: 0.5, weights: expectedSums };
    ridgeOracle.ridgePredict(expectedOut, { ...newestExpected, list: [...list.view], ...prediction });
    assertSameBits(out.view, expectedOut, 'predictions');
  });

  test(`${build}: a matrix without data, or with NaN in it, has no pivot`, () => {
    const { arena, exports } = setup(build);
    const sums = arena.f64(4 * 8);
    sums.view[0] = Number.NaN;
    assert.is(exports.ridgeSolve(sums.pointer, 4, 8, 0.1), 1);
  });

  test(`${build}: the nearest centroid equals the oracle, and says how many labels changed`, () => {
    const { arena, exports, random, filled } = setup(build);
    const shape = { count: 40, dimension: 6, clusterCount: 5 };
    const points = filled(shape.count * shape.dimension, () => random.nextFloat());
    const centroids = filled(shape.clusterCount * shape.dimension, () => random.nextFloat());
    const labels = arena.i32(shape.count);
    const distances = arena.f64(shape.count);
    const assign = (): number =>
      exports.nearestCentroids(
        points.pointer,
        shape.count,
        shape.dimension,
        centroids.pointer,
        shape.clusterCount,
        labels.pointer,
        distances.pointer,
      );
    const changed = assign();
    const expected = clusterOracle.nearestCentroids({
      ...shape,
      points: points.view,
      centroids: centroids.view,
    });
    assertSameBits(labels.view, expected.labels, 'labels');
    assertSameBits(distances.view, expected.distances, 'distances');
    assert.is(changed, expected.labels.filter((label) => label !== 0).length);
    assert.is(assign(), 0);
  });

  test(`${build}: scaling and adding work on odd counts`, () => {
    const { exports, filled } = setup(build);
    const values = filled(5, () => 3);
    const out = filled(6, () => 1);
    exports.scaleInPlace(values.pointer, 5, 0.5);
    exports.addScaled(values.pointer, 5, 2, out.pointer);
    assert.equal([...values.view], [1.5, 1.5, 1.5, 1.5, 1.5]);
    assert.equal([...out.view], [4, 4, 4, 4, 4, 1]);
  });

  test(`${build}: a broken promise inside a kernel carries its message, file and line`, () => {
    const { exports } = setup(build);
    assert.throws(
      () => exports.seasonalNaive(0, 1, 10, 3, 7, 1, 0),
      /needs one whole cycle.*seasonal\.ts:\d+/,
    );
  });
}

test.run();

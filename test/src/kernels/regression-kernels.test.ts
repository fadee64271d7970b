import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { lagTable } from '../../../src/analyzer/members/lag-table.ts';
import { seededRandom } from '../../../src/base/random.ts';
import type { KernelBuild } from '../../../src/kernels/bytes.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import * as oracle from '../../oracles/regressions.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('kernels/regressions');
const builds: readonly KernelBuild[] = ['debug', 'release'];
const seed = testSeed('kernels/regressions');

function assertNear(actual: ArrayLike<number>, expected: ArrayLike<number>, what: string): void {
  assert.is(actual.length, expected.length, what);
  for (let i = 0; i < expected.length; i++) {
    const [a, e] = [actual[i]!, expected[i]!];
    if (!(Math.abs(a - e) <= 1e-8 * (1 + Math.abs(e))))
      assert.unreachable(`${what}[${i}]: ${a} is not ${e} (SEED=${seed})`);
  }
}

function setup(build: KernelBuild, windows: number) {
  const kernels = loadKernels({ build });
  const random = seededRandom(seed);
  const series = kernels.arena.f64(windows);
  let level = 3;
  for (let t = 0; t < windows; t++) {
    level += 0.3 * (random.nextFloat() - 0.5);
    series.view[t] = level + Math.sin(t / 2) + random.nextFloat();
  }
  return { ...kernels, series };
}

for (const build of builds) {
  test(`${build}: a lag regression equals the one that builds its rows, whatever penalty, fading and lags`, () => {
    const windows = 90;
    const { arena, exports, series } = setup(build, windows);
    const varying = [
      [1, 2, 12, 19],
      [1, 11, 18],
      [2, 10, 17],
      [1, 9],
      [1, 9],
    ];
    const cases = [
      { lags: varying, penalty: 0.02, penaltyFixed: 0, fade: 0.97, hasConstant: true },
      { lags: varying, penalty: 0, penaltyFixed: 1, fade: 1, hasConstant: false },
      { lags: [[7], [7], [7]], penalty: 0.5, penaltyFixed: 0.5, fade: 1, hasConstant: true },
    ];
    for (const { lags, ...rest } of cases) {
      const prior = lags.map((row) => row.map((lag) => 1 / lag));
      const width = 5;
      const table = lagTable(arena, {
        steps: lags.length,
        width,
        lagsOf: (step) => lags[step]!.map((lag) => ({ lag, prior: 1 / lag })),
      });
      const { reach, groupCount, steps } = table;
      const scratch = arena.f64(exports.lagScratchCount(windows, reach, steps, width, groupCount));
      const weights = arena.f64(steps * (1 + width));
      const isFitted = exports.lagFit(
        series.pointer,
        windows,
        table.lags,
        steps,
        width,
        reach,
        table.prior,
        table.groups,
        groupCount,
        rest.penalty,
        rest.penaltyFixed,
        rest.fade,
        rest.hasConstant ? 1 : 0,
        scratch.pointer,
        weights.pointer,
      );
      assert.is(isFitted, 1);
      const expected = oracle.lagFit({ series: series.view, lags, prior, reach, ...rest });
      expected.forEach((row, step) => {
        const mine = weights.view.subarray(step * (1 + width), (step + 1) * (1 + width));
        assertNear(
          mine,
          [...row, ...new Array<number>(1 + width - row.length).fill(0)],
          `weights of step ${step}`,
        );
      });
      const horizon = 13;
      const out = arena.f64(horizon);
      exports.lagPredict(
        series.pointer + windows * 8,
        table.lags,
        steps,
        width,
        weights.pointer,
        horizon,
        out.pointer,
      );
      assertNear(out.view, oracle.lagPredict(series.view, { lags, weights: expected, horizon }), 'forecast');
    }
  });

  test(`${build}: fitted values look back from where they stand`, () => {
    const { arena, exports, series } = setup(build, 30);
    const lags = arena.i32(4);
    lags.view.set([1, 5, 9]);
    const weights = arena.f64(5);
    weights.view.set([0.3, 0.5, -0.2, 0.7]);
    const out = arena.f64(12);
    exports.lagFitted(series.pointer + 18 * 8, lags.pointer, 4, weights.pointer, 12, out.pointer);
    const expected = oracle.lagFitted(series.view, {
      lags: [1, 5, 9],
      weights: [0.3, 0.5, -0.2, 0.7],
      first: 18,
    });
    assertNear(out.view, expected, 'fitted');
  });

  test(`${build}: Delta equals its twin, from two days of history to many weeks, within and beyond a week`, () => {
    const { arena, exports, series } = setup(build, 80);
    const [day, week] = [3, 21];
    for (const length of [6, 8, 14, 23, 24, 44, 80])
      for (const horizon of [1, 5, 50]) {
        const scratch = arena.f64(horizon);
        const out = arena.f64(horizon);
        const end = series.pointer + length * 8;
        exports.deltaForecast(end, length, day, week, horizon, scratch.pointer, out.pointer);
        const known = series.view.subarray(0, length);
        assertNear(out.view, oracle.deltaForecast(known, { day, week, horizon }), `${length}, ${horizon}`);
      }
  });

  test(`${build}: kernel regression equals its twin, with odd inputs, levelled and not`, () => {
    const windows = 61;
    const { arena, exports, series } = setup(build, windows);
    const [inputs, horizon] = [7, 9];
    const scratch = arena.f64(exports.kernelRegressionScratchCount(windows, horizon));
    const out = arena.f64(horizon);
    for (const isLevelled of [false, true])
      for (const bandwidth of [1, 0.2]) {
        const isUseful = exports.kernelRegression(
          series.pointer,
          windows,
          inputs,
          horizon,
          bandwidth,
          isLevelled ? 1 : 0,
          scratch.pointer,
          out.pointer,
        );
        assert.is(isUseful, 1);
        const options = { inputs, horizon, bandwidth, isLevelled };
        assertNear(out.view, oracle.kernelRegression(series.view, options), `levelled ${isLevelled}`);
      }
  });

  test(`${build}: the mean of counts equals its twin, with less than a week and with many, silent too`, () => {
    const { arena, exports, series } = setup(build, 70);
    const [day, week] = [4, 12];
    const scratch = arena.f64(exports.countsScratchCount(day, week));
    const rates = { fade: 0.98, levelFade: 0.9, dayPull: 2, weekPull: 5, levelPull: 3 };
    for (const windows of [3, 11, 70])
      for (const isSilent of [false, true]) {
        const known = series.view.subarray(0, windows);
        for (let t = 0; t < windows; t++) if (isSilent || t % 3 > 0) known[t] = 0;
        const horizon = 17;
        const out = arena.f64(horizon);
        exports.countsForecast(
          series.pointer,
          windows,
          day,
          week,
          rates.fade,
          rates.levelFade,
          rates.dayPull,
          rates.weekPull,
          rates.levelPull,
          horizon,
          scratch.pointer,
          out.pointer,
        );
        assertNear(
          out.view,
          oracle.countsForecast(known, { ...rates, day, week, horizon }),
          `${windows} windows`,
        );
      }
  });

  test(`${build}: a forecast is held to half the range beyond what was seen, never below zero`, () => {
    const { arena, exports } = setup(build, 1);
    const series = arena.f64(3);
    series.view.set([1, 3, 2]);
    const out = arena.f64(4);
    out.view.set([-5, 2.5, 4.5, 3.9]);
    assert.is(exports.boundForecast(series.pointer, 3, out.pointer, 4), 1);
    assert.equal([...out.view], [0, 2.5, 4, 3.9]);
    out.view[2] = Number.NaN;
    assert.is(exports.boundForecast(series.pointer, 3, out.pointer, 4), 0);
  });
}

test.run();

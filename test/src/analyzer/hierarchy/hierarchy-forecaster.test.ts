import { Packr, Unpackr } from 'msgpackr';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Forecaster } from '../../../../src/analyzer/forecaster.ts';
import type { HierarchyCheckpoint } from '../../../../src/analyzer/hierarchy/checkpoint.ts';
import { HierarchyForecaster } from '../../../../src/analyzer/hierarchy/hierarchy-forecaster.ts';
import { reconcileStep, withReconciledMeans } from '../../../../src/analyzer/hierarchy/reconciled-means.ts';
import { SumErrors } from '../../../../src/analyzer/hierarchy/sum-errors.ts';
import { allForecastersBytes } from '../../../../src/analyzer/memory.ts';
import { FORECAST_DEFAULTS, type ForecastSettings } from '../../../../src/analyzer/settings.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import { loadKernels } from '../../../../src/kernels/instance.ts';
import { inlineRunner } from '../../../../src/kernels/pool.ts';
import type { Forecast } from '../../../../src/model/forecast.ts';
import { LOAD_DIMENSION_COUNT, type LoadProfile } from '../../../../src/model/load-profile.ts';
import { testSeed } from '../../../support/seed.ts';
import { HOUR_MS, profileOf, weeklyLoad } from '../../../support/synthetic-load.ts';

const test = suite('analyzer/hierarchy');
const seed = testSeed('analyzer/hierarchy');
const SETTINGS: ForecastSettings = {
  ...FORECAST_DEFAULTS,
  isReconciled: true,
  horizonSteps: 24,
  historyWindows: 840,
  members: ['level', 'day', 'naive-week', 'weeks', 'ets'],
};
const FOUR_WEEKS = 672;

const componentsOf = (kernels = loadKernels()) => ({
  runner: inlineRunner(kernels),
  random: seededRandom(7n),
  logger: silentLogger,
});

type Load = (partition: number, window: number) => number;

const windows = (partitionCount: number, load: Load, firstWindow: number, windowCount: number): LoadProfile =>
  profileOf({ partitionCount, firstWindow, windowCount, load });

/** A forecast by hand: f64[step][partition] means of the driver, other dimensions by a ratio. */
function forecastOf(rows: readonly (readonly number[])[]): Forecast {
  const mean = Float64Array.from(
    rows.flatMap((row) => row.flatMap((load) => [1, 2e-5, 200, 16].map((ratio) => load * ratio))),
  );
  return {
    startMs: 0,
    stepMs: HOUR_MS,
    horizonSteps: rows.length,
    partitionCount: rows[0]!.length,
    level: 0.8,
    point: mean,
    mean,
    lower: mean,
    upper: mean,
    skill: new Float64Array(rows[0]!.length),
    members: [],
  };
}

const sumAt = (
  { mean, partitionCount }: Forecast,
  step: number,
  isIn: (p: number) => boolean = () => true,
): number => {
  let sum = 0;
  for (let p = 0; p < partitionCount; p++)
    if (isIn(p)) sum += mean[(step * partitionCount + p) * LOAD_DIMENSION_COUNT]!;
  return sum;
};

const NOTHING = new Float64Array(0);

/** Errors of so many steps in which each sum's own forecast was off by 1, and that from below by so much. */
function errorsOf(seriesCount: number, offBelow: number): SumErrors {
  const errors = new SumErrors(seriesCount);
  const said = (load: number) => new Float64Array(seriesCount).fill(load);
  for (let w = 0; w < 48; w++) {
    errors.keep({ below: said(100 + offBelow), own: said(101) }, w);
    errors.judge(w, said(100));
  }
  return errors;
}

test('at every step means add up to the clusters and the total that were agreed on, and other dimensions follow', () => {
  const random = seededRandom(seed);
  const draw = (count: number, scale: number): number[][] =>
    Array.from({ length: 6 }, () => Array.from({ length: count }, () => scale * random.nextFloat()));
  const partitions = forecastOf(draw(9, 10));
  const aggregates = {
    clusterOf: Int32Array.from([0, 1, 2, 0, 1, 2, 0, 0, 1]),
    clusterCount: 3,
    centroids: NOTHING,
  };
  const pair = { partitions, sums: forecastOf(draw(4, 40)), aggregates, driver: 'queries' as const };
  const errors = errorsOf(4, 1);
  const after = withReconciledMeans(pair, errors);
  assert.is(after.point, partitions.point);
  let moved = 0;
  for (let step = 0; step < 6; step++) {
    const { coherent } = reconcileStep(pair, step, errors);
    const near = (a: number, b: number): void =>
      assert.ok(Math.abs(a - b) <= 1e-6 * b, `step ${step}: ${a}, ${b}`);
    near(sumAt(after, step), coherent.total);
    for (let c = 0; c < 3; c++)
      near(
        sumAt(after, step, (p) => aggregates.clusterOf[p] === c),
        coherent.clusters[c]!,
      );
    moved += Math.abs(sumAt(after, step) - sumAt(partitions, step));
    for (let p = 0; p < 9; p++) {
      const at = (step * 9 + p) * LOAD_DIMENSION_COUNT;
      [2e-5, 200, 16].forEach((ratio, d) => {
        near(after.mean[at + 1 + d]!, after.mean[at]! * ratio);
      });
    }
  }
  assert.ok(moved > 1, 'the sums had something to say');
});

test('a forecast of a sum counts by how right it has been, and not at all before a day of record', () => {
  const pair = {
    partitions: forecastOf([[10, 20, 30, 40]]),
    sums: forecastOf([[150]]),
    aggregates: { clusterOf: new Int32Array(4), clusterCount: 0, centroids: NOTHING },
    driver: 'queries' as const,
  };
  const totalAfter = (errors: SumErrors): number => sumAt(withReconciledMeans(pair, errors), 0);
  assert.ok(Math.abs(totalAfter(new SumErrors(1)) - 100) < 1e-9);
  assert.ok(Math.abs(totalAfter(errorsOf(1, 0.01)) - 100) < 1);
  assert.ok(Math.abs(totalAfter(errorsOf(1, 100)) - 150) < 1);
  const between = totalAfter(errorsOf(1, 1));
  assert.ok(between > 105 && between < 125, `${between}: the one from below is preferred`);
});

test('what is forecast as nothing stays nothing', () => {
  const pair = {
    partitions: forecastOf([[0, 0, 0]]),
    sums: forecastOf([[5]]),
    aggregates: { clusterOf: new Int32Array(3), clusterCount: 0, centroids: NOTHING },
    driver: 'queries' as const,
  };
  assert.equal([...withReconciledMeans(pair, errorsOf(1, 1)).mean], [...pair.partitions.mean]);
});

test('an outage is not judged, and what was said of a window is judged once', () => {
  const errors = new SumErrors(1);
  const claims = { below: Float64Array.of(3), own: Float64Array.of(5) };
  for (const window of [1, 2]) errors.keep(claims, window);
  errors.judge(1, undefined);
  assert.is(errors.below(0), 0);
  errors.judge(2, Float64Array.of(1));
  errors.judge(2, Float64Array.of(100));
  assert.ok(Math.abs(errors.below(0) - 4) < 1e-9);
  assert.equal(errors.save().pending, []);
});

test('the total of sparse partitions of one rhythm is forecast better together', async () => {
  const partitionCount = 24;
  const rate = (window: number): number => 0.25 * (1 + 0.9 * Math.sin((2 * Math.PI * window) / 24));
  const load: Load = (p, w) => {
    const random = seededRandom(seed ^ (BigInt(p + 1) << 40n) ^ BigInt(w));
    let count = 0;
    // Knuth's way to a Poisson count.
    for (let rest = random.nextFloat(); rest > Math.exp(-rate(w)); rest *= random.nextFloat()) count++;
    return count;
  };
  const errorOf = async (isReconciled: boolean): Promise<number> => {
    const forecaster = new HierarchyForecaster({ ...SETTINGS, isReconciled }, componentsOf());
    let error = 0;
    for (let end = FOUR_WEEKS, known = 0; end < FOUR_WEEKS + 96; known = end, end += 24) {
      await forecaster.observe(windows(partitionCount, load, known, end - known));
      const forecast = await forecaster.forecast();
      for (let step = 0; step < 24; step++)
        // Against the rate: that is what can be known of a count.
        error += Math.abs(sumAt(forecast, step) - partitionCount * rate(end + step));
    }
    forecaster.close();
    return error;
  };
  const [alone, together] = [await errorOf(false), await errorOf(true)];
  assert.ok(together < 0.9 * alone, `SEED=${seed}: ${together} against ${alone}`);
});

test('points and bounds are those of the plain forecaster; with too few partitions for sums the means are too', async () => {
  const load = weeklyLoad(seed, { noise: 0.2 });
  for (const partitionCount of [2, 12]) {
    const alone = new HierarchyForecaster({ ...SETTINGS, isReconciled: false }, componentsOf());
    const plain = new Forecaster(SETTINGS, componentsOf());
    const together = new HierarchyForecaster(SETTINGS, componentsOf());
    const forecasts: Forecast[] = [];
    for (const each of [plain, alone, together]) {
      // By the hour where the record of sums begins: sums make it stop there.
      await each.observe(windows(partitionCount, load, 0, 330));
      for (let w = 330; w < 500; w++) await each.observe(windows(partitionCount, load, w, 1));
      forecasts.push(await each.forecast());
      each.close();
    }
    const [expected, actual, reconciled] = forecasts as [Forecast, Forecast, Forecast];
    for (const name of ['point', 'lower', 'upper'] as const) {
      assert.equal(actual[name], expected[name]);
      assert.equal(reconciled[name], expected[name]);
    }
    assert.equal(actual.mean, expected.mean);
    const areEqual = reconciled.mean.every((mean, i) => mean === expected.mean[i]);
    assert.is(areEqual, partitionCount === 2);
  }
});

test('after a restart it goes on as if there had been none', async () => {
  const load = weeklyLoad(seed, { noise: 0.2 });
  const forecaster = new HierarchyForecaster(SETTINGS, componentsOf());
  assert.is(forecaster.save(), undefined);
  await forecaster.observe(windows(16, load, 0, 500));
  const packed = new Packr({ moreTypes: true }).pack(forecaster.save());
  const checkpoint = new Unpackr({ moreTypes: true }).unpack(packed) as HierarchyCheckpoint;
  assert.ok(checkpoint.sums!.errors.pending.length > 0, 'forecasts of sums are under way');
  const restored = HierarchyForecaster.restore(checkpoint, SETTINGS, componentsOf());
  assert.equal((await restored.forecast()).mean, (await forecaster.forecast()).mean);
  // A week on, clusters are looked at again.
  for (const each of [forecaster, restored]) await each.observe(windows(16, load, 500, 180));
  assert.equal((await restored.forecast()).mean, (await forecaster.forecast()).mean);
  const kernels = loadKernels();
  const refused = (sums: Partial<HierarchyCheckpoint['sums']>, message: RegExp): void => {
    const damaged = { ...checkpoint, sums: { ...checkpoint.sums!, ...sums } };
    assert.throws(() => HierarchyForecaster.restore(damaged, SETTINGS, componentsOf(kernels)), message);
  };
  refused(
    { errors: { pending: [], squares: new Float64Array(1), steps: 0 } },
    /errors of sums has 1 numbers/,
  );
  refused(
    { aggregates: { ...checkpoint.sums!.aggregates, clusterOf: new Int32Array(3) } },
    /sums of 3 partitions, of which there are 16/,
  );
  assert.is(kernels.arena.usedBytes, 0);
});

test('a whole profile given again and again is taken in as one that grows', async () => {
  const load = weeklyLoad(seed, { noise: 0.2 });
  const [whole, growing] = [1, 2].map(() => new HierarchyForecaster(SETTINGS, componentsOf())) as [
    HierarchyForecaster,
    HierarchyForecaster,
  ];
  for (const each of [whole, growing]) await each.observe(windows(8, load, 0, 400));
  for (let w = 400; w < 460; w++) {
    await whole.observe(windows(8, load, 0, w + 1));
    await growing.observe(windows(8, load, w, 1));
  }
  assert.equal((await whole.forecast()).mean, (await growing.forecast()).mean);
  assert.equal(whole.save()!.sums!.errors, growing.save()!.sums!.errors);
});

test('silence, outages and a profile that begins late are taken as they come, in the memory that was announced', async () => {
  for (const partitionCount of [3, 8, 20]) {
    const kernels = loadKernels();
    const { arena } = kernels;
    let peakBytes = 0;
    const alloc = arena.alloc.bind(arena);
    arena.alloc = (sizeBytes) => {
      const block = alloc(sizeBytes);
      peakBytes = Math.max(peakBytes, arena.usedBytes);
      return block;
    };
    const noisy = weeklyLoad(seed, { noise: 0.2 });
    const load: Load = (p, w) => (p === 0 || w < 100 ? 0 : p === 1 ? 5 : noisy(p, w));
    const forecaster = new HierarchyForecaster(SETTINGS, componentsOf(kernels));
    await forecaster.observe(windows(partitionCount, load, 0, 450));
    // Windows that nobody sent, and some that are known.
    await forecaster.observe(windows(partitionCount, load, 460, 100));
    await forecaster.observe(windows(partitionCount, load, 500, 100));
    const forecast = await forecaster.forecast();
    assert.is(forecast.startMs, 600 * HOUR_MS);
    assert.ok(forecast.mean.every((mean) => mean >= 0 && mean < 1e9));
    assert.is(
      sumAt(forecast, 3, (p) => p === 0),
      0,
    );
    const bytes = allForecastersBytes(SETTINGS, { partitionCount, windowMs: HOUR_MS });
    const announced = bytes.history + bytes.predictions + bytes.models + bytes.passing;
    assert.ok(peakBytes <= announced, `${peakBytes} <= ${announced}`);
    forecaster.close();
    assert.is(arena.usedBytes, 0);
  }
});

test.run();

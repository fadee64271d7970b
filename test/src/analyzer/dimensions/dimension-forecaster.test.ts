import assert from 'node:assert/strict';
import { suite } from 'uvu';
import {
  DimensionForecaster,
  type DimensionsCheckpoint,
} from '../../../../src/analyzer/dimensions/dimension-forecaster.ts';
import { Forecaster, type ForecasterComponents } from '../../../../src/analyzer/forecaster.ts';
import { FORECAST_DEFAULTS, type ForecastSettings } from '../../../../src/analyzer/settings.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import { loadKernels } from '../../../../src/kernels/instance.ts';
import { inlineRunner } from '../../../../src/kernels/pool.ts';
import type { Forecast } from '../../../../src/model/forecast.ts';
import {
  dimensionIndex,
  LOAD_DIMENSION_COUNT,
  LOAD_MAX,
  type LoadDimension,
  type LoadProfile,
} from '../../../../src/model/load-profile.ts';
import { HOUR_MS } from '../../../support/synthetic-load.ts';

const test = suite('forecast of every dimension');
const PARTITIONS = 4;
const WEEKS = 5;
const BACKUP_HOUR = 3;
const SETTINGS: ForecastSettings = {
  ...FORECAST_DEFAULTS,
  historyWindows: 840,
  horizonSteps: 168,
  members: ['level', 'day', 'naive-week', 'weeks'],
};
const kernels = loadKernels();
const componentsOf = (): ForecasterComponents => ({
  runner: inlineRunner(kernels),
  random: seededRandom(3n),
  logger: silentLogger,
});

/** Queries peak at two in the afternoon; partition 1 is backed up at three at night, what partition 2 writes comes in the evening. */
function loads(options: { readonly noise: number; readonly windowCount: number }): LoadProfile {
  const random = seededRandom(17n);
  const noise = (): number => {
    let sum = -6;
    for (let i = 0; i < 12; i++) sum += random.nextFloat();
    return Math.exp(options.noise * sum);
  };
  const { windowCount } = options;
  const values = new Float64Array(windowCount * PARTITIONS * LOAD_DIMENSION_COUNT);
  for (let w = 0; w < windowCount; w++)
    for (let p = 0; p < PARTITIONS; p++) {
      const hour = w % 24;
      const queries = 200 * (1 + p) * (1.2 + Math.cos((2 * Math.PI * (hour - 14)) / 24)) * noise();
      const backup = p === 1 && hour === BACKUP_HOUR ? 3e8 * noise() : 0;
      const evening = p === 2 ? 1.1 + Math.cos((2 * Math.PI * (hour - 20)) / 24) : 1;
      values.set(
        [queries, queries * 2e-5, queries * 500 + backup, queries * 60 * evening * noise()],
        (w * PARTITIONS + p) * LOAD_DIMENSION_COUNT,
      );
    }
  return {
    startMs: 0,
    windowMs: HOUR_MS,
    windowCount,
    partitionCount: PARTITIONS,
    values,
    coverage: new Float64Array(windowCount).fill(1),
  };
}

const first = (profile: LoadProfile, windowCount: number): LoadProfile => ({
  ...profile,
  windowCount,
  values: profile.values.subarray(0, windowCount * PARTITIONS * LOAD_DIMENSION_COUNT),
  coverage: profile.coverage.subarray(0, windowCount),
});

const cell = (step: number, partition: number, dimension: LoadDimension): number =>
  (step * PARTITIONS + partition) * LOAD_DIMENSION_COUNT + dimensionIndex(dimension);

const row = (values: Float64Array, partition: number, dimension: LoadDimension): number[] =>
  Array.from({ length: 24 }, (_, step) => values[cell(step, partition, dimension)] as number);

const peakHour = (values: readonly number[]): number => values.indexOf(Math.max(...values));

async function forecastOf(
  profile: LoadProfile,
  settings: ForecastSettings = SETTINGS,
  options: Parameters<DimensionForecaster['forecast']>[0] = {},
): Promise<Forecast> {
  const forecaster = new DimensionForecaster(settings, componentsOf());
  try {
    await forecaster.observe(profile);
    return await forecaster.forecast(options);
  } finally {
    forecaster.close();
  }
}

test('bytes that peak at night are forecast at night, though queries peak by day', async () => {
  const profile = loads({ noise: 0.15, windowCount: WEEKS * 168 });
  const forecast = await forecastOf(profile);
  const noon = peakHour(row(forecast.point, 1, 'queries'));
  assert.ok(noon > 10 && noon < 18, `queries peak at ${noon}`);
  for (const values of [forecast.point, forecast.mean, forecast.lower, forecast.upper])
    assert.equal(peakHour(row(values, 1, 'readBytes')), BACKUP_HOUR);
  let backups = 0;
  for (let night = 0; night < 7; night++)
    backups += forecast.mean[cell(night * 24 + BACKUP_HOUR, 1, 'readBytes')] as number;
  assert.ok(backups / 7 > 2.5e8 && backups / 7 < 3.5e8, `${backups / 7} a night`);
  const evening = peakHour(row(forecast.mean, 2, 'writeBytes'));
  assert.ok(evening > 16 && evening < 21, `what is written peaks at ${evening}`);
});

test('bounds of a dimension hold what comes as often as they say, and are no wider than they must be', async () => {
  const profile = loads({ noise: 0.3, windowCount: (WEEKS + 4) * 168 });
  const levels = [0.95];
  let inside = 0;
  let insideWide = 0;
  let count = 0;
  const forecaster = new DimensionForecaster(SETTINGS, componentsOf());
  for (let week = WEEKS; week < WEEKS + 4; week++) {
    await forecaster.observe(first(profile, week * 168));
    const { lower, upper, intervals } = await forecaster.forecast({ levels });
    const [wide] = intervals ?? [];
    for (let step = 0; step < 168; step++)
      for (let p = 0; p < PARTITIONS; p++) {
        const at = cell(step, p, 'writeBytes');
        const came = profile.values[cell(week * 168 + step, p, 'writeBytes')] as number;
        inside += Number(came >= (lower[at] as number) && came <= (upper[at] as number));
        insideWide += Number(came >= (wide?.lower[at] as number) && came <= (wide?.upper[at] as number));
        count++;
      }
  }
  forecaster.close();
  assert.ok(inside / count > 0.74 && inside / count < 0.86, `80 %: ${inside / count}`);
  assert.ok(insideWide / count > 0.91 && insideWide / count < 0.985, `95 %: ${insideWide / count}`);
});

test('bounds of what comes in bursts hold it as often as they say, though in many hours nothing comes', async () => {
  const profile = loads({ noise: 0.2, windowCount: (WEEKS + 4) * 168 });
  const random = seededRandom(23n);
  // A few in a hundred queries write, each another amount: some tens an hour by day, none in a third of the hours.
  for (let w = 0; w < profile.windowCount; w++)
    for (let p = 0; p < PARTITIONS; p++) {
      const writes = (profile.values[cell(w, p, 'queries')] as number) * 0.004 * (1 + p);
      const exponential = (): number => -Math.log(1 - random.nextFloat());
      let bytes = 0;
      for (let asked = exponential(); asked < writes; asked += exponential()) bytes += 5_000 * exponential();
      profile.values[cell(w, p, 'writeBytes')] = bytes;
    }
  const forecaster = new DimensionForecaster(SETTINGS, componentsOf());
  const missed = { below: 0, above: 0, count: 0 };
  for (let week = WEEKS; week < WEEKS + 4; week++) {
    await forecaster.observe(first(profile, week * 168));
    const { lower, upper } = await forecaster.forecast();
    for (let step = 0; step < 168; step++)
      for (let p = 0; p < PARTITIONS; p++) {
        const at = cell(step, p, 'writeBytes');
        const came = profile.values[cell(week * 168 + step, p, 'writeBytes')] as number;
        missed.below += Number(came < (lower[at] as number));
        missed.above += Number(came > (upper[at] as number));
        missed.count++;
      }
  }
  forecaster.close();
  const [below, above] = [missed.below / missed.count, missed.above / missed.count];
  assert.ok(below + above > 0.1 && below + above < 0.26, `${below} below and ${above} above`);
});

test('ratios of an older version are learnt anew, and the driver goes on', async () => {
  const profile = loads({ noise: 0.2, windowCount: 3 * 168 });
  const settings: ForecastSettings = { ...SETTINGS, horizonSteps: 24 };
  const open = new DimensionForecaster(settings, componentsOf());
  await open.observe(profile);
  const whole = await open.forecast();
  const checkpoint = structuredClone(open.save()) as DimensionsCheckpoint;
  open.close();
  const { ratios } = checkpoint;
  assert.ok(ratios !== undefined);
  const { version: _, windowCount: __, past: ___, ...errors } = ratios.errors;
  const older = { ...checkpoint, ratios: { ...ratios, errors } } as unknown as DimensionsCheckpoint;
  const restored = DimensionForecaster.restore(older, settings, componentsOf());
  await restored.observe(profile);
  const { point, upper } = await restored.forecast();
  restored.close();
  assert.deepEqual(point, whole.point);
  assert.deepEqual(upper, whole.upper);
});

test('what follows strictly has the bounds of the driver', async () => {
  const forecast = await forecastOf(loads({ noise: 0.2, windowCount: WEEKS * 168 }));
  for (let step = 0; step < 168; step += 5)
    for (const values of [forecast.point, forecast.mean, forecast.lower, forecast.upper]) {
      const ratio =
        (values[cell(step, 0, 'cpuSeconds')] as number) / (values[cell(step, 0, 'queries')] as number);
      assert.ok(Math.abs(ratio / 2e-5 - 1) < 0.01, `${ratio} at ${step}`);
    }
});

test('an hour without any query takes nothing from what is known of the others', async () => {
  const profile = loads({ noise: 0, windowCount: WEEKS * 168 });
  for (let w = 0; w < profile.windowCount; w++)
    if (w % 24 === 5)
      profile.values.fill(
        0,
        w * PARTITIONS * LOAD_DIMENSION_COUNT,
        (w + 1) * PARTITIONS * LOAD_DIMENSION_COUNT,
      );
  const { point, upper } = await forecastOf(profile);
  assert.ok([...point, ...upper].every((value) => value >= 0 && Number.isFinite(value)));
  assert.ok((point[cell(5, 0, 'readBytes')] as number) < 1000, `${point[cell(5, 0, 'readBytes')]}`);
  assert.equal(peakHour(row(point, 1, 'readBytes')), BACKUP_HOUR);
});

test('one broken reading of a dimension does not raise the forecast of every hour', async () => {
  const profile = loads({ noise: 0.15, windowCount: WEEKS * 168 });
  const before = await forecastOf(profile);
  const broken = cell((WEEKS - 1) * 168 + 11, 0, 'readBytes');
  profile.values[broken] = 1e6 * (profile.values[broken] as number);
  const { point, upper } = await forecastOf(profile);
  for (const [values, usual] of [
    [point, before.point],
    [upper, before.upper],
  ] as const) {
    const times = Array.from({ length: 168 }, (_, step) => {
      const at = cell(step, 0, 'readBytes');
      return (values[at] as number) / (usual[at] as number);
    });
    const raised = times.filter((factor) => factor > 2).length;
    assert.ok(
      raised <= 7,
      `${raised} hours of the week, a typical one ${times.sort((a, b) => a - b)[84]} times`,
    );
  }
});

test('the largest loads that are taken have finite bounds on either side of their point', async () => {
  const profile = loads({ noise: 0.3, windowCount: 3 * 168 });
  for (let i = 0; i < profile.values.length; i++) {
    const isDriver = i % LOAD_DIMENSION_COUNT === dimensionIndex('queries');
    if (isDriver && i % 8 === 0) continue;
    profile.values[i] = Math.min(LOAD_MAX, (profile.values[i] as number) * 1e93);
  }
  const { point, mean, lower, upper } = await forecastOf(profile);
  for (let i = 0; i < point.length; i++) {
    const bounds = [lower[i], point[i], upper[i]] as [number, number, number];
    assert.ok(bounds.every(Number.isFinite) && Number.isFinite(mean[i]), `${bounds}, mean ${mean[i]}`);
    assert.ok(bounds[0] >= 0 && bounds[0] <= bounds[1] && bounds[1] <= bounds[2], `${bounds}`);
  }
});

test('it goes on where it was saved; what the checkpoint does not know is learnt anew', async () => {
  const profile = loads({ noise: 0.2, windowCount: 3 * 168 + 1 });
  const settings: ForecastSettings = { ...SETTINGS, horizonSteps: 24, dimensions: ['writeBytes'] };
  const open = new DimensionForecaster(settings, componentsOf());
  await open.observe(first(profile, 3 * 168));
  const checkpoint = structuredClone(open.save()) as DimensionsCheckpoint;
  await open.observe(profile);
  const whole = await open.forecast();
  open.close();
  const { ratios: _, dimensions: __, ...driverAlone } = checkpoint;
  for (const saved of [checkpoint, driverAlone]) {
    const restored = DimensionForecaster.restore(saved, settings, componentsOf());
    await restored.observe(profile);
    const { point, upper } = await restored.forecast();
    restored.close();
    for (const dimension of ['readBytes', 'queries'] as const) {
      assert.deepEqual(row(point, 1, dimension), row(whole.point, 1, dimension));
      assert.deepEqual(row(upper, 1, dimension), row(whole.upper, 1, dimension));
    }
    if (saved === checkpoint)
      assert.deepEqual(row(point, 1, 'writeBytes'), row(whole.point, 1, 'writeBytes'));
  }
});

test('a checkpoint goes on without the windows that it has seen', async () => {
  const profile = loads({ noise: 0.2, windowCount: 3 * 168 + 1 });
  const settings: ForecastSettings = { ...SETTINGS, horizonSteps: 24 };
  const open = new DimensionForecaster(settings, componentsOf());
  await open.observe(first(profile, 3 * 168));
  const checkpoint = structuredClone(open.save()) as DimensionsCheckpoint;
  await open.observe(profile);
  const whole = await open.forecast();
  open.close();
  const restored = DimensionForecaster.restore(checkpoint, settings, componentsOf());
  await restored.observe({
    ...profile,
    startMs: profile.startMs + 3 * 168 * HOUR_MS,
    windowCount: 1,
    values: profile.values.subarray(3 * 168 * PARTITIONS * LOAD_DIMENSION_COUNT),
    coverage: profile.coverage.subarray(3 * 168),
  });
  const { point, mean, upper } = await restored.forecast();
  restored.close();
  assert.deepEqual(point, whole.point);
  assert.deepEqual(mean, whole.mean);
  assert.deepEqual(upper, whole.upper);
});

test('a dimension that is no longer forecast by itself follows as if it always had', async () => {
  const profile = loads({ noise: 0.2, windowCount: 3 * 168 });
  const settings: ForecastSettings = { ...SETTINGS, horizonSteps: 24 };
  const open = new DimensionForecaster({ ...settings, dimensions: ['readBytes'] }, componentsOf());
  await open.observe(profile);
  const checkpoint = structuredClone(open.save()) as DimensionsCheckpoint;
  open.close();
  const restored = DimensionForecaster.restore(checkpoint, settings, componentsOf());
  await restored.observe(profile);
  const { point } = await restored.forecast();
  restored.close();
  const { point: expected } = await forecastOf(profile, settings);
  assert.deepEqual(row(point, 1, 'readBytes'), row(expected, 1, 'readBytes'));
});

test('CPU that was priced and is measured from an hour on is forecast at the measured level at once', async () => {
  const profile = loads({ noise: 0.1, windowCount: 3 * 168 });
  const settings: ForecastSettings = { ...SETTINGS, horizonSteps: 24 };
  const forecaster = new DimensionForecaster(settings, componentsOf());
  await forecaster.observe(first(profile, 3 * 168 - 1));
  // The first hour was measured: all before it is told at its level now.
  const measured = { ...profile, values: profile.values.slice() };
  for (let at = dimensionIndex('cpuSeconds'); at < measured.values.length; at += LOAD_DIMENSION_COUNT)
    measured.values[at]! *= 5;
  await forecaster.observe(measured);
  const { point } = await forecaster.forecast();
  forecaster.close();
  const { point: expected } = await forecastOf(measured, settings);
  for (let step = 0; step < 24; step++) {
    const ratio =
      (point[cell(step, 0, 'cpuSeconds')] as number) / (expected[cell(step, 0, 'cpuSeconds')] as number);
    assert.ok(Math.abs(ratio - 1) < 0.05, `${ratio} of what is measured, step ${step}`);
  }
});

test('what was seen of an outage tells nothing of ratios', async () => {
  const profile = loads({ noise: 0.1, windowCount: 3 * 168 });
  for (let w = 2 * 168; w < 2 * 168 + 48; w++) profile.coverage[w] = 0.1;
  const { point } = await forecastOf(profile);
  for (let w = 2 * 168; w < 2 * 168 + 48; w++) profile.values[cell(w, 0, 'writeBytes')]! *= 1000;
  const { point: odd } = await forecastOf(profile);
  assert.deepEqual(odd, point);
});

test('a dimension that is named is forecast by itself, with a skill of its own', async () => {
  const profile = loads({ noise: 0.2, windowCount: 3 * 168 });
  const settings: ForecastSettings = { ...SETTINGS, horizonSteps: 24 };
  const forecast = await forecastOf(profile, { ...settings, dimensions: ['writeBytes'] }, { levels: [0.95] });
  const alone = new Forecaster({ ...settings, driver: 'writeBytes' }, componentsOf());
  await alone.observe(profile);
  const expected = await alone.forecast({ levels: [0.95] });
  alone.close();
  for (const p of [0, 2]) {
    assert.deepEqual(row(forecast.point, p, 'writeBytes'), row(expected.point, p, 'writeBytes'));
    const bounds = [forecast, expected].map(({ intervals }) =>
      row(intervals?.[0]?.upper as Float64Array, p, 'writeBytes'),
    );
    assert.deepEqual(bounds[0], bounds[1]);
    const skill = (dimension: LoadDimension): number | undefined =>
      forecast.dimensionSkill?.[p * LOAD_DIMENSION_COUNT + dimensionIndex(dimension)];
    assert.equal(skill('writeBytes'), expected.skill[p]);
    assert.equal(skill('readBytes'), forecast.skill[p]);
  }
  // Asked for none, the others are as they are by default.
  const byDefault = await forecastOf(profile, settings);
  assert.deepEqual(row(forecast.point, 1, 'readBytes'), row(byDefault.point, 1, 'readBytes'));
});

test('a dimension that is none is refused', () => {
  const settings = { ...SETTINGS, dimensions: ['disk'] } as unknown as ForecastSettings;
  assert.throws(
    () => new DimensionForecaster(settings, componentsOf()),
    /forecast\.dimensions.*queries, cpuSeconds/,
  );
});

test.run();

import { createRequire } from 'node:module';
import { DAY_MS, flightLogPath, LOG_START_MS, readFlightLog } from '../../examples/flights/read-log.ts';
import { DimensionForecaster } from '../../src/analyzer/dimensions/dimension-forecaster.ts';
import { Forecaster, type ForecasterComponents } from '../../src/analyzer/forecaster.ts';
import { FORECAST_DEFAULTS, type ForecastSettings } from '../../src/analyzer/settings.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { seededRandom } from '../../src/base/random.ts';
import { loadKernels } from '../../src/kernels/instance.ts';
import { inlineRunner } from '../../src/kernels/pool.ts';
import type { Forecast } from '../../src/model/forecast.ts';
import {
  dimensionIndex,
  LOAD_DIMENSION_COUNT,
  LOAD_DIMENSIONS,
  type LoadDimension,
  type LoadProfile,
} from '../../src/model/load-profile.ts';
import { partitionOfSlot } from '../../src/model/partition-map.ts';
import { processorMs } from './processor-time.ts';
import { figure, hashOf, type Outcome } from './rows.ts';

const HOUR_MS = 3_600_000;
const WEEK_HOURS = 168;
const LOG_DAYS = 181;
/** Prime to a day, so that origins fall on all hours. */
const STEP = 65;
const LEVEL = 0.8;
const calculateSlot = createRequire(import.meta.url)('cluster-key-slot') as (key: string) => number;

const newComponents = (): ForecasterComponents => ({
  runner: inlineRunner(loadKernels()),
  random: seededRandom(1n),
  logger: silentLogger,
});

interface Forecasts {
  /** As the driver's own forecaster tells it: others by their ratio of the last two days. */
  readonly flat: Forecast;
  /** By ratio of the hour of the week. */
  readonly follows: Forecast;
  /** By forecasters of their own. */
  readonly own: Forecast;
}

/**
 * How well dimensions that are not the driver are forecast: of the flights log, departures drive; the miles flown stand for bytes
 * read and the minutes of delay for bytes written. Miles follow departures, but not at every hour alike; delays come with the weather.
 */
export async function runDimensions({ results, skipped }: Outcome, isSmall: boolean): Promise<void> {
  if (flightLogPath() === undefined) {
    skipped.push({ name: 'forecast/dimensions', why: 'vega-datasets is not installed: run `npm ci`' });
    return;
  }
  const historyWindows = (isSmall ? 17 : 42) * 24;
  const originCount = isSmall ? 1 : 8;
  const windowCount = historyWindows + (originCount - 1) * STEP + WEEK_HOURS;
  const profile = await flightDimensions(windowCount, isSmall ? 16 : 64);
  const settings: ForecastSettings = isSmall
    ? { ...FORECAST_DEFAULTS, members: ['level', 'day', 'naive-week', 'weeks'] }
    : FORECAST_DEFAULTS;
  const scores = new Map<string, Score>();
  const forecasters = {
    flat: new Forecaster(settings, newComponents()),
    follows: new DimensionForecaster(settings, newComponents()),
    own: new DimensionForecaster({ ...settings, dimensions: ['readBytes', 'writeBytes'] }, newComponents()),
  };
  const points: Float64Array[] = [];
  for (let o = 0; o < originCount; o++) {
    const origin = historyWindows + o * STEP;
    const known = windowsOf(profile, origin);
    for (const forecaster of Object.values(forecasters)) await forecaster.observe(known);
    const forecasts: Forecasts = {
      flat: await forecasters.flat.forecast(),
      follows: await forecasters.follows.forecast(),
      own: await forecasters.own.forecast(),
    };
    for (const dimension of ['readBytes', 'writeBytes'] as const)
      for (const method of ['flat', 'follows', 'own'] as const) {
        const key = `${dimension} ${method}`;
        const score = scores.get(key) ?? new Score(profile.partitionCount);
        scores.set(key, score);
        score.add(forecasts[method], profile, { origin, dimension });
      }
    points.push(forecasts.follows.point);
  }
  for (const forecaster of Object.values(forecasters)) forecaster.close();
  const context = {
    set: 'dimensions',
    settings: { partitions: profile.partitionCount, historyWindows, origins: originCount },
    hash: hashOf(points),
  };
  for (const [key, score] of scores) {
    const [dimension, method] = key.split(' ') as [LoadDimension, string];
    const flat = scores.get(`${dimension} flat`) as Score;
    const row = (metric: string, value: number, baseline: string, baselineValue: number) =>
      figure(context, { method, metric: `${dimension}, ${metric}`, value, baseline, baselineValue });
    results.push(
      row('absolute error over load', score.error(), 'flat', flat.error()),
      row('interval score over load', score.intervalScore(), 'flat', flat.intervalScore()),
      row(`inside ${LEVEL * 100} %`, score.inside(), 'nominal', LEVEL),
      row('sum of means over sum of loads', score.bias(), 'nominal', 1),
    );
  }
}

/** What an hour more costs with every dimension in it, beside the driver's forecaster alone. */
export async function runDimensionCost({ results }: Outcome, partitionCount: number): Promise<void> {
  const warmUp = 2 * WEEK_HOURS;
  const profile = madeUp(warmUp + 24, partitionCount);
  const driver = new Forecaster(FORECAST_DEFAULTS, newComponents());
  const all = new DimensionForecaster(FORECAST_DEFAULTS, newComponents());
  for (const forecaster of [driver, all]) await forecaster.observe(windowsOf(profile, warmUp));
  const taken = { driver: 0, all: 0 };
  const forecast = { driver: 0, all: 0 };
  for (let hour = 1; hour <= 24; hour++) {
    const known = windowsOf(profile, warmUp + hour);
    taken.driver += await timed(() => driver.observe(known));
    taken.all += await timed(() => all.observe(known));
    if (hour % 8 !== 0) continue;
    forecast.driver += await timed(() => driver.forecast());
    forecast.all += await timed(() => all.forecast());
  }
  for (const forecaster of [driver, all]) forecaster.close();
  const context = {
    set: 'one-hour-more',
    settings: { partitions: partitionCount, windows: warmUp },
    hash: '-',
  };
  const row = (metric: string, { driver: alone, all: value }: typeof taken, count: number) =>
    figure(context, {
      method: 'every-dimension',
      metric,
      value: value / count,
      unit: 'ms',
      baseline: 'the driver alone',
      baselineValue: alone / count,
    });
  results.push(
    row('processor time, mean', taken, 24),
    row('a new forecast of a week, processor time', forecast, 3),
  );
}

/** Of one method and dimension, partitions weighing alike. */
class Score {
  readonly #errors: Float64Array;
  readonly #intervalScores: Float64Array;
  readonly #loads: Float64Array;
  #inside = 0;
  #count = 0;
  #means = 0;
  #sum = 0;

  constructor(partitionCount: number) {
    this.#errors = new Float64Array(partitionCount);
    this.#intervalScores = new Float64Array(partitionCount);
    this.#loads = new Float64Array(partitionCount);
  }

  add(
    { point, mean, lower, upper, horizonSteps, partitionCount }: Forecast,
    { values }: LoadProfile,
    { origin, dimension }: { readonly origin: number; readonly dimension: LoadDimension },
  ): void {
    const offset = dimensionIndex(dimension);
    for (let step = 0; step < horizonSteps; step++)
      for (let p = 0; p < partitionCount; p++) {
        const at = (step * partitionCount + p) * LOAD_DIMENSION_COUNT + offset;
        const came = values[origin * partitionCount * LOAD_DIMENSION_COUNT + at] as number;
        const [low, high] = [lower[at] as number, upper[at] as number];
        this.#loads[p]! += came;
        this.#errors[p]! += Math.abs(came - (point[at] as number));
        const outside = Math.max(0, low - came, came - high);
        this.#intervalScores[p]! += high - low + (2 / (1 - LEVEL)) * outside;
        this.#inside += Number(outside === 0);
        this.#count++;
        this.#means += mean[at] as number;
        this.#sum += came;
      }
  }

  error = (): number => this.#overLoads(this.#errors);
  intervalScore = (): number => this.#overLoads(this.#intervalScores);
  inside = (): number => this.#inside / this.#count;
  bias = (): number => this.#means / this.#sum;

  #overLoads(sums: Float64Array): number {
    const shares = [...sums].flatMap((sum, p) => {
      const load = this.#loads[p] as number;
      return load > 0 ? [sum / load] : [];
    });
    return shares.reduce((total, share) => total + share, 0) / shares.length;
  }
}

/** The last windows of the flights log: departures, nothing, miles, minutes of delay. */
async function flightDimensions(windowCount: number, partitionCount: number): Promise<LoadProfile> {
  const endMs = LOG_START_MS + LOG_DAYS * DAY_MS;
  const startMs = endMs - windowCount * HOUR_MS;
  const log = await readFlightLog({ fromMs: startMs, toMs: endMs, measures: ['distance', 'delay'] });
  const { distance, delay } = log.measures ?? {};
  const partitionOf = log.airports.map((airport) =>
    partitionOfSlot(calculateSlot(`{${airport}}`), partitionCount),
  );
  const values = new Float64Array(windowCount * partitionCount * LOAD_DIMENSION_COUNT);
  log.minuteOf.forEach((minute, departure) => {
    const window = Math.floor(minute / 60);
    const partition = partitionOf[log.originOf[departure] as number] as number;
    const base = (window * partitionCount + partition) * LOAD_DIMENSION_COUNT;
    values[base + dimensionIndex('queries')]! += 1;
    values[base + dimensionIndex('readBytes')]! += distance?.[departure] as number;
    values[base + dimensionIndex('writeBytes')]! += Math.max(0, delay?.[departure] as number);
  });
  const coverage = new Float64Array(windowCount).fill(1);
  return { startMs, windowMs: HOUR_MS, windowCount, partitionCount, values, coverage };
}

/** A day, and noise of each dimension's own. */
function madeUp(windowCount: number, partitionCount: number): LoadProfile {
  const random = seededRandom(11n);
  const values = new Float64Array(windowCount * partitionCount * LOAD_DIMENSION_COUNT);
  for (let cell = 0; cell < windowCount * partitionCount; cell++) {
    const day = 1 + 0.6 * Math.sin((2 * Math.PI * Math.floor(cell / partitionCount)) / 24);
    const queries = Math.round(100 * (1 + (cell % partitionCount)) * day * (0.9 + 0.2 * random.nextFloat()));
    LOAD_DIMENSIONS.forEach((_, d) => {
      values[cell * LOAD_DIMENSION_COUNT + d] =
        d === 0 ? queries : queries * 10 ** d * (0.9 + 0.2 * random.nextFloat());
    });
  }
  const coverage = new Float64Array(windowCount).fill(1);
  return { startMs: 0, windowMs: HOUR_MS, windowCount, partitionCount, values, coverage };
}

function windowsOf(profile: LoadProfile, windowCount: number): LoadProfile {
  const { partitionCount, values, coverage } = profile;
  return {
    ...profile,
    windowCount,
    values: values.subarray(0, windowCount * partitionCount * LOAD_DIMENSION_COUNT),
    coverage: coverage.subarray(0, windowCount),
  };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = processorMs();
  await work();
  return processorMs() - startedMs;
}

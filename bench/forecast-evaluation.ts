import { Forecaster } from '../src/analyzer/forecaster.ts';
import type { ForecastSettings } from '../src/analyzer/settings.ts';
import { silentLogger } from '../src/base/logger.ts';
import { seededRandom } from '../src/base/random.ts';
import { loadKernels } from '../src/kernels/instance.ts';
import { inlineRunner } from '../src/kernels/pool.ts';
import { LOAD_DIMENSION_COUNT, type LoadProfile } from '../src/model/load-profile.ts';
import type { SeriesSet } from './forecast-sets.ts';

/** Steps first..end-1 of the horizon, judged apart. */
export interface StepRange {
  readonly first: number;
  readonly end: number;
}

export interface Score {
  readonly method: string;
  readonly range: StepRange;
  /** Mean over series of mean |error| / mean |y(t) - y(t - season)| of the history. */
  readonly mase: number;
  readonly logMse: number;
  /** Mean of 200 |error| / (|y| + |forecast|), percent. */
  readonly smape: number;
  /** Share of values inside the bounds, and mean scaled interval score; NaN for single members. */
  readonly coverage: number;
  readonly msis: number;
}

export interface Evaluation {
  readonly scores: readonly Score[];
  /** Processor milliseconds: taking in the first history, and one more window with its forecast (median). */
  readonly fitMs: number;
  readonly cycleMs: number;
  /** Every point forecast in order, for a hash of the result. */
  readonly points: readonly Float64Array[];
}

export interface EvaluationOptions {
  readonly settings: ForecastSettings;
  /** Windows of history before the first origin. */
  readonly historyWindows: number;
  readonly originCount: number;
  /** Windows from one origin to the next. */
  readonly originStep: number;
  /** Season of the MASE denominator, windows. */
  readonly season: number;
  readonly ranges: readonly StepRange[];
}

/** Rolling origins up to the end of the set: the last one's last step is the last window. */
export async function evaluate(set: SeriesSet, options: EvaluationOptions): Promise<Evaluation> {
  const { settings, historyWindows, originCount, originStep } = options;
  const horizon = settings.horizonSteps;
  const firstOrigin = set.windowCount - horizon - (originCount - 1) * originStep;
  if (firstOrigin < historyWindows) throw new Error(`${set.name}: ${set.windowCount} windows are too few`);
  const kernels = loadKernels();
  const forecaster = new Forecaster(settings, {
    runner: inlineRunner(kernels),
    random: seededRandom(1n),
    logger: silentLogger,
  });
  const sums = new Map<string, Sums>();
  const points: Float64Array[] = [];
  const cycles: number[] = [];
  const startedMs = processorMs();
  await forecaster.observe(profileOf(set, firstOrigin - historyWindows, firstOrigin));
  const fitMs = processorMs() - startedMs;
  for (let origin = firstOrigin, index = 0; index < originCount; index++, origin += originStep) {
    if (index > 0) await forecaster.observe(profileOf(set, origin - originStep, origin - 1));
    const cycleStartedMs = processorMs();
    if (index > 0) await forecaster.observe(profileOf(set, origin - 1, origin));
    const forecast = await forecaster.forecast();
    if (index > 0 || originCount === 1) cycles.push(processorMs() - cycleStartedMs);
    const driver = (values: Float64Array): Float64Array =>
      Float64Array.from(
        { length: horizon * set.seriesCount },
        (_, i) => values[i * LOAD_DIMENSION_COUNT] as number,
      );
    const combined = driver(forecast.point);
    points.push(combined);
    const bounds = { lower: driver(forecast.lower), upper: driver(forecast.upper), level: forecast.level };
    const judge = (method: string, point: Float64Array, withBounds?: typeof bounds): void => {
      for (const range of options.ranges) {
        const key = `${method} ${range.first}`;
        const sum = sums.get(key) ?? newSums(method, range);
        sums.set(key, sum);
        addErrors(sum, { set, origin, options, point, ...(withBounds ? { bounds: withBounds } : {}) });
      }
    };
    judge('combined', combined, bounds);
    for (const member of await forecaster.explain()) judge(member.name, member.point);
  }
  forecaster.close();
  cycles.sort((a, b) => a - b);
  return {
    scores: [...sums.values()].map(scoreOf),
    fitMs,
    cycleMs: cycles[cycles.length >> 1] as number,
    points,
  };
}

interface Sums {
  readonly method: string;
  readonly range: StepRange;
  scaled: number;
  scaledCount: number;
  logSquares: number;
  symmetric: number;
  count: number;
  inside: number;
  interval: number;
  boundedCount: number;
}

const newSums = (method: string, range: StepRange): Sums => ({
  method,
  range,
  scaled: 0,
  scaledCount: 0,
  logSquares: 0,
  symmetric: 0,
  count: 0,
  inside: 0,
  interval: 0,
  boundedCount: 0,
});

function addErrors(
  sum: Sums,
  input: {
    set: SeriesSet;
    origin: number;
    options: EvaluationOptions;
    point: Float64Array;
    bounds?: { lower: Float64Array; upper: Float64Array; level: number };
  },
): void {
  const { set, origin, options, point, bounds } = input;
  const { first, end } = sum.range;
  const tail = bounds === undefined ? 0 : 2 / (1 - bounds.level);
  for (let s = 0; s < set.seriesCount; s++) {
    const row = set.values.subarray(s * set.windowCount, (s + 1) * set.windowCount);
    const scale = seasonalDifference(row, origin - options.historyWindows, origin, options.season);
    // A series that never changes has no scale; nothing can be said about it.
    if (scale === 0) continue;
    for (let step = first; step < end; step++) {
      const actual = row[origin + step] as number;
      const at = step * set.seriesCount + s;
      const forecast = point[at] as number;
      const error = Math.abs(actual - forecast);
      sum.scaled += error / scale;
      sum.logSquares += (Math.log1p(actual) - Math.log1p(forecast)) ** 2;
      sum.symmetric += error === 0 ? 0 : (200 * error) / (Math.abs(actual) + Math.abs(forecast));
      sum.count++;
      if (bounds === undefined) continue;
      const [low, high] = [bounds.lower[at] as number, bounds.upper[at] as number];
      // Rounding must not push a value out of bounds it equals.
      if (actual >= low - 1e-9 && actual <= high + 1e-9) sum.inside++;
      const outside = Math.max(0, low - actual) + Math.max(0, actual - high);
      sum.interval += (high - low + tail * outside) / scale;
      sum.boundedCount++;
    }
  }
}

function seasonalDifference(row: Float64Array, first: number, end: number, season: number): number {
  let sum = 0;
  for (let t = first + season; t < end; t++)
    sum += Math.abs((row[t] as number) - (row[t - season] as number));
  return sum / (end - first - season);
}

const scoreOf = (sum: Sums): Score => ({
  method: sum.method,
  range: sum.range,
  mase: sum.scaled / sum.count,
  logMse: sum.logSquares / sum.count,
  smape: sum.symmetric / sum.count,
  coverage: sum.inside / sum.boundedCount,
  msis: sum.interval / sum.boundedCount,
});

export function profileOf(set: SeriesSet, first: number, end: number): LoadProfile {
  const { seriesCount, windowMs } = set;
  const windowCount = end - first;
  const values = new Float64Array(windowCount * seriesCount * LOAD_DIMENSION_COUNT);
  for (let s = 0; s < seriesCount; s++)
    for (let w = 0; w < windowCount; w++)
      values[(w * seriesCount + s) * LOAD_DIMENSION_COUNT] = set.values[
        s * set.windowCount + first + w
      ] as number;
  return {
    startMs: first * windowMs,
    windowMs,
    windowCount,
    partitionCount: seriesCount,
    values,
    coverage: new Float64Array(windowCount).fill(1),
  };
}

function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

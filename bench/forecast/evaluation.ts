import { Forecaster } from '../../src/analyzer/forecaster.ts';
import { type ForecastSettings, trackedLevels } from '../../src/analyzer/settings.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { seededRandom } from '../../src/base/random.ts';
import { loadKernels } from '../../src/kernels/instance.ts';
import { inlineRunner } from '../../src/kernels/pool.ts';
import type { Forecast } from '../../src/model/forecast.ts';
import { LOAD_DIMENSION_COUNT, type LoadProfile } from '../../src/model/load-profile.ts';
import { processorMs } from './processor-time.ts';
import { type Bounds, type Score, ScoreBoard, type StepRange, seasonalDifference } from './scores.ts';
import type { SeriesSet } from './sets.ts';

export interface Evaluation {
  readonly scores: readonly Score[];
  /** Processor milliseconds: taking in the first history, and one more window with its forecast (median). */
  readonly fitMs: number;
  readonly cycleMs: number;
  /** Every point forecast in order, f64[step][series] each. */
  readonly points: readonly Float64Array[];
}

export interface EvaluationOptions {
  readonly settings: ForecastSettings;
  /** Windows of history before the first origin. */
  readonly historyWindows: number;
  /** First window to forecast of each forecast, rising. */
  readonly origins: readonly number[];
  /** Season of the MASE denominator, windows. */
  readonly season: number;
  readonly ranges: readonly StepRange[];
  /** Windows before an origin that the unit of scaled errors is taken from; `historyWindows` by default. */
  readonly scaleWindows?: number;
  /** Whether every member alone is scored too; so by default. */
  readonly areMembersJudged?: boolean;
  /** Whether errors are independent between series and not between origins: of series that have nothing to do with each other. */
  readonly areSeriesClusters?: boolean;
  /** Series that count; all by default. */
  readonly judgedSeries?: readonly number[];
}

/** The last origins of a set, evenly spaced: the last one's last step is the last window. */
export function lastOrigins(
  set: SeriesSet,
  { horizon, count, step }: { readonly horizon: number; readonly count: number; readonly step: number },
): number[] {
  const last = set.windowCount - horizon;
  return Array.from({ length: count }, (_, index) => last - (count - 1 - index) * step);
}

/** Rolling origins: the forecaster takes the windows in one after the other, and never sees one that it has yet to forecast. */
export async function evaluate(set: SeriesSet, options: EvaluationOptions): Promise<Evaluation> {
  const { settings, historyWindows, origins } = options;
  const first = origins[0] as number;
  if (first < historyWindows) throw new Error(`${set.name}: ${set.windowCount} windows are too few`);
  const forecaster = new Forecaster(settings, {
    runner: inlineRunner(loadKernels()),
    random: seededRandom(1n),
    logger: silentLogger,
  });
  const board = new ScoreBoard(options.ranges);
  const points: Float64Array[] = [];
  const cycles: number[] = [];
  const startedMs = processorMs();
  await forecaster.observe(profileOf(set, first - historyWindows, first));
  const fitMs = processorMs() - startedMs;
  let known = first;
  for (const origin of origins) {
    if (origin - known > 1) await forecaster.observe(profileOf(set, known, origin - 1));
    const cycleStartedMs = processorMs();
    if (origin > known) await forecaster.observe(profileOf(set, origin - 1, origin));
    const forecast = await forecaster.forecast({ levels: trackedLevels(settings) });
    if (origin > known || origins.length === 1) cycles.push(processorMs() - cycleStartedMs);
    known = origin;
    points.push(driverOf(forecast.point, forecast));
    const judge = judgeAt(set, origin, options);
    judge(board, 'combined', points.at(-1) as Float64Array, boundsOf(forecast));
    if (options.areMembersJudged === false) continue;
    for (const member of await forecaster.explain()) judge(board, member.name, member.point, []);
  }
  forecaster.close();
  cycles.sort((a, b) => a - b);
  return {
    scores: board.scores(),
    fitMs,
    cycleMs: cycles[cycles.length >> 1] as number,
    points,
  };
}

interface DriverBounds {
  readonly level: number;
  /** f64[step][series]. */
  readonly lower: Float64Array;
  readonly upper: Float64Array;
}

/** The bounds of every level a forecast has. */
export function boundsOf(forecast: Forecast): DriverBounds[] {
  return (forecast.intervals ?? []).map(({ level, lower, upper }) => ({
    level,
    lower: driverOf(lower, forecast),
    upper: driverOf(upper, forecast),
  }));
}

/** The first dimension of f64[step][partition][dimension]: these sets have but one. */
export const driverOf = (values: Float64Array, { horizonSteps, partitionCount }: Forecast): Float64Array =>
  Float64Array.from(
    { length: horizonSteps * partitionCount },
    (_, i) => values[i * LOAD_DIMENSION_COUNT] as number,
  );

/** Judges forecasts f64[step][series] made at one origin. */
export function judgeAt(set: SeriesSet, origin: number, options: EvaluationOptions) {
  const { settings, historyWindows, scaleWindows = historyWindows, season, judgedSeries } = options;
  const { seriesCount, windowCount } = set;
  const ofSeries = (values: Float64Array, series: number): Float64Array =>
    Float64Array.from(
      { length: settings.horizonSteps },
      (_, step) => values[step * seriesCount + series] as number,
    );
  return (board: ScoreBoard, method: string, point: Float64Array, bounds: readonly DriverBounds[]): void => {
    for (const series of judgedSeries ?? Array.from({ length: seriesCount }, (_, s) => s)) {
      const row = set.values.subarray(series * windowCount, (series + 1) * windowCount);
      board.add({
        method,
        actual: row.subarray(origin, origin + settings.horizonSteps),
        point: ofSeries(point, series),
        bounds: bounds.map(
          ({ level, lower, upper }): Bounds => ({
            level,
            lower: ofSeries(lower, series),
            upper: ofSeries(upper, series),
          }),
        ),
        scale: seasonalDifference(row.subarray(Math.max(0, origin - scaleWindows), origin), season),
        origin: options.areSeriesClusters ? series : origin,
      });
    }
  };
}

/** Windows first..end-1 of a set as the load profile of so many partitions. */
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

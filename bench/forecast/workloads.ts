import { FORECAST_DEFAULTS, type ForecastSettings } from '../../src/analyzer/settings.ts';
import { evaluate, lastOrigins } from './evaluation.ts';
import { evaluateAlone } from './member-alone.ts';
import { accuracyRows, hashOf, type Outcome } from './rows.ts';
import { azureArrivals, cloudMonitoring, nasaHttp, type SeriesSet } from './sets.ts';

/** The seasonal naive of a week, and QueryBot 5000's two regressions (Ma et al. 2018). */
const BASELINES = ['naive-week', 'qb-linear', 'qb-kernel'];

const WEEK_MS = 7 * 86_400_000;

/** Real request rates and arrivals: the next 24 steps, the last 14 origins, 24 steps apart. */
export async function runWorkloads(outcome: Outcome, folder: string, isSmall: boolean): Promise<void> {
  const sets = isSmall
    ? cloudMonitoring(folder).filter(({ name }) => name === 'mongodb-machine-rps')
    : [...cloudMonitoring(folder), nasaHttp(folder), azureArrivals(folder)];
  for (const set of sets) await runSet(outcome, set, isSmall ? 1 : 14);
}

async function runSet({ results }: Outcome, set: SeriesSet, count: number): Promise<void> {
  const weekWindows = Math.round(WEEK_MS / set.windowMs);
  const settings: ForecastSettings = {
    ...FORECAST_DEFAULTS,
    horizonSteps: 24,
    historyWindows: Math.max(FORECAST_DEFAULTS.historyWindows, 5 * weekWindows),
  };
  const origins = lastOrigins(set, { horizon: settings.horizonSteps, count, step: 24 });
  const historyWindows = origins[0] as number;
  const options = {
    settings,
    historyWindows,
    origins,
    season: weekWindows / 7,
    ranges: [{ first: 0, end: 24 }],
  };
  const evaluation = await evaluate(set, options);
  const scores = [...evaluation.scores];
  // Members that the forecast itself may do without.
  for (const name of BASELINES)
    if (!scores.some(({ method }) => method === name))
      scores.push(...(await evaluateAlone(set, name, options)));
  const context = {
    set: set.name,
    settings: { series: set.seriesCount, windowMs: set.windowMs, historyWindows, origins: count },
    hash: hashOf(evaluation.points),
  };
  results.push(...accuracyRows(context, scores, 'naive-week'));
}

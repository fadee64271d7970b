import { FORECAST_DEFAULTS, type ForecastSettings } from '../../src/analyzer/settings.ts';
import { evaluate, lastOrigins } from './evaluation.ts';
import { withOtherMembers } from './member-alone.ts';
import { accuracyRows, hashOf, type Outcome } from './rows.ts';
import type { Score } from './scores.ts';
import type { SeriesSet } from './sets.ts';

const WEEK_MS = 7 * 86_400_000;

/** Origins at the end of a set that choices may not look at, and windows from one to the next. */
export interface TestPart {
  readonly origins: number;
  readonly step: number;
}
export const TEST_PART: TestPart = { origins: 14, step: 24 };

/** The next 24 steps, from the last `count` origins of a set, 24 steps apart. Every member alone is judged as well. */
export async function runWorkload({ results }: Outcome, set: SeriesSet, count: number): Promise<void> {
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
  const scores = await withOtherMembers(set, evaluation.scores, options);
  const context = {
    set: set.name,
    settings: { series: set.seriesCount, windowMs: set.windowMs, historyWindows, origins: count },
    hash: hashOf(evaluation.points),
  };
  results.push(...accuracyRows(context, scores, baselineOf(scores)));
}

/** The week before, where the first history holds one; else the mean of its days. */
const baselineOf = (scores: readonly Score[]): string =>
  scores.some(({ method }) => method === 'naive-week') ? 'naive-week' : 'day';

import { FORECAST_DEFAULTS } from '../../src/analyzer/settings.ts';
import { evaluate, lastOrigins } from './evaluation.ts';
import { coverageRows, hashOf, type Outcome } from './rows.ts';
import { flightsByPartition, type SeriesSet, withoutLast } from './sets.ts';
import type { TestPart } from './workloads.ts';

const DAY_MS = 86_400_000;
const DAY_HOURS = 24;
/** Steps that are judged, and windows from origin to origin: no window is judged twice, so that origins are nearly independent. */
const HORIZON = 24;
/** Less history leaves most members silent. */
const HISTORY_DAYS_MIN = 4;

/**
 * How often bounds hold in the windows before those of the test part, from as many origins as there are: beside the few of the test
 * part it tells what is always off from what is luck. Choices were made on these windows, so it proves nothing by itself.
 */
export async function runBeforeTest(outcome: Outcome, set: SeriesSet, test: TestPart): Promise<void> {
  const training = withoutLast(set, test.origins * test.step);
  const dayWindows = Math.round(DAY_MS / set.windowMs);
  const room = training.windowCount - HORIZON - HISTORY_DAYS_MIN * dayWindows;
  const count = Math.floor(room / HORIZON) + 1;
  await judge(outcome, training, { count, step: HORIZON, historyWindows: 5 * 7 * dayWindows });
}

/** Of the flights' last weeks, on which no choice was made, from origins every thirteen hours: five times as many as the bars. */
export async function runFlightsEveryThirteenHours(outcome: Outcome): Promise<void> {
  const dayCount = 60;
  const firstDay = 121;
  const flights = await flightsByPartition({ firstDay, dayCount, partitionCount: 256 });
  // Whoever has not got it has been told.
  if (flights === undefined) return;
  const historyWindows = 28 * DAY_HOURS;
  const step = 13;
  const count = Math.floor((flights.windowCount - historyWindows - HORIZON) / step) + 1;
  await judge(outcome, { ...flights, name: 'flights-every-13-hours' }, { count, step, historyWindows });
}

async function judge(
  { results }: Outcome,
  set: SeriesSet,
  {
    count,
    step,
    historyWindows,
  }: { readonly count: number; readonly step: number; readonly historyWindows: number },
): Promise<void> {
  const origins = lastOrigins(set, { horizon: HORIZON, count, step });
  const evaluation = await evaluate(set, {
    settings: {
      ...FORECAST_DEFAULTS,
      horizonSteps: HORIZON,
      historyWindows: Math.max(FORECAST_DEFAULTS.historyWindows, historyWindows),
    },
    historyWindows: origins[0] as number,
    origins,
    season: Math.round(DAY_MS / set.windowMs),
    ranges: [{ first: 0, end: HORIZON }],
  });
  const context = {
    set: set.name,
    settings: { series: set.seriesCount, steps: `1..${HORIZON}`, origins: count },
    hash: hashOf(evaluation.points),
  };
  for (const score of evaluation.scores)
    if (score.method === 'combined')
      // Under a name of its own: it is shown, and held to no bar.
      results.push(...coverageRows(context, { ...score, method: 'bounds' }));
}

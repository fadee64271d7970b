import { FORECAST_DEFAULTS, type ForecastSettings } from '../../src/analyzer/settings.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { Hits } from './calibration.ts';
import { type Evaluation, evaluate, lastOrigins } from './evaluation.ts';
import { coverageOf } from './every-origin.ts';
import { accuracyRows, type Context, figure, hashOf, type Outcome } from './rows.ts';
import type { Score } from './scores.ts';
import { flightsByPartition, type SeriesSet } from './sets.ts';

const DAY_HOURS = 24;
const WEEK_HOURS = 168;
const LAST_DAY = 181;

/** The last days of the flights log by partition; small: few partitions and one origin after 17 days. */
export async function runFlights({ results, skipped }: Outcome, isSmall: boolean): Promise<void> {
  const count = isSmall ? 1 : 10;
  const settings: ForecastSettings = isSmall ? { ...FORECAST_DEFAULTS, horizonSteps: 24 } : FORECAST_DEFAULTS;
  const historyWindows = (isSmall ? 17 : 28) * DAY_HOURS;
  // Prime to a day, so that origins fall on all hours.
  const step = 65;
  const dayCount = Math.ceil((historyWindows + (count - 1) * step + settings.horizonSteps) / DAY_HOURS);
  const set = await flightsByPartition({
    firstDay: LAST_DAY - dayCount,
    dayCount,
    partitionCount: isSmall ? 16 : 256,
  });
  if (set === undefined) {
    skipped.push(notInstalled);
    return;
  }
  const evaluation = await evaluate(set, {
    settings,
    historyWindows,
    origins: lastOrigins(set, { horizon: settings.horizonSteps, count, step }),
    season: WEEK_HOURS,
    ranges: isSmall
      ? [{ first: 0, end: 24 }]
      : [
          { first: 0, end: 24 },
          { first: 24, end: WEEK_HOURS },
        ],
  });
  const context = {
    set: set.name,
    settings: { partitions: set.seriesCount, historyWindows, origins: count },
    hash: hashOf(evaluation.points),
  };
  results.push(
    ...accuracyRows(context, evaluation.scores, 'naive-week'),
    figure(context, {
      method: 'cycle',
      metric: 'processor time of one window more and a new forecast',
      value: evaluation.cycleMs,
      unit: 'ms',
      baseline: 'taking-in-the-history-once',
      baselineValue: evaluation.fitMs,
    }),
  );
}

/**
 * The week after a level shift: every second partition doubles or halves from one hour to the next, and stays there.
 * Forecasts made in the week after are judged, the first one an hour after; those of the first day, which no method can know
 * all of, apart as well. Only shifted partitions count. Errors are of the last such week of the log, bounds of six, each the end
 * of a log of its own: weeks differ more than the forecasts of one.
 */
export async function runLevelShift({ results, skipped }: Outcome): Promise<void> {
  const hits = new Map<number, Hits[]>();
  const hashed: Float64Array[] = [];
  const judge = async (date: number, when: keyof typeof HOURS_AFTER): Promise<Context | undefined> => {
    const after = await afterShift(date, when);
    if (after === undefined) return undefined;
    const { shifted, evaluation } = after;
    const context = {
      set: `flights-level-shift-${when}`,
      settings: {
        partitions: shifted.length,
        historyWindows: SHIFT_HISTORY,
        origins: HOURS_AFTER[when].length,
      },
      hash: hashOf(evaluation.points),
    };
    if (date === 0) results.push(...accuracyRows(context, evaluation.scores, 'naive-week'));
    if (when === 'first-day') return context;
    hashed.push(...evaluation.points);
    const { hits: own } = evaluation.scores.find(({ method }) => method === 'combined') as Score;
    for (const [level, of] of own) hits.set(level, [...(hits.get(level) ?? []), ...of]);
    return context;
  };
  let context: Context | undefined;
  for (let date = SHIFT_DATES - 1; date >= 0; date--) context = await judge(date, 'week-after');
  if (context === undefined || (await judge(0, 'first-day')) === undefined) {
    skipped.push(notInstalled);
    return;
  }
  const perShift = HOURS_AFTER['week-after'].length;
  const first = (SHIFT_DATES - 1) * perShift;
  const parts = [
    { method: 'every-origin', first: 0 },
    { method: 'last-origins', first },
  ];
  const ofAll = { ...context, settings: { shifts: SHIFT_DATES }, hash: hashOf(hashed) };
  // What one shift does, it does to all forecasts of its week.
  for (const [level, all] of hits)
    results.push(...coverageOf(ofAll, { level, hits: all, lag: perShift, parts }));
}

/** Days between one shift and the next: its week is over by then. */
const SHIFT_EVERY_DAYS = 18;
const SHIFT_DATES = 6;
const SHIFT_HISTORY = 8 * WEEK_HOURS;
const HOURS_AFTER = {
  // Prime to a day, so that forecasts are made at all hours of it.
  'week-after': Array.from({ length: 13 }, (_, index) => 1 + 13 * index),
  'first-day': [1, 7, 13, 19],
} as const;

/** @param date 0 of the last shift, 1 of the one before. */
async function afterShift(
  date: number,
  when: keyof typeof HOURS_AFTER,
): Promise<{ readonly shifted: readonly number[]; readonly evaluation: Evaluation } | undefined> {
  const shiftedAt = SHIFT_HISTORY + WEEK_HOURS;
  const dayCount = (shiftedAt + 9 * DAY_HOURS) / DAY_HOURS;
  const firstDay = LAST_DAY - dayCount - date * SHIFT_EVERY_DAYS;
  const flights = await flightsByPartition({ firstDay, dayCount, partitionCount: 256 });
  if (flights === undefined) return undefined;
  const { set, shifted } = withShift(flights, shiftedAt);
  const evaluation = await evaluate(set, {
    settings: { ...FORECAST_DEFAULTS, horizonSteps: DAY_HOURS },
    historyWindows: SHIFT_HISTORY,
    origins: HOURS_AFTER[when].map((hour) => shiftedAt + hour),
    season: WEEK_HOURS,
    ranges: [{ first: 0, end: DAY_HOURS }],
    judgedSeries: shifted,
    areMembersJudged: date === 0,
  });
  return { shifted, evaluation };
}

/** Doubled counts, or each event kept with probability one half. Partitions that are asked for less than once an hour keep their load. */
function withShift(flights: SeriesSet, shiftedAt: number): { set: SeriesSet; shifted: number[] } {
  const random = seededRandom(3n);
  const values = flights.values.slice();
  const shifted: number[] = [];
  for (let p = 0; p < flights.seriesCount; p += 2) {
    const row = values.subarray(p * flights.windowCount, (p + 1) * flights.windowCount);
    const mean = row.reduce((sum, value) => sum + value, 0) / row.length;
    if (mean < 1) continue;
    const isDoubled = shifted.length % 2 === 0;
    shifted.push(p);
    for (let t = shiftedAt; t < row.length; t++) {
      const count = row[t] as number;
      let kept = 2 * count;
      if (!isDoubled) {
        kept = 0;
        for (let i = 0; i < count; i++) if (random.nextFloat() < 0.5) kept++;
      }
      row[t] = kept;
    }
  }
  return { set: { ...flights, values }, shifted };
}

const notInstalled = { name: 'forecast/flights', why: 'the flights log of vega-datasets is not installed' };

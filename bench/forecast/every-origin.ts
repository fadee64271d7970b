import { FORECAST_DEFAULTS } from '../../src/analyzer/settings.ts';
import { dependentError, dependentLag, firstScoredOrigin, type Hits, shareInside } from './calibration.ts';
import { evaluate, lastOrigins } from './evaluation.ts';
import { type Context, figure, hashOf, type Outcome } from './rows.ts';
import type { StepRange } from './scores.ts';
import { flightsByPartition, type SeriesSet } from './sets.ts';

const DAY_MS = 86_400_000;
const DAY_HOURS = 24;
const LEVELS = [0.8, 0.95];
/** Of counts, so many that they make a distribution: each level has a record of its own, and changes nothing of the others. */
const DISTRIBUTION_LEVELS = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98];
/** Windows from origin to origin: no window is judged twice by forecasts of a day of hours. */
const STEP = 24;
/** So many of the last origins are shown apart: those that accuracy is judged on. */
const LAST = 14;

/** Parts of a set's origins that are shown apart from all of them; `first` counts origins. */
export interface OriginPart {
  readonly method: string;
  readonly first: number;
}

/**
 * How often bounds hold, from every origin that can honestly be scored (`firstScoredOrigin`) to the end of the set; what the bars of
 * coverage are held to, docs/decisions/0017. The last fourteen are shown as well.
 */
export async function runEveryOrigin(
  outcome: Outcome,
  set: SeriesSet,
  {
    horizon = STEP,
    ranges = [{ first: 0, end: STEP }],
    newFrom,
  }: {
    readonly horizon?: number;
    readonly ranges?: readonly StepRange[];
    /** The first window that no choice has seen, to be shown apart. */
    readonly newFrom?: number;
  } = {},
): Promise<void> {
  const dayWindows = Math.round(DAY_MS / set.windowMs);
  const areCounts = set.values.every(Number.isInteger);
  const warmUp = firstScoredOrigin(set, horizon);
  const count = Math.floor((set.windowCount - horizon - warmUp) / STEP) + 1;
  const origins = lastOrigins(set, { horizon, count, step: STEP });
  const evaluation = await evaluate(set, {
    settings: {
      ...FORECAST_DEFAULTS,
      levels: areCounts ? DISTRIBUTION_LEVELS : LEVELS,
      horizonSteps: horizon,
      historyWindows: Math.max(FORECAST_DEFAULTS.historyWindows, 5 * 7 * dayWindows),
    },
    historyWindows: origins[0] as number,
    // Of all that is known: a partition that is silent for a while is judged all the same.
    scaleWindows: Number.POSITIVE_INFINITY,
    origins,
    season: dayWindows,
    ranges,
    areMembersJudged: false,
  });
  const parts: OriginPart[] = [
    { method: 'every-origin', first: 0 },
    { method: 'last-origins', first: Math.max(0, count - LAST) },
  ];
  if (newFrom !== undefined)
    parts.push({ method: 'origins-no-choice-saw', first: origins.findIndex((origin) => origin >= newFrom) });
  for (const score of evaluation.scores) {
    const { range } = score;
    const context = {
      set: set.name,
      settings: { series: set.seriesCount, steps: `${range.first + 1}..${range.end}`, warmUpWindows: warmUp },
      hash: hashOf(evaluation.points),
    };
    const lag = dependentLag({ origins: count, step: STEP, steps: range.end, dayWindows });
    for (const level of LEVELS) {
      const hits = score.hits.get(level) as readonly Hits[];
      outcome.results.push(...coverageOf(context, { level, hits, lag, parts }));
      if (areCounts)
        outcome.results.push(
          figure(context, {
            method: 'every-origin-randomised',
            metric: `share inside the ${Math.round(level * 100)} % bounds`,
            value: score.randomised.get(level) as number,
            baseline: 'nominal-level',
            baselineValue: level,
            settings: { origins: count },
          }),
        );
    }
  }
}

/** Rows of the share inside: of all origins and of parts of them, each with the standard error that so many origins have. */
export function coverageOf(
  context: Context,
  {
    level,
    hits,
    lag,
    parts,
  }: {
    readonly level: number;
    readonly hits: readonly Hits[];
    readonly lag: number;
    readonly parts: readonly OriginPart[];
  },
) {
  // Days differ by as much in every part; what few origins say of it is less than what all say.
  const error = dependentError(hits, lag);
  return parts.map(({ method, first }) => {
    const part = hits.slice(first);
    const standardError = Number((error * Math.sqrt(hits.length / part.length)).toPrecision(2));
    return figure(context, {
      method,
      metric: `share inside the ${Math.round(level * 100)} % bounds`,
      value: shareInside(part),
      baseline: 'nominal-level',
      baselineValue: level,
      settings: { origins: part.length, ...(Number.isNaN(standardError) ? {} : { standardError }) },
    });
  });
}

/** Choices were made on the flights log before this day. */
const FIRST_DAY_NO_CHOICE_SAW = 125;
const FLIGHT_DAYS = 181;

/** The whole flights log; those of its days that no choice saw apart. */
export async function runFlightsEveryOrigin(outcome: Outcome): Promise<void> {
  const flights = await flightsByPartition({ firstDay: 0, dayCount: FLIGHT_DAYS, partitionCount: 256 });
  // Whoever has not got it has been told.
  if (flights === undefined) return;
  const horizon = 7 * DAY_HOURS;
  await runEveryOrigin(outcome, flights, {
    horizon,
    ranges: [
      { first: 0, end: DAY_HOURS },
      { first: DAY_HOURS, end: horizon },
    ],
    newFrom: FIRST_DAY_NO_CHOICE_SAW * DAY_HOURS,
  });
}

import type { EtsPlan } from '../../kernels/ets-workspace.ts';
import type { HistoryShape } from '../history.ts';

/** Weeks of history that are read: older ones tell little about a load of next week. */
const WEEKS_MAX = 4;

/** Passes of the search at a month of hours; fewer where a pass costs more. 16 find a loss lower by 3 %, and nothing else. */
const ROUNDS = 10;
const ROUNDS_MIN = 3;
const ROUNDS_WINDOWS = 672;

/** A second season beyond so many windows (a week of half hours is 336, of quarter hours 672) would cost more than it tells. */
const SECOND_SEASON_MAX = 1024;

/** Where the leads lie between one step ahead and the furthest: dense at the beginning, and at all times of the day. */
const LEAD_SHARES = [0, 1 / 8, 3 / 8, 5 / 8, 7 / 8, 1] as const;

/** Seasons of windows that a plan may have: of a history of quarter hours 96 and 672. */
export type Seasons = Pick<HistoryShape, 'dayWindows' | 'weekWindows'>;

/**
 * How to smooth a history of `length` windows.
 *
 * A season is taken in once two cycles of it have been seen. Parameters are judged by forecasts up to two days ahead, from
 * origins a little more than a quarter of a day apart, which therefore fall on all times of the day.
 */
export function etsPlan(
  { dayWindows, weekWindows }: Seasons,
  options: { readonly length: number; readonly horizon: number; readonly hasSeasons: boolean },
): EtsPlan {
  const { length, horizon, hasSeasons } = options;
  const hasLongWeek = weekWindows > SECOND_SEASON_MAX;
  const wanted = hasLongWeek ? Math.max(ROUNDS_WINDOWS, WEEKS_MAX * dayWindows) : WEEKS_MAX * weekWindows;
  const windows = Math.min(length, wanted);
  const usable = [dayWindows, ...(hasLongWeek ? [] : [weekWindows])].filter(
    (season) => hasSeasons && season > 1 && 2 * season <= windows,
  );
  const [season = 0, secondSeason = 0] = usable;
  const startWindows = windows >> 1;
  const reach = Math.max(1, Math.min(2 * dayWindows, horizon, windows >> 2));
  const leads = LEAD_SHARES.map((share) => Math.max(1, Math.round(share * reach)));
  return {
    windows,
    startWindows,
    // A cycle of the longest season is enough for its states to settle.
    backcastWindows: Math.min(startWindows, Math.max(secondSeason, 7 * dayWindows)),
    levelWindows: Math.min(startWindows, dayWindows),
    season,
    secondSeason,
    leads: [...new Set(leads)],
    spacing: originSpacing(dayWindows),
    rounds: Math.min(ROUNDS, Math.max(ROUNDS_MIN, Math.round((ROUNDS * ROUNDS_WINDOWS) / windows))),
  };
}

/** The first number above a quarter of a day that shares no divisor with it. */
function originSpacing(dayWindows: number): number {
  const greatestDivisor = (a: number, b: number): number => (b === 0 ? a : greatestDivisor(b, a % b));
  let spacing = (dayWindows >> 2) + 1;
  while (greatestDivisor(spacing, dayWindows) > 1) spacing++;
  return spacing;
}

/** Where a model fails, the week is repeated, else the day, else the last window. */
export const naiveSeasonOf = ({ dayWindows, weekWindows }: Seasons, length: number): number =>
  [weekWindows, dayWindows].find((season) => season <= length) ?? 1;

import { findOutages } from './find-outages.ts';
import { findSeasons, findSharedSeasons, type Season } from './find-seasons.ts';
import { findShifts, type Shift } from './find-shifts.ts';

/** A stretch of windows that was not measured. */
export interface Outage {
  readonly window: number;
  readonly windowCount: number;
}

/** What is regular and what is not in one series, as plain data. */
export interface Seasonality {
  readonly seasons: readonly Season[];
  readonly shifts: readonly Shift[];
  readonly outages: readonly Outage[];
}

/**
 * Seasons, lasting changes of level and outages of one series, each found with the others looked away from.
 *
 * @param logLoads f64[window], log1p of loads >= 0; NaN where nothing is known.
 * @param options.dayWindows how long a level lasts at least, windows.
 * @param options.seasons those of the cluster, where they are known; else they are looked for in the series itself.
 */
export function seasonalityOf(
  logLoads: Float64Array,
  options: { readonly dayWindows: number; readonly seasons?: readonly Season[] },
): Seasonality {
  // An outage is silence where the season expects load, a season is found once outages are out of the way.
  const expected = [options.dayWindows, 7 * options.dayWindows];
  const first = options.seasons ?? findSeasons(logLoads, { expected });
  const mask = findOutages(logLoads, { seasons: first });
  const hasOutages = mask.includes(1);
  const seasons = options.seasons ?? (hasOutages ? findSeasons(logLoads, { mask, expected }) : first);
  const shifts = findShifts(logLoads, { seasons, mask, segmentMin: options.dayWindows });
  return { seasons, shifts, outages: outagesIn(mask) };
}

/**
 * The same for many partitions and all of them together, with the seasons decided on once.
 *
 * @param rows f64[window] log loads a partition, of one length.
 */
export function clusterSeasonality(
  rows: readonly Float64Array[],
  options: { readonly dayWindows: number },
): { readonly seasons: readonly Season[]; readonly total: Seasonality } {
  const total = seasonalityOf(totalOf(rows), options);
  const expected = [options.dayWindows, 7 * options.dayWindows];
  return { seasons: findSharedSeasons(rows, { expected }), total };
}

function totalOf(rows: readonly Float64Array[]): Float64Array {
  const total = new Float64Array(rows[0]?.length ?? 0);
  for (const row of rows)
    for (let t = 0; t < total.length; t++) total[t] = (total[t] as number) + Math.expm1(row[t] as number);
  return total.map(Math.log1p);
}

function outagesIn(mask: Uint8Array): Outage[] {
  const outages: Outage[] = [];
  for (let first = mask.indexOf(1); first >= 0; ) {
    const next = mask.indexOf(0, first);
    const end = next < 0 ? mask.length : next;
    outages.push({ window: first, windowCount: end - first });
    first = mask.indexOf(1, end);
  }
  return outages;
}

import { ForeshardError } from '../../base/errors.ts';
import { highestHill, highestPeak } from './evidence.ts';
import { profileOf, withoutProfile } from './fold.ts';
import { planFourier, powerOfTwoFrom } from './fourier.ts';
import { foldAll, periodOf, type Repeating, STRENGTH_MIN, standsOut } from './period-search.ts';
import { type PreparedRow, prepareRow, type WindowMask } from './prepared-row.ts';
import { lookAt } from './spectral-view.ts';

/** A cycle found in a series. */
export interface Season {
  /** Windows. */
  readonly period: number;
  /** Share of the variance about the local level that it explains beyond the shorter seasons, 0..1, corrected for chance. */
  readonly strength: number;
  /** Probability of a peak like its own anywhere in the spectrum of noise. */
  readonly pValue: number;
}

export interface SeasonOptions {
  /** True where a window is not to be believed: outages, events. */
  readonly mask?: WindowMask;
  /** Longest period looked for, windows; never more than a third of the series. */
  readonly maxPeriod?: number;
  /** Periods that loads have for reasons outside, such as a day and a week: less of a sign is enough for them. */
  readonly expected?: readonly number[];
  /** How often a season may be found in noise, per series. */
  readonly significance?: number;
}

/** One wrong season in a hundred series without any. */
const SIGNIFICANCE_DEFAULT = 0.01;
/** A cycle seen less than three times may be chance. */
const CYCLES_MIN = 3;
const SEASONS_MAX = 8;
/** Peaks looked at in all, those included that no season was found for. */
const PEAKS_MAX = 16;

/**
 * The seasons of a series, found and not configured: the strongest peak of the spectrum above its local background is
 * tied to a period at which the series resembles itself (a hill of its autocorrelation) and whose cycles tell each other;
 * that season is taken out, and the rest is looked at again. Harmonics of a season are part of it.
 *
 * @param values f64[window]; log loads rather than loads, so that a burst does not hide a cycle. NaN counts as masked.
 * @returns by period, shortest first; none for noise, random walks, single bursts.
 * @see Vlachos, Yu & Castelli, "On periodicity detection and structural periodic similarity", SDM 2005
 */
export function findSeasons(values: Float64Array, options: SeasonOptions = {}): Season[] {
  return findSharedSeasons([values], options);
}

/**
 * The seasons that several series of one length have in common, such as the partitions of a cluster: one decision on the
 * mean of their spectra, so that a cycle too weak to be seen in one is seen in all.
 */
export function findSharedSeasons(series: readonly Float64Array[], options: SeasonOptions = {}): Season[] {
  const search = searchSharedSeasons(series, options);
  for (;;) {
    const { done, value } = search.next();
    if (done) return value;
  }
}

/** The same search in steps of some milliseconds, one look at the spectra each, for those who have other things to do. */
export function* searchSharedSeasons(
  series: readonly Float64Array[],
  options: SeasonOptions = {},
): Generator<undefined, Season[]> {
  const length = series[0]?.length ?? 0;
  const { significance = SIGNIFICANCE_DEFAULT, expected = [] } = options;
  assertOptions(series, length, options);
  const rows = sampleOf(series).flatMap((values) => prepareRow(values, options.mask) ?? []);
  const maxPeriod = Math.min(options.maxPeriod ?? length, Math.floor(length / CYCLES_MIN));
  if (rows.length === 0 || maxPeriod < 2) return [];
  const plan = planFourier(powerOfTwoFrom(2 * length));
  let rest = rows;
  const pValues = new Map<number, number>();
  const barred: number[] = [];
  let looks = 0;
  while (pValues.size < SEASONS_MAX && looks++ < PEAKS_MAX) {
    yield;
    const view = lookAt(rest, plan);
    const peak = [highestPeak(view, barred, expected), highestHill(view, maxPeriod, barred)].find(
      (evidence) => evidence !== undefined && evidence.pValue <= significance,
    );
    if (peak === undefined) break;
    const period = periodOf(peak.frequency, { view, rows: rest, maxPeriod, known: [...pValues.keys()] });
    if (period === undefined || pValues.has(period)) {
      barred.push(peak.frequency);
      continue;
    }
    pValues.set(period, peak.pValue);
    rest = rest.map((row) => withoutProfile(row, profileOf(row, period)));
  }
  yield;
  return describe(rows, pValues);
}

/** More series make no decision surer, and every pair of them is compared. */
const SERIES_MAX = 64;

/** Evenly spread over all of them. */
const sampleOf = (series: readonly Float64Array[]): readonly Float64Array[] =>
  series.length <= SERIES_MAX
    ? series
    : Array.from(
        { length: SERIES_MAX },
        (_, i) => series[Math.floor((i * series.length) / SERIES_MAX)] as Float64Array,
      );

function assertOptions(series: readonly Float64Array[], length: number, options: SeasonOptions): void {
  const { mask, maxPeriod, significance } = options;
  const bad = (what: string): ForeshardError => new ForeshardError('FORESHARD_CONFIG', 'fix-config', what);
  const other = series.findIndex((values) => values.length !== length);
  if (other >= 0)
    throw bad(
      `series ${other} has ${(series[other] as Float64Array).length} windows, the first one ${length}: cut them to one length`,
    );
  if (mask !== undefined && mask.length !== length)
    throw bad(`the mask has ${mask.length} windows, the series ${length}`);
  if (maxPeriod !== undefined && !(maxPeriod >= 2))
    throw bad(`maxPeriod must be at least 2 windows, got ${maxPeriod}`);
  if (significance !== undefined && !(significance > 0 && significance < 1))
    throw bad(`significance must lie between 0 and 1, got ${significance}`);
}

/** The seasons that are no harmonics of others, with strengths one after the other, the shortest first, so that they add up. */
function describe(rows: readonly PreparedRow[], pValues: ReadonlyMap<number, number>): Season[] {
  const found = [...pValues.keys()].sort((a, b) => a - b);
  const variances = new Map(found.map((period) => [period, foldAll(rows, period).variance]));
  const repeating = (period: number): Repeating => ({ period, variance: variances.get(period) as number });
  const own = found.filter((period) => {
    const multiple = found.find((other) => other > period && other % period === 0);
    return multiple === undefined || standsOut(repeating(period), repeating(multiple));
  });
  let rest = rows;
  const seasons = own.map((period): Season => {
    const strength = foldAll(rest, period).variance;
    rest = rest.map((row) => withoutProfile(row, profileOf(row, period)));
    // What is seen of a season are often its harmonics, each of them with a probability of its own.
    const peaks = found.filter((other) => other === period || (period % other === 0 && !own.includes(other)));
    const pValue = Math.min(...peaks.map((other) => pValues.get(other) as number));
    return { period, strength: Math.min(1, strength), pValue };
  });
  return seasons.filter(({ strength }) => strength >= STRENGTH_MIN);
}

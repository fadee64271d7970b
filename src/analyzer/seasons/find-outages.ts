import { medianOf, quantileOf } from './order-statistics.ts';

export interface OutageOptions {
  readonly seasons?: readonly { readonly period: number }[];
  /** Loads per window below which silence may be chance; log1p(20) as a log load. */
  readonly expectedMin?: number;
  /** Longer silence is a new level and not an outage, windows. */
  readonly windowsMax?: number;
}

/** Of Poisson counts around 20 one in half a billion is 0. */
const EXPECTED_MIN_DEFAULT = 20;
/** A window with less than this share of what is expected is silent. */
const SILENT_SHARE = 0.02;
/** The window in which an outage begins or ends is measured in part: it goes with it if it has less than this share. */
const CUT_SHARE = 0.5;
/** What falls silent more often than this does so by nature. */
const RUNS_MAX = 5;
const RUN_SHARE_MAX = 1 / 200;
/** Where a quarter of the cycles has less than this share of the median at a phase, silence is part of the season. */
const STEADY_SHARE = 0.3;
const CYCLES_MIN = 3;

/**
 * Windows too low to be true: (almost) nothing where every cycle so far had plenty. Conservative: a load that falls to a
 * tenth, a silent night, a sparse partition, a partition emptied for good are no outages.
 *
 * @param logLoads f64[window], log1p of loads >= 0.
 * @returns u8[window]: 1 where an outage is, a mask for {@link findSeasons} and {@link findShifts}.
 */
export function findOutages(logLoads: Float64Array, options: OutageOptions = {}): Uint8Array {
  const n = logLoads.length;
  const { expectedMin = EXPECTED_MIN_DEFAULT, windowsMax = Math.floor(n / 10) } = options;
  const loads = logLoads.map((value) => Math.max(0, Math.expm1(value)));
  const { expected, isSteady } = expectedLoads(loads, options.seasons ?? []);
  const mask = loads.map((load, t) => {
    const usual = expected[t] as number;
    return usual >= expectedMin && load <= SILENT_SHARE * usual ? 1 : 0;
  });
  const runs = runsOf(mask);
  const outages = new Uint8Array(n);
  if (runs.length > Math.max(RUNS_MAX, n * RUN_SHARE_MAX)) return outages;
  const isCut = (t: number): boolean =>
    t >= 0 && t < n && (loads[t] as number) <= CUT_SHARE * (expected[t] as number);
  for (const { first, end } of runs) {
    if (end - first > windowsMax || !isSteady.subarray(first, end).every((steady) => steady === 1)) continue;
    outages.fill(1, isCut(first - 1) ? first - 1 : first, isCut(end) ? end + 1 : end);
  }
  return outages;
}

/** Stretches of 1. */
function runsOf(mask: Float64Array): { readonly first: number; readonly end: number }[] {
  const runs: { first: number; end: number }[] = [];
  for (let first = 0; first < mask.length; first++) {
    if (mask[first] === 0) continue;
    let end = first;
    while (end < mask.length && mask[end] === 1) end++;
    runs.push({ first, end });
    first = end;
  }
  return runs;
}

/** Per window the median over the cycles at its phase of the longest season seen often enough, and whether most cycles are near it. */
function expectedLoads(
  loads: Float64Array,
  seasons: readonly { readonly period: number }[],
): { readonly expected: Float64Array; readonly isSteady: Uint8Array } {
  const n = loads.length;
  const period = seasons
    .map((season) => season.period)
    .filter((length) => length * CYCLES_MIN <= n)
    .reduce((longest, length) => Math.max(longest, length), 1);
  const expected = new Float64Array(n);
  const isSteady = new Uint8Array(n);
  for (let phase = 0; phase < Math.min(period, n); phase++) {
    const cycles = Float64Array.from(
      { length: Math.ceil((n - phase) / period) },
      (_, c) => loads[phase + c * period] as number,
    );
    const median = medianOf(cycles);
    const steady = quantileOf(cycles.sort(), 0.25) >= STEADY_SHARE * median ? 1 : 0;
    for (let t = phase; t < n; t += period) {
      expected[t] = median;
      isSteady[t] = steady;
    }
  }
  return { expected, isSteady };
}

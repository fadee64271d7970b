import {
  dimensionIndex,
  LOAD_DIMENSION_COUNT,
  LOAD_DIMENSIONS,
  type LoadDimension,
  type LoadProfile,
} from '../../model/load-profile.ts';

const DAY_MS = 86_400_000;
const QUERIES = dimensionIndex('queries');
/** A quarter seen can be scaled up to the whole. */
const COVERAGE_MIN = 0.25;

export interface RecentLoadOptions {
  /** What `perSecond` says; the other dimensions follow queries as over the last day. All without it. */
  readonly told?: readonly LoadDimension[];
  /** Of these it says nothing: they carry what they carried in the last window that was measured. */
  readonly unknownPartitions?: ReadonlySet<number>;
}

/**
 * The last day, of which the newest window is what is measured now, as if it went on for so long: what relief between cycles
 * plans on.
 *
 * @param perSecond f64[partition][dimension].
 */
export function withRecentLoad(
  profile: LoadProfile,
  perSecond: Float64Array,
  { told = LOAD_DIMENSIONS, unknownPartitions = new Set() }: RecentLoadOptions = {},
): LoadProfile {
  const { startMs, windowMs, windowCount, partitionCount, values, coverage } = profile;
  const stride = partitionCount * LOAD_DIMENSION_COUNT;
  const perDay = Math.max(1, Math.round(DAY_MS / windowMs));
  const keptCount = Math.min(windowCount, perDay - 1);
  const first = windowCount - keptCount;
  const day = new Float64Array((keptCount + 1) * stride);
  day.set(values.subarray(first * stride, windowCount * stride));
  const untold = LOAD_DIMENSIONS.filter((dimension) => !told.includes(dimension)).map(dimensionIndex);
  for (let p = 0; p < partitionCount; p++) {
    const base = p * LOAD_DIMENSION_COUNT;
    const now = keptCount * stride + base;
    if (unknownPartitions.has(p)) {
      for (let d = 0; d < LOAD_DIMENSION_COUNT; d++) day[now + d] = lastMeasured(base + d);
      continue;
    }
    for (let d = 0; d < LOAD_DIMENSION_COUNT; d++)
      day[now + d] = ((perSecond[base + d] as number) * windowMs) / 1000;
    for (const d of untold) day[now + d] = (day[now + QUERIES] as number) * perQuery(day, base, d);
  }

  function lastMeasured(i: number): number {
    for (let w = windowCount - 1; w >= first; w--) {
      const seen = coverage[w] as number;
      if (seen >= COVERAGE_MIN) return (values[w * stride + i] as number) / seen;
    }
    return 0;
  }

  function perQuery(load: Float64Array, base: number, d: number): number {
    let [queries, sum] = [0, 0];
    for (let w = 0; w < keptCount; w++) {
      queries += load[w * stride + base + QUERIES] as number;
      sum += load[w * stride + base + d] as number;
    }
    return queries > 0 ? sum / queries : 0;
  }

  const seen = new Float64Array(keptCount + 1).fill(1);
  seen.set(coverage.subarray(first, windowCount));
  return {
    startMs: startMs + first * windowMs,
    windowMs,
    windowCount: keptCount + 1,
    partitionCount,
    values: day,
    coverage: seen,
  };
}

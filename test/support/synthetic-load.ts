import { seededRandom } from '../../src/base/random.ts';
import { LOAD_DIMENSION_COUNT, type LoadProfile } from '../../src/model/load-profile.ts';

export const HOUR_MS = 3_600_000;

/** A profile of hourly windows from a load per partition and window; other dimensions are fixed multiples of it. */
export function profileOf(options: {
  readonly partitionCount: number;
  readonly firstWindow: number;
  readonly windowCount: number;
  readonly load: (partition: number, window: number) => number;
  readonly coverage?: (window: number) => number;
}): LoadProfile {
  const { partitionCount, firstWindow, windowCount, load } = options;
  const values = new Float64Array(windowCount * partitionCount * LOAD_DIMENSION_COUNT);
  const coverage = new Float64Array(windowCount).fill(1);
  for (let w = 0; w < windowCount; w++) {
    coverage[w] = options.coverage?.(firstWindow + w) ?? 1;
    for (let p = 0; p < partitionCount; p++) {
      const queries = load(p, firstWindow + w) * coverage[w]!;
      values.set(
        [queries, queries * 2e-5, queries * 200, queries * 16],
        (w * partitionCount + p) * LOAD_DIMENSION_COUNT,
      );
    }
  }
  return {
    startMs: firstWindow * HOUR_MS,
    windowMs: HOUR_MS,
    windowCount,
    partitionCount,
    values,
    coverage,
  };
}

/**
 * Loads with a day, a weekend and lognormal noise, each partition with its own level and phase.
 * The same (seed, partition, window) gives the same load, however it is asked for.
 */
export function weeklyLoad(
  seed: bigint,
  options: { readonly noise: number },
): (partition: number, window: number) => number {
  return (partition, window) => {
    const level = 50 * (1 + partition);
    const phase = partition % 3 === 0 ? 0 : 8;
    const day = 1 + 0.8 * Math.sin((2 * Math.PI * (window + phase)) / 24);
    const isWeekend = Math.floor(window / 24) % 7 >= 5;
    return level * day * (isWeekend ? 0.5 : 1) * Math.exp(options.noise * normal(seed, partition, window));
  };
}

/** Sum of twelve even draws, less six: near enough to a standard normal. */
function normal(seed: bigint, partition: number, window: number): number {
  const random = seededRandom(seed ^ (BigInt(partition) << 40n) ^ BigInt(window));
  let sum = -6;
  for (let i = 0; i < 12; i++) sum += random.nextFloat();
  return sum;
}

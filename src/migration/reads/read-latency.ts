/**
 * Latencies as counts in buckets that grow by a fifth: small enough to publish twice a second, fine enough for a ratio.
 * Bucket i holds latencies below 16 us x 2^((i + 1) / 4); the last one holds all that is longer, from about 0.9 s on.
 */
export const LATENCY_BUCKET_COUNT = 64;
const FIRST_US = 16;
const BUCKETS_PER_DOUBLING = 4;

export function latencyBucket(latencyMs: number): number {
  const ratio = (latencyMs * 1000) / FIRST_US;
  if (!(ratio > 1)) return 0;
  return Math.min(LATENCY_BUCKET_COUNT - 1, Math.floor(Math.log2(ratio) * BUCKETS_PER_DOUBLING));
}

/** Latencies below it are in this bucket or an earlier one, milliseconds. */
export const latencyBucketEdgeMs = (bucket: number): number =>
  (FIRST_US * 2 ** ((bucket + 1) / BUCKETS_PER_DOUBLING)) / 1000;

/** The upper edge of the bucket in which the quantile lies, milliseconds; NaN of no counts. */
export function latencyQuantileMs(counts: ArrayLike<number>, quantile: number): number {
  const total = latencyTotal(counts);
  if (total === 0) return Number.NaN;
  let left = total * quantile;
  let bucket = 0;
  while (bucket < LATENCY_BUCKET_COUNT - 1 && left > (counts[bucket] as number))
    left -= counts[bucket++] as number;
  return latencyBucketEdgeMs(bucket);
}

export function latencyTotal(counts: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < counts.length; i++) total += counts[i] as number;
  return total;
}

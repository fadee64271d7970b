/** Each octave is cut into 8, by the three bits below the leading one: a quantile is at most an eighth too high, and never too low. */
const OCTAVE_BITS = 3;
const BUCKETS_PER_OCTAVE = 1 << OCTAVE_BITS;
/** 16 µs: nothing over a socket is faster. */
const OCTAVE_MIN = 4;
/** Up to 2^26 µs, more than a minute. */
const OCTAVES = 22;
const BUCKET_COUNT = OCTAVES * BUCKETS_PER_OCTAVE;

/** [bucket, count] of the buckets that hold something: sums of several processes are exact, their quantiles would not be. */
export type LatencyCounts = readonly (readonly [bucket: number, count: number])[];

/** How long queries took, microseconds: log-linear like an HDR histogram, so that what it holds does not grow. */
export class LatencyBuckets {
  readonly #counts = new Uint32Array(BUCKET_COUNT);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(latencyUs: number): void {
    this.#counts[bucketOf(latencyUs)]++;
    this.#count++;
  }

  addCounts(counts: LatencyCounts): void {
    for (const [bucket, count] of counts) {
      if (!(bucket in this.#counts)) continue;
      this.#counts[bucket] += count;
      this.#count += count;
    }
  }

  /** What was counted since the last call. */
  take(): LatencyCounts {
    const taken = [...this.#counts.entries()].filter(([, count]) => count > 0);
    this.#counts.fill(0);
    this.#count = 0;
    return taken;
  }

  /** The upper edge of the bucket that holds the quantile, microseconds; null of nothing. @param share 0..1. */
  quantileUs(share: number): number | null {
    if (this.#count === 0) return null;
    const rank = Math.max(1, Math.ceil(share * this.#count));
    let seen = 0;
    for (let bucket = 0; bucket < BUCKET_COUNT; bucket++) {
      seen += this.#counts[bucket] as number;
      if (seen >= rank) return upperEdgeUs(bucket);
    }
    return upperEdgeUs(BUCKET_COUNT - 1);
  }
}

/** In integers alone: it is asked for every query. */
function bucketOf(latencyUs: number): number {
  if (latencyUs < 1 << OCTAVE_MIN) return 0;
  const octave = 31 - Math.clz32(latencyUs);
  if (octave >= OCTAVE_MIN + OCTAVES) return BUCKET_COUNT - 1;
  const within = (latencyUs >>> (octave - OCTAVE_BITS)) & (BUCKETS_PER_OCTAVE - 1);
  return ((octave - OCTAVE_MIN) << OCTAVE_BITS) | within;
}

function upperEdgeUs(bucket: number): number {
  const octave = Math.floor(bucket / BUCKETS_PER_OCTAVE) + OCTAVE_MIN;
  return 2 ** octave * (1 + ((bucket % BUCKETS_PER_OCTAVE) + 1) / BUCKETS_PER_OCTAVE);
}

/** Each octave is cut into 32: a quantile is at most 1/32 too high, and never too low. */
const BUCKETS_PER_OCTAVE = 32;
/** 2^-6 ms, 16 microseconds: nothing over a socket is faster. */
const OCTAVE_MIN = -6;
const OCTAVES = 26;

/** Latencies in milliseconds, log-linear like an HDR histogram: what it holds does not grow, and no outlier is forgotten. */
export class LatencyHistogram {
  readonly #counts = new Uint32Array(OCTAVES * BUCKETS_PER_OCTAVE);
  count = 0;
  maxMs = 0;

  add(latencyMs: number): void {
    this.#counts[bucketOf(latencyMs)]++;
    this.count++;
    if (latencyMs > this.maxMs) this.maxMs = latencyMs;
  }

  /** The upper edge of the bucket that holds the quantile; NaN of nothing. @param share 0..1. */
  quantileMs(share: number): number {
    if (this.count === 0) return Number.NaN;
    const rank = Math.max(1, Math.ceil(share * this.count));
    let seen = 0;
    for (let bucket = 0; bucket < this.#counts.length; bucket++) {
      seen += this.#counts[bucket];
      if (seen >= rank) return Math.min(this.maxMs, upperEdgeOf(bucket));
    }
    return this.maxMs;
  }

  summary(): { readonly count: number; readonly p50: number; readonly p99: number; readonly max: number } {
    return {
      count: this.count,
      p50: rounded(this.quantileMs(0.5)),
      p99: rounded(this.quantileMs(0.99)),
      max: rounded(this.maxMs),
    };
  }
}

/** A tenth of a millisecond is as much as a busy machine's clock means. */
export const rounded = (value: number): number => Math.round(value * 10) / 10;

function bucketOf(latencyMs: number): number {
  const position = Math.max(0, Math.log2(Math.max(latencyMs, 2 ** OCTAVE_MIN)) - OCTAVE_MIN);
  const octave = Math.min(OCTAVES - 1, Math.floor(position));
  const within = latencyMs / 2 ** (octave + OCTAVE_MIN) - 1; // 0..1 over the octave
  const step = Math.min(BUCKETS_PER_OCTAVE - 1, Math.max(0, Math.floor(within * BUCKETS_PER_OCTAVE)));
  return octave * BUCKETS_PER_OCTAVE + step;
}

function upperEdgeOf(bucket: number): number {
  const octave = Math.floor(bucket / BUCKETS_PER_OCTAVE) + OCTAVE_MIN;
  return 2 ** octave * (1 + ((bucket % BUCKETS_PER_OCTAVE) + 1) / BUCKETS_PER_OCTAVE);
}

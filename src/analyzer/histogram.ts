import { restoreInto } from './saved.ts';

/** Below it a residual is as good as none; beyond the end it is simply an extreme. In units of the usual absolute error. */
const FINEST = 0.02;
const EXTREME = 60;
/** Each bin is 7 % wider than the one before: finer than any use of a bound. */
const GROWTH = Math.log(1.07);
const SIDE_BINS = Math.ceil(Math.log(EXTREME / FINEST) / GROWTH) + 1;

export interface SavedHistogram {
  readonly counts: Float64Array;
  readonly total: number;
}

/** A fading histogram of signed numbers around 1 in size, in bins that widen with the distance from 0. */
export class Histogram {
  /** f64: negative values from far to near, then positive ones from near to far. */
  readonly counts = new Float64Array(2 * SIDE_BINS);
  total = 0;

  add(value: number, weight: number): void {
    const size = Math.abs(value);
    const bin = size < FINEST ? 0 : Math.min(SIDE_BINS - 1, 1 + Math.floor(Math.log(size / FINEST) / GROWTH));
    const at = value < 0 ? SIDE_BINS - 1 - bin : SIDE_BINS + bin;
    this.counts[at] = (this.counts[at] as number) + weight;
    this.total += weight;
  }

  fade(factor: number): void {
    for (let i = 0; i < this.counts.length; i++) this.counts[i] = (this.counts[i] as number) * factor;
    this.total *= factor;
  }

  load(saved: SavedHistogram | undefined): void {
    restoreInto(this.counts, saved?.counts, 'a histogram');
    this.total = saved?.total ?? 0;
  }

  /** Linear within a bin; NaN of an empty histogram. */
  quantile(share: number): number {
    if (!(this.total > 0)) return Number.NaN;
    let rest = share * this.total;
    for (let bin = 0; bin < this.counts.length; bin++) {
      const count = this.counts[bin] as number;
      if (count > 0 && rest <= count) {
        const [low, high] = [edge(bin), edge(bin + 1)];
        return low + ((high - low) * rest) / count;
      }
      rest -= count;
    }
    return edge(this.counts.length);
  }
}

/** The lower edge of a bin. */
function edge(bin: number): number {
  if (bin === SIDE_BINS) return 0;
  const steps = bin < SIDE_BINS ? SIDE_BINS - bin : bin - SIDE_BINS;
  return Math.sign(bin - SIDE_BINS) * FINEST * Math.exp((steps - 1) * GROWTH);
}

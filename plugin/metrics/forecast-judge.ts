import type { Forecast } from '../../src/model/forecast.ts';
import { dimensionIndex, LOAD_DIMENSION_COUNT, type LoadProfile } from '../../src/model/load-profile.ts';

const QUERIES = dimensionIndex('queries');
/** Steps kept of each forecast: a coordinator that plans more rarely is judged on these. */
const STEPS_MAX = 24;

/** One window to come, as it was forecast before it began. */
interface Promised {
  /** f32[partition][dimension]. */
  readonly mean: Float32Array;
  /** f32[partition], queries. */
  readonly lower: Float32Array;
  readonly upper: Float32Array;
}

/** A window that has come, beside what had been said of it. */
export interface JudgedWindow {
  readonly startMs: number;
  readonly windowMs: number;
  /** f64[partition][dimension], of the window; measured is made whole by the share that was captured. */
  readonly measured: Float64Array;
  readonly predicted: Float32Array;
}

/** Compares forecasts with what came, over all partitions: counts that only grow, and the last window in full. */
export class ForecastJudge {
  readonly #promised = new Map<number, Promised>();
  #judgedCount = 0;
  #coveredCount = 0;
  #last: JudgedWindow | null = null;

  /** Partition windows that were compared, and those inside the bounds. A partition silent in both is no feat. */
  get counts(): { readonly judged: number; readonly covered: number } {
    return { judged: this.#judgedCount, covered: this.#coveredCount };
  }

  get last(): JudgedWindow | null {
    return this.#last;
  }

  /** What a forecast says of windows that have not begun is only replaced by a later forecast. */
  remember(forecast: Forecast): void {
    const { startMs, stepMs, partitionCount, mean, lower, upper } = forecast;
    const stride = partitionCount * LOAD_DIMENSION_COUNT;
    for (let step = 0; step < Math.min(STEPS_MAX, forecast.horizonSteps); step++) {
      const first = step * stride;
      const queries = (of: Float64Array): Float32Array =>
        Float32Array.from(
          { length: partitionCount },
          (_, p) => of[first + p * LOAD_DIMENSION_COUNT + QUERIES] as number,
        );
      this.#promised.set(startMs + step * stepMs, {
        mean: Float32Array.from(mean.subarray(first, first + stride)),
        lower: queries(lower),
        upper: queries(upper),
      });
    }
  }

  /** Takes in the windows that have come; each is judged once. */
  judge(profile: LoadProfile): void {
    const endMs = profile.startMs + profile.windowCount * profile.windowMs;
    const due = [...this.#promised.keys()].filter((startMs) => startMs < endMs).sort((a, b) => a - b);
    for (const startMs of due) {
      const promised = this.#promised.get(startMs) as Promised;
      this.#promised.delete(startMs);
      const window = (startMs - profile.startMs) / profile.windowMs;
      // Nobody was there to measure it.
      if (!Number.isInteger(window) || !((profile.coverage[window] ?? 0) > 0)) continue;
      this.#judgeWindow(startMs, window, { profile, promised });
    }
  }

  #judgeWindow(
    startMs: number,
    window: number,
    { profile, promised }: { readonly profile: LoadProfile; readonly promised: Promised },
  ): void {
    const { partitionCount, windowMs, values } = profile;
    const coverage = profile.coverage[window] as number;
    const stride = partitionCount * LOAD_DIMENSION_COUNT;
    const measured = values.slice(window * stride, (window + 1) * stride);
    for (let i = 0; i < stride; i++) measured[i] = (measured[i] as number) / coverage;
    for (let p = 0; p < partitionCount; p++) {
      const queries = measured[p * LOAD_DIMENSION_COUNT + QUERIES] as number;
      const upper = promised.upper[p] as number;
      if (queries === 0 && upper === 0) continue;
      this.#judgedCount++;
      if (queries >= (promised.lower[p] as number) && queries <= upper) this.#coveredCount++;
    }
    this.#last = { startMs, windowMs, measured, predicted: promised.mean };
  }
}

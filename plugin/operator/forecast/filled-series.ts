const DAY_MS = 86_400_000;

export interface Filled {
  readonly values: Float64Array;
  /** Windows that had no value. */
  readonly missingCount: number;
  /** The longest run of them. */
  readonly longestGap: number;
}

/**
 * Puts into each window without a value that of a week, else a day, else a window before: what the series would most likely
 * have gone on with. Windows before the first value take that.
 *
 * @param values NaN where nothing is known; at least one is known.
 */
export function fillMissing(values: Float64Array, windowMs: number): Filled {
  const dayWindows = Math.max(1, Math.round(DAY_MS / windowMs));
  const steps = [7 * dayWindows, dayWindows, 1];
  const filled = values.slice();
  const firstKnown = filled.findIndex((value) => !Number.isNaN(value));
  let missingCount = 0;
  let gap = 0;
  let longestGap = 0;
  for (let at = 0; at < filled.length; at++) {
    if (!Number.isNaN(filled[at] as number)) {
      gap = 0;
      continue;
    }
    missingCount++;
    longestGap = Math.max(longestGap, ++gap);
    const back = steps.find((step) => step <= at - firstKnown);
    filled[at] = filled[back === undefined ? firstKnown : at - back] as number;
  }
  return { values: filled, missingCount, longestGap };
}

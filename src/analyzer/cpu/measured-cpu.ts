import { dimensionIndex, LOAD_DIMENSION_COUNT, type LoadProfile } from '../../model/load-profile.ts';

const CPU = dimensionIndex('cpuSeconds');
const QUERIES = dimensionIndex('queries');

/** Of a window that was measured for less of its time, nothing is said: the rest may have been otherwise. */
const SHARE_MIN = 0.25;

/** CPU of one window as servers measured it. */
export interface MeasuredCpu {
  /** f64[partition], seconds. */
  readonly seconds: Float64Array;
  /**
   * Of the window's time, 0 and above: leaders change, servers are away. More than 1 where two told of the same time, or a look was
   * late and what came before it stands in this window.
   */
  readonly share: number;
}

/**
 * The profile with CPU as the servers measured it, in place of what captured queries were priced at.
 *
 * What nobody measured, windows and partitions of nodes that told nothing, keeps its prices, but at the level that was measured in other windows, by partition: the first hours
 * of a cluster and those of another leader do not look like a jump of the load.
 *
 * @param measuredAt what was measured in the window that starts then.
 */
export function withMeasuredCpu(
  profile: LoadProfile,
  measuredAt: (startMs: number) => MeasuredCpu | undefined,
): LoadProfile {
  const { startMs, windowMs, windowCount, partitionCount, coverage } = profile;
  const measured = Array.from({ length: windowCount }, (_, w) => {
    const found = measuredAt(startMs + w * windowMs);
    return found !== undefined && found.share >= SHARE_MIN && (coverage[w] as number) > 0 ? found : undefined;
  });
  if (measured.every((window) => window === undefined)) return profile;
  const values = profile.values.slice();
  const priced = new Float64Array(partitionCount);
  const found = new Float64Array(partitionCount);
  /** u8[window][partition]: keeps its price. */
  const isPriced = new Uint8Array(windowCount * partitionCount).fill(1);
  measured.forEach((window, w) => {
    if (window === undefined) return;
    // What capture dropped is missing in every dimension but this one, and whoever reads divides by the coverage.
    const factor = (coverage[w] as number) / window.share;
    for (let p = 0; p < partitionCount; p++) {
      const cell = w * partitionCount + p;
      const at = cell * LOAD_DIMENSION_COUNT;
      const seconds = (window.seconds[p] as number) * factor;
      // Asked for, and no node tells what that cost.
      if (seconds === 0 && (values[at + QUERIES] as number) > 0) continue;
      priced[p]! += values[at + CPU] as number;
      found[p]! += seconds;
      values[at + CPU] = seconds;
      isPriced[cell] = 0;
    }
  });
  const levelOf = levels(priced, found);
  isPriced.forEach((own, cell) => {
    if (own === 1) values[cell * LOAD_DIMENSION_COUNT + CPU]! *= levelOf[cell % partitionCount] as number;
  });
  return { ...profile, values };
}

/** Measured over priced, of each partition; that of all where it has neither. */
function levels(priced: Float64Array, found: Float64Array): Float64Array {
  const sum = (values: Float64Array): number => values.reduce((total, value) => total + value, 0);
  const overall = sum(priced) > 0 ? sum(found) / sum(priced) : 1;
  return priced.map((price, p) => (price > 0 ? (found[p] as number) / price : overall));
}

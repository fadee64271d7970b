/** The value below which a share of the sorted values lies; 0 of none. */
export function quantileOf(sorted: Float64Array, share: number): number {
  if (sorted.length === 0) return 0;
  const at = share * (sorted.length - 1);
  const low = sorted[Math.floor(at)] as number;
  const high = sorted[Math.ceil(at)] as number;
  return low + (high - low) * (at - Math.floor(at));
}

export const medianOf = (values: Float64Array): number => quantileOf(values.slice().sort(), 0.5);

/** Makes the median absolute deviation of normal values their standard deviation. */
const NORMAL_CONSISTENT = 1.4826;

/** Standard deviation as the bulk of the values has it, whatever a few of them do. */
export function robustDeviation(values: Float64Array): number {
  const median = medianOf(values);
  return NORMAL_CONSISTENT * medianOf(values.map((value) => Math.abs(value - median)));
}

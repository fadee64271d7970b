/** One kernel beside the same algorithm by hand in C: the same work on the same input. */
export interface NativeCase {
  /** Last part of `<area>/kernel/<name>`. */
  readonly name: string;
  /** File of bench/native/ that includes native.h. */
  readonly source: string;
  /** What both read. The kernel's side has its own copy in kernel memory. */
  readonly input: Float64Array;
  /** Up to 32 further numbers for C's prepare(): counts, parameters. */
  readonly numbers: readonly number[];
  /** What one call of `runKernel` gets through, in `unit` (singular, as in `ns/observation`). */
  readonly amount: number;
  readonly unit: string;
  readonly settings: Record<string, string | number | boolean>;
  /** Relative; the two results must agree to it, or the ratio would not be of the same work. */
  readonly tolerance: number;
  /** All the work once, from the same start every time; returns what C's run_once() returns. Called hundreds of times. */
  runKernel(): number;
}

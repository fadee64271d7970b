import type { Clock } from '../../../src/base/clock.ts';
import type { Random } from '../../../src/base/random.ts';

/**
 * One request in so many is timed. Two readings of the clock cost 0.1 µs where the machine has a fast one and 1 µs where it has
 * not; spread over sixteen, next to nothing of either.
 */
export const TIMED_ONE_IN = 16;

/** The request is not timed. */
const NOT_TIMED = -1;

/**
 * What requests have cost a storage node since its start, by partition: counts of all, times and bytes of a sample that stands for
 * all. Gaps between samples are drawn, so that a client whose requests come in a rhythm does not hide the dear ones.
 *
 * Times are of the wall: what the machine takes away in between counts too. They say how partitions compare; how much CPU the
 * node used, the process tells.
 */
export class RequestCosts {
  /** f64[partition] each. */
  readonly requests: Float64Array;
  readonly writes: Float64Array;
  readonly timedSeconds: Float64Array;
  readonly kibibytes: Float64Array;
  readonly #clock: Clock;
  readonly #random: Random;
  #untilTimed = 1;

  constructor(partitionCount: number, { clock, random }: { readonly clock: Clock; readonly random: Random }) {
    this.requests = new Float64Array(partitionCount);
    this.writes = new Float64Array(partitionCount);
    this.timedSeconds = new Float64Array(partitionCount);
    this.kibibytes = new Float64Array(partitionCount);
    this.#clock = clock;
    this.#random = random;
  }

  /** Before a request is run. @returns what {@link RequestCosts.end} wants to know. */
  begin(partitionId: number, isWrite: boolean): number {
    this.requests[partitionId]!++;
    if (isWrite) this.writes[partitionId]!++;
    if (--this.#untilTimed > 0) return NOT_TIMED;
    // 1 to 2 N - 1, N in the mean: every request is as likely to be the one.
    this.#untilTimed = 1 + Math.floor(this.#random.nextFloat() * (2 * TIMED_ONE_IN - 1));
    return this.#clock.monotonicMs();
  }

  /** @param bytes of the request and its reply. */
  end(partitionId: number, startedMs: number, bytes: number): void {
    if (startedMs === NOT_TIMED) return;
    const seconds = (this.#clock.monotonicMs() - startedMs) / 1000;
    this.timedSeconds[partitionId]! += TIMED_ONE_IN * Math.max(0, seconds);
    this.kibibytes[partitionId]! += (TIMED_ONE_IN * bytes) / 1024;
  }
}

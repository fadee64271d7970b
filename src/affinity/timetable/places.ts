import type { LeftOutCode, PlannedMove, TimetableProblem } from './problem.ts';

/** A migration laid over the slots it takes. */
export interface Run {
  readonly startSlot: number;
  readonly endSlot: number;
  /** Share of its last slot that is over when it ends: after what runs at these nodes in that slot already. */
  readonly endShare: number;
  readonly seconds: number;
  readonly bytesPerSecond: number;
  /** Seconds in each slot from startSlot on. */
  readonly secondsOf: readonly number[];
}

/**
 * What is left of everything that copies use up, by slot: places at nodes and in the cluster, bandwidth, room on disks.
 *
 * Within a slot copies follow one another in any order, so that seconds add up; only across the boundary of two slots do
 * those that run at that moment each hold a place.
 */
export class Places {
  readonly #problem: TimetableProblem;
  readonly #slotCount: number;
  /** f64[node][slot]: seconds of copies left, out of the node and into it. */
  readonly #outgoing: Float64Array;
  readonly #incoming: Float64Array;
  /** f64[slot], of the whole cluster. */
  readonly #seconds: Float64Array;
  readonly #bytes: Float64Array;
  /** u16[node][slot]: copies that run on into the next slot. */
  readonly #crossingOut: Uint16Array;
  readonly #crossingIn: Uint16Array;
  readonly #crossing: Uint16Array;
  /** f64[node]: bytes that still fit; what leaves frees nothing until the old copy is removed. */
  readonly #room: Float64Array;

  constructor(problem: TimetableProblem) {
    const { instance, slotSeconds, copiesPerNodeMax, copiesMax, bandwidthMax } = problem;
    const { nodeCount, slotCount, bytesFree } = instance;
    this.#problem = problem;
    this.#slotCount = slotCount;
    this.#outgoing = new Float64Array(nodeCount * slotCount).fill(slotSeconds * copiesPerNodeMax);
    this.#incoming = this.#outgoing.slice();
    this.#seconds = new Float64Array(slotCount).fill(slotSeconds * copiesMax);
    this.#bytes = new Float64Array(slotCount).fill(slotSeconds * bandwidthMax);
    this.#crossingOut = new Uint16Array(nodeCount * slotCount);
    this.#crossingIn = new Uint16Array(nodeCount * slotCount);
    this.#crossing = new Uint16Array(slotCount);
    this.#room = bytesFree.slice();
  }

  /**
   * The run that begins in `startSlot`, or why none can.
   *
   * @param before where it is given and ends in that slot, the run begins no earlier than that.
   */
  runFrom(move: PlannedMove, startSlot: number, before: Run | null = null): Run | LeftOutCode {
    const { instance, isOpen, dirtyRate, fixedSeconds, slotSeconds } = this.#problem;
    const bandwidth = this.#bandwidthOf(move);
    const secondsOf: number[] = [];
    let bytesLeft = instance.bytes[move.partition] as number;
    let fixedLeft = fixedSeconds;
    for (let t = startSlot; t < this.#slotCount; t++) {
      if (isOpen[t] === 0) return 'no-window';
      const rate = bandwidth - (dirtyRate[move.partition * this.#slotCount + t] as number);
      if (!(rate > 0)) return 'dirty-rate';
      const gone = t === startSlot && t === before?.endSlot ? before.endShare : 0;
      const free = Math.min(
        this.#freeSeconds(move, t, bandwidth),
        gone > 0 ? slotSeconds * (1 - gone) : Number.POSITIVE_INFINITY,
      );
      if (free <= 0) return 'no-place';
      const needed = fixedLeft + bytesLeft / rate;
      if (needed <= free) {
        const waited = t === startSlot ? Math.max(0, slotSeconds - free) : 0;
        return {
          startSlot,
          endSlot: t,
          bytesPerSecond: bandwidth,
          endShare: Math.min(1, (waited + needed) / slotSeconds),
          secondsOf: [...secondsOf, needed],
          seconds: secondsOf.reduce((sum, own) => sum + own, needed),
        };
      }
      // A copy is not interrupted: in slots between its first and its last one it needs all the time there is.
      if (t > startSlot && free < slotSeconds) return 'no-place';
      if (!this.#canCross(move, t)) return 'no-place';
      const taken = Math.min(free, slotSeconds);
      const fixed = Math.min(fixedLeft, taken);
      fixedLeft -= fixed;
      bytesLeft -= (taken - fixed) * rate;
      secondsOf.push(taken);
    }
    return 'horizon';
  }

  hasRoom({ partition, target }: PlannedMove): boolean {
    return (this.#room[target] as number) >= (this.#problem.instance.bytes[partition] as number);
  }

  take(move: PlannedMove, run: Run): void {
    this.#book(move, run, 1);
  }

  giveBack(move: PlannedMove, run: Run): void {
    this.#book(move, run, -1);
  }

  #book({ partition, source, target }: PlannedMove, run: Run, sign: 1 | -1): void {
    const slots = this.#slotCount;
    const bandwidth = this.#bandwidthOf({ source, target });
    run.secondsOf.forEach((seconds, i) => {
      const t = run.startSlot + i;
      this.#outgoing[source * slots + t]! -= sign * seconds;
      this.#incoming[target * slots + t]! -= sign * seconds;
      this.#seconds[t]! -= sign * seconds;
      this.#bytes[t]! -= sign * seconds * bandwidth;
      if (t === run.endSlot) return;
      this.#crossingOut[source * slots + t]! += sign;
      this.#crossingIn[target * slots + t]! += sign;
      this.#crossing[t]! += sign;
    });
    this.#room[target]! -= sign * (this.#problem.instance.bytes[partition] as number);
  }

  #freeSeconds({ source, target }: PlannedMove, slot: number, bandwidth: number): number {
    return Math.min(
      this.#outgoing[source * this.#slotCount + slot] as number,
      this.#incoming[target * this.#slotCount + slot] as number,
      this.#seconds[slot] as number,
      (this.#bytes[slot] as number) / bandwidth,
    );
  }

  #canCross({ source, target }: PlannedMove, slot: number): boolean {
    const { copiesPerNodeMax, copiesMax } = this.#problem;
    return (
      (this.#crossingOut[source * this.#slotCount + slot] as number) < copiesPerNodeMax &&
      (this.#crossingIn[target * this.#slotCount + slot] as number) < copiesPerNodeMax &&
      (this.#crossing[slot] as number) < copiesMax
    );
  }

  #bandwidthOf({ source, target }: Pick<PlannedMove, 'source' | 'target'>): number {
    const { bandwidth, bandwidthMax } = this.#problem;
    return Math.min(bandwidth[source] as number, bandwidth[target] as number, bandwidthMax);
  }
}

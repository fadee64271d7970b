import type { Run } from './places.ts';
import type { LeftOutCode, PriceParts } from './problem.ts';
import type { Instant, RelievingMove } from './timeline.ts';

/** A move while its hour is sought. */
export interface Candidate extends RelievingMove {
  /** Rank in the order in which the moves were planned; those of an exchange change theirs with the way it is made. */
  order: number;
  readonly keptSlot: number;
  /** Moves that it needs before it have told it to wait until then. */
  firstSlot: number;
  run: Run | null;
  price: PriceParts;
  gain: number;
  code: LeftOutCode | null;
}

export type Placed = Candidate & { readonly run: Run };

export const NO_PRICE: PriceParts = { fixed: 0, copy: 0, load: 0, blip: 0 };

export const endOf = ({ endSlot, endShare }: Run): Instant => ({ slot: endSlot, share: endShare });

/** Those that have a run, in the order in which they begin. */
export function inTimeOrder(candidates: readonly Candidate[]): Placed[] {
  return candidates
    .filter((candidate): candidate is Placed => candidate.run !== null)
    .sort((a, b) => a.run.startSlot - b.run.startSlot || a.order - b.order);
}

/** The slot in which a run has ended that does not begin before another has: within a slot one follows the other. */
export const arrivalAfter = (first: Run, next: Run, slotSeconds: number): number =>
  Math.max(next.endSlot, Math.floor(first.endSlot + first.endShare + next.seconds / slotSeconds));

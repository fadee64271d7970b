import type { Move, Proposal } from '../../model/proposal.ts';
import { type AdmissionRefusal, isDue, isTemporary } from './admission.ts';

export interface AdmissionReport {
  readonly queued: readonly Move[];
  readonly refused: readonly { readonly move: Move; readonly refusal: AdmissionRefusal }[];
}

export interface AdmissionOptions {
  /** The moves of the plan before stay in the queue, behind these. */
  readonly isAddition?: boolean;
}

/** Where partitions were when a plan was made. */
export type PlanBase = Pick<Proposal, 'baseOwnerOf' | 'baseEpochOf'>;

export type PlanMoves = PlanBase & Pick<Proposal, 'moves'>;

/** What a move of a plan starts from: whether it is still so decides whether it may begin. */
export const expectedBy = ({ baseOwnerOf, baseEpochOf }: PlanBase, { partitionId }: Move) => ({
  ownerNodeId: baseOwnerOf[partitionId] as number,
  epoch: baseEpochOf[partitionId] as number,
});

/** @param pending partitions whose moves come first: what they leave free can be waited for. */
export type RefusalOfPlanned = (
  move: Move,
  base: PlanBase,
  pending: ReadonlySet<number>,
) => AdmissionRefusal | null;

/**
 * Moves of the last plan that have not begun, in its order. The next plan makes them again, so they are kept in memory alone. Who
 * makes room comes before whom it is made for: one that is dropped is not waited for.
 */
export class PlannedMoves {
  #base: PlanBase | null = null;
  #moves: readonly Move[] = [];

  /**
   * Takes over a plan's moves; those of an earlier plan are dropped, and so are those that can begin neither now nor later.
   *
   * @param approved partitions that an approval moves.
   */
  take(plan: PlanMoves, approved: ReadonlySet<number>, refusalOf: RefusalOfPlanned): AdmissionReport {
    const queued: Move[] = [];
    const refused: { move: Move; refusal: AdmissionRefusal }[] = [];
    const pending = new Set(approved);
    for (const move of plan.moves) {
      const refusal = refusalOf(move, plan, pending);
      if (refusal && !isTemporary(refusal)) refused.push({ move, refusal });
      else {
        queued.push(move);
        pending.add(move.partitionId);
      }
    }
    this.#base = plan;
    this.#moves = queued;
    return { queued, refused };
  }

  /**
   * Takes over moves beside those of the plan, and before them. Of a partition that both move, the plan's is dropped.
   *
   * @returns of these moves alone.
   */
  add(more: PlanMoves, approved: ReadonlySet<number>, refusalOf: RefusalOfPlanned): AdmissionReport {
    const added = new Set(more.moves.map(({ partitionId }) => partitionId));
    const kept = this.#moves.filter(({ partitionId }) => !added.has(partitionId));
    const baseOwnerOf = (this.#base ?? more).baseOwnerOf.slice();
    const baseEpochOf = (this.#base ?? more).baseEpochOf.slice();
    for (const p of added) {
      baseOwnerOf[p] = more.baseOwnerOf[p] as number;
      baseEpochOf[p] = more.baseEpochOf[p] as number;
    }
    const plan = { baseOwnerOf, baseEpochOf, moves: [...more.moves, ...kept] };
    const { queued, refused } = this.take(plan, approved, refusalOf);
    return {
      queued: queued.filter(({ partitionId }) => added.has(partitionId)),
      refused: refused.filter(({ move }) => added.has(move.partitionId)),
    };
  }

  /** How many wait for a place, and for their hour. */
  waiting(nowMs: number): { readonly queuedMoveCount: number; readonly scheduledMoveCount: number } {
    const queuedMoveCount = this.#moves.filter((move) => isDue(move, nowMs)).length;
    return { queuedMoveCount, scheduledMoveCount: this.#moves.length - queuedMoveCount };
  }

  hasDue(nowMs: number): boolean {
    return this.#moves.some((move) => isDue(move, nowMs));
  }

  /**
   * Goes through what waits. What cannot begin any more is dropped, and what is an approval's business by now.
   *
   * @param approved partitions that an approval moves.
   * @param onReady told of every move that may begin. @returns whether it begins: it waits on otherwise.
   */
  sift(approved: ReadonlySet<number>, refusalOf: RefusalOfPlanned, onReady: (move: Move) => boolean): void {
    if (this.#base === null) return;
    const pending = new Set(approved);
    const waiting: Move[] = [];
    for (const move of this.#moves) {
      if (approved.has(move.partitionId)) continue;
      const refusal = refusalOf(move, this.#base, pending);
      if (refusal !== null && !isTemporary(refusal)) continue;
      if (refusal !== null || !onReady(move)) waiting.push(move);
      pending.add(move.partitionId);
    }
    this.#moves = waiting;
  }

  drop(move: Move): void {
    this.#moves = this.#moves.filter((other) => other !== move);
  }
}

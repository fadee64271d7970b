import type { MigrationSample } from './calibration.ts';
import { PlacementState } from './cost-model.ts';
import type { PlacementInstance } from './instance.ts';

/** What a plan has to know of those before it: no more, so that a coordinator that has just been elected can read it again. */
export interface PlanMemory {
  /** Moves of the last plan, whether they have begun or not. */
  readonly lastMoves: readonly RememberedMove[];
  /** Moves that were carried out within the horizon, or within a day where that is longer: a day has a budget of moves. */
  readonly recentMoves: readonly RecentMove[];
  /** Migrations that have ended, the newest last: how long the next ones will take. */
  readonly samples?: readonly MigrationSample[];
}

export interface RecentMove {
  readonly partitionId: number;
  readonly sourceNodeId: number;
  /** Wall clock, milliseconds; one without counts in no day's budget. */
  readonly endedAtMs?: number;
}

export interface RememberedMove {
  readonly partitionId: number;
  readonly sourceNodeId: number;
  readonly targetNodeId: number;
  /** Wall clock, milliseconds. */
  readonly startMs: number;
  /** It was aborted, or refused by the engine, since the plan: an engine tells of the same refusal once. */
  readonly isGivenUp?: true;
}

export const NO_MEMORY: PlanMemory = { lastMoves: [], recentMoves: [] };

/** i32[partition]: what of the last plan is still to be done; moves that began, or that the rules no longer allow, are left out. */
export function carryOver(instance: PlacementInstance, { lastMoves }: PlanMemory): Int32Array {
  const state = new PlacementState(instance);
  for (const { partitionId: p, sourceNodeId, targetNodeId } of lastMoves)
    if (
      instance.home[p] === sourceNodeId &&
      targetNodeId < instance.nodeCount &&
      state.canMove(p, targetNodeId)
    )
      state.move(p, targetNodeId);
  return state.ownerOf;
}

/**
 * Nobody goes back within the horizon to a node that he left: a plan that was right a day ago is not undone by the next
 * one's noise. A partition whose node is down, or that may not stay where it is, may go anywhere.
 *
 * @returns u8[partition][node] as PlacementRules.allowed; null where nothing is barred.
 */
export function withoutReturns(
  { partitionCount, nodeCount, home, allowed, holdPenalty, ...penalties }: PlacementInstance,
  { recentMoves }: PlanMemory,
): Uint8Array | null {
  const barred = recentMoves.filter(({ partitionId: p, sourceNodeId }) => {
    const owner = home[p] ?? -1;
    const isWanted = penalties.stayPenalty[p] === 0 && penalties.spreadPenalty[p] === 0;
    const mayStay = owner >= 0 && (holdPenalty[owner] as number) === 0 && isWanted;
    return mayStay && sourceNodeId < nodeCount && sourceNodeId !== owner;
  });
  if (barred.length === 0) return allowed;
  const left = allowed?.slice() ?? new Uint8Array(partitionCount * nodeCount).fill(1);
  for (const { partitionId, sourceNodeId } of barred) left[partitionId * nodeCount + sourceNodeId] = 0;
  return left;
}

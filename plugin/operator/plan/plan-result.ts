import { type BlockedMove, blockedMoves, oversizedPartitions } from '../../../src/affinity/blocked-moves.ts';
import { PlacementState } from '../../../src/affinity/cost-model.ts';
import { explainMove } from '../../../src/affinity/explain.ts';
import { movePriceTo } from '../../../src/affinity/move-price.ts';
import { MOVE_REFUSALS } from '../../../src/affinity/refusals.ts';
import { LEFT_OUT_MEANING } from '../../../src/affinity/timetable/problem.ts';
import type { NamedInstance } from './make-instance.ts';
import type { ScheduledPlan } from './time-plan.ts';

/** What `foreshard plan --json` prints. */
export interface PlanResult {
  /** Of staying and of the plan, prices included; points of the latency index. */
  readonly costBefore: number;
  readonly costAfter: number;
  /** No map costs less. */
  readonly lowerBound: number;
  /** costAfter / lowerBound - 1; null where the bound is 0. */
  readonly gap: number | null;
  /** Highest utilisation of a node in a slot, with its allowance for error. */
  readonly peakBefore: number;
  readonly peakAfter: number;
  /** Why there are no moves. */
  readonly refusal: string | null;
  readonly moves: readonly PlannedMove[];
  /** Moves that would pay, and for which the horizon has no slot in time. */
  readonly leftOut: readonly {
    readonly partition: string;
    readonly source: string;
    readonly target: string;
    readonly code: string;
    readonly reason: string;
  }[];
  /** Moves that would pay and are not allowed. */
  readonly blocked: readonly {
    readonly partition: string;
    readonly target: string;
    readonly gain: number;
    readonly refusal: string;
    readonly reason: string;
  }[];
  /** What no map can mend. */
  readonly oversized: readonly {
    readonly partition: string;
    readonly resource: string;
    readonly slot: number;
    readonly utilisation: number;
  }[];
}

export interface PlannedMove {
  readonly partition: string;
  readonly source: string;
  readonly target: string;
  readonly sizeBytes: number;
  /** In which it begins. */
  readonly startSlot: number;
  /** What the plan would lose if this move alone were left out, and what it costs; points. */
  readonly gain: number;
  readonly cost: number;
  readonly reason: string;
}

/** Gives a plan the names of its file. */
export function planResult(named: NamedInstance, plan: ScheduledPlan): PlanResult {
  const { instance, partitionIds, nodeIds, resources } = named;
  const before = new PlacementState(instance);
  const after = new PlacementState(instance, plan.ownerOf);
  const { costBefore, costAfter, lowerBound } = plan;
  return {
    costBefore,
    costAfter,
    lowerBound,
    gap: lowerBound > 0 ? costAfter / lowerBound - 1 : null,
    peakBefore: before.peak(),
    peakAfter: after.peak(),
    refusal: plan.refusal ?? null,
    moves: movesOf(named, plan, after),
    leftOut: plan.leftOut.map(({ partition, source, target, code }) => ({
      partition: partitionIds[partition] as string,
      source: nodeIds[source] as string,
      target: nodeIds[target] as string,
      code,
      reason: LEFT_OUT_MEANING[code],
    })),
    blocked: blockedMoves(after).map(({ partition, target, gain, refusal }: BlockedMove) => ({
      partition: partitionIds[partition] as string,
      target: nodeIds[target] as string,
      gain,
      refusal,
      reason: MOVE_REFUSALS[refusal],
    })),
    oversized: oversizedPartitions(before).map(({ partition, resource, slot, utilisation }) => ({
      partition: partitionIds[partition] as string,
      resource: resources[resource] as string,
      slot,
      utilisation,
    })),
  };
}

function movesOf(named: NamedInstance, plan: ScheduledPlan, after: PlacementState): PlannedMove[] {
  const { instance, partitionIds, nodeIds, resources } = named;
  const now = new PlacementState(instance);
  return plan.order.map((p) => {
    const source = instance.home[p] as number;
    const target = plan.ownerOf[p] as number;
    const cost = movePriceTo(instance, p, target);
    const reason = explainMove(now, {
      partition: p,
      source,
      target,
      isSourceDown: instance.isTarget[source] === 0,
      dimensions: resources,
      slotName: (slot) => slotName(named, slot),
      partitionName: (index) => partitionIds[index] as string,
      nodeName: (index) => nodeIds[index] as string,
    });
    now.move(p, target);
    return {
      partition: partitionIds[p] as string,
      source: nodeIds[source] as string,
      target: nodeIds[target] as string,
      sizeBytes: instance.bytes[p] as number,
      startSlot: plan.startSlotOf[p] as number,
      gain: after.moveDelta(p, source) + cost,
      cost,
      reason,
    };
  });
}

function slotName({ startMs, slotSeconds }: NamedInstance, slot: number): string {
  if (startMs === null) return `slot ${slot}`;
  const time = new Date(startMs + slot * slotSeconds * 1000).toISOString();
  return `${time.slice(0, 16).replace('T', ' ')} UTC`;
}

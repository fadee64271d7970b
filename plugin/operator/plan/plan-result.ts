import { type BlockedMove, blockedMoves, oversizedPartitions } from '../../../src/affinity/blocked-moves.ts';
import { PlacementState } from '../../../src/affinity/cost-model.ts';
import { explainMove } from '../../../src/affinity/explain.ts';
import { movePriceTo } from '../../../src/affinity/move-price.ts';
import { MoveUnits } from '../../../src/affinity/move-units.ts';
import { MOVE_REFUSALS, type MoveRefusal } from '../../../src/affinity/refusals.ts';
import { LEFT_OUT_MEANING } from '../../../src/affinity/timetable/problem.ts';
import type { NamedInstance } from './make-instance.ts';
import type { ScheduledPlan } from './time-plan.ts';

/** What `foreshard plan --json` prints. */
export interface PlanResult {
  /** Of staying, and of the map that the plan leads to as if it were there from the first slot on; prices included, points. */
  readonly costBefore: number;
  readonly costAfter: number;
  /** Of the plan with every partition where it is at the time, and each move at the price of its slot. */
  readonly costOverTime: number;
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
  /** Nodes that should be empty after the plan and are not; 'not-in-plan' for what could leave, and the search let stay. */
  readonly notDrained: readonly {
    readonly node: string;
    readonly partitions: readonly { readonly id: string; readonly refusal: MoveRefusal | 'not-in-plan' }[];
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
  /** ISO 8601; null where the file says no startTime. */
  readonly startTime: string | null;
  /** What the plan would lose if this move alone were left out, and what it costs; points. */
  readonly gain: number;
  readonly cost: number;
  /** The moves that would have to be left out with it, itself the first, and what all of them gain and cost. */
  readonly unit: { readonly partitions: readonly string[]; readonly gain: number; readonly cost: number };
  /** costAfter if the plan ended here: falls from costBefore to costAfter, though not at every move. */
  readonly costThen: number;
  readonly reason: string;
}

/** Gives a plan the names of its file. */
export function planResult(named: NamedInstance, plan: ScheduledPlan): PlanResult {
  const { instance, partitionIds, nodeIds, resources } = named;
  const before = new PlacementState(instance);
  const after = new PlacementState(instance, plan.ownerOf);
  const { costBefore, costAfter, costOverTime, lowerBound } = plan;
  return {
    costBefore,
    costAfter,
    costOverTime,
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
    notDrained: notDrainedOf(named, after),
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
  const units = new MoveUnits(after, named.units);
  return plan.order.map((p) => {
    const source = instance.home[p] as number;
    const target = plan.ownerOf[p] as number;
    const cost = movePriceTo(instance, p, target);
    const reason = explainMove(now, {
      partition: p,
      source,
      target,
      isSourceDown: instance.isTarget[source] === 0,
      downReason: 'is to be drained',
      dimensions: resources,
      slotName: (slot) => slotName(named, slot),
      partitionName: (index) => partitionIds[index] as string,
      nodeName: (index) => nodeIds[index] as string,
    });
    now.move(p, target);
    const unit = units.unitOf(p);
    return {
      partition: partitionIds[p] as string,
      source: nodeIds[source] as string,
      target: nodeIds[target] as string,
      sizeBytes: instance.bytes[p] as number,
      startSlot: plan.startSlotOf[p] as number,
      startTime: startTimeOf(named, plan.startSlotOf[p] as number),
      gain: after.moveDelta(p, source) + cost,
      cost,
      unit: { ...unit, partitions: unit.partitions.map((own) => partitionIds[own] as string) },
      costThen: now.cost(),
      reason,
    };
  });
}

function notDrainedOf(
  { instance, partitionIds, nodeIds }: NamedInstance,
  after: PlacementState,
): PlanResult['notDrained'] {
  const left = [...instance.isTarget.keys()].filter((n) => instance.isTarget[n] === 0);
  return left.flatMap((n) => {
    const partitions = partitionIds.flatMap((id, p) =>
      after.ownerOf[p] === n ? [{ id, refusal: whyNowhere(after, p) }] : [],
    );
    return partitions.length === 0 ? [] : [{ node: nodeIds[n] as string, partitions }];
  });
}

/** What keeps a partition from most of the nodes that may take any, if it is kept from all of them. */
function whyNowhere(after: PlacementState, partition: number): MoveRefusal | 'not-in-plan' {
  const counts = new Map<MoveRefusal, number>();
  for (let n = 0; n < after.instance.nodeCount; n++) {
    if (n === after.ownerOf[partition] || after.instance.isTarget[n] === 0) continue;
    const refusal = after.refusal(partition, n);
    if (refusal === null) return 'not-in-plan';
    counts.set(refusal, (counts.get(refusal) ?? 0) + 1);
  }
  const [most] = [...counts].sort((a, b) => b[1] - a[1]);
  return most?.[0] ?? 'node-down';
}

function startTimeOf({ startMs, slotSeconds }: NamedInstance, slot: number): string | null {
  return startMs === null ? null : new Date(startMs + slot * slotSeconds * 1000).toISOString();
}

function slotName({ startMs, slotSeconds }: NamedInstance, slot: number): string {
  if (startMs === null) return `slot ${slot}`;
  const time = new Date(startMs + slot * slotSeconds * 1000).toISOString();
  return `${time.slice(0, 16).replace('T', ' ')} UTC`;
}

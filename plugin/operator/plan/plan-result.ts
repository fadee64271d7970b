import { type BlockedMove, blockedMoves, oversizedPartitions } from '../../../src/affinity/blocked-moves.ts';
import { PlacementState } from '../../../src/affinity/cost-model.ts';
import { neededBefore } from '../../../src/affinity/evidence/move-evidence.ts';
import { explainMove } from '../../../src/affinity/explain.ts';
import { copySeconds, movePriceTo } from '../../../src/affinity/move-price.ts';
import { MoveUnits } from '../../../src/affinity/move-units.ts';
import { MOVE_REFUSALS, type MoveRefusal } from '../../../src/affinity/refusals.ts';
import type { AffinitySettings } from '../../../src/affinity/settings.ts';
import { LEFT_OUT_MEANING } from '../../../src/affinity/timetable/problem.ts';
import type { NamedInstance } from './make-instance.ts';
import { type PlanEvidence, planEvidence } from './plan-evidence.ts';
import type { ScheduledPlan } from './time-plan.ts';

/** What `foreshard plan --json` prints. */
export interface PlanResult extends PlanEvidence {
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
  /** The same by mean load alone. */
  readonly peakMeanBefore: number;
  readonly peakMeanAfter: number;
  /** What of the costs is charged for breaches of rules, and for partitions on nodes that are to be emptied. */
  readonly penaltyBefore: number;
  readonly penaltyAfter: number;
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
    readonly partitions: readonly Staying[];
  }[];
  /** Partitions that the plan leaves where a rule does not want them. */
  readonly inBreach: readonly (Staying & { readonly node: string })[];
  /** What no map can mend. */
  readonly oversized: readonly {
    readonly partition: string;
    readonly resource: string;
    readonly slot: number;
    readonly utilisation: number;
  }[];
  /** What of the file is legal and looks like a mistake. */
  readonly notes: readonly string[];
}

/** A partition that should leave its node and does not; 'not-in-plan' if it could, and the search let it stay. */
export interface Staying {
  readonly id: string;
  readonly refusal: MoveRefusal | 'not-in-plan';
}

export interface PlannedMove {
  readonly partition: string;
  readonly source: string;
  readonly target: string;
  readonly sizeBytes: number;
  /** That its copy takes, at the lesser bandwidth of the two nodes. */
  readonly seconds: number;
  /** In which it begins. */
  readonly startSlot: number;
  /** ISO 8601; null where the file says no startTime. */
  readonly startTime: string | null;
  /** What the plan would lose if this move alone were left out, and what it costs; points. */
  readonly gain: number;
  readonly cost: number;
  /** What staying would gain if it alone were done. */
  readonly gainAlone: number;
  /** Moves that have to be done before it: without them it breaks a rule or makes the map worse. */
  readonly after: readonly string[];
  /** The moves that would have to be left out with it, itself the first, and what all of them gain and cost. */
  readonly unit: { readonly partitions: readonly string[]; readonly gain: number; readonly cost: number };
  /** costAfter if the plan ended here: falls from costBefore to costAfter, though not at every move. */
  readonly costThen: number;
  readonly reason: string;
}

/** Gives a plan the names of its file. */
export function planResult(
  named: NamedInstance,
  plan: ScheduledPlan,
  settings: AffinitySettings,
): PlanResult {
  const { instance, partitionIds, nodeIds, resources } = named;
  const before = new PlacementState(instance);
  const after = new PlacementState(instance, plan.ownerOf);
  const { costBefore, costAfter, costOverTime, lowerBound } = plan;
  return {
    costBefore,
    costAfter,
    costOverTime,
    lowerBound,
    // Where the two are one, rounding may put the bound a hair above.
    gap: lowerBound > 0 ? Math.max(0, costAfter / lowerBound - 1) : null,
    peakBefore: before.peak(),
    peakAfter: after.peak(),
    peakMeanBefore: before.meanPeak(),
    peakMeanAfter: after.meanPeak(),
    penaltyBefore: before.penaltyCost(),
    penaltyAfter: after.penaltyCost(),
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
    inBreach: partitionIds.flatMap((id, p) => {
      const owner = after.ownerOf[p] as number;
      const isWanted = !after.isInBreach(p) || instance.isTarget[owner] === 0;
      return isWanted ? [] : [{ id, node: nodeIds[owner] as string, refusal: whyNowhere(after, p) }];
    }),
    oversized: oversizedPartitions(before).map(({ partition, resource, slot, utilisation }) => ({
      partition: partitionIds[partition] as string,
      resource: resources[resource] as string,
      slot,
      utilisation,
    })),
    notes: named.notes,
    ...planEvidence(named, plan, { before, after, settings }),
  };
}

function movesOf(named: NamedInstance, plan: ScheduledPlan, final: PlacementState): PlannedMove[] {
  const { instance, partitionIds, nodeIds, resources } = named;
  const atStart = new PlacementState(instance);
  const now = new PlacementState(instance);
  const done: { partition: number; source: number; target: number }[] = [];
  const units = new MoveUnits(final, named.units);
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
    const after = neededBefore(now, { partition: p, source, target }, done);
    now.move(p, target);
    done.push({ partition: p, source, target });
    const unit = units.unitOf(p);
    return {
      partition: partitionIds[p] as string,
      source: nodeIds[source] as string,
      target: nodeIds[target] as string,
      sizeBytes: instance.bytes[p] as number,
      seconds: copySeconds(instance, p, source, target),
      startSlot: plan.startSlotOf[p] as number,
      startTime: startTimeOf(named, plan.startSlotOf[p] as number),
      gain: final.moveDelta(p, source) + cost,
      cost,
      gainAlone: cost - atStart.moveDelta(p, target),
      after: after.map((own) => partitionIds[own] as string),
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

/** Rules of one partition and one node; what else refuses may change with the plan, and is worth knowing sooner. */
const FIXED_RULES: ReadonlySet<MoveRefusal> = new Set(['forbidden', 'zone', 'node-down']);

/** What keeps a partition from most of the nodes that its own rules leave it, if it is kept from all of them. */
function whyNowhere(after: PlacementState, partition: number): Staying['refusal'] {
  const counts = new Map<MoveRefusal, number>();
  for (let n = 0; n < after.instance.nodeCount; n++) {
    if (n === after.ownerOf[partition] || after.instance.isTarget[n] === 0) continue;
    const refusal = after.refusal(partition, n);
    if (refusal === null) return 'not-in-plan';
    counts.set(refusal, (counts.get(refusal) ?? 0) + 1);
  }
  const isFixed = (refusal: MoveRefusal): number => (FIXED_RULES.has(refusal) ? 1 : 0);
  const [most] = [...counts].sort((a, b) => isFixed(a[0]) - isFixed(b[0]) || b[1] - a[1]);
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

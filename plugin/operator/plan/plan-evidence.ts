import type { PlacementState } from '../../../src/affinity/cost-model.ts';
import { bindingOf } from '../../../src/affinity/evidence/gather-evidence.ts';
import { frontierOf } from '../../../src/affinity/evidence/move-evidence.ts';
import { explainingStays } from '../../../src/affinity/evidence/stays.ts';
import { firstBreach, utilisationTable } from '../../../src/affinity/evidence/utilisation-table.ts';
import { adviseGrowth } from '../../../src/affinity/growth.ts';
import type { AffinitySettings } from '../../../src/affinity/settings.ts';
import { atOnce } from '../../../src/base/slices.ts';
import type { GrowthAdvice } from '../../../src/model/proposal.ts';
import type { FrontierPoint, ProposalEvidence } from '../../../src/model/proposal-evidence.ts';
import type { NamedInstance } from './make-instance.ts';
import type { ScheduledPlan } from './time-plan.ts';

/** What stands behind a plan, by the names of its file. */
export interface PlanEvidence {
  /** When a node first leaves its comfort zone if nothing is done; null if none does. */
  readonly firstBreach: {
    readonly node: string;
    readonly resource: string;
    readonly slot: number;
    readonly utilisation: number;
  } | null;
  /** Per mille, [resource][node][column] each, a column of so many slots; upper: at the quantile that capacity is held at. */
  readonly utilisation: {
    readonly resources: readonly string[];
    readonly slotsPerColumn: number;
    readonly meanBefore: readonly (readonly (readonly number[])[])[];
    readonly upperBefore: readonly (readonly (readonly number[])[])[];
    readonly meanAfter: readonly (readonly (readonly number[])[])[];
    readonly upperAfter: readonly (readonly (readonly number[])[])[];
  };
  /** Cost and bytes of the plan's first 0, 1, 2 … moves, the most useful first; 0 is staying. */
  readonly frontier: readonly FrontierPoint[];
  /** What keeps partitions from a better place: by code, how many. */
  readonly binding: ProposalEvidence['binding'];
  /** What no map can mend, or what the cluster could do without. */
  readonly growth: readonly PlanGrowth[];
}

export type PlanGrowth =
  | {
      readonly kind: 'add-nodes';
      readonly resource: string;
      readonly nodeCount: number;
      readonly slot: number;
      readonly utilisation: number;
    }
  | {
      readonly kind: 'split-partition';
      readonly resource: string;
      readonly partition: string;
      readonly slot: number;
      readonly utilisation: number;
    }
  | {
      readonly kind: 'still-stressed';
      readonly resource: string;
      readonly node: string;
      readonly slot: number;
      readonly utilisation: number;
    }
  | { readonly kind: 'remove-nodes'; readonly nodeCount: number; readonly utilisation: number };

/**
 * A resource of weight 0 is a limit: nobody waits for it, so that a node is comfortable until it is full. That half of it is
 * to spare before nodes can go is arbitrary.
 */
const LIMIT_ZONE = { low: 0.5, high: 1 };

export function planEvidence(
  named: NamedInstance,
  plan: ScheduledPlan,
  {
    before,
    after,
    settings,
  }: {
    readonly before: PlacementState;
    readonly after: PlacementState;
    readonly settings: AffinitySettings;
  },
): PlanEvidence {
  const { instance, nodeIds, resources } = named;
  // Slots stand for times: whoever reads the file counts in them.
  const horizon = { dimensions: resources, startMs: 0, stepMs: 1 };
  const isLimit = resources.map((_, r) => instance.slotWeight[r * instance.slotStride] === 0);
  const relief = {
    ...settings.relief,
    zones: [
      ...settings.relief.zones,
      ...resources.filter((_, r) => isLimit[r]).map((dimension) => ({ ...LIMIT_ZONE, dimension })),
    ],
  };
  const breach = firstBreach(before, { ...horizon, relief });
  const { meanBefore, upperBefore, meanAfter, upperAfter, stepMs } = utilisationTable(before, after, {
    ...horizon,
    upperZ: instance.capacityZ ?? instance.riskZ,
  });
  const moves = plan.order.map((partition) => ({
    partition,
    source: instance.home[partition] as number,
    target: plan.ownerOf[partition] as number,
  }));
  return {
    firstBreach: breach && {
      node: nodeIds[breach.nodeId] as string,
      resource: breach.dimension,
      slot: breach.atMs,
      utilisation: breach.utilisation,
    },
    utilisation: { resources, slotsPerColumn: stepMs, meanBefore, upperBefore, meanAfter, upperAfter },
    frontier: frontierOf(instance, moves),
    binding: bindingOf(atOnce(explainingStays(after, { benefitCostRatio: settings.benefitCostRatio }))),
    growth: adviseGrowth(after, { ...horizon, relief }).map((advice) => byName(named, advice)),
  };
}

function byName({ nodeIds, partitionIds }: NamedInstance, advice: GrowthAdvice<string>): PlanGrowth {
  if (advice.kind === 'remove-nodes') return advice;
  const { dimension: resource, atMs: slot, utilisation } = advice;
  const where = { resource, slot, utilisation };
  if (advice.kind === 'add-nodes') return { kind: advice.kind, nodeCount: advice.nodeCount, ...where };
  if (advice.kind === 'still-stressed')
    return { kind: advice.kind, node: nodeIds[advice.nodeId] as string, ...where };
  return { kind: advice.kind, partition: partitionIds[advice.partitionId] as string, ...where };
}

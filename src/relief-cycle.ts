import type { PlanMemory } from './affinity/plan-memory.ts';
import { type Relief, type ReliefOptions, reliefAlone, stressText } from './affinity/relief/plan-relief.ts';
import { withRecentLoad } from './affinity/relief/recent-load.ts';
import type { LastingStress, UnknownLoad } from './affinity/relief/stress-watch.ts';
import type { Clock } from './base/clock.ts';
import type { Logger } from './base/logger.ts';
import type { AdmissionReport, ClusterState, PlanningInput, PluginMode } from './controller.ts';
import type { LoadDimension, LoadProfile } from './model/load-profile.ts';
import type { Proposal } from './model/proposal.ts';

/** Everything relief between two cycles needs, of the rooms that a cycle is made of. */
export interface ReliefCycleComponents {
  readonly mode: Exclude<PluginMode, 'observe'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly loadProfile: () => Promise<LoadProfile>;
  readonly observe: (profile: LoadProfile) => Promise<ClusterState>;
  readonly memory: () => Promise<PlanMemory>;
  readonly relieve: (
    input: Omit<PlanningInput, 'forecast'>,
    profile: LoadProfile,
    options: ReliefOptions,
  ) => Relief;
  /** Before anything moves: whoever leads after this process has to know that it was done. */
  readonly record: (report: ReliefReport, proposal: Proposal) => Promise<void>;
  /** Beside the moves of the plan, which stay. */
  readonly admit: (proposal: Proposal) => Promise<AdmissionReport>;
}

/** Who is outside, and what is known of now. */
export interface ReliefCause {
  /** Not empty. */
  readonly lasting: readonly LastingStress[];
  /** f64[partition][dimension]: measured of late. */
  readonly perSecond: Float64Array;
  /** What that says. */
  readonly told: readonly LoadDimension[];
  /** Of what it says nothing. */
  readonly unknown: UnknownLoad;
  /** Moves of the plan that begin within it count as done. */
  readonly reliefAfterMs: number;
  /** Whether what waits of the last plan will be carried out, or at least stands to be approved. */
  readonly isPlanAlive: boolean;
}

export interface ReliefReport extends Omit<Relief, 'costBefore' | 'costAfter'> {
  readonly atMs: number;
  readonly lasting: readonly LastingStress[];
}

/**
 * A cycle that relieves and does nothing else: what was measured of late -> moves beside those of the plan.
 *
 * @throws whatever a room throws.
 */
export async function runReliefCycle(
  { mode, clock, logger, loadProfile, observe, memory, relieve, record, admit }: ReliefCycleComponents,
  { lasting, perSecond, told, unknown, reliefAfterMs, isPlanAlive }: ReliefCause,
): Promise<ReliefReport> {
  const atMs = clock.nowMs();
  const profile = withRecentLoad(await loadProfile(), perSecond, {
    told,
    unknownPartitions: unknown.partitionIds,
  });
  const state = await observe(profile);
  const input = { ...state, memory: await memory() };
  const dueMoves = isPlanAlive ? movesOnTheirWay(input, atMs + reliefAfterMs) : [];
  const relief = relieve(input, profile, { dueMoves, lasting, nowMs: atMs, silentNodeIds: unknown.nodeIds });
  const { moves, evidence, refusal } = relief;
  const proposal = reliefAlone(state, relief);
  const report = { atMs, lasting, moves, evidence, refusal };
  await record(report, proposal);
  const isCarriedOut = mode === 'auto' && moves.length > 0;
  const { admittedCount } = isCarriedOut ? await admit(proposal) : { admittedCount: 0 };
  logger.info(
    { stress: stressText(lasting), moves: moves.length, refusal, admitted: admittedCount },
    'relief between cycles',
  );
  return report;
}

/**
 * What is left of the last plan and begins by then. What rests is open or approved and counts anyway, or does not go at all; what was
 * given up does not either, until it is planned again.
 */
const movesOnTheirWay = (
  { map, nodes, memory, restingPartitions }: Omit<PlanningInput, 'forecast'>,
  untilMs: number,
): PlanMemory['lastMoves'] =>
  memory.lastMoves.filter(
    ({ partitionId, sourceNodeId, targetNodeId, startMs, isGivenUp }) =>
      isGivenUp !== true &&
      startMs <= untilMs &&
      map.ownerOf[partitionId] === sourceNodeId &&
      targetNodeId < nodes.length &&
      !restingPartitions.has(partitionId),
  );

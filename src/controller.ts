import { drainBasis, hasToEmpty, onlyDraining } from './affinity/drain.ts';
import { inTurn } from './affinity/evidence/in-turn.ts';
import type { PlanMemory } from './affinity/plan-memory.ts';
import { NO_RELIEF, type Relief, type ReliefOptions, reliefAlone } from './affinity/relief/plan-relief.ts';
import { trustedForecast } from './analyzer/trust.ts';
import type { Clock } from './base/clock.ts';
import { ForeshardError } from './base/errors.ts';
import type { Logger } from './base/logger.ts';
import type { Forecast } from './model/forecast.ts';
import type { PartitionId } from './model/ids.ts';
import type { LoadProfile } from './model/load-profile.ts';
import type { NodeUtilisation } from './model/node-utilisation.ts';
import type { PartitionMap } from './model/partition-map.ts';
import type { Proposal } from './model/proposal.ts';
import type { ProposalEvidence } from './model/proposal-evidence.ts';

/**
 * observe: record and forecast, change nothing. propose: also write proposals, for people to read.
 * auto: carry them out.
 */
export const PLUGIN_MODES = ['observe', 'propose', 'auto'] as const;
export type PluginMode = (typeof PLUGIN_MODES)[number];

/** Everything one cycle needs, each from its own room; `plugin/host/analysis/cycle-runner.ts` puts them together. */
export interface CycleComponents {
  readonly mode: PluginMode;
  /** Forecasts of partitions with less skill than this are put aside. */
  readonly skillMin: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Query Pattern Analyzer: what was measured, and what is coming. */
  readonly analyzer: {
    loadProfile(): Promise<LoadProfile>;
    forecast(profile: LoadProfile): Promise<Forecast>;
  };
  /** The cluster as it is now: the map in effect, its nodes, how large each partition is, which are being moved. */
  readonly cluster: { observe(): Promise<ClusterState> };
  /** Data Affinity Manager. */
  readonly affinity: {
    propose(input: PlanningInput): Promise<Proposal>;
    /** What nodes need at once that were measured outside their comfort zone, beside the moves of the plan that begin now. */
    relieve(input: Omit<PlanningInput, 'forecast'>, profile: LoadProfile, options: ReliefOptions): Relief;
    /** The plan with relief before it, and what it costs with that. */
    relieved(input: PlanningInput, plan: Proposal, relief: Relief): Proposal;
    /** What stands behind a proposal that was made from these inputs. */
    evidence(input: PlanningInput, proposal: Proposal): Promise<ProposalEvidence>;
  };
  readonly proposals: {
    /** The last proposal, and what has been moved lately. */
    memory(): Promise<PlanMemory>;
    /** Where a proposal is kept, so that people can read it. */
    record(proposal: Proposal, background: ProposalBackground): Promise<void>;
  };
  /** Dynamic Data Migration: takes moves in and carries them out on its own time. */
  readonly migration: { admit(proposal: Proposal): Promise<AdmissionReport> };
}

export interface ClusterState {
  readonly map: PartitionMap;
  readonly nodes: readonly NodeUtilisation[];
  /** f64[partition]. */
  readonly partitionBytes: Float64Array;
  /** Partitions that are being moved, or were moved so lately that they stay. */
  readonly restingPartitions: ReadonlySet<number>;
  /** Partition -> node that it is on its way to: moves in flight count as done. */
  readonly openMigrations: ReadonlyMap<number, number>;
  /** Storage nodes that do not answer; none where it is left out. */
  readonly silentNodes?: readonly SilentNode[];
}

export interface SilentNode {
  readonly nodeId: number;
  /** Wall clock of the first cycle of this coordinator that it did not answer. */
  readonly sinceMs: number;
}

/** All that a proposal is made from. */
export interface PlanningInput extends ClusterState {
  readonly forecast: Forecast;
  readonly memory: PlanMemory;
}

/** What a proposal does not say itself. */
export interface ProposalBackground {
  /** Partitions that were planned with last week's load. */
  readonly ignoredForecasts: readonly PartitionId[];
  /** Null for relief alone: nothing was forecast. */
  readonly inputs: PlanningInput | null;
  /** What was made of the inputs alone: without relief, and with moves that an order to drain does not approve. */
  readonly plan: Proposal | null;
  readonly evidence: ProposalEvidence | null;
}

export interface AdmissionReport {
  readonly admittedCount: number;
  /** Moves that wait for a free place: at most one copy runs out of and one into a node. */
  readonly queuedCount: number;
  /** Moves that wait for their hour by the timetable. */
  readonly scheduledCount: number;
}

export interface CycleReport {
  readonly atMs: number;
  /** Without a forecast there is no plan; relief there may be. */
  readonly outcome: 'planned' | 'too-little-history';
  /** Why the cluster could not be looked at; absent where it was. */
  readonly unseen?: string;
  readonly forecast: Forecast | null;
  readonly proposal: Proposal | null;
  readonly admission: AdmissionReport;
  readonly forecastMs: number;
  readonly planMs: number;
}

const NOTHING_ADMITTED: AdmissionReport = { admittedCount: 0, queuedCount: 0, scheduledCount: 0 };

/**
 * The whole loop on one page: measured load -> forecast -> proposal -> migrations.
 * Capture happens before it (the query node's hook fills the profile), routing after it (a new epoch reaches the query nodes).
 *
 * @throws whatever a room throws but "too little history", which is an answer, not a fault.
 */
export async function runCycle(components: CycleComponents): Promise<CycleReport> {
  const { mode, skillMin, clock, logger, analyzer, cluster, affinity, proposals, migration } = components;
  const atMs = clock.nowMs();
  const startedMs = clock.monotonicMs();

  const profile = await analyzer.loadProfile();
  const forecast = await forecastUnlessTooEarly(analyzer, profile);
  const forecastMs = clock.monotonicMs() - startedMs;
  if (forecast === null)
    logger.info({ windows: profile.windowCount }, 'too little history to forecast: relief is all there is');

  const state = await (forecast ? cluster.observe() : observeIfAnswering(cluster));
  if (typeof state === 'string') return nothingToDo({ atMs, forecastMs, unseen: state });
  const planStartedMs = clock.monotonicMs();
  const input = { ...state, memory: await proposals.memory() };
  const trusted = forecast && trustedForecast(forecast, profile, { skillMin });
  const isEmptying = hasToEmpty(state);
  // Whoever empties a node does not wait for a history; what is planned without one empties nodes and does nothing else.
  const basis = trusted ? null : isEmptying ? drainBasis(profile, state.nodes, atMs) : null;
  const inputs = trusted ? { ...input, forecast: trusted.forecast } : basis && { ...input, ...basis };
  const proposed = inputs && (await affinity.propose(inputs));
  const plan = proposed && basis ? onlyDraining(proposed, state) : proposed;
  const dueMoves = plan?.moves.filter(({ schedule }) => (schedule?.startMs ?? 0) <= atMs) ?? [];
  const relief = basis ? NO_RELIEF : reliefOrNothing(() => affinity.relieve(input, profile, { dueMoves }));
  const proposal = inputs && plan ? affinity.relieved(inputs, plan, relief) : reliefAlone(state, relief);
  const planMs = clock.monotonicMs() - planStartedMs;

  const isWorthTelling = plan !== null || proposal.moves.length > 0;
  const ignoredForecasts = trusted?.ignoredPartitions ?? [];
  let evidence: ProposalEvidence | null | undefined;
  if (mode !== 'observe' && isWorthTelling) {
    evidence = inputs && (await affinity.evidence(inputs, proposal));
    await proposals.record(proposal, { ignoredForecasts, inputs, plan: proposed, evidence });
  }
  // An order to drain is obeyed in every mode: it approves what empties the node.
  // Also of nothing: that takes back what an earlier plan, or an order that has ended, had queued.
  const admission = await migration.admit(
    mode === 'auto' ? inTurn(proposal, evidence) : onlyDraining(inTurn(proposal, evidence), state),
  );

  logger.info(
    {
      moves: proposal.moves.length,
      reliefMoves: relief.moves.length,
      refusal: proposal.refusal,
      costBefore: proposal.costBefore,
      costAfter: proposal.costAfter,
      lowerBound: proposal.lowerBound,
      ignoredForecasts: ignoredForecasts.length,
      admitted: admission.admittedCount,
    },
    'cycle',
  );
  return {
    atMs,
    outcome: plan === null ? 'too-little-history' : 'planned',
    forecast,
    proposal: isWorthTelling ? proposal : null,
    admission,
    forecastMs,
    planMs,
  };
}

/**
 * A cluster of which nothing is known yet may be starting: that no node answers is no fault then.
 *
 * @returns why not, where it cannot be looked at.
 */
async function observeIfAnswering(cluster: CycleComponents['cluster']): Promise<ClusterState | string> {
  try {
    return await cluster.observe();
  } catch (error) {
    if (error instanceof ForeshardError && error.code === 'FORESHARD_UNAVAILABLE') return error.message;
    throw error;
  }
}

const nothingToDo = (known: Pick<CycleReport, 'atMs' | 'forecastMs' | 'unseen'>): CycleReport => ({
  ...known,
  outcome: 'too-little-history',
  forecast: null,
  proposal: null,
  admission: NOTHING_ADMITTED,
  planMs: 0,
});

/** Without a measured window there is nothing to relieve. */
function reliefOrNothing(relieve: () => Relief): Relief {
  try {
    return relieve();
  } catch (error) {
    if (error instanceof ForeshardError && error.code === 'FORESHARD_NOT_READY') return NO_RELIEF;
    throw error;
  }
}

async function forecastUnlessTooEarly(
  analyzer: CycleComponents['analyzer'],
  profile: LoadProfile,
): Promise<Forecast | null> {
  if (profile.windowCount === 0) return null;
  try {
    return await analyzer.forecast(profile);
  } catch (error) {
    if (error instanceof ForeshardError && error.code === 'FORESHARD_NOT_READY') return null;
    throw error;
  }
}

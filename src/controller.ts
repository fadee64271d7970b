import type { PlanMemory } from './affinity/plan-memory.ts';
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

/**
 * observe: record and forecast, change nothing. propose: also write proposals, for people to read.
 * auto: carry them out.
 */
export const PLUGIN_MODES = ['observe', 'propose', 'auto'] as const;
export type PluginMode = (typeof PLUGIN_MODES)[number];

/** Everything one cycle needs, each from its own room; `plugin/host/coordinator.ts` puts them together. */
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
  readonly affinity: { propose(input: PlanningInput): Promise<Proposal> };
  readonly proposals: {
    /** The last proposal, and what has been moved lately. */
    memory(): Promise<PlanMemory>;
    /** Where a proposal is kept, so that people can read it, with the partitions whose forecast was put aside. */
    record(proposal: Proposal, ignoredForecasts: readonly PartitionId[]): Promise<void>;
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
}

/** All that a proposal is made from. */
export interface PlanningInput extends ClusterState {
  readonly forecast: Forecast;
  readonly memory: PlanMemory;
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
  /** Why the cycle ended early, if it did. */
  readonly outcome: 'planned' | 'too-little-history';
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
  if (forecast === null) {
    logger.info({ windows: profile.windowCount }, 'too little history to forecast: nothing is moved');
    const nothing = { proposal: null, admission: NOTHING_ADMITTED, planMs: 0 };
    return { atMs, outcome: 'too-little-history', forecast, forecastMs, ...nothing };
  }

  const state = await cluster.observe();
  const planStartedMs = clock.monotonicMs();
  const trusted = trustedForecast(forecast, profile, { skillMin });
  const memory = await proposals.memory();
  const proposal = await affinity.propose({ ...state, forecast: trusted.forecast, memory });
  const planMs = clock.monotonicMs() - planStartedMs;

  if (mode !== 'observe') await proposals.record(proposal, trusted.ignoredPartitions);
  const admission = mode === 'auto' ? await migration.admit(proposal) : NOTHING_ADMITTED;

  logger.info(
    {
      moves: proposal.moves.length,
      refusal: proposal.refusal,
      costBefore: proposal.costBefore,
      costAfter: proposal.costAfter,
      lowerBound: proposal.lowerBound,
      ignoredForecasts: trusted.ignoredPartitions.length,
      admitted: admission.admittedCount,
    },
    'cycle',
  );
  return { atMs, outcome: 'planned', forecast, proposal, admission, forecastMs, planMs };
}

async function forecastUnlessTooEarly(
  analyzer: CycleComponents['analyzer'],
  profile: LoadProfile,
): Promise<Forecast | null> {
  try {
    return await analyzer.forecast(profile);
  } catch (error) {
    if (error instanceof ForeshardError && error.code === 'FORESHARD_NOT_READY') return null;
    throw error;
  }
}

import type { Optimiser } from '../affinity/optimisers/optimiser.ts';
import type { AffinitySettings } from '../affinity/settings.ts';
import { ForeshardError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { Random } from '../base/random.ts';
import { contiguousMap } from '../model/partition-map.ts';
import { slotCountPolicy, staticPolicy } from './fixed-policies.ts';
import { type PlanningContext, type ReplayContext, type ReplayedTimeline, replanHourly } from './hourly.ts';
import { evaluateTimeline, type OwnershipTimeline, type PolicyMetrics } from './metrics.ts';
import type { MigrationModel } from './migration-model.ts';
import { oraclePolicy, simulatedPredictivePolicy } from './planning-policies.ts';
import { reliefPolicy } from './relief-policies.ts';

/** The policies that are compared, from the idlest to the best informed. */
export const POLICY_NAMES = ['stay', 'static', 'slot-count', 'reactive', 'predictive', 'oracle'] as const;
export type PolicyName = (typeof POLICY_NAMES)[number];

/**
 * Policies start so long before the hours that count, on the map that deals partitions out in order: what they need to get
 * from there to where they want to be is counted as moves, but its first hours are not taken for the state that it leads to.
 */
export const LEAD_IN_HOURS = 24;

/** A perfectly balanced cluster peaks here where no capacity is given: tight enough to matter, loose enough that a good map fits. */
const ASSUMED_PEAK_UTILISATION = 0.7;

/** What is replayed, and how. */
export interface Backtest {
  /** f64[hour][partition], queries: training first, then the hours that count. */
  readonly load: Float64Array;
  /** Wall clock of the first hour of training, milliseconds. */
  readonly startMs: number;
  /** At least LEAD_IN_HOURS + 3. */
  readonly trainHours: number;
  readonly liveHours: number;
  /** The first of these that are replayed but do not count for what is measured, moves excepted; 0 if absent. */
  readonly skippedHours?: number;
  readonly partitionCount: number;
  /** f64[node]: queries an hour at utilisation 1. */
  readonly capacity: Float64Array;
  /** f64[partition]. */
  readonly partitionBytes: Float64Array;
  readonly settings: AffinitySettings;
  readonly migration: MigrationModel;
  readonly residenceHours: number;
  /** Hours between two plans. */
  readonly cycleHours: number;
  /** As far as the forecaster looks ahead, and the oracle. */
  readonly horizonHours: number;
}

export interface BacktestComponents {
  readonly random: Random;
  readonly logger: Logger;
  readonly optimiser: Optimiser;
  /** As of the start of an hour after the training but LEAD_IN_HOURS, those from 0 on, in order. */
  readonly forecastAt: PlanningContext['forecastAt'];
  /** Of one policy, after each of its hours. */
  readonly onHour?: (hour: number) => void;
}

/** @throws ForeshardError FORESHARD_NOT_READY where there is nothing to learn from, or nothing to judge by. */
export function assertBacktest({
  load,
  trainHours,
  liveHours,
  skippedHours = 0,
  partitionCount,
}: Backtest): void {
  const hours = load.length / partitionCount;
  if (trainHours < LEAD_IN_HOURS + 3 || liveHours - skippedHours < 1 || trainHours + liveHours > hours)
    throw new ForeshardError(
      'FORESHARD_NOT_READY',
      'fix-config',
      `${hours} hours of load do not hold ${trainHours} to learn from, at least ${LEAD_IN_HOURS + 3}, and ${liveHours} to judge by, of which ${skippedHours} are skipped`,
    );
}

/** Replays one policy. The hours of its timeline are those from LEAD_IN_HOURS before the end of the training on. */
export function replayPolicy(
  name: PolicyName,
  backtest: Backtest,
  components: BacktestComponents,
): Promise<ReplayedTimeline> {
  const context = contextOf(backtest, components);
  switch (name) {
    case 'stay':
      return replanHourly(context, () => ({ orders: [], planned: [] }));
    case 'static':
      return staticPolicy(context);
    case 'slot-count':
      return slotCountPolicy(context);
    case 'reactive':
      return reliefPolicy(context);
    case 'predictive':
      return simulatedPredictivePolicy({ ...context, forecastAt: components.forecastAt }, components);
    case 'oracle':
      return oraclePolicy({ ...context, horizonHours: backtest.horizonHours }, components);
  }
}

/** Measures what {@link replayPolicy} made: moves from its start on, everything else over the hours that count. */
export const measurePolicy = (backtest: Backtest, timeline: OwnershipTimeline): PolicyMetrics =>
  evaluateTimeline(measuredOf(backtest), timeline, LEAD_IN_HOURS + (backtest.skippedHours ?? 0));

/** The load of all hours of a timeline. */
export function measuredOf({ load, trainHours, liveHours, ...rest }: Backtest) {
  const { partitionCount, capacity, partitionBytes } = rest;
  const firstHour = trainHours - LEAD_IN_HOURS;
  return {
    load: load.subarray(firstHour * partitionCount, (trainHours + liveHours) * partitionCount),
    hourCount: LEAD_IN_HOURS + liveHours,
    partitionCount,
    capacity,
    partitionBytes,
  };
}

function contextOf(backtest: Backtest, { random, onHour }: BacktestComponents): ReplayContext {
  const { load, startMs, trainHours, partitionCount, capacity, ...rest } = backtest;
  const { settings, migration, residenceHours, cycleHours } = rest;
  assertBacktest(backtest);
  const firstHour = trainHours - LEAD_IN_HOURS;
  return {
    measured: measuredOf(backtest),
    startMs: startMs + firstHour * 3_600_000,
    startOwnerOf: contiguousMap(partitionCount, capacity.length).ownerOf,
    history: load.subarray(0, firstHour * partitionCount),
    settings,
    migration,
    residenceHours,
    cycleHours,
    random,
    ...(onHour && { onHour }),
  };
}

/** A thousandth of the waiting is noise, of which no share can be told. */
const GAIN_MIN = 0.001;

/**
 * The share of what the oracle gains over a fixed map that planning by forecast reaches; null where it gains next to nothing.
 * 1 is as good as the oracle, below 0 worse than the fixed map.
 */
export function gainOfOracle(
  policies: Pick<Record<PolicyName, PolicyMetrics>, 'static' | 'predictive' | 'oracle'>,
): number | null {
  const fixed = policies.static.latencyIndex;
  const possible = fixed - policies.oracle.latencyIndex;
  return possible >= GAIN_MIN * fixed && possible > 0
    ? (fixed - policies.predictive.latencyIndex) / possible
    : null;
}

/** f64[node]: of equal nodes, so that a perfectly balanced cluster peaks at 70 %. */
export function assumedCapacity(
  load: Float64Array,
  { partitionCount, nodeCount }: { readonly partitionCount: number; readonly nodeCount: number },
): Float64Array {
  let peak = 0;
  for (let first = 0; first < load.length; first += partitionCount)
    peak = Math.max(
      peak,
      load.subarray(first, first + partitionCount).reduce((sum, own) => sum + own, 0),
    );
  return new Float64Array(nodeCount).fill(peak / nodeCount / ASSUMED_PEAK_UTILISATION);
}

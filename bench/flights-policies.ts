import { createHash } from 'node:crypto';
import calculateSlot from 'cluster-key-slot';
import { DAY_MS, flightLogPath, LOG_START_MS, readFlightLog } from '../examples/flights/read-log.ts';
import { annealer } from '../src/affinity/optimisers/anneal.ts';
import { DEFAULT_AFFINITY_SETTINGS } from '../src/affinity/settings.ts';
import { staticPolicy, stayPolicy } from '../src/backtest/fixed-policies.ts';
import {
  countReturns,
  evaluateTimeline,
  type MeasuredLoad,
  type OwnershipTimeline,
} from '../src/backtest/metrics.ts';
import { DEFAULT_MIGRATION_MODEL } from '../src/backtest/migration-model.ts';
import { naiveHillClimbPolicy, simulatedPredictivePolicy } from '../src/backtest/planning-policies.ts';
import { hottestToCoolestPolicy, reliefPolicy } from '../src/backtest/relief-policies.ts';
import { silentLogger } from '../src/base/logger.ts';
import { seededRandom } from '../src/base/random.ts';
import type { Kernels } from '../src/kernels/instance.ts';
import { inlineRunner } from '../src/kernels/pool.ts';
import { contiguousMap, partitionOfSlot } from '../src/model/partition-map.ts';
import { seasonalMeanForecast } from './seasonal-mean.ts';
import type { BenchOutcome, BenchResult } from './types.ts';

export const PARTITION_COUNT = 256;
export const NODE_COUNT = 8;
export const HISTORY_HOURS = 28 * 24;
export const LIVE_HOURS = 7 * 24;
/** As in the replay: policies are measured from the second live day on. */
const WARM_UP_HOURS = 24;
const HOUR_MS = 3_600_000;
/** The weights were chosen on windows that start on days 0, 14, 35, 56 and 84; the replay shows day 146. */
export const START_DAY = 56;

/**
 * Policies on five weeks of the flights log, without a cluster: departures stand in for queries, four weeks are history and
 * one is live; a perfectly balanced cluster peaks at 70 %. Forecasts are seasonal means: placement alone is measured.
 */
export async function comparePoliciesOnFlights(kernels: Kernels): Promise<BenchOutcome> {
  if (flightLogPath() === undefined)
    return {
      results: [],
      skipped: [{ name: 'policies/flights', why: 'npm vega-datasets is not installed' }],
    };
  const load = await hourlyLoad(LOG_START_MS + START_DAY * DAY_MS);
  const peak = Math.max(...hourSums(load));
  const capacity = new Float64Array(NODE_COUNT).fill(peak / NODE_COUNT / 0.7);
  const measured: MeasuredLoad = {
    load: load.subarray(HISTORY_HOURS * PARTITION_COUNT),
    hourCount: LIVE_HOURS,
    partitionCount: PARTITION_COUNT,
    capacity,
    partitionBytes: new Float64Array(PARTITION_COUNT).fill(1e6),
  };
  const startOwnerOf = contiguousMap(PARTITION_COUNT, NODE_COUNT).ownerOf;
  const context = {
    measured,
    startMs: HISTORY_HOURS * HOUR_MS,
    startOwnerOf,
    settings: DEFAULT_AFFINITY_SETTINGS,
    migration: DEFAULT_MIGRATION_MODEL,
    residenceHours: 24,
    history: load.subarray(0, HISTORY_HOURS * PARTITION_COUNT),
    random: seededRandom(1n),
    forecastAt: (hour: number) =>
      seasonalMeanForecast({
        load,
        partitionCount: PARTITION_COUNT,
        nowHour: HISTORY_HOURS + hour,
        weekCount: 4,
        horizonSteps: 168,
        startMs: 0,
      }),
  };
  const fixed = evaluateTimeline(measured, await staticPolicy(context), WARM_UP_HOURS);
  const timelines: readonly (readonly [string, OwnershipTimeline])[] = [
    ['stay', stayPolicy(startOwnerOf)],
    ['naive-hill-climb', await naiveHillClimbPolicy(context)],
    // Without residence, as one writes it first.
    ['hottest-to-coolest', await hottestToCoolestPolicy({ ...context, residenceHours: 0 })],
    ['relief', await reliefPolicy(context)],
    [
      'predictive',
      await simulatedPredictivePolicy(context, {
        optimiser: annealer(inlineRunner(kernels)),
        logger: silentLogger,
      }),
    ],
  ];
  const results = timelines.map(([name, timeline]): BenchResult => {
    const { latencyIndex, overloadNodeHours, moves } = evaluateTimeline(measured, timeline, WARM_UP_HOURS);
    return {
      name: `policies/flights/${name}`,
      metric: 'latency index, live days 2 to 7',
      value: latencyIndex,
      unit: 'service times',
      baseline: 'static',
      baselineValue: fixed.latencyIndex,
      ratio: latencyIndex / fixed.latencyIndex,
      settings: {
        startDay: START_DAY,
        moves,
        returnsWithinAWeek: countReturns(timeline, LIVE_HOURS, 168),
        overloadNodeHours,
        overloadNodeHoursStatic: fixed.overloadNodeHours,
      },
      hash: createHash('sha256')
        .update(timeline.ownerOfAt(LIVE_HOURS - 1))
        .digest('hex')
        .slice(0, 8),
    };
  });
  return { results, skipped: [] };
}

/** f64[hour][partition]: departures, by the hash slot of `{ORIGIN}`. */
export async function hourlyLoad(fromMs: number): Promise<Float64Array> {
  const hourCount = HISTORY_HOURS + LIVE_HOURS;
  const log = await readFlightLog({ fromMs, toMs: fromMs + hourCount * HOUR_MS });
  const partitionOf = log.airports.map((code) =>
    partitionOfSlot(calculateSlot(`{${code}}`), PARTITION_COUNT),
  );
  const load = new Float64Array(hourCount * PARTITION_COUNT);
  log.minuteOf.forEach((minute, row) => {
    const hour = Math.floor(minute / 60);
    load[hour * PARTITION_COUNT + partitionOf[log.originOf[row]]]++;
  });
  return load;
}

function hourSums(load: Float64Array): Float64Array {
  const sums = new Float64Array(load.length / PARTITION_COUNT);
  load.forEach((own, i) => {
    sums[Math.floor(i / PARTITION_COUNT)] += own;
  });
  return sums;
}

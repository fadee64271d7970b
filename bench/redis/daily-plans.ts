import calculateSlot from 'cluster-key-slot';
import { DAY_MS, type FlightLog, LOG_START_MS, readFlightLog } from '../../examples/flights/read-log.ts';
import { optimizers } from '../../src/affinity/optimisers/registry.ts';
import { DEFAULT_AFFINITY_SETTINGS } from '../../src/affinity/settings.ts';
import { FORECAST_DEFAULTS } from '../../src/analyzer/settings.ts';
import { type Backtest, LEAD_IN_HOURS, replayPolicy } from '../../src/backtest/backtest.ts';
import type { ReplayedTimeline } from '../../src/backtest/hourly.ts';
import { HourlyForecasts } from '../../src/backtest/hourly-forecasts.ts';
import { DEFAULT_MIGRATION_MODEL } from '../../src/backtest/migration-model.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { seededRandom } from '../../src/base/random.ts';
import { loadKernels } from '../../src/kernels/instance.ts';
import { inlineRunner } from '../../src/kernels/pool.ts';
import { partitionOfSlot } from '../../src/model/partition-map.ts';
import { DEFAULT_SETTINGS } from '../../src/settings.ts';

export const PARTITION_COUNT = 256;
/** Of the live days; training comes before it. */
const LIVE_DAY = 84;

/** The busiest: of three servers with equal numbers of slots the hottest then carries 1.44 times its share at its peak. */
const AIRPORT_COUNT = 40;

export interface DailyLoad {
  readonly live: FlightLog;
  /** f64[hour][partition]: departures, training first. */
  readonly load: Float64Array;
  readonly trainHours: number;
  readonly liveHours: number;
  /** Wall clock of the first hour of training. */
  readonly startMs: number;
}

export const airportKey = (airport: string): string => `airport:{${airport}}`;

/** Days of the flights log to learn from, and days to play: departures stand in for reads of their airport. */
export async function readDailyLoad({
  liveDays,
  trainDays,
}: {
  readonly liveDays: number;
  readonly trainDays: number;
}): Promise<DailyLoad> {
  const liveMs = LOG_START_MS + LIVE_DAY * DAY_MS;
  const fromMs = liveMs - trainDays * DAY_MS;
  const endMs = liveMs + liveDays * DAY_MS;
  const all = busiestOf(await readFlightLog({ fromMs, toMs: endMs }));
  const partitionOf = all.airports.map((airport) =>
    partitionOfSlot(calculateSlot(airportKey(airport)), PARTITION_COUNT),
  );
  const [trainHours, liveHours] = [trainDays * 24, liveDays * 24];
  const load = new Float64Array((trainHours + liveHours) * PARTITION_COUNT);
  all.minuteOf.forEach((minute, row) => {
    load[Math.floor(minute / 60) * PARTITION_COUNT + partitionOf[all.originOf[row]]]++;
  });
  return {
    live: busiestOf(await readFlightLog({ fromMs: liveMs, toMs: endMs }), new Set(all.airports)),
    load,
    trainHours,
    liveHours,
    startMs: fromMs,
  };
}

/** Departures from these airports, the busiest unless told. */
function busiestOf(log: FlightLog, wanted: ReadonlySet<string> = busiestAirports(log)): FlightLog {
  const rows = [...log.originOf.keys()].filter((row) => wanted.has(log.airports[log.originOf[row]]));
  const airports = [...wanted].sort();
  const indexOf = new Map(airports.map((airport, index) => [airport, index]));
  return {
    ...log,
    airports,
    minuteOf: Int32Array.from(rows, (row) => log.minuteOf[row]),
    originOf: Uint16Array.from(rows, (row) => indexOf.get(log.airports[log.originOf[row]]) as number),
    // Nobody reads where they go.
    destinationOf: new Uint16Array(rows.length),
  };
}

function busiestAirports({ airports, originOf }: FlightLog): ReadonlySet<string> {
  const counts = new Float64Array(airports.length);
  for (const origin of originOf) counts[origin]++;
  const order = [...counts.keys()].sort((a, b) => counts[b] - counts[a] || a - b);
  return new Set(order.slice(0, AIRPORT_COUNT).map((index) => airports[index]));
}

/** Departures of the busiest live hour. */
export function peakOf({ load, trainHours, liveHours }: DailyLoad): number {
  let peak = 0;
  for (let hour = trainHours; hour < trainHours + liveHours; hour++) {
    const sum = load
      .subarray(hour * PARTITION_COUNT, (hour + 1) * PARTITION_COUNT)
      .reduce((total, own) => total + own, 0);
    peak = Math.max(peak, sum);
  }
  return peak;
}

export type PlannedPolicy = 'reactive' | 'predictive';

export interface PlannedDays {
  /** i32[partition] when the first live hour begins. */
  readonly startOwnerOf: Int32Array;
  /** By live hour: who gets which partition. */
  readonly changes: readonly (readonly { readonly partition: number; readonly target: number }[])[];
}

/**
 * What a policy would do, hour by hour, knowing what had been asked before each hour. Nothing that is asked depends on what it does,
 * so that it can be worked out before the servers run, and takes no processor from them.
 */
export async function planDays(
  name: PlannedPolicy,
  { load, startMs, trainHours, liveHours }: DailyLoad,
  {
    capacity,
    nodeCount,
    cycleHours,
  }: { readonly capacity: number; readonly nodeCount: number; readonly cycleHours: number },
): Promise<PlannedDays> {
  const runner = inlineRunner(loadKernels());
  const random = seededRandom(1n);
  const settings = DEFAULT_AFFINITY_SETTINGS;
  const backtest: Backtest = {
    load,
    startMs,
    trainHours,
    liveHours,
    partitionCount: PARTITION_COUNT,
    capacity: new Float64Array(nodeCount).fill(capacity),
    partitionBytes: new Float64Array(PARTITION_COUNT).fill(100_000),
    settings,
    migration: DEFAULT_MIGRATION_MODEL,
    residenceHours: 3,
    cycleHours,
    horizonHours: FORECAST_DEFAULTS.horizonSteps,
  };
  const forecasts = new HourlyForecasts(
    backtest,
    { forecast: FORECAST_DEFAULTS, skillMin: DEFAULT_SETTINGS.controller.skillMin },
    { runner, random: random.fork('forecast'), logger: silentLogger },
  );
  try {
    const timeline = await replayPolicy(name, backtest, {
      random: random.fork('affinity'),
      logger: silentLogger,
      optimiser: optimizers[settings.optimizer](
        { runner: () => runner, clock: systemClock() },
        settings.iterations,
      ),
      forecastAt: (hour) => forecasts.forecastAt(trainHours - LEAD_IN_HOURS + hour),
    });
    return liveDaysOf(timeline);
  } finally {
    forecasts.close();
  }
}

function liveDaysOf(timeline: ReplayedTimeline): PlannedDays {
  return {
    startOwnerOf: timeline.ownerOfAt(LEAD_IN_HOURS),
    changes: timeline.replayed.hours
      .slice(LEAD_IN_HOURS)
      .map(({ changes }) => changes.map(({ partition, target }) => ({ partition, target }))),
  };
}

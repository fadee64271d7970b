/** Weeks of weekday and weekend load, with the real planner: what was right last weekend is not undone on Monday. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { seasonalMeanForecast } from '../../../bench/seasonal-mean.ts';
import { annealer, DEFAULT_ANNEAL_SETTINGS } from '../../../src/affinity/optimisers/anneal.ts';
import { type AffinitySettings, DEFAULT_AFFINITY_SETTINGS } from '../../../src/affinity/settings.ts';
import { stayPolicy } from '../../../src/backtest/fixed-policies.ts';
import type { PlanningContext } from '../../../src/backtest/hourly.ts';
import { countReturns, evaluateTimeline, movesOf } from '../../../src/backtest/metrics.ts';
import { DEFAULT_MIGRATION_MODEL } from '../../../src/backtest/migration-model.ts';
import { simulatedPredictivePolicy } from '../../../src/backtest/planning-policies.ts';
import { hottestToCoolestPolicy, reliefPolicy } from '../../../src/backtest/relief-policies.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import { inlineRunner } from '../../../src/kernels/pool.ts';
import { contiguousMap } from '../../../src/model/partition-map.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('backtest/weeks');
const SEED = testSeed('backtest/weeks');
const PARTITION_COUNT = 16;
const NODE_COUNT = 4;
const LOG_START_MS = Date.UTC(2001, 0, 1);
const HOUR_MS = 3_600_000;
const HISTORY_HOURS = 14 * 24;
const WEEK_HOURS = 168;
const LIVE_HOURS = 16 * 24;

/** The first half of the partitions works on weekdays from 8 to 18, the other at the weekend; 10 % of noise. */
function weekdaysAndWeekends(liveHours: number, changes: Partial<AffinitySettings> = {}): PlanningContext {
  const random = seededRandom(SEED);
  const load = Float64Array.from({ length: (HISTORY_HOURS + liveHours) * PARTITION_COUNT }, (_, i) => {
    const p = i % PARTITION_COUNT;
    const hour = Math.floor(i / PARTITION_COUNT);
    const isWeekend = Math.floor(hour / 24) % 7 >= 5;
    const isDay = hour % 24 >= 8 && hour % 24 < 18;
    const isBusy = isDay && isWeekend === p >= PARTITION_COUNT / 2;
    return (isBusy ? 100 : 10) * (0.9 + 0.2 * random.nextFloat());
  });
  return contextOf(load, liveHours, changes);
}

/** @param load f64[hour][partition], history first. Balanced, the cluster is at 70 % in its busiest hour. */
function contextOf(
  load: Float64Array,
  liveHours: number,
  changes: Partial<AffinitySettings>,
): PlanningContext {
  let peak = 0;
  for (let hour = 0; hour < load.length / PARTITION_COUNT; hour++) {
    const total = load
      .subarray(hour * PARTITION_COUNT, (hour + 1) * PARTITION_COUNT)
      .reduce((sum, own) => sum + own, 0);
    peak = Math.max(peak, total);
  }
  return {
    measured: {
      load: load.subarray(HISTORY_HOURS * PARTITION_COUNT),
      hourCount: liveHours,
      partitionCount: PARTITION_COUNT,
      capacity: new Float64Array(NODE_COUNT).fill(peak / NODE_COUNT / 0.7),
      partitionBytes: new Float64Array(PARTITION_COUNT).fill(1e6),
    },
    startMs: LOG_START_MS + HISTORY_HOURS * HOUR_MS,
    startOwnerOf: contiguousMap(PARTITION_COUNT, NODE_COUNT).ownerOf,
    history: load.subarray(0, HISTORY_HOURS * PARTITION_COUNT),
    forecastAt: (hour) =>
      seasonalMeanForecast({
        load,
        partitionCount: PARTITION_COUNT,
        nowHour: HISTORY_HOURS + hour,
        weekCount: 2,
        horizonSteps: WEEK_HOURS,
        startMs: LOG_START_MS,
      }),
    settings: { ...DEFAULT_AFFINITY_SETTINGS, iterations: 2_000, ...changes },
    migration: DEFAULT_MIGRATION_MODEL,
    residenceHours: 1,
    random: seededRandom(SEED),
  };
}

const search = () => annealer(inlineRunner(loadKernels()), { ...DEFAULT_ANNEAL_SETTINGS, iterations: 2_000 });

test('more than two weeks, planned every hour: the map gets good once, and no move is undone', async () => {
  const context = weekdaysAndWeekends(LIVE_HOURS);
  const timeline = await simulatedPredictivePolicy(context, { optimiser: search(), logger: silentLogger });
  const { latencyIndex, moves } = evaluateTimeline(context.measured, timeline, 24);
  const relief = evaluateTimeline(context.measured, await reliefPolicy(context), 24);
  check.ok(latencyIndex < relief.latencyIndex, `${latencyIndex}, relief alone ${relief.latencyIndex}`);
  const stay = evaluateTimeline(context.measured, stayPolicy(context.startOwnerOf), 24);
  check.ok(latencyIndex < stay.latencyIndex / 2, `${latencyIndex}, staying costs ${stay.latencyIndex}`);
  check.is(countReturns(timeline, LIVE_HOURS, WEEK_HOURS), 0);
  check.ok(moves > 0 && moves <= PARTITION_COUNT, `${moves} moves`);
  const settled = evaluateTimeline(
    context.measured,
    {
      startOwnerOf: timeline.ownerOfAt(WEEK_HOURS),
      ownerOfAt: (hour) => timeline.ownerOfAt(Math.max(hour, WEEK_HOURS)),
    },
    24,
  );
  check.ok(settled.moves <= 2, `${settled.moves} moves after the first week`);
});

test('without relief the planner alone finds the exchange of nodes that are full at different times', async () => {
  const relief = { ...DEFAULT_AFFINITY_SETTINGS.relief, movesMax: 0 };
  const context = weekdaysAndWeekends(2 * WEEK_HOURS, { relief });
  const timeline = await simulatedPredictivePolicy(context, { optimiser: search(), logger: silentLogger });
  const { latencyIndex } = evaluateTimeline(context.measured, timeline, 24);
  const stay = evaluateTimeline(context.measured, stayPolicy(context.startOwnerOf), 24);
  check.ok(latencyIndex < stay.latencyIndex / 20, `${latencyIndex}, staying costs ${stay.latencyIndex}`);
  check.is(countReturns(timeline, 2 * WEEK_HOURS, WEEK_HOURS), 0, `SEED=${SEED}`);
});

/** Every partition has a load by day and another by night, from 10 to 200: no one map is good for both. */
function daysAndNights(liveHours: number, changes: Partial<AffinitySettings>): PlanningContext {
  const random = seededRandom(SEED);
  const usual = Float64Array.from({ length: 2 * PARTITION_COUNT }, () => 10 * 20 ** random.nextFloat());
  const load = Float64Array.from({ length: (HISTORY_HOURS + liveHours) * PARTITION_COUNT }, (_, i) => {
    const isNight = Math.floor(i / PARTITION_COUNT) % 24 < 12;
    const own = usual[2 * (i % PARTITION_COUNT) + (isNight ? 1 : 0)] as number;
    return own * (0.95 + 0.1 * random.nextFloat());
  });
  return contextOf(load, liveHours, changes);
}

test('days and nights that want different maps, planned from half a day: nothing goes back within a day', async () => {
  const liveHours = 4 * 24;
  const context = daysAndNights(liveHours, {
    // The planner alone, to which moves are worth next to nothing: nothing else keeps it from going to and fro.
    ...{ relief: { ...DEFAULT_AFFINITY_SETTINGS.relief, movesMax: 0 }, isCapacityHard: false },
    ...{ slotCountMax: 12, movesPerDay: 64, benefitCostRatio: 1, boundTolerance: 0 },
  });
  const timeline = await simulatedPredictivePolicy(context, { optimiser: search(), logger: silentLogger });
  const moves = [...movesOf(timeline, liveHours)].length;
  check.ok(moves > PARTITION_COUNT, `${moves} moves: partitions went on, and had a way back`);
  check.is(countReturns(timeline, liveHours, 24), 0, `SEED=${SEED}`);
});

test('no day has more planned moves than a day may have, though plans look ahead for half of one', async () => {
  const movesPerDay = 1;
  const liveHours = 4 * 24;
  const planned = {
    ...{
      movesPerDay,
      movesPerNodeAndDay: 0,
      urgentGain: 1,
      relief: { ...DEFAULT_AFFINITY_SETTINGS.relief, movesMax: 0 },
    },
    slotCountMax: 12,
  };
  const context = weekdaysAndWeekends(liveHours, planned);
  const timeline = await simulatedPredictivePolicy(context, {
    optimiser: search(),
    logger: silentLogger,
  });
  const hours = [...movesOf(timeline, liveHours)].map(({ hour }) => hour);
  check.ok(hours.length > movesPerDay, `${hours.length} moves`);
  for (const hour of hours) {
    const ofDay = hours.filter((other) => other <= hour && hour - other < 24);
    check.ok(ofDay.length <= movesPerDay, `${ofDay.length} until hour ${hour}, SEED=${SEED}`);
  }
});

test('relief alone ends overloads without going to and fro', async () => {
  const context = weekdaysAndWeekends(LIVE_HOURS);
  const relief = await reliefPolicy(context);
  const naive = await hottestToCoolestPolicy({ ...context, residenceHours: 0 });
  const [ours, theirs, stay] = [relief, naive, stayPolicy(context.startOwnerOf)].map((timeline) =>
    evaluateTimeline(context.measured, timeline, 24),
  );
  check.ok(
    ours.overloadNodeHours < stay.overloadNodeHours / 4,
    `${ours.overloadNodeHours} of ${stay.overloadNodeHours}`,
  );
  check.ok(ours.latencyIndex < stay.latencyIndex, `${ours.latencyIndex} < ${stay.latencyIndex}`);
  check.is(countReturns(relief, LIVE_HOURS, WEEK_HOURS), 0);
  check.ok(ours.moves <= theirs.moves, `${ours.moves} of ${theirs.moves} moves`);
});

test.run();

import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { seasonalMeanForecast } from '../../../bench/seasonal-mean.ts';
import { greedy } from '../../../src/affinity/optimisers/greedy.ts';
import { phi } from '../../../src/affinity/phi.ts';
import { DEFAULT_AFFINITY_SETTINGS } from '../../../src/affinity/settings.ts';
import { staticPolicy, stayPolicy } from '../../../src/backtest/fixed-policies.ts';
import type { PlanningContext } from '../../../src/backtest/hourly.ts';
import { evaluateTimeline, type MeasuredLoad } from '../../../src/backtest/metrics.ts';
import { DEFAULT_MIGRATION_MODEL } from '../../../src/backtest/migration-model.ts';
import { naiveHillClimbPolicy, simulatedPredictivePolicy } from '../../../src/backtest/planning-policies.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { contiguousMap } from '../../../src/model/partition-map.ts';

const test = suite('backtest/policies');
const near = (value: number, expected: number, what: string): void =>
  check.ok(Math.abs(value - expected) < 1e-9, `${what}: ${value}, expected ${expected}`);

function measuredOf(
  load: readonly number[],
  partitionCount: number,
  capacity: readonly number[],
): MeasuredLoad {
  return {
    load: Float64Array.from(load),
    hourCount: load.length / partitionCount,
    partitionCount,
    capacity: Float64Array.from(capacity),
    partitionBytes: Float64Array.from({ length: partitionCount }, (_, p) => 100 * (p + 1)),
  };
}

test('metrics of a worked example: two hours, two partitions, one of which moves in between', () => {
  const measured = measuredOf([4, 5, 6, 3], 2, [10, 10]);
  const owners = [Int32Array.of(0, 0), Int32Array.of(0, 1)];
  const metrics = evaluateTimeline(measured, {
    startOwnerOf: owners[0],
    ownerOfAt: (hour) => owners[hour],
  });
  near(metrics.latencyIndex, (9 * phi(0.9) + 6 * phi(0.6) + 3 * phi(0.3)) / 18, 'latency index');
  check.is(metrics.overloadNodeHours, 1);
  near(metrics.peakUtilisation, 0.9, 'peak');
  near(metrics.meanUtilisation, (0.9 + 0 + 0.6 + 0.3) / 4, 'mean');
  check.is(metrics.moves, 1);
  check.is(metrics.bytesMoved, 200);
});

test('hours before the measured part count for moves alone', () => {
  const measured = measuredOf([30, 30, 1, 1], 2, [10, 10]);
  const owners = [Int32Array.of(0, 0), Int32Array.of(0, 1)];
  const timeline = { startOwnerOf: owners[0], ownerOfAt: (hour: number) => owners[hour] };
  const metrics = evaluateTimeline(measured, timeline, 1);
  near(metrics.peakUtilisation, 0.1, 'peak');
  check.is(metrics.overloadNodeHours, 0);
  check.is(metrics.moves, 1);
});

test('load beyond capacity has a finite price, dearer the further beyond', () => {
  const cost = (load: number): number =>
    evaluateTimeline(measuredOf([load, load], 2, [10, 10]), stayPolicy(Int32Array.of(0, 0))).latencyIndex;
  check.ok(Number.isFinite(cost(20)) && cost(20) > cost(8));
});

test('load and owners that cannot be are refused', () => {
  const isCorrupt = (error: unknown): boolean =>
    error instanceof ForeshardError && error.code === 'FORESHARD_CORRUPT';
  const stay = stayPolicy(Int32Array.of(0, 0));
  check.throws(() => evaluateTimeline(measuredOf([1, Number.NaN], 2, [1]), stay), isCorrupt);
  check.throws(() => evaluateTimeline(measuredOf([1, -1], 2, [1]), stay), isCorrupt);
  check.throws(() => evaluateTimeline(measuredOf([1, 1], 2, [0]), stay), isCorrupt);
  check.throws(
    () => evaluateTimeline(measuredOf([1, 1], 2, [1]), stayPolicy(Int32Array.of(0, 3))),
    isCorrupt,
  );
  check.throws(() => evaluateTimeline(measuredOf([1, 1], 2, [1]), stay, 1), isCorrupt);
});

/** Five weeks in which each partition has its own hour of the day, and some are much larger. */
function weeks(): PlanningContext {
  const partitionCount = 32;
  const hourCount = 35 * 24;
  const historyHours = 28 * 24;
  const random = seededRandom(7n);
  const load = Float64Array.from({ length: hourCount * partitionCount }, (_, i) => {
    const p = i % partitionCount;
    const hour = Math.floor(i / partitionCount) % 24;
    const size = p < 8 ? 60 : 15;
    const wave = 1 + 0.9 * Math.sin((2 * Math.PI * (hour + (p % 8) * 3)) / 24);
    return Math.floor(size * wave * (0.9 + 0.2 * random.nextFloat()));
  });
  const total = load.reduce((sum, own) => sum + own, 0) / hourCount;
  const measured: MeasuredLoad = {
    load: load.subarray(historyHours * partitionCount),
    hourCount: 60,
    partitionCount,
    capacity: new Float64Array(4).fill(total / 4 / 0.6),
    partitionBytes: new Float64Array(partitionCount).fill(1000),
  };
  return {
    measured,
    startMs: historyHours * 3_600_000,
    startOwnerOf: contiguousMap(partitionCount, 4).ownerOf,
    history: load.subarray(0, historyHours * partitionCount),
    migration: DEFAULT_MIGRATION_MODEL,
    forecastAt: (hour) =>
      seasonalMeanForecast({
        load,
        partitionCount,
        nowHour: historyHours + hour,
        weekCount: 4,
        horizonSteps: 24,
        startMs: 0,
      }),
    settings: DEFAULT_AFFINITY_SETTINGS,
    residenceHours: 24,
    random: seededRandom(3n),
  };
}

test('planning over the hours beats staying, one map by mean load, and the sketch, with few moves', async () => {
  const context = weeks();
  const { measured, startOwnerOf } = context;
  const policies = {
    stay: stayPolicy(startOwnerOf),
    static: await staticPolicy(context),
    naive: await naiveHillClimbPolicy(context),
    predictive: await simulatedPredictivePolicy(context, { optimiser: greedy, logger: silentLogger }),
  };
  const [stay, fixed, naive, predictive] = Object.values(policies).map((timeline) =>
    evaluateTimeline(measured, timeline, 24),
  );
  check.ok(predictive.latencyIndex < stay.latencyIndex, `${predictive.latencyIndex} < ${stay.latencyIndex}`);
  check.ok(
    predictive.latencyIndex < fixed.latencyIndex,
    `${predictive.latencyIndex} < ${fixed.latencyIndex}`,
  );
  check.ok(
    predictive.latencyIndex < naive.latencyIndex,
    `${predictive.latencyIndex} < ${naive.latencyIndex}`,
  );
  check.ok(naive.moves > 3 * predictive.moves, `${naive.moves} moves of the sketch`);
  check.ok(predictive.moves > 0 && predictive.moves < 32, `${predictive.moves} moves`);
  check.is(policies.predictive.ownerOfAt(0), startOwnerOf, 'a plan of hour 0 takes effect with hour 1');
});

test('a forecast on another clock than the policy is refused', async () => {
  const context = { ...weeks(), startMs: 0 };
  try {
    await simulatedPredictivePolicy(context, { optimiser: greedy, logger: silentLogger });
    check.unreachable('it was planned all the same');
  } catch (error) {
    check.match((error as Error).message, /different clocks/);
  }
});

test('a policy replays exactly', async () => {
  const components = { optimiser: greedy, logger: silentLogger };
  const timelines = await Promise.all([0, 1].map(() => simulatedPredictivePolicy(weeks(), components)));
  const [first, again] = timelines.map((timeline) => evaluateTimeline(weeks().measured, timeline));
  check.equal(again, first);
});

test('the seasonal mean is the mean of the same hour of past weeks, and wants one week at least', () => {
  const load = Float64Array.from({ length: 168 * 2 }, (_, hour) => (hour < 168 ? 10 : 20));
  const options = { load, partitionCount: 1, weekCount: 4, horizonSteps: 2, startMs: 0 };
  const forecast = seasonalMeanForecast({ ...options, nowHour: 336 });
  check.is(forecast.point[0], 15);
  check.ok(forecast.lower[0] < 15 && forecast.upper[0] > 20);
  check.throws(
    () => seasonalMeanForecast({ ...options, nowHour: 100 }),
    (error: unknown) => error instanceof ForeshardError && error.code === 'FORESHARD_NOT_READY',
  );
});

test.run();

/** All policies on small synthetic loads whose right answers are known. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { seasonalMeanForecast } from '../../../bench/seasonal-mean.ts';
import { greedy } from '../../../src/affinity/optimisers/greedy.ts';
import { DEFAULT_AFFINITY_SETTINGS } from '../../../src/affinity/settings.ts';
import {
  assertBacktest,
  assumedCapacity,
  type Backtest,
  gainOfOracle,
  LEAD_IN_HOURS,
  measurePolicy,
  POLICY_NAMES,
  type PolicyName,
  replayPolicy,
} from '../../../src/backtest/backtest.ts';
import { balanceByCount } from '../../../src/backtest/fixed-policies.ts';
import type { PolicyMetrics } from '../../../src/backtest/metrics.ts';
import { DEFAULT_MIGRATION_MODEL } from '../../../src/backtest/migration-model.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { type Random, seededRandom } from '../../../src/base/random.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('backtest');
const SEED = testSeed('backtest');
const PARTITION_COUNT = 16;
const NODE_COUNT = 4;

/** Two weeks to learn from, and a few days to judge by. */
function backtestOf(
  loadOf: (partition: number, hour: number, random: Random) => number,
  liveDays = 5,
): Backtest {
  const random = seededRandom(SEED);
  const trainHours = 14 * 24;
  const liveHours = liveDays * 24;
  const load = Float64Array.from({ length: (trainHours + liveHours) * PARTITION_COUNT }, (_, i) =>
    loadOf(i % PARTITION_COUNT, Math.floor(i / PARTITION_COUNT), random),
  );
  const shape = { partitionCount: PARTITION_COUNT, nodeCount: NODE_COUNT };
  return {
    load,
    startMs: Date.UTC(2024, 0, 1),
    trainHours,
    liveHours,
    partitionCount: PARTITION_COUNT,
    capacity: assumedCapacity(load, shape),
    partitionBytes: new Float64Array(PARTITION_COUNT).fill(1e6),
    settings: DEFAULT_AFFINITY_SETTINGS,
    migration: DEFAULT_MIGRATION_MODEL,
    residenceHours: 1 / 6,
    cycleHours: 1,
    horizonHours: 168,
  };
}

const forecastOf =
  ({ load, trainHours, partitionCount, startMs }: Backtest) =>
  (hour: number) =>
    seasonalMeanForecast({
      load,
      partitionCount,
      nowHour: trainHours - LEAD_IN_HOURS + hour,
      weekCount: 2,
      horizonSteps: 168,
      startMs,
    });

const componentsOf = (backtest: Backtest) => ({
  random: seededRandom(SEED),
  logger: silentLogger,
  optimiser: greedy,
  forecastAt: forecastOf(backtest),
});

async function replayAll(backtest: Backtest): Promise<Record<PolicyName, PolicyMetrics>> {
  const components = componentsOf(backtest);
  const all = await Promise.all(
    POLICY_NAMES.map(async (name) => [
      name,
      measurePolicy(backtest, await replayPolicy(name, backtest, components)),
    ]),
  );
  return Object.fromEntries(all);
}

/** The first half of the partitions works on weekdays from 8 to 18, the other at the weekend; 10 % of noise. */
const weekdaysAndWeekends = (partition: number, hour: number, random: Random): number => {
  const isWeekend = Math.floor(hour / 24) % 7 >= 5;
  const isDay = hour % 24 >= 8 && hour % 24 < 18;
  const isBusy = isDay && isWeekend === partition >= PARTITION_COUNT / 2;
  return (isBusy ? 100 : 10) * (0.9 + 0.2 * random.nextFloat());
};

test('under constant and equal load nobody moves anything', async () => {
  const policies = await replayAll(backtestOf(() => 10));
  for (const name of POLICY_NAMES) {
    const { moves, overloadNodeHours } = policies[name];
    // A map by mean load is dealt out anew, however good the present one is.
    if (name !== 'static') check.is(moves, 0, name);
    check.is(overloadNodeHours, 0, name);
  }
  check.is(gainOfOracle(policies), null, 'where nothing can be gained there is no share of it');
});

test('of a gain that is noise no share is told', () => {
  const index = (latencyIndex: number) => ({ latencyIndex }) as PolicyMetrics;
  const of = (oracle: number) =>
    gainOfOracle({ static: index(1), predictive: index(0.998), oracle: index(oracle) });
  check.is(of(0.9995), null);
  check.is(of(1.1), null);
  check.ok(Math.abs((of(0.996) as number) - 0.5) < 1e-9);
});

test('hours that are skipped are replayed, and count for moves alone', async () => {
  const idleLater = (partition: number, hour: number): number =>
    hour < 15 * 24 ? (partition < 4 ? 100 : 1) : 1;
  const whole = backtestOf(idleLater, 3);
  const stay = await replayPolicy('stay', whole, componentsOf(whole));
  const fixed = await replayPolicy('static', whole, componentsOf(whole));
  const later = { ...whole, skippedHours: 24 };
  check.ok(measurePolicy(whole, stay).overloadNodeHours > 0);
  check.is(measurePolicy(later, stay).overloadNodeHours, 0);
  check.is(measurePolicy(later, fixed).moves, measurePolicy(whole, fixed).moves);
  check.throws(
    () => assertBacktest({ ...whole, skippedHours: whole.liveHours }),
    (error: unknown) => error instanceof ForeshardError && /of which 72 are skipped/.test(error.message),
  );
});

test('under weekday and weekend load the planner gains and undoes nothing, and knowing all is no worse', async () => {
  const policies = await replayAll(backtestOf(weekdaysAndWeekends, 9));
  const { stay, static: fixed, predictive, oracle } = policies;
  check.ok(
    predictive.latencyIndex < stay.latencyIndex / 2,
    `${predictive.latencyIndex} < ${stay.latencyIndex}`,
  );
  check.ok(
    oracle.latencyIndex <= predictive.latencyIndex * 1.01,
    `${oracle.latencyIndex} <= ${predictive.latencyIndex}`,
  );
  check.ok(predictive.p99Index < stay.p99Index, `${predictive.p99Index} < ${stay.p99Index}`);
  for (const name of POLICY_NAMES) check.is(policies[name].movesUndone, 0, name);
  const gain = gainOfOracle(policies);
  if (fixed.latencyIndex > oracle.latencyIndex)
    check.is(
      gain,
      (fixed.latencyIndex - predictive.latencyIndex) / (fixed.latencyIndex - oracle.latencyIndex),
    );
  else check.is(gain, null);
});

test('every policy pays for its moves in bytes, and those before the hours that count are among them', async () => {
  const policies = await replayAll(backtestOf(weekdaysAndWeekends, 2));
  for (const name of POLICY_NAMES) check.is(policies[name].bytesMoved, 1e6 * policies[name].moves, name);
  check.ok(policies.static.moves > 0);
});

test('rebalancing by slots moves as few as lead to equal counts, and sees no load', () => {
  const capacity = new Float64Array(4).fill(1);
  const balanced = balanceByCount(Int32Array.of(0, 0, 0, 0, 0, 0, 1, 2), capacity);
  check.equal([...balanced], [3, 1, 2, 3, 0, 0, 1, 2], 'four moves, two of everything');
  check.equal([...balanceByCount(balanced, capacity)], [...balanced]);
  const twice = balanceByCount(new Int32Array(12), Float64Array.of(1, 2));
  check.is(twice.filter((n) => n === 0).length, 4);
});

test('the same seed replays exactly', async () => {
  const backtest = backtestOf(weekdaysAndWeekends, 2);
  check.equal(await replayAll(backtest), await replayAll(backtest));
});

test('too little load to learn from, or nothing to judge by, is refused', () => {
  const whole = backtestOf(() => 10, 2);
  for (const change of [{ trainHours: LEAD_IN_HOURS }, { liveHours: 0 }, { liveHours: 49 }])
    check.throws(
      () =>
        replayPolicy(
          'static',
          { ...whole, ...change },
          {
            random: seededRandom(SEED),
            logger: silentLogger,
            optimiser: greedy,
            forecastAt: forecastOf(whole),
          },
        ),
      (error: unknown) => error instanceof ForeshardError && error.code === 'FORESHARD_NOT_READY',
    );
});

test.run();

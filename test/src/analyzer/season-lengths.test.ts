import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { Forecaster } from '../../../src/analyzer/forecaster.ts';
import { clockSeasons, seasonLengths } from '../../../src/analyzer/season-lengths.ts';
import { FORECAST_DEFAULTS } from '../../../src/analyzer/settings.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import { inlineRunner } from '../../../src/kernels/pool.ts';
import { LOAD_DIMENSION_COUNT, type LoadProfile } from '../../../src/model/load-profile.ts';
import { testSeed } from '../../support/seed.ts';
import { HOUR_MS, profileOf } from '../../support/synthetic-load.ts';

const test = suite('season lengths');
const seed = testSeed('season lengths');
const PARTITIONS = 6;
const DAY_AND_WEEK = { dayWindows: 24, weekWindows: 168 };

/** Loads of one shape with a period, each partition at a level and phase of its own, with a tenth of noise. */
function cyclicLoad(period: number): (partition: number, window: number) => number {
  const random = seededRandom(seed);
  const noise = Array.from({ length: 4096 * PARTITIONS }, () => 0.9 + 0.2 * random.nextFloat());
  return (partition, window) => {
    const phase = ((window + 3 * partition) % period) / period;
    return 100 * (partition + 1) * (phase < 0.3 ? 4 : 1) * (noise[window * PARTITIONS + partition] as number);
  };
}

const profileWith = (load: (partition: number, window: number) => number, windowCount: number): LoadProfile =>
  profileOf({ partitionCount: PARTITIONS, firstWindow: 0, windowCount, load });

test('a day, a week, and what divides a day leave the clock as it is', () => {
  for (const period of [24, 168, 6, 12, 8])
    check.equal(seasonLengths(profileWith(cyclicLoad(period), 672), 'queries'), DAY_AND_WEEK, `${period} h`);
});

test('a cycle that the clock does not know takes the place of the day, or of the week', () => {
  const lengthsOf = (period: number) => seasonLengths(profileWith(cyclicLoad(period), 672), 'queries');
  check.equal(lengthsOf(10), { dayWindows: 10, weekWindows: 160 });
  check.equal(lengthsOf(23), { dayWindows: 23, weekWindows: 161 });
  check.equal(lengthsOf(36), { dayWindows: 36, weekWindows: 144 });
  check.equal(lengthsOf(72), { dayWindows: 24, weekWindows: 72 });
});

test('noise, silence and a short history are no reason to leave the clock', () => {
  const random = seededRandom(seed);
  check.equal(
    seasonLengths(
      profileWith(() => 50 + 20 * random.nextFloat(), 672),
      'queries',
    ),
    DAY_AND_WEEK,
  );
  check.equal(
    seasonLengths(
      profileWith(() => 0, 672),
      'queries',
    ),
    DAY_AND_WEEK,
  );
  check.equal(seasonLengths(profileWith(cyclicLoad(10), 25), 'queries'), DAY_AND_WEEK);
});

test('windows of other widths have their own clock', () => {
  check.equal(clockSeasons(HOUR_MS / 4), { dayWindows: 96, weekWindows: 672 });
  check.equal(clockSeasons(60_000), { dayWindows: 1440, weekWindows: 10_080 });
  check.equal(clockSeasons(24 * HOUR_MS), { dayWindows: 1, weekWindows: 7 });
  check.equal(clockSeasons(7 * 24 * HOUR_MS), { dayWindows: 1, weekWindows: 1 });
});

/** Mean absolute log error of the next ten steps. */
async function errorAfter(profiles: readonly LoadProfile[], load: (p: number, w: number) => number) {
  const forecaster = new Forecaster(
    // The members that know nothing but the two cycles.
    { ...FORECAST_DEFAULTS, horizonSteps: 24, historyWindows: 840, members: ['day', 'weeks'] },
    { runner: inlineRunner(loadKernels()), random: seededRandom(7n), logger: silentLogger },
  );
  for (const profile of profiles) await forecaster.observe(profile);
  const { point, startMs } = await forecaster.forecast({ horizonSteps: 10 });
  forecaster.close();
  let sum = 0;
  for (let step = 0; step < 10; step++)
    for (let p = 0; p < PARTITIONS; p++) {
      const forecast = point[(step * PARTITIONS + p) * LOAD_DIMENSION_COUNT] as number;
      sum += Math.abs(Math.log(forecast / load(p, startMs / HOUR_MS + step)));
    }
  return sum / 10 / PARTITIONS;
}

test('a load that repeats every ten hours is forecast, at once or found on the way', async () => {
  const load = cyclicLoad(10);
  const atOnce = await errorAfter([profileWith(load, 411)], load);
  check.ok(atOnce < 0.12, `at once: ${atOnce}, SEED=${seed}`);
  const onTheWay = await errorAfter([profileWith(load, 26), profileWith(load, 411)], load);
  check.ok(onTheWay < 0.12, `on the way: ${onTheWay}, SEED=${seed}`);
  const oneByOne = Array.from({ length: 385 }, (_, w) => profileWith(load, 27 + w));
  const slowly = await errorAfter([profileWith(load, 26), ...oneByOne], load);
  check.ok(slowly < 0.12, `a window at a time: ${slowly}, SEED=${seed}`);
  // The history is not handed over again: nothing can be learnt anew, and the clock is all there is.
  const tail = profileOf({ partitionCount: PARTITIONS, firstWindow: 26, windowCount: 385, load });
  const byTheClock = await errorAfter([profileWith(load, 26), tail], load);
  check.ok(byTheClock > 2 * atOnce, `by the clock: ${byTheClock}, SEED=${seed}`);
});

test.run();

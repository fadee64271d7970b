import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Forecaster } from '../../../src/analyzer/forecaster.ts';
import { History } from '../../../src/analyzer/history.ts';
import { LevelShifts } from '../../../src/analyzer/level-shifts.ts';
import { FORECAST_DEFAULTS } from '../../../src/analyzer/settings.ts';
import { endedSilence, type Silence } from '../../../src/analyzer/silences.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import { inlineRunner } from '../../../src/kernels/pool.ts';
import { LOAD_DIMENSION_COUNT } from '../../../src/model/load-profile.ts';
import { testSeed } from '../../support/seed.ts';
import { profileOf, weeklyLoad } from '../../support/synthetic-load.ts';

const test = suite('analyzer/silences');
const seed = testSeed('analyzer/silences');
const PARTITIONS = 3;
const THREE_WEEKS = 504;

type Load = (partition: number, window: number) => number;

/** Takes a load in, and fills in what was lost, as the forecaster does. */
function watch(load: Load, outages: readonly number[] = []) {
  const windowCount = THREE_WEEKS;
  const { arena } = loadKernels();
  const shape = { partitionCount: PARTITIONS, windowMs: 3_600_000, startMs: 0, driver: 'queries' as const };
  const history = new History({ ...shape, windowsMax: 1000, weekWindows: 168, dayWindows: 24 }, arena);
  const profile = profileOf({ partitionCount: PARTITIONS, firstWindow: 0, windowCount, load });
  const found: (Silence & { readonly partition: number; readonly foundAt: number })[] = [];
  for (let w = 0; w < windowCount; w++) {
    if (outages.includes(w)) history.appendOutage();
    else history.append(profile, w);
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const silence = endedSilence(history, partition);
      if (silence === undefined) continue;
      history.fill(partition, silence);
      found.push({ partition, foundAt: w, ...silence });
    }
  }
  return { found, history };
}

const weekly = weeklyLoad(seed, { noise: 0.1 });
const busy: Load = (p, w) => 1000 + 10 * weekly(p, w);
const silent =
  (first: number, end: number, share = 0): Load =>
  (p, w) =>
    busy(p, w) * (p === 1 && w >= first && w < end ? share : 1);

test('what was lost in a silence is filled in with the week before as soon as the load is back', () => {
  for (const hours of [1, 14, 38]) {
    const { found, history } = watch(silent(400, 400 + hours));
    assert.equal(found, [{ partition: 1, foundAt: 400 + hours, first: 400, end: 400 + hours }]);
    for (let w = 400; w < 400 + hours; w++)
      assert.is(history.logLoad(1, w), history.logLoad(1, w - 168), `window ${w}`);
  }
});

test('a window that a silence cuts in part, and users that come back slowly, go with it', () => {
  const load: Load = (p, w) => {
    if (p !== 1) return busy(p, w);
    if (w === 399 || (w >= 410 && w < 414)) return 0.3 * busy(p, w);
    return silent(400, 410)(p, w);
  };
  assert.equal(watch(load).found, [{ partition: 1, foundAt: 414, first: 399, end: 414 }]);
});

test('a silence that lasts, nights, a tenth of the load and sparse partitions are left as they are', () => {
  const cases: Record<string, Load> = {
    'not over': silent(400, THREE_WEEKS),
    'in the first week, of which nobody knows whether it is usual': silent(100, 110),
    'four days': silent(300, 396),
    'a tenth': silent(400, 410, 0.1),
    'silent nights': (p, w) => (w % 24 < 6 ? 0 : busy(p, w)),
    'silent Sundays': (p, w) => (Math.floor(w / 24) % 7 === 6 ? 0 : busy(p, w)),
    sparse: (_, w) => (w % 5 === 0 ? 3 : 0),
    'usual noise': busy,
  };
  for (const [name, load] of Object.entries(cases)) assert.equal(watch(load).found, [], name);
});

test('an outage neither ends a silence nor hides its beginning', () => {
  const dies = silent(400, THREE_WEEKS);
  assert.equal(
    watch(dies, [410, 430, 431, 450]).found,
    [],
    'what is made up for an outage is no load that is back',
  );
  for (const outages of [[407], [407, 408], [413], [414]]) {
    const { found, history } = watch(silent(400, 414), outages);
    const foundAt = outages.includes(414) ? 415 : 414;
    assert.equal(found, [{ partition: 1, foundAt, first: 400, end: foundAt }], String(outages));
    assert.is(history.logLoad(1, 413), history.logLoad(1, 245));
  }
});

/** Windows at which a level was found to have shifted, or was suspected to, of partition 1, while silences are filled in. */
function watchLevels(load: Load, windowCount: number) {
  const { arena } = loadKernels();
  const shape = { partitionCount: PARTITIONS, windowMs: 3_600_000, startMs: 0, driver: 'queries' as const };
  const history = new History({ ...shape, windowsMax: 1000, weekWindows: 168, dayWindows: 24 }, arena);
  const profile = profileOf({ partitionCount: PARTITIONS, firstWindow: 0, windowCount, load });
  const shifts = new LevelShifts(history.shape);
  const [found, suspected]: [number[], number[]] = [[], []];
  for (let w = 0; w < windowCount; w++) {
    history.append(profile, w);
    const surprise = (p: number, first: number): number =>
      history.logLoad(p, w) - history.logLoad(p, first - 168);
    for (const { partition, window, factor } of shifts.watch(history, surprise)) {
      history.rescale(partition, window, factor);
      found.push(window);
    }
    const silence = endedSilence(history, 1);
    if (silence !== undefined) {
      history.fill(1, silence);
      shifts.forget(history, 1, silence);
    }
    if (shifts.suspected(1, history) !== 0) suspected.push(w);
  }
  history.close();
  return { found, suspected };
}

test('a silence that is filled in is no sign of another level, and hides none that comes after it', () => {
  for (const hours of [2, 14, 38]) {
    const end = 700 + hours;
    const { found, suspected } = watchLevels(silent(700, end), 800);
    assert.equal([found, suspected.filter((w) => w >= end)], [[], []], `${hours} hours`);
    const doubled: Load = (p, w) => silent(700, end)(p, w) * (w >= 820 ? 2 : 1);
    assert.ok(watchLevels(doubled, 844).found.includes(820), `doubled after ${hours} hours`);
  }
});

/** Of means alone: there is nothing to fit. */
function seasonalForecaster(): Forecaster {
  const settings = {
    ...FORECAST_DEFAULTS,
    horizonSteps: 24,
    historyWindows: 840,
    members: ['level', 'day', 'naive-week', 'weeks'],
  };
  const components = { runner: inlineRunner(loadKernels()), random: seededRandom(7n), logger: silentLogger };
  return new Forecaster(settings, components);
}

test('bounds are narrow again when the load is back', async () => {
  const partitionCount = 8; // whose errors are in part of all others' bounds as well
  const forecaster = seasonalForecaster();
  const load = silent(400, 414);
  let firstWindow = 0;
  for (const end of [415, 420, 426, 439]) {
    const windowCount = end - firstWindow;
    await forecaster.observe(profileOf({ partitionCount, firstWindow, windowCount, load }));
    firstWindow = end;
    const { point, lower, upper } = await forecaster.forecast();
    for (let step = 0; step < 24; step++) {
      const at = (step * partitionCount + 1) * LOAD_DIMENSION_COUNT;
      const [below, above] = [lower, upper].map((bound) => (bound[at] as number) / (point[at] as number));
      // Errors of the silence itself still widen them.
      assert.ok((below as number) > 0.2, `${end - 414} hours after, lower ${below}`);
      assert.ok((above as number) < 3, `${end - 414} hours after, upper ${above}`);
    }
  }
  forecaster.close();
});

test('a day after a silence bounds are not far wider than before it', async () => {
  const partitionCount = 8;
  const forecaster = seasonalForecaster();
  const load = silent(400, 430);
  let firstWindow = 0;
  const widths: number[] = [];
  for (const end of [398, 454]) {
    const windowCount = end - firstWindow;
    await forecaster.observe(profileOf({ partitionCount, firstWindow, windowCount, load }));
    firstWindow = end;
    const { lower, upper } = await forecaster.forecast();
    const logWidths = Array.from({ length: 24 }, (_, step) => {
      const at = (step * partitionCount + 1) * LOAD_DIMENSION_COUNT;
      return Math.log((upper[at] as number) / (lower[at] as number));
    });
    widths.push(logWidths.reduce((sum, width) => sum + width, 0) / 24);
  }
  forecaster.close();
  // It was fifteen times when thirty hours' errors counted for fifty usual ones each. No forecast from nothing is judged here.
  assert.ok(widths[1]! < 5 * widths[0]!, `${widths[1]} after ${widths[0]}, SEED=${seed}`);
});

test('pooled-ridge, which never takes back what it has learnt, learns nothing from a silence', async () => {
  const partitionCount = 4;
  const settings = { ...FORECAST_DEFAULTS, horizonSteps: 24, historyWindows: 840, members: ['pooled-ridge'] };
  // Every week is as the one before: what a silence is filled in with is what would have come.
  const everyWeek: Load = (p, w) => {
    const hour = w % 168;
    return 1000 + 300 * Math.sin((hour * Math.PI) / 12 + p) + 200 * Math.cos((hour * Math.PI) / 84);
  };
  const forecastAfter = async (load: Load): Promise<Float64Array> => {
    const components = {
      runner: inlineRunner(loadKernels()),
      random: seededRandom(7n),
      logger: silentLogger,
    };
    const forecaster = new Forecaster(settings, components);
    for (let firstWindow = 0; firstWindow < THREE_WEEKS; firstWindow += 24)
      await forecaster.observe(profileOf({ partitionCount, firstWindow, windowCount: 24, load }));
    const { point } = await forecaster.forecast();
    forecaster.close();
    return point;
  };
  const disturbed: Load = (p, w) => (p === 1 && w >= 400 && w < 430 ? 0 : everyWeek(p, w));
  const undisturbed = await forecastAfter(everyWeek);
  (await forecastAfter(disturbed)).forEach((load, index) => {
    const expected = undisturbed[index] as number;
    assert.ok(Math.abs(load - expected) <= 1e-9 * expected, `${load} in place of ${expected}`);
  });
});

test.run();

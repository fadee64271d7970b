import { Packr, Unpackr } from 'msgpackr';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { CHECKPOINT_VERSION, type ForecasterCheckpoint } from '../../../src/analyzer/checkpoint.ts';
import { Forecaster } from '../../../src/analyzer/forecaster.ts';
import { forecasterBytes, pooledRidgeBytes } from '../../../src/analyzer/memory.ts';
import { FORECAST_DEFAULTS, type ForecastSettings } from '../../../src/analyzer/settings.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { seededRandom } from '../../../src/base/random.ts';
import type { KernelBuild } from '../../../src/kernels/bytes.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import { inlineRunner, KernelPool, type KernelRunner } from '../../../src/kernels/pool.ts';
import type { Forecast } from '../../../src/model/forecast.ts';
import { LOAD_DIMENSION_COUNT } from '../../../src/model/load-profile.ts';
import { testSeed } from '../../support/seed.ts';
import { HOUR_MS, profileOf, weeklyLoad } from '../../support/synthetic-load.ts';

const pack = (value: unknown): Uint8Array => new Packr({ moreTypes: true }).pack(value);
const unpack = (bytes: Uint8Array): unknown => new Unpackr({ moreTypes: true }).unpack(bytes);

const test = suite('analyzer/forecaster');
const seed = testSeed('analyzer/forecaster');
const PARTITIONS = 6;
/** Small enough to be quick, large enough that every member takes part. */
const SETTINGS: ForecastSettings = {
  ...FORECAST_DEFAULTS,
  horizonSteps: 24,
  historyWindows: 840,
  members: [...FORECAST_DEFAULTS.members, 'pooled-ridge'],
  ridge: { ...FORECAST_DEFAULTS.ridge, clusterCount: 2, clusterSeeds: 1 },
};
const FOUR_WEEKS = 672;

function newForecaster(options: { runner?: KernelRunner; settings?: Partial<ForecastSettings> } = {}) {
  const runner = options.runner ?? inlineRunner(loadKernels());
  const random = seededRandom(7n);
  return new Forecaster({ ...SETTINGS, ...options.settings }, { runner, random, logger: silentLogger });
}

type Load = (partition: number, window: number) => number;

const window = (
  load: Load,
  firstWindow: number,
  windowCount: number,
  coverage?: (window: number) => number,
) =>
  profileOf({
    partitionCount: PARTITIONS,
    firstWindow,
    windowCount,
    load,
    ...(coverage ? { coverage } : {}),
  });

const at = (step: number, partition: number, dimension = 0): number =>
  (step * PARTITIONS + partition) * LOAD_DIMENSION_COUNT + dimension;

async function codeOf(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
    return 'none';
  } catch (error) {
    return error instanceof ForeshardError ? error.code : `other: ${error}`;
  }
}

async function messageOf(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
    return 'none';
  } catch (error) {
    return (error as Error).message;
  }
}

function assertBounded(forecast: Forecast): void {
  for (let i = 0; i < forecast.point.length; i++) {
    const [lower, point, upper] = [forecast.lower[i]!, forecast.point[i]!, forecast.upper[i]!];
    if (!(lower >= 0 && lower <= point && point <= upper && upper < Number.POSITIVE_INFINITY))
      assert.unreachable(`value ${i}: ${lower} <= ${point} <= ${upper} does not hold`);
    const mean = forecast.mean[i]!;
    if (!(mean >= point / 2 && mean <= 4 * point))
      assert.unreachable(`value ${i}: a mean of ${mean} is not near ${point}`);
  }
}

/** Bit for bit; uvu's equal calls two NaN different. */
function assertSameForecast(actual: Forecast, expected: Forecast): void {
  for (const name of ['point', 'mean', 'lower', 'upper', 'skill'] as const)
    for (let i = 0; i < expected[name].length; i++)
      if (!Object.is(actual[name][i], expected[name][i]))
        assert.unreachable(`${name}[${i}]: ${actual[name][i]} is not ${expected[name][i]}`);
  assert.equal({ ...actual.members }, { ...expected.members });
  assert.is(actual.startMs, expected.startMs);
}

/** Mean |error| of log loads over the forecast's windows. */
function logError(forecast: Forecast, load: Load): number {
  const first = forecast.startMs / forecast.stepMs;
  let sum = 0;
  for (let step = 0; step < forecast.horizonSteps; step++)
    for (let p = 0; p < PARTITIONS; p++)
      sum += Math.abs(Math.log1p(load(p, first + step)) - Math.log1p(forecast.point[at(step, p)]!));
  return sum / (forecast.horizonSteps * PARTITIONS);
}

test('fewer than three windows are too few; from the third on there is a forecast with wide bounds', async () => {
  const forecaster = newForecaster();
  assert.is(await codeOf(() => forecaster.forecast()), 'FORESHARD_NOT_READY');
  await forecaster.observe(window(() => 100, 0, 2));
  assert.is(await codeOf(() => forecaster.forecast()), 'FORESHARD_NOT_READY');
  await forecaster.observe(window(() => 100, 2, 1));
  const forecast = await forecaster.forecast();
  assertBounded(forecast);
  assert.ok(Math.abs(forecast.point[at(5, 0)]! - 100) < 1e-3);
  assert.ok(forecast.upper[at(5, 0)]! > 2 * forecast.point[at(5, 0)]!);
  assert.ok(Number.isNaN(forecast.skill[0]!));
});

test('with every length of history the forecast is finite, bounded, and follows what it has seen', async () => {
  const load = weeklyLoad(seed, { noise: 0 });
  const forecaster = newForecaster();
  let known = 0;
  const errors: number[] = [];
  for (const length of [3, 23, 25, 100, 170, 340, FOUR_WEEKS]) {
    await forecaster.observe(window(load, known, length - known));
    known = length;
    const forecast = await forecaster.forecast();
    assertBounded(forecast);
    assert.is(forecast.startMs / forecast.stepMs, length);
    errors.push(logError(forecast, load));
  }
  assert.ok(errors.at(-1)! < 0.02, `a load without noise is known after four weeks: ${errors}`);
  assert.ok(errors.at(-1)! < errors[1]! / 5, `history helps: ${errors}`);
});

test('silent and constant partitions are forecast as they are', async () => {
  const forecaster = newForecaster();
  const load: Load = (p) => (p === 0 ? 0 : p === 1 ? 5 : 1000);
  await forecaster.observe(window(load, 0, FOUR_WEEKS));
  const forecast = await forecaster.forecast();
  assertBounded(forecast);
  for (let step = 0; step < 24; step++)
    for (const p of [0, 1, 2]) {
      const expected = load(p, 0);
      assert.ok(
        Math.abs(forecast.point[at(step, p)]! - expected) <= 0.01 * expected + 1e-6,
        `partition ${p}, step ${step}: ${forecast.point[at(step, p)]}`,
      );
      assert.ok(forecast.upper[at(step, p)]! <= 1.1 * expected + 0.1, 'what never errs has narrow bounds');
    }
});

test('whatever comes, a forecast is finite, bounded, and near what usually was', async () => {
  const kinds: readonly Load[] = [
    () => 0,
    () => 1,
    // A million among ones, last thing before the forecast.
    (_, w) => (w === FOUR_WEEKS - 1 ? 1e6 : 1),
    // A month of nothing, then life.
    (_, w) => (w < FOUR_WEEKS - 5 ? 0 : 50),
    // Life, then nothing for a week.
    (_, w) => (w < FOUR_WEEKS - 168 ? 50 + (w % 24) : 0),
    (_, w) => (w % 97 === 0 ? 3 : 0),
  ];
  const load: Load = (p, w) => (kinds[p] as Load)(p, w);
  const forecaster = newForecaster();
  await forecaster.observe(window(load, 0, FOUR_WEEKS));
  for (const extra of [0, 1, 2]) {
    if (extra > 0) await forecaster.observe(window(load, FOUR_WEEKS + extra - 1, 1));
    const forecast = await forecaster.forecast({ levels: [0.8, 0.95] });
    assertBounded(forecast);
    for (const interval of forecast.intervals!) assertBounded({ ...forecast, ...interval });
    for (let step = 0; step < 24; step++) {
      assert.ok(forecast.point[at(step, 0)]! < 0.01, `silence: ${forecast.point[at(step, 0)]}`);
      assert.ok(forecast.point[at(step, 2)]! < 10, `one spike: ${forecast.point[at(step, 2)]}`);
      assert.ok(forecast.mean[at(step, 2)]! < 10, `one spike: ${forecast.mean[at(step, 2)]}`);
    }
  }
});

test('on a noisy week it beats last week, and 80 % of what comes is inside the bounds', async () => {
  const load = weeklyLoad(seed, { noise: 0.3 });
  const forecaster = newForecaster();
  await forecaster.observe(window(load, 0, FOUR_WEEKS));
  let inside = 0;
  let total = 0;
  const skills: number[] = [];
  for (let origin = FOUR_WEEKS; origin < FOUR_WEEKS + 168; origin += 24) {
    const forecast = await forecaster.forecast();
    for (let step = 0; step < 24; step++)
      for (let p = 0; p < PARTITIONS; p++) {
        const actual = load(p, origin + step);
        total++;
        if (actual >= forecast.lower[at(step, p)]! && actual <= forecast.upper[at(step, p)]!) inside++;
      }
    skills.push(...forecast.skill);
    await forecaster.observe(window(load, origin, 24));
  }
  const coverage = inside / total;
  assert.ok(coverage > 0.74 && coverage < 0.86, `coverage ${coverage}, SEED=${seed}`);
  const skill = skills.reduce((sum, value) => sum + value, 0) / skills.length;
  assert.ok(skill > 0.1, `skill ${skill}, SEED=${seed}`);
});

test('means of sparse partitions add up to what comes in all, where points do not', async () => {
  const rate = (w: number): number => 0.5 * (1 + 0.9 * Math.sin((2 * Math.PI * w) / 24));
  const load: Load = (p, w) => {
    const random = seededRandom(seed ^ (BigInt(p + 1) << 40n) ^ BigInt(w));
    let count = 0;
    // Knuth's way to a Poisson count.
    for (let rest = random.nextFloat(); rest > Math.exp(-rate(w)); rest *= random.nextFloat()) count++;
    return count;
  };
  const forecaster = newForecaster();
  await forecaster.observe(window(load, 0, FOUR_WEEKS));
  const sums = { point: 0, mean: 0, expected: 0 };
  for (let origin = FOUR_WEEKS; origin < FOUR_WEEKS + 96; origin += 24) {
    const { point, mean } = await forecaster.forecast();
    for (let step = 0; step < 24; step++)
      for (let p = 0; p < PARTITIONS; p++) {
        sums.point += point[at(step, p)]!;
        sums.mean += mean[at(step, p)]!;
        sums.expected += rate(origin + step);
      }
    await forecaster.observe(window(load, origin, 24));
  }
  const said = `SEED=${seed}: ${JSON.stringify(sums)}`;
  assert.ok(sums.point < 0.9 * sums.expected, said);
  assert.ok(Math.abs(sums.mean - sums.expected) < 0.12 * sums.expected, said);
});

test('an outage is neither learnt nor judged: the forecast after it is as good as without', async () => {
  const load = weeklyLoad(seed, { noise: 0.1 });
  const isOut = (w: number): boolean => w >= 600 && w < 630;
  const [steady, interrupted] = [newForecaster(), newForecaster()];
  await steady.observe(window(load, 0, FOUR_WEEKS));
  await interrupted.observe(window(load, 0, FOUR_WEEKS, (w) => (isOut(w) ? 0 : 1)));
  const [before, after] = [await steady.forecast(), await interrupted.forecast()];
  assertBounded(after);
  assert.ok(logError(after, load) < 1.5 * logError(before, load) + 0.01);
});

test('dropped records are made up for by coverage', async () => {
  const load: Load = () => 1000;
  const forecaster = newForecaster();
  await forecaster.observe(window(load, 0, 48, (w) => (w % 2 === 0 ? 1 : 0.5)));
  const forecast = await forecaster.forecast();
  assert.ok(Math.abs(forecast.point[at(0, 0)]! - 1000) < 1);
});

test('windows that are known are passed over, missing ones count as an outage', async () => {
  const load = weeklyLoad(seed, { noise: 0.1 });
  const [once, often] = [newForecaster(), newForecaster()];
  await once.observe(window(load, 0, 60, (w) => (w === 40 ? 0 : 1)));
  await often.observe(window(load, 0, 30));
  await often.observe(window(load, 0, 40));
  await often.observe(window(load, 41, 10));
  await often.observe(window(load, 45, 15));
  assertSameForecast(await often.forecast(), await once.forecast());
});

test('a corrupt profile is refused and leaves what was known as it was', async () => {
  const load = weeklyLoad(seed, { noise: 0 });
  const forecaster = newForecaster();
  await forecaster.observe(window(load, 0, 48));
  const before = await forecaster.forecast();
  for (const bad of [Number.NaN, -1, Number.POSITIVE_INFINITY, 1e101])
    assert.is(await codeOf(() => forecaster.observe(window(() => bad, 48, 1))), 'FORESHARD_CORRUPT');
  assert.is(
    await messageOf(() => forecaster.observe(window((p) => (p === 4 ? 1e101 : 1), 48, 3))),
    'load profile, window 0: queries of partition 4 is 1e+101, not in 0..1e+100',
  );
  assert.is(
    await codeOf(() => forecaster.observe(window(load, 48, 1, () => Number.NaN))),
    'FORESHARD_CORRUPT',
  );
  assertSameForecast(await forecaster.forecast(), before);
});

test('another shape, or a horizon it was not made for, is refused', async () => {
  const forecaster = newForecaster();
  await forecaster.observe(window(() => 1, 0, 10));
  const other = profileOf({ partitionCount: PARTITIONS + 1, firstWindow: 10, windowCount: 1, load: () => 1 });
  assert.is(await codeOf(() => forecaster.observe(other)), 'FORESHARD_CONFIG');
  for (const horizonSteps of [0, 25, 1.5, Number.NaN])
    assert.is(await codeOf(() => forecaster.forecast({ horizonSteps })), 'FORESHARD_CONFIG');
  assert.throws(() => newForecaster({ settings: { level: 1 } }), /level must be/);
  assert.throws(
    () => newForecaster({ settings: { members: ['day', 'oracle'] } }),
    /members must be .*naive-week/,
  );
});

test('every dimension follows the queries by its own ratio', async () => {
  const forecaster = newForecaster();
  await forecaster.observe(window(weeklyLoad(seed, { noise: 0.1 }), 0, 200));
  const forecast = await forecaster.forecast();
  for (const [dimension, ratio] of [2e-5, 200, 16].entries())
    for (const values of [forecast.point, forecast.mean, forecast.lower, forecast.upper]) {
      const expected = values[at(3, 2)]! * ratio;
      assert.ok(Math.abs(values[at(3, 2, dimension + 1)]! - expected) <= 1e-9 * expected);
    }
});

test('a long life in a short memory: old windows are dropped, the forecast stays good', async () => {
  const load = weeklyLoad(seed, { noise: 0.05 });
  const forecaster = newForecaster();
  await forecaster.observe(window(load, 0, 1400));
  assert.ok(logError(await forecaster.forecast(), load) < 0.1);
});

test('the same seed and history give the same bytes, in both builds, here and in a worker', async () => {
  // A cycle of a day and a half: no season fits, so that the ridge must take part.
  const noise = weeklyLoad(seed, { noise: 0.05 });
  const load: Load = (p, w) => 100 * (1 + 0.8 * Math.sin((2 * Math.PI * w) / 36)) + 0.1 * noise(p, w);
  async function forecastBy(runner: KernelRunner): Promise<Forecast> {
    const forecaster = newForecaster({ runner });
    await forecaster.observe(window(load, 0, 400));
    return forecaster.forecast();
  }
  const builds: readonly KernelBuild[] = ['debug', 'release'];
  const [debug, release] = await Promise.all(
    builds.map((build) => forecastBy(inlineRunner(loadKernels({ build })))),
  );
  assert.ok(
    release!.members.some(({ name }) => name === 'pooled-ridge'),
    `the ridge takes part: ${JSON.stringify(release!.members)}`,
  );
  assertSameForecast(debug!, release!);
  const pool = new KernelPool({ threads: 1 }, { kernels: loadKernels(), logger: silentLogger });
  try {
    assertSameForecast(await forecastBy(pool), release!);
  } finally {
    await pool.close();
  }
});

test('after a restart it goes on as if there had been none', async () => {
  const load = weeklyLoad(seed, { noise: 0.2 });
  const forecaster = newForecaster();
  assert.is(forecaster.save(), undefined);
  await forecaster.observe(window(load, 0, 500));
  const checkpoint = unpack(pack(forecaster.save()!)) as ForecasterCheckpoint;
  const expected = await forecaster.forecast({ levels: [0.8, 0.95] });
  const restored = Forecaster.restore(checkpoint, SETTINGS, {
    runner: inlineRunner(loadKernels()),
    random: seededRandom(7n),
    logger: silentLogger,
  });
  assertSameForecast(await restored.forecast({ levels: [0.8, 0.95] }), expected);
  // Windows on the way let members be fitted, and forecasts be issued and judged.
  for (let w = 500; w < 560; w++)
    for (const each of [forecaster, restored]) await each.observe(window(load, w, 1));
  assertSameForecast(await restored.forecast(), await forecaster.forecast());
});

test('a checkpoint of another version or shape is refused, and leaves no kernel memory behind', async () => {
  const forecaster = newForecaster();
  await forecaster.observe(window(weeklyLoad(seed, { noise: 0.2 }), 0, 100));
  const checkpoint = forecaster.save()!;
  const kernels = loadKernels();
  const restore = (changed: object, settings: Partial<ForecastSettings> = {}) =>
    Forecaster.restore(
      { ...checkpoint, ...changed },
      { ...SETTINGS, ...settings },
      { runner: inlineRunner(kernels), random: seededRandom(7n), logger: silentLogger },
    );
  assert.throws(
    () => restore({ version: 99 }),
    new RegExp(`version 99, this is version ${CHECKPOINT_VERSION}`),
  );
  assert.throws(
    () => restore({}, { horizonSteps: 12 }),
    /horizonSteps was 24 when it was saved, and is 12 now/,
  );
  assert.throws(() => restore({}, { members: ['day'] }), /members was \["level".*and is \["day"\] now/);
  const history = { ...checkpoint.history, rows: checkpoint.history.rows.slice(1) };
  assert.throws(() => restore({ history }), /no 100 windows of 6 partitions/);
  assert.is(kernels.arena.usedBytes, 0);
});

test('after a long history at once, each window fits some partitions again, and a week all of them once', async () => {
  const partitionCount = 80;
  const plain = inlineRunner(loadKernels());
  const fitted: number[] = [];
  const runner: KernelRunner = {
    ...plain,
    run(name, parameters) {
      if (name === 'etsFit') fitted.push(fitted.pop()! + (parameters as { readonly count: number }).count);
      return plain.run(name, parameters);
    },
  };
  const forecaster = new Forecaster(
    { ...SETTINGS, members: ['level', 'ets'] },
    { runner, random: seededRandom(7n), logger: silentLogger },
  );
  const load = weeklyLoad(seed, { noise: 0.1 });
  const observe = (firstWindow: number, windowCount: number): Promise<void> => {
    fitted.push(0);
    return forecaster.observe(profileOf({ partitionCount, firstWindow, windowCount, load }));
  };
  await observe(0, 336);
  assert.ok(fitted.pop()! >= partitionCount, 'at once');
  for (let w = 336; w < 504; w++) await observe(w, 1);
  assert.is(Math.max(...fitted), 8, 'a tile of them at most');
  assert.is(
    fitted.reduce((sum, count) => sum + count, 0),
    partitionCount,
  );
});

test('closing gives all kernel memory back', async () => {
  const kernels = loadKernels();
  const forecaster = newForecaster({ runner: inlineRunner(kernels) });
  await forecaster.observe(window(weeklyLoad(seed, { noise: 0.1 }), 0, 400));
  assert.ok(kernels.arena.usedBytes > 0);
  forecaster.close();
  assert.is(kernels.arena.usedBytes, 0);
});

test('the memory a forecaster says it needs is what it takes, at its peak', async () => {
  const seasonal = ['level', 'day', 'naive-week', 'weeks'];
  for (const settings of [
    { ...SETTINGS, members: FORECAST_DEFAULTS.members },
    { ...SETTINGS, members: seasonal },
    { ...SETTINGS, members: [...seasonal, 'pooled-ridge'] },
    {
      ...SETTINGS,
      members: [...seasonal, 'pooled-ridge'],
      ridge: { ...SETTINGS.ridge, clusterCount: 3, clusterSeeds: 2 },
    },
  ]) {
    const kernels = loadKernels();
    const { arena } = kernels;
    let peakBytes = 0;
    const alloc = arena.alloc.bind(arena);
    arena.alloc = (sizeBytes) => {
      const block = alloc(sizeBytes);
      peakBytes = Math.max(peakBytes, arena.usedBytes);
      return block;
    };
    const forecaster = newForecaster({ runner: inlineRunner(kernels), settings });
    await forecaster.observe(window(weeklyLoad(seed, { noise: 0.1 }), 0, FOUR_WEEKS));
    await forecaster.forecast();
    const shape = { partitionCount: PARTITIONS, windowMs: HOUR_MS };
    const bytes = forecasterBytes(settings, shape);
    const total = bytes.history + bytes.predictions + bytes.models + bytes.passing;
    assert.ok(peakBytes <= total, `${peakBytes} <= ${total}`);
    const certain = bytes.history + bytes.predictions;
    if (settings.members.includes('pooled-ridge')) {
      const ridge = pooledRidgeBytes(settings, shape);
      assert.is(arena.usedBytes, certain + ridge.models);
      assert.is(peakBytes, certain + ridge.models + ridge.clustering);
    } else if (settings.members === seasonal) assert.is(peakBytes, certain);
    forecaster.close();
  }
});

test.run();

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Forecaster } from '../../../src/analyzer/forecaster.ts';
import { NoiseShape } from '../../../src/analyzer/noise-shape.ts';
import { FORECAST_DEFAULTS } from '../../../src/analyzer/settings.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import { inlineRunner } from '../../../src/kernels/pool.ts';
import { LOAD_DIMENSION_COUNT } from '../../../src/model/load-profile.ts';
import { testSeed } from '../../support/seed.ts';
import { profileOf, weeklyLoad } from '../../support/synthetic-load.ts';

const test = suite('analyzer/noise-shape');
const seed = testSeed('analyzer/noise-shape');
const DAY = 24;
const WEEKS = 3 * 7 * DAY;

/** A shape that has seen an error of every partition in each window. */
function learnt(
  partitionCount: number,
  sampleOf: (partition: number, window: number) => { readonly size: number; readonly point?: number },
  dayWindows = DAY,
): NoiseShape {
  const shape = new NoiseShape(partitionCount, dayWindows);
  for (let window = 0; window < WEEKS; window++) {
    shape.fade();
    for (let partition = 0; partition < partitionCount; partition++) {
      const { size, point = 3 } = sampleOf(partition, window);
      const share = 1 / partitionCount;
      shape.add({ partition, window, point, size, usual: 0.2, share });
    }
  }
  return shape;
}

const isNight = (window: number): boolean => window % DAY < 8;

test('hours whose errors are three times as large get bounds nearly three times as wide; other partitions do not', () => {
  const random = seededRandom(seed);
  const shape = learnt(2, (partition, window) => ({
    size: 2 * random.nextFloat() * (partition === 0 && isNight(window) ? 0.3 : 0.1),
  }));
  const at = (partition: number, hour: number): number =>
    shape.factor(partition, { window: 7 * DAY + hour, point: 3 });
  const ratio = at(0, 4) / at(0, 16);
  assert.ok(ratio > 2 && ratio < 3.2, `${ratio}, SEED=${seed}`);
  const [night, noon] = [at(1, 4), at(1, 16)];
  assert.ok(Math.abs(night - 1) < 0.2 && Math.abs(noon - 1) < 0.2, `${night} and ${noon}, SEED=${seed}`);
});

test('a partition that has hardly been judged has the same noise at all hours, nearly', () => {
  const shape = new NoiseShape(1, DAY);
  const sample = { partition: 0, point: 3, usual: 0.2, share: 1 };
  for (let window = 0; window < DAY; window++)
    shape.add({ ...sample, window, size: isNight(window) ? 0.4 : 0.1 });
  for (let hour = 0; hour < DAY; hour++) {
    const factor = shape.factor(0, { window: hour, point: 3 });
    assert.ok(Math.abs(factor - 1) < 0.35, `hour ${hour}: ${factor}`);
  }
});

test('where errors shrink with the root of the load, so do bounds, of every partition, within what was seen', () => {
  const random = seededRandom(seed);
  // Loads go up and down every five hours: no hour of the day is of one kind.
  const logLoad = (window: number): number => 3 + 2 * Math.sin(window / 0.8);
  const shape = learnt(4, (_, window) => {
    const point = logLoad(window);
    return { point, size: 0.4 * random.nextFloat() * Math.exp(-(point - 3) / 2) };
  });
  const at = (point: number): number => shape.factor(2, { window: 5, point });
  const slope = Math.log(at(2) / at(4)) / 2;
  assert.ok(Math.abs(slope - 0.5) < 0.1, `${slope}, SEED=${seed}`);
  assert.is(at(20), at(6.5), 'far loads are as those at the edge of what slopes are learnt from');
});

test('nights that are noisy because little comes in them are not noisy twice', () => {
  const random = seededRandom(seed);
  const pointOf = (window: number): number => (isNight(window) ? 2 : 4);
  const shape = learnt(4, (_, window) => {
    const point = pointOf(window);
    return { point, size: 0.4 * random.nextFloat() * Math.exp(-(point - 3) / 2) };
  });
  const at = (hour: number): number => shape.factor(1, { window: 7 * DAY + hour, point: pointOf(hour) });
  // Twice e^(1/2) / e^(-1/2) would be 7.4.
  const ratio = at(4) / at(16);
  assert.ok(ratio > 2.2 && ratio < 4.5, `${ratio} in place of ${Math.E}, SEED=${seed}`);
});

test('after a shift of level the usual load is another', () => {
  const random = seededRandom(seed);
  const shape = learnt(1, (_, window) => {
    const point = 3 + Math.sin(window / 0.8);
    return { point, size: 0.4 * random.nextFloat() * Math.exp(3 - point) };
  });
  const before = shape.factor(0, { window: 5, point: 3 });
  shape.recentre(0, Math.log(2));
  assert.ok(Math.abs(shape.factor(0, { window: 5, point: 3 + Math.log(2) }) - before) < 1e-9);
});

test('factors of many windows are those of each, also where a day has few windows or three', () => {
  for (const dayWindows of [DAY, 5, 3]) {
    const random = seededRandom(seed);
    const shape = learnt(3, () => ({ size: random.nextFloat(), point: 6 * random.nextFloat() }), dayWindows);
    const points = Float32Array.from({ length: 2 * 30 }, () => 6 * random.nextFloat());
    const factors = shape.factors({ first: 1, count: 2 }, 1000, points);
    factors.forEach((factor, index) => {
      const window = 1000 + (index % 30);
      const alone = shape.factor(1 + Math.floor(index / 30), { window, point: points[index]! });
      assert.is(factor, Math.fround(alone), `a day of ${dayWindows} windows, place ${index}`);
      assert.ok(factor > 0 && Number.isFinite(factor));
    });
  }
});

test('what is saved goes on as before, and what is cut short is refused', () => {
  const random = seededRandom(seed);
  const shape = learnt(2, (_, window) => ({ size: random.nextFloat(), point: 3 + Math.cos(window) }));
  const restored = new NoiseShape(2, DAY);
  restored.load(shape.save());
  const at = { window: 77, point: 2.2 };
  assert.is(restored.factor(1, at), shape.factor(1, at));
  const cut = { ...shape.save(), hourSums: new Float64Array(3) };
  assert.throws(() => new NoiseShape(2, DAY).load(cut), /noise by hour has 3 numbers/);
});

test('sums that are kept beside the hours are those of the hours, also where an older checkpoint has none', () => {
  const random = seededRandom(seed);
  const shape = learnt(3, () => ({ size: random.nextFloat(), point: 6 * random.nextFloat() }));
  const { dayTotals, ...older } = shape.save();
  assert.ok(dayTotals !== undefined);
  const restored = new NoiseShape(3, DAY);
  restored.load(older);
  for (let partition = 0; partition < 3; partition++)
    for (let hour = 0; hour < DAY; hour++) {
      const at = { window: hour, point: 3 };
      const ratio = restored.factor(partition, at) / shape.factor(partition, at);
      assert.ok(Math.abs(ratio - 1) < 1e-9, `${ratio} at ${hour}, SEED=${seed}`);
    }
});

test('an error is taken in by the shape of now, whatever was asked before it', () => {
  const sample = { partition: 0, window: 4, point: 2, size: 0.9, usual: 0.2, share: 1 };
  const shapes = [0, 1].map(() =>
    learnt(2, (_, window) => ({ size: isNight(window) ? 0.6 : 0.2, point: 2 + (window % 5) })),
  );
  const [asked, plain] = shapes as [NoiseShape, NoiseShape];
  // What is asked of it is remembered for the error that follows; each of these makes it outdated.
  const changes: ((shape: NoiseShape) => void)[] = [
    (shape) => shape.fade(),
    (shape) => shape.recentre(0, 1),
    (shape) => shape.add({ ...sample, partition: 1, point: 6, size: 3 }),
    (shape) => shape.load(learnt(2, () => ({ size: 0.4 })).save()),
  ];
  for (const change of changes) {
    asked.factor(0, sample);
    for (const shape of shapes) {
      change(shape);
      shape.add(sample);
    }
    assert.equal(asked.save(), plain.save());
  }
});

test('the bounds of a forecast are wide at the hours that are noisy', async () => {
  const partitionCount = 4;
  const settings = {
    ...FORECAST_DEFAULTS,
    horizonSteps: 24,
    historyWindows: 840,
    members: ['level', 'day', 'naive-week'],
  };
  const components = {
    runner: inlineRunner(loadKernels()),
    random: seededRandom(seed),
    logger: silentLogger,
  };
  const forecaster = new Forecaster(settings, components);
  // The forecast begins in the middle of a day.
  const windowCount = 610;
  const random = seededRandom(seed);
  const loads = Float64Array.from({ length: windowCount * partitionCount }, (_, at) => {
    const noise = isNight(Math.floor(at / partitionCount)) ? 0.9 : 0.1;
    return 1000 * Math.exp(noise * (random.nextFloat() - 0.5));
  });
  const load = (p: number, w: number): number => loads[w * partitionCount + p] as number;
  await forecaster.observe(profileOf({ partitionCount, firstWindow: 0, windowCount, load }));
  const { lower, upper } = await forecaster.forecast();
  forecaster.close();
  const widths = { night: 0, day: 0 };
  for (let step = 0; step < 24; step++)
    for (let p = 0; p < partitionCount; p++) {
      const at = (step * partitionCount + p) * LOAD_DIMENSION_COUNT;
      const width = Math.log((upper[at] as number) / (lower[at] as number));
      if (isNight(windowCount + step)) widths.night += width / 8;
      else widths.day += width / 16;
    }
  assert.ok(widths.night > 2 * widths.day, `${widths.night} and ${widths.day}, SEED=${seed}`);
});

test('hours after a level has shifted, the upper bounds of its partition reach to where it may have gone', async () => {
  const partitionCount = 4;
  const windowCount = 4 * 168;
  const upperOf = async (hours: number): Promise<number[]> => {
    const forecaster = new Forecaster(
      { ...FORECAST_DEFAULTS, horizonSteps: 24, historyWindows: 840, members: ['day', 'naive-week'] },
      { runner: inlineRunner(loadKernels()), random: seededRandom(seed), logger: silentLogger },
    );
    const usual = weeklyLoad(seed, { noise: 0.1 });
    const load = (p: number, w: number): number => usual(p, w) * (p === 1 && w >= windowCount ? 2 : 1);
    await forecaster.observe(
      profileOf({ partitionCount, firstWindow: 0, windowCount: windowCount + hours, load }),
    );
    const { point, upper } = await forecaster.forecast();
    forecaster.close();
    const at = (p: number): number => (12 * partitionCount + p) * LOAD_DIMENSION_COUNT;
    return Array.from({ length: partitionCount }, (_, p) =>
      Math.log((upper[at(p)] as number) / (point[at(p)] as number)),
    );
  };
  const [before, after] = [await upperOf(0), await upperOf(4)];
  assert.ok(after[1]! > before[1]! + 0.4, `${after[1]} after ${before[1]}, SEED=${seed}`);
  for (const other of [0, 2, 3]) assert.ok(after[other]! < before[other]! + 0.1, `partition ${other}`);
});

test.run();

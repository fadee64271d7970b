import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { DimensionForecaster } from '../../../src/analyzer/dimensions/dimension-forecaster.ts';
import { allForecastersBytes, type ForecasterBytes } from '../../../src/analyzer/memory.ts';
import { FORECAST_DEFAULTS, type ForecastSettings } from '../../../src/analyzer/settings.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { kernelMemory } from '../../../src/kernel-memory.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import { inlineRunner } from '../../../src/kernels/pool.ts';
import { DEFAULT_SETTINGS } from '../../../src/settings.ts';
import { testSeed } from '../../support/seed.ts';
import { HOUR_MS, profileOf, weeklyLoad } from '../../support/synthetic-load.ts';

const test = suite('analyzer/memory');
const seed = testSeed('analyzer/memory');
const PARTITIONS = 256;
const SHAPE = { partitionCount: PARTITIONS, windowMs: HOUR_MS };
const ALONE: ForecastSettings = {
  ...FORECAST_DEFAULTS,
  horizonSteps: 24,
  historyWindows: 840,
  members: ['level', 'day', 'naive-week', 'ets'],
};
const TWO: ForecastSettings = { ...ALONE, dimensions: ['readBytes'] };
const PARTS = ['history', 'predictions', 'models', 'passing'] as const;

/** Kernel memory that forecasters hold after they have forecast, bytes. */
async function heldBytes(settings: ForecastSettings): Promise<number> {
  const kernels = loadKernels();
  const forecaster = new DimensionForecaster(settings, {
    runner: inlineRunner(kernels),
    random: seededRandom(seed),
    logger: silentLogger,
  });
  const before = kernels.arena.usedBytes;
  const load = weeklyLoad(seed, { noise: 0.1 });
  // Two weeks: from then on there are sums.
  await forecaster.observe(profileOf({ partitionCount: PARTITIONS, firstWindow: 0, windowCount: 340, load }));
  await forecaster.forecast();
  const held = kernels.arena.usedBytes - before;
  forecaster.close();
  return held;
}

test('a dimension that is forecast by itself, and sums, take what is announced of them', async () => {
  const alone = await heldBytes(ALONE);
  for (const [what, settings] of [
    ['another dimension', TWO],
    ['sums', { ...ALONE, isReconciled: true }],
    ['sums of two dimensions', { ...TWO, isReconciled: true }],
  ] as const) {
    const [bytes, before] = [settings, ALONE].map((of) => allForecastersBytes(of, SHAPE)) as [
      ForecasterBytes,
      ForecasterBytes,
    ];
    const more = (parts: readonly (keyof ForecasterBytes)[]): number =>
      parts.reduce((sum, part) => sum + bytes[part] - before[part], 0);
    const held = (await heldBytes(settings)) - alone;
    // The history is there from the beginning on; the rest as far as it is needed.
    assert.ok(
      held >= more(['history']),
      `${what}: ${held} held, a history of ${more(['history'])} announced`,
    );
    assert.ok(held <= more(PARTS), `${what}: ${held} held, ${more(PARTS)} announced`);
  }
});

test('every part is needed once a dimension, and the driver is none besides itself', () => {
  for (const isReconciled of [false, true]) {
    const one = allForecastersBytes({ ...ALONE, isReconciled }, SHAPE);
    const two = allForecastersBytes({ ...TWO, isReconciled }, SHAPE);
    const named = allForecastersBytes({ ...ALONE, isReconciled, dimensions: ['queries'] }, SHAPE);
    assert.equal(named, one);
    for (const part of ['history', 'predictions', 'models'] as const)
      assert.is(two[part], 2 * one[part], part);
    assert.ok(two.passing > one.passing);
  }
});

test('sums need memory in every part, and of two partitions there are none', () => {
  for (const part of PARTS)
    assert.ok(
      allForecastersBytes({ ...ALONE, isReconciled: true }, SHAPE)[part] >
        allForecastersBytes(ALONE, SHAPE)[part],
      part,
    );
  const two = { ...SHAPE, partitionCount: 2 };
  assert.equal(allForecastersBytes({ ...ALONE, isReconciled: true }, two), allForecastersBytes(ALONE, two));
});

test('what a cluster is told that it needs grows by each dimension and by sums', () => {
  const total = (forecast: Partial<ForecastSettings>): number =>
    kernelMemory({ ...DEFAULT_SETTINGS, forecast: { ...DEFAULT_SETTINGS.forecast, ...forecast } }).total;
  const alone = total({});
  assert.ok(total({ dimensions: ['readBytes'] }) > 1.2 * alone);
  assert.ok(total({ isReconciled: true }) > alone);
});

test('where placement needs more than fitting, a portfolio needs the memory of each of its lanes', () => {
  const { cluster, affinity } = DEFAULT_SETTINGS;
  const passing = (optimizer: 'anneal' | 'portfolio'): number =>
    kernelMemory({
      ...DEFAULT_SETTINGS,
      cluster: { ...cluster, partitionCount: 16_384 },
      affinity: { ...affinity, optimizer },
    }).passing;
  assert.ok(passing('portfolio') > 1.9 * passing('anneal'));
});

test.run();

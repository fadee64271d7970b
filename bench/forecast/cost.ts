import { Forecaster } from '../../src/analyzer/forecaster.ts';
import { NoiseShape } from '../../src/analyzer/noise-shape.ts';
import { ORIGIN_STRIDE } from '../../src/analyzer/origins.ts';
import { FORECAST_DEFAULTS } from '../../src/analyzer/settings.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { type Random, seededRandom } from '../../src/base/random.ts';
import { loadKernels } from '../../src/kernels/instance.ts';
import { inlineRunner } from '../../src/kernels/pool.ts';
import { collectedHeapBytes } from '../collected-heap.ts';
import { profileOf } from './evaluation.ts';
import { processorMs } from './processor-time.ts';
import { figure, type Outcome } from './rows.ts';
import type { SeriesSet } from './sets.ts';

const DAY_HOURS = 24;
const WEEK_HOURS = 168;

/**
 * What one hour more costs: taking it in, and a new forecast of a week, at 1,000 and at 16,384 partitions; and the memory.
 * The load is made up: a daily and a weekly cycle of each partition's own phase, with noise.
 */
export async function runCost({ results }: Outcome, partitionCounts: readonly number[]): Promise<void> {
  for (const partitionCount of partitionCounts) {
    // As much as several fits of everything that can be fitted; the history is full only in its memory.
    const warmUp = 3 * WEEK_HOURS;
    // A week, in which every partition is fitted again once; of very many two days.
    const measured = partitionCount > 4096 ? 48 : WEEK_HOURS;
    const set = madeUp(partitionCount, warmUp + measured, seededRandom(11n));
    const kernels = loadKernels();
    const usedBefore = kernels.arena.usedBytes;
    const heapBefore = collectedHeapBytes();
    const forecaster = new Forecaster(FORECAST_DEFAULTS, {
      runner: inlineRunner(kernels),
      random: seededRandom(1n),
      logger: silentLogger,
    });
    const fitMs = await timed(() => forecaster.observe(profileOf(set, 0, warmUp)));
    const costs: number[] = [];
    for (let w = warmUp; w < warmUp + measured; w++)
      costs.push(await timed(() => forecaster.observe(profileOf(set, w, w + 1))));
    const forecastMs = await timed(() => forecaster.forecast());
    const kernelBytes = kernels.arena.usedBytes - usedBefore;
    const heap = collectedHeapBytes() - heapBefore;
    forecaster.close();
    costs.sort((a, b) => a - b);
    const context = {
      set: 'one-hour-more',
      settings: { partitions: partitionCount, windows: warmUp },
      hash: '-',
    };
    const perPartition = (bytes: number): number => bytes / partitionCount / 1024;
    const row = (metric: string, value: number, unit: string, baseline: string, baselineValue: number) =>
      figure(context, { method: 'observe', metric, value, unit, baseline, baselineValue });
    results.push(
      row('processor time, median', costs[costs.length >> 1] as number, 'ms', 'a-new-forecast', forecastMs),
      row(
        'processor time, mean',
        costs.reduce((a, b) => a + b, 0) / measured,
        'ms',
        'a-new-forecast',
        forecastMs,
      ),
      row(`processor time, worst of ${measured}`, costs.at(-1) as number, 'ms', 'a-new-forecast', forecastMs),
      row('taking in three weeks at once', fitMs, 'ms', 'a-new-forecast', forecastMs),
      figure(context, {
        ...{ method: 'noise-shape', metric: 'processor time, one hour of all partitions', unit: 'ms' },
        ...{ value: noiseShapeMs(partitionCount), baseline: 'observe, median' },
        baselineValue: costs[costs.length >> 1] as number,
      }),
      row('kernel memory a partition', perPartition(kernelBytes), 'KiB', 'heap', perPartition(heap)),
    );
  }
}

/** What an hour more asks of the shape of noise: an error of each partition, and the factors of the forecasts that are kept. */
function noiseShapeMs(partitionCount: number): number {
  const shape = new NoiseShape(partitionCount, DAY_HOURS);
  const random = seededRandom(5n);
  const points = new Float32Array(Math.ceil(partitionCount / ORIGIN_STRIDE) * WEEK_HOURS).fill(3);
  const range = { first: 0, count: points.length / WEEK_HOURS };
  const warmUp = WEEK_HOURS;
  const measured = WEEK_HOURS;
  let startedMs = 0;
  for (let window = 0; window < warmUp + measured; window++) {
    if (window === warmUp) startedMs = processorMs();
    shape.fade();
    for (let partition = 0; partition < partitionCount; partition++) {
      const point = 3 + random.nextFloat();
      const noise = shape.factor(partition, { window, point });
      const size = 0.2 * noise * random.nextFloat();
      shape.add({ partition, window, point, size, usual: 0.1, share: 1 / partitionCount });
    }
    shape.factors(range, window, points);
  }
  return (processorMs() - startedMs) / measured;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = processorMs();
  await work();
  return processorMs() - startedMs;
}

function madeUp(seriesCount: number, windowCount: number, random: Random): SeriesSet {
  const values = new Float64Array(seriesCount * windowCount);
  for (let s = 0; s < seriesCount; s++) {
    const level = 10 ** (1 + 3 * random.nextFloat());
    const phase = random.nextFloat() * DAY_HOURS;
    for (let w = 0; w < windowCount; w++) {
      const day = 1 + 0.6 * Math.sin((2 * Math.PI * (w + phase)) / DAY_HOURS);
      const week = Math.floor((w + phase) / DAY_HOURS) % 7 >= 5 ? 0.5 : 1;
      values[s * windowCount + w] = Math.round(level * day * week * (0.9 + 0.2 * random.nextFloat()));
    }
  }
  return { name: 'made-up', windowMs: 3_600_000, seriesCount, windowCount, values };
}

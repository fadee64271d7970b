import { annealBytes } from './affinity/optimisers/anneal.ts';
import { DEFAULT_PORTFOLIO_SETTINGS } from './affinity/optimisers/portfolio.ts';
import { allForecastersBytes } from './analyzer/memory.ts';
import type { Inconsistency } from './base/claims.ts';
import { MEMORY_PAGES } from './kernels/instance.ts';
import { SCRATCH_BYTES } from './kernels/job.ts';
import type { Settings } from './settings.ts';

const MIB = 1 << 20;

/** The kernels' own constants, control words of jobs, and what is lost between blocks. */
const KERNEL_MEMORY_SLACK_BYTES = 4 * MIB;

/** The one that runs, and one that was cancelled and whose worker has not seen it yet. */
const ANNEALINGS_OF_LANE = 2;

/** What the kernels' memory is used for, and how much at most, bytes. */
export function kernelMemory({ cluster, analyzer, forecast, affinity }: Settings) {
  const { partitionCount, storageNodeCount: nodeCount } = cluster;
  const shape = { partitionCount, windowMs: analyzer.windowMs };
  const { history, predictions, models, passing: fitting } = allForecastersBytes(forecast, shape);
  const lanes = affinity.optimizer === 'portfolio' ? DEFAULT_PORTFOLIO_SETTINGS.lanes : 1;
  const annealing =
    ANNEALINGS_OF_LANE *
    lanes *
    annealBytes(affinity, { partitionCount, nodeCount, horizonSteps: forecast.horizonSteps });
  // Fitting and placement take turns.
  const passing = Math.max(fitting, annealing);
  const threads = analyzer.kernelThreads * SCRATCH_BYTES + KERNEL_MEMORY_SLACK_BYTES;
  const total = history + predictions + models + passing + threads;
  return { history, predictions, models, passing, threads, total };
}

/**
 * The map takes 16,384 partitions; what ends earlier is the memory of the kernels, which never grows. Found here and not in
 * the first planning cycle, since the number of partitions is fixed for the life of the data.
 */
export function memoryInconsistencies(settings: Settings): Inconsistency[] {
  const { cluster, forecast } = settings;
  const { history, predictions, models, passing, threads, total } = kernelMemory(settings);
  const limitBytes = MEMORY_PAGES * 65_536;
  if (total <= limitBytes) return [];
  const mib = (bytes: number): string => `${Math.ceil(bytes / MIB)} MiB`;
  return [
    {
      path: 'cluster.partitionCount',
      expected:
        `few enough to be forecast: ${cluster.partitionCount} partitions with forecast.historyWindows ${forecast.historyWindows} and ` +
        `forecast.horizonSteps ${forecast.horizonSteps} need ${mib(total)} of kernel memory ` +
        `(history ${mib(history)}, predictions ${mib(predictions)}, models ${mib(models)}, fitting or placement ${mib(passing)}, ` +
        `threads and slack ${mib(threads)}), there are ${mib(limitBytes)}: take fewer ` +
        'partitions, or shorten forecast.historyWindows or forecast.horizonSteps',
    },
  ];
}

import { blockBytes } from '../kernels/layout.ts';
import { ridgeLayout } from '../kernels/ridge-jobs.ts';
import { cycleWindowsOf } from './cluster.ts';
import { aggregateCountOf } from './hierarchy/aggregates.ts';
import { historyStride } from './history.ts';
import { CHUNK_PARTITIONS } from './members/ranges.ts';
import type { ForecastSettings } from './settings.ts';

const DAY_MS = 86_400_000;

export interface ForecastShape {
  readonly partitionCount: number;
  readonly windowMs: number;
}

/** Kernel memory of a forecaster that has all the history it keeps, bytes. */
export interface ForecasterBytes {
  /** f64[partition][window]: most of it. */
  readonly history: number;
  /** f64[member][partition][step] of as many partitions as are predicted at a time. */
  readonly predictions: number;
  /** What members keep between two calls. */
  readonly models: number;
  /** Only while members are fitted or predict; at most. */
  readonly passing: number;
}

/** Numbers that sarima, ets and mstl keep of a partition, together: 16, 7 and 7. */
const FIT_CELLS = 30;

/**
 * Weights, lag tables and workspaces of the other members: they do not grow with partitions. 1.7 MiB were measured for
 * windows of an hour, 6 for a quarter of one.
 */
const WORKSPACE_BYTES = 16 << 20;

/** What the forecaster will ask of the arena at most; history and pooled ridge exactly. */
export function forecasterBytes(settings: ForecastSettings, shape: ForecastShape): ForecasterBytes {
  const { historyWindows, horizonSteps } = settings;
  const { partitionCount } = shape;
  const { weekWindows } = cyclesOf(shape);
  const stride = historyStride({ windowsMax: historyWindows, weekWindows });
  const ridge = settings.members.includes('pooled-ridge')
    ? pooledRidgeBytes(settings, shape)
    : { models: 0, clustering: 0 };
  return {
    history: f64(partitionCount * stride),
    predictions: f64(settings.members.length * Math.min(partitionCount, CHUNK_PARTITIONS) * horizonSteps),
    models: f64(FIT_CELLS * partitionCount) + ridge.models,
    passing: ridge.clustering + WORKSPACE_BYTES,
  };
}

/** Of the forecasters that the settings ask for: one of the driver and one of each further dimension, each with one of sums. */
export function allForecastersBytes(settings: ForecastSettings, shape: ForecastShape): ForecasterBytes {
  const forecasterCount = new Set([settings.driver, ...settings.dimensions]).size;
  const partitions = times(forecasterBytes(settings, shape), forecasterCount);
  const sumCount = settings.isReconciled ? aggregateCountOf(shape.partitionCount) : 0;
  if (sumCount === 0) return partitions;
  const sums = times(forecasterBytes(settings, { ...shape, partitionCount: sumCount }), forecasterCount);
  return {
    history: partitions.history + sums.history,
    predictions: partitions.predictions + sums.predictions,
    models: partitions.models + sums.models,
    passing:
      partitions.passing + sums.passing + clusteringBytes(shape.partitionCount, cyclesOf(shape).weekWindows),
  };
}

const times = (bytes: ForecasterBytes, count: number): ForecasterBytes => ({
  history: bytes.history * count,
  predictions: bytes.predictions * count,
  models: bytes.models * count,
  passing: bytes.passing * count,
});

/** What k-means of the partitions' weeks takes: points, centroids, labels and distances. */
const clusteringBytes = (partitionCount: number, weekWindows: number): number => {
  const dimension = weekWindows + (weekWindows % 2);
  return (
    f64(partitionCount * dimension) +
    f64(aggregateCountOf(partitionCount) * dimension) +
    i32(partitionCount) +
    f64(partitionCount)
  );
};

/** Models of the pooled ridge; and what clustering takes on the way. */
export function pooledRidgeBytes(
  { historyWindows, horizonSteps, ridge }: ForecastSettings,
  shape: ForecastShape,
): { readonly models: number; readonly clustering: number } {
  const { partitionCount } = shape;
  const { dayWindows, weekWindows } = cyclesOf(shape);
  const stride = historyStride({ windowsMax: historyWindows, weekWindows });
  const { inputs, columns, momentCells, scratchCells } = ridgeLayout({
    lagCount: ridge.lagWindows,
    horizon: horizonSteps,
  });
  const modelCount = ridge.clusterCount * ridge.clusterSeeds;
  const cycleWindows = cycleWindowsOf({ weekWindows, dayWindows }, stride);
  const dimension = cycleWindows + (cycleWindows % 2);
  return {
    models:
      f64(scratchCells) +
      f64(momentCells) +
      modelCount * (i32(partitionCount) + f64(momentCells) + f64(inputs * columns)),
    clustering:
      f64(partitionCount * dimension) +
      f64(ridge.clusterCount * dimension) +
      i32(partitionCount) +
      f64(partitionCount),
  };
}

const cyclesOf = ({ windowMs }: ForecastShape): { dayWindows: number; weekWindows: number } => ({
  dayWindows: Math.max(1, Math.round(DAY_MS / windowMs)),
  weekWindows: Math.max(1, Math.round((7 * DAY_MS) / windowMs)),
});

const f64 = (count: number): number => blockBytes(count * 8);
const i32 = (count: number): number => blockBytes(count * 4);

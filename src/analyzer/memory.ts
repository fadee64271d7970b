import { blockBytes } from '../kernels/layout.ts';
import { ridgeLayout } from '../kernels/ridge-jobs.ts';
import { cycleWindowsOf } from './cluster.ts';
import { historyStride } from './history.ts';
import { CHUNK_PARTITIONS } from './members/roster.ts';
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
  readonly members: number;
  readonly ridge: number;
  /** Only while partitions are clustered. */
  readonly clustering: number;
}

/** What the forecaster will ask of the arena; it must ask for nothing else. The test compares the two. */
export function forecasterBytes(settings: ForecastSettings, shape: ForecastShape): ForecasterBytes {
  const { historyWindows, horizonSteps, ridge } = settings;
  const { partitionCount, windowMs } = shape;
  const dayWindows = Math.max(1, Math.round(DAY_MS / windowMs));
  const weekWindows = Math.max(1, Math.round((7 * DAY_MS) / windowMs));
  const stride = historyStride({ windowsMax: historyWindows, weekWindows });
  const { inputs, columns, momentCells, scratchCells } = ridgeLayout({
    lagCount: ridge.lagWindows,
    horizon: horizonSteps,
  });
  const modelCount = ridge.clusterCount * ridge.clusterSeeds;
  const cycleWindows = cycleWindowsOf({ weekWindows, dayWindows }, stride);
  const dimension = cycleWindows + (cycleWindows % 2);
  return {
    history: f64(partitionCount * stride),
    members: f64(settings.members.length * Math.min(partitionCount, CHUNK_PARTITIONS) * horizonSteps),
    ridge:
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

const f64 = (count: number): number => blockBytes(count * 8);
const i32 = (count: number): number => blockBytes(count * 4);

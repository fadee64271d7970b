import { ForeshardError } from '../../base/errors.ts';
import type { ForecasterCheckpoint } from '../checkpoint.ts';
import type { Aggregates } from './aggregates.ts';
import type { SavedSumErrors } from './sum-errors.ts';

/** What a forecaster of sums knows, as plain data. */
export interface SavedSums {
  readonly forecaster: ForecasterCheckpoint;
  readonly aggregates: Aggregates;
  readonly errors: SavedSumErrors;
  readonly lookedAt: number;
}

/** All a forecaster of partitions and their sums knows, as plain data. */
export interface HierarchyCheckpoint extends ForecasterCheckpoint {
  /** Absent where sums are not forecast, or not yet. */
  readonly sums?: SavedSums;
}

/** @throws ForeshardError FORESHARD_CORRUPT where the sums are not of these partitions. */
export function assertSumsFit({ forecaster, aggregates }: SavedSums, partitionCount: number): void {
  const { clusterOf, clusterCount } = aggregates;
  const doFit =
    clusterOf.length === partitionCount &&
    forecaster.shape.partitionCount === 1 + clusterCount &&
    clusterOf.every((cluster) => cluster >= 0 && cluster < Math.max(1, clusterCount));
  if (!doFit)
    throw new ForeshardError(
      'FORESHARD_CORRUPT',
      'restart',
      `forecast checkpoint: sums of ${clusterOf.length} partitions, of which there are ${partitionCount}`,
    );
}

import type { TypedBlock } from '../../kernels/arena.ts';
import type { RidgeGroup } from '../../kernels/ridge-jobs.ts';
import type { Clustering } from '../cluster.ts';
import type { PartitionRange } from './member.ts';

/** The model of one cluster. */
export interface Model {
  readonly list: TypedBlock<Int32Array>;
  count: number;
  readonly moments: TypedBlock<Float64Array>;
  readonly weights: TypedBlock<Float64Array>;
  /** The window count at which it was last solved. */
  solvedAt: number;
}

/** What the member must remember. */
export interface SavedRidge {
  readonly nextOrigin: Int32Array;
  readonly epoch: number;
  readonly rowCount: number;
  readonly advancedAt: number;
  readonly clusteredAt: number;
  readonly clusterings: readonly { readonly labelOf: Int32Array; readonly centroids: Float64Array }[];
  readonly models: readonly {
    readonly moments: Float64Array;
    readonly weights: Float64Array;
    readonly solvedAt: number;
  }[];
}

/** Each model's partitions, in ascending order. */
export function listPartitions(models: readonly Model[], clustering: Clustering): void {
  for (const model of models) model.count = 0;
  clustering.labelOf.forEach((label, partition) => {
    const model = models[label] as Model;
    model.list.view[model.count++] = partition;
  });
}

export const groupOf = (model: Model): RidgeGroup => ({
  list: model.list.pointer,
  count: model.count,
  moments: model.moments.pointer,
  weights: model.weights.pointer,
});

/** The part of a model's list that lies in a range: lists ascend. */
export function groupWithin(model: Model, { first, count }: PartitionRange): RidgeGroup {
  const list = model.list.view.subarray(0, model.count);
  const begin = list.findIndex((partition) => partition >= first);
  const end = list.findLastIndex((partition) => partition < first + count) + 1;
  const size = begin < 0 ? 0 : Math.max(0, end - begin);
  return { ...groupOf(model), list: model.list.pointer + Math.max(0, begin) * 4, count: size };
}

import type { Block, TypedBlock } from '../../kernels/arena.ts';
import { type RidgeGroup, type RidgeLayout, type RidgeShape, ridgeLayout } from '../../kernels/ridge-jobs.ts';
import type { Clustering } from '../cluster.ts';
import type { RidgeSettings } from '../settings.ts';
import type { MemberComponents, PartitionRange } from './member.ts';

/**
 * Log units. Below it a week of a partition is flat: normalising would only blow up its noise. A hundredth of the spread of a
 * usual day is small enough for steady series of high level (ten times more costs 4 % MASE on M4's training part).
 */
const SPREAD_MIN = 0.002;
/** Log units, 0.5 % of load: added to the spread for the same reason. */
const SPREAD_FLOOR = 0.005;

/** One cluster's: the partitions it serves, in ascending order, what it has learnt, and its solution. */
export interface RidgeModel {
  readonly list: TypedBlock<Int32Array>;
  count: number;
  readonly moments: TypedBlock<Float64Array>;
  readonly weights: TypedBlock<Float64Array>;
  /** The window count at which it was last solved; 0: not yet. */
  solvedAt: number;
}

/** The models of a pooled ridge in kernel memory, and the memory to work on them. */
export class RidgeModels {
  readonly layout: RidgeLayout;
  /** [clustering][cluster]. */
  readonly byClustering: readonly (readonly RidgeModel[])[];
  /** The moments of all models of one clustering together. */
  readonly pooled: TypedBlock<Float64Array>;
  readonly #components: MemberComponents;
  readonly #lagCount: number;
  readonly #scratch: Block;

  constructor(components: MemberComponents, settings: RidgeSettings) {
    const { history, runner, horizon } = components;
    const { arena } = runner.kernels;
    this.#components = components;
    this.#lagCount = settings.lagWindows;
    this.layout = ridgeLayout({ lagCount: settings.lagWindows, horizon });
    const { inputs, columns, momentCells, scratchCells } = this.layout;
    this.#scratch = arena.f64(scratchCells);
    this.pooled = arena.f64(momentCells);
    this.byClustering = Array.from({ length: settings.clusterSeeds }, () =>
      Array.from({ length: settings.clusterCount }, () => ({
        list: arena.i32(history.shape.partitionCount),
        count: 0,
        moments: arena.f64(momentCells),
        weights: arena.f64(inputs * columns),
        solvedAt: 0,
      })),
    );
  }

  /** In the order of clusterings, and of clusters within each. */
  get all(): readonly RidgeModel[] {
    return this.byClustering.flat();
  }

  /** Where the rows lie now: they move to the front from time to time. */
  get shape(): RidgeShape {
    const { history, horizon } = this.#components;
    return {
      series: history.pointer,
      stride: history.stride,
      lagCount: this.#lagCount,
      horizon,
      spreadMin: SPREAD_MIN,
      spreadFloor: SPREAD_FLOOR,
      scratch: this.#scratch.pointer,
    };
  }

  close(): void {
    const { arena } = this.#components.runner.kernels;
    for (const block of [this.#scratch, this.pooled]) arena.free(block);
    for (const model of this.all)
      for (const block of [model.list, model.moments, model.weights]) arena.free(block);
  }
}

/** Gives each model of a clustering its partitions. */
export function listPartitions(
  models: readonly RidgeModel[],
  { labelOf }: Pick<Clustering, 'labelOf'>,
): void {
  for (const model of models) model.count = 0;
  labelOf.forEach((label, partition) => {
    const model = models[label] as RidgeModel;
    model.list.view[model.count++] = partition;
  });
}

export const groupOf = (model: RidgeModel): RidgeGroup => ({
  list: model.list.pointer,
  count: model.count,
  moments: model.moments.pointer,
  weights: model.weights.pointer,
});

/** The part of a model's list that lies in a range: lists ascend. */
export function groupWithin(model: RidgeModel, { first, count }: PartitionRange): RidgeGroup {
  const list = model.list.view.subarray(0, model.count);
  const begin = list.findIndex((partition) => partition >= first);
  const end = list.findLastIndex((partition) => partition < first + count) + 1;
  const size = begin < 0 ? 0 : Math.max(0, end - begin);
  return { ...groupOf(model), list: model.list.pointer + Math.max(0, begin) * 4, count: size };
}

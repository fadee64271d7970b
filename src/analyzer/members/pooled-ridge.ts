import { ForeshardError } from '../../base/errors.ts';
import type { Random } from '../../base/random.ts';
import type { Block, TypedBlock } from '../../kernels/arena.ts';
import type { Pointer } from '../../kernels/exports.ts';
import type { KernelRunner } from '../../kernels/pool.ts';
import {
  RIDGE_BATCH_ROWS,
  type RidgeGroup,
  type RidgeShape,
  ridgeColumns,
} from '../../kernels/ridge-jobs.ts';
import { type Clustering, clusterProfiles, cycleProfiles, cycleWindowsOf } from '../cluster.ts';
import type { History } from '../history.ts';
import type { RidgeSettings } from '../settings.ts';
import type { Member, MemberComponents, MemberState, PartitionRange } from './member.ts';

/** A day of origins: fewer rows are too few to learn a daily rhythm from. */
const ORIGINS_MIN = 24;

/**
 * Log units. Below it a week of a partition is flat: normalising would only blow up its noise. A hundredth of the spread of a
 * usual day is small enough for steady series of high level (ten times more costs 4 % MASE on M4's training part).
 */
const SPREAD_MIN = 0.002;
/** Log units, 0.5 % of load: added to the spread for the same reason. */
const SPREAD_FLOOR = 0.005;

/** A target window that was an outage teaches the imputed value; more than this share of them spoil a row. */
const OUTAGE_SHARE_MAX = 0.1;

/** Clusters are looked at again once a week. */
const RECLUSTER_WINDOWS = 168;

/** A model is solved again after a day of windows; a window comes with the solving of one model at most. */
const SOLVE_WINDOWS = 24;
/** While single windows come, `advance` has long solved every model when this is over. */
const REFIT_WINDOWS = 48;

/** Weights double every half-life; sums are scaled back long before they lose precision. */
const WEIGHT_MAX = 2 ** 20;

/**
 * One direct ridge regression per cluster of partitions with a like cycle, averaged over clusterings from several seeds.
 *
 * Training data enter as sums only: a new window costs one row per partition, and old rows fade because new ones weigh
 * more. Every model also gets a share of all other rows, so that a small cluster stays sane and a new partition is served
 * from its first week on.
 *
 * @see Montero-Manso & Hyndman, "Principles and algorithms for forecasting groups of time series", 2021
 */
class PooledRidge implements Member {
  readonly name = 'pooled-ridge';
  readonly windowsMin: number;
  readonly isShared = true;
  readonly refitWindows = REFIT_WINDOWS;
  readonly #settings: RidgeSettings;
  readonly #history: History;
  readonly #runner: KernelRunner;
  readonly #random: Random;
  readonly #lagCount: number;
  readonly #horizon: number;
  readonly #rows: Block;
  readonly #level: Block;
  readonly #pooled: TypedBlock<Float64Array>;
  /** [clustering][cluster]. */
  readonly #models: Model[][];
  #clusterings: Clustering[] = [];
  #clusteredAt = 0;
  /** Window since the start of all windows that is the next origin to train on. */
  #nextOrigin: number;
  #weight = 1;
  #rowCount = 0;

  constructor(components: MemberComponents, settings: RidgeSettings) {
    const { history, runner, random, horizon } = components;
    const { lagWindows: lagCount } = settings;
    this.windowsMin = lagCount + horizon + ORIGINS_MIN;
    this.#settings = settings;
    this.#history = history;
    this.#runner = runner;
    this.#random = random;
    this.#lagCount = lagCount;
    this.#horizon = horizon;
    const { arena } = runner.kernels;
    const { inputs, columns } = ridgeColumns({ lagCount, horizon });
    this.#rows = arena.f64(RIDGE_BATCH_ROWS * columns);
    this.#level = arena.f64(RIDGE_BATCH_ROWS * 2);
    this.#pooled = arena.f64(inputs * columns);
    this.#models = Array.from({ length: settings.clusterSeeds }, () =>
      Array.from({ length: settings.clusterCount }, () => ({
        list: arena.i32(history.shape.partitionCount),
        count: 0,
        sums: arena.f64(inputs * columns),
        weights: arena.f64(inputs * columns),
        solvedAt: 0,
      })),
    );
    this.#nextOrigin = history.dropped + lagCount;
  }

  /** Takes in every origin whose targets have all been seen; one model that has not been solved for a day is solved. */
  async advance(): Promise<void> {
    if (this.#history.length < this.windowsMin) return;
    const isLive = this.#nextOrigin + this.#horizon === this.#end;
    await this.#train();
    if (!isLive || this.#rowCount === 0) return;
    const stale = this.#models
      .flat()
      .reduce((oldest, model) => (model.solvedAt < oldest.solvedAt ? model : oldest));
    if (this.#end - stale.solvedAt >= SOLVE_WINDOWS) await this.#solve([stale]);
  }

  async fit(): Promise<void> {
    await this.#train();
    const stale = this.#models
      .flat()
      .filter((model) => this.#end - model.solvedAt >= SOLVE_WINDOWS || model.solvedAt === 0);
    if (this.#rowCount > 0) await this.#solve(stale);
  }

  async predict(range: PartitionRange, out: Pointer): Promise<void> {
    const history = this.#history;
    if (this.#rowCount === 0) {
      // Every row was flat: so is the forecast.
      await this.#runner.run('seasonalMean', {
        series: history.pointer + range.first * history.stride * 8,
        count: range.count,
        stride: history.stride,
        length: history.length,
        season: Math.min(history.shape.dayWindows, history.length),
        cycles: 1,
        horizon: this.#horizon,
        out,
      });
      return;
    }
    await this.#runner.run('ridgePredict', {
      shape: this.#shape,
      groups: this.#models.flat().map((model) => groupWithin(model, range)),
      share: 1 / this.#settings.clusterSeeds,
      origin: history.length,
      out,
      count: range.count,
      firstPartition: range.first,
    });
  }

  save(): MemberState {
    return {
      nextOrigin: this.#nextOrigin,
      weight: this.#weight,
      rowCount: this.#rowCount,
      clusteredAt: this.#clusteredAt,
      clusterings: this.#clusterings.map(({ labelOf, centroids }) => ({
        labelOf: labelOf.slice(),
        centroids: centroids.slice(),
      })),
      models: this.#models.flat().map(({ sums, weights, solvedAt }) => ({
        sums: sums.view.slice(),
        weights: weights.view.slice(),
        solvedAt,
      })),
    };
  }

  load(state: MemberState): void {
    const saved = state as unknown as SavedRidge;
    const models = this.#models.flat();
    const cells = this.#pooled.view.length;
    const isSame =
      saved.models?.length === models.length &&
      saved.models.every(({ sums, weights }) => sums.length === cells && weights.length === cells) &&
      saved.clusterings.every(({ labelOf }) => labelOf.length === this.#history.shape.partitionCount);
    if (!isSame)
      throw new ForeshardError(
        'FORESHARD_CORRUPT',
        'restart',
        'pooled-ridge: the saved models have another shape',
      );
    this.#nextOrigin = saved.nextOrigin;
    this.#weight = saved.weight;
    this.#rowCount = saved.rowCount;
    this.#clusteredAt = saved.clusteredAt;
    models.forEach((model, index) => {
      const { sums, weights, solvedAt } = saved.models[index] as SavedRidge['models'][number];
      model.sums.view.set(sums);
      model.weights.view.set(weights);
      model.solvedAt = solvedAt;
    });
    this.#clusterings = saved.clusterings.map(({ labelOf, centroids }) => ({
      clusterCount: this.#settings.clusterCount,
      labelOf: Int32Array.from(labelOf),
      centroids: Float64Array.from(centroids),
    }));
    this.#clusterings.forEach((clustering, index) => {
      listPartitions(this.#models[index] as Model[], clustering);
    });
  }

  close(): void {
    const { arena } = this.#runner.kernels;
    for (const block of [this.#rows, this.#level, this.#pooled]) arena.free(block);
    for (const model of this.#models.flat())
      for (const block of [model.list, model.sums, model.weights]) arena.free(block);
  }

  /** The window that comes next, since the start of all windows. */
  get #end(): number {
    return this.#history.dropped + this.#history.length;
  }

  get #shape(): RidgeShape {
    return {
      series: this.#history.pointer,
      stride: this.#history.stride,
      lagCount: this.#lagCount,
      horizon: this.#horizon,
      spreadMin: SPREAD_MIN,
      spreadFloor: SPREAD_FLOOR,
      rows: this.#rows.pointer,
      level: this.#level.pointer,
    };
  }

  async #train(): Promise<void> {
    const history = this.#history;
    const end = this.#end;
    if (this.#clusterings.length === 0 || end - this.#clusteredAt >= RECLUSTER_WINDOWS) this.#cluster(end);
    this.#nextOrigin = Math.max(this.#nextOrigin, history.dropped + this.#lagCount);
    const origins: number[] = [];
    const weights: number[] = [];
    const growth = 2 ** (1 / this.#settings.halfLifeWindows);
    for (; this.#nextOrigin + this.#horizon <= end; this.#nextOrigin++) {
      this.#weight *= growth;
      const origin = this.#nextOrigin - history.dropped;
      if (history.outageCount(origin, origin + this.#horizon) > OUTAGE_SHARE_MAX * this.#horizon) continue;
      origins.push(origin);
      weights.push(this.#weight);
    }
    if (origins.length === 0) return;
    const groups = this.#models.flat().map(groupOf);
    const { rowCount } = await this.#runner.run('ridgeTrain', {
      shape: this.#shape,
      groups,
      origins,
      weights,
    });
    this.#rowCount += rowCount;
    if (this.#weight > WEIGHT_MAX) this.#scaleBack();
  }

  async #solve(models: readonly Model[]): Promise<void> {
    const { exports } = this.#runner.kernels;
    const { view, pointer } = this.#pooled;
    view.fill(0);
    // Every clustering has all rows, so the first one's clusters add up to the whole.
    for (const model of this.#models[0] as Model[])
      exports.addScaled(model.sums.pointer, view.length, 1, pointer);
    await this.#runner.run('ridgeSolve', {
      shape: this.#shape,
      groups: models.map(groupOf),
      pooled: pointer,
      // Where a cluster has no rows of its own, all that it can know is what the others know.
      poolingShare: Math.max(this.#settings.poolingShare, 1e-6),
      lambda: this.#settings.lambda,
    });
    for (const model of models) model.solvedAt = this.#end;
  }

  #cluster(end: number): void {
    const cycleWindows = cycleWindowsOf(this.#history.shape, this.#history.length);
    const profiles = cycleProfiles(this.#history, cycleWindows);
    this.#clusterings = this.#models.map((models, index) => {
      const previous = this.#clusterings[index];
      const clustering = clusterProfiles(
        profiles,
        { clusterCount: this.#settings.clusterCount, ...(previous === undefined ? {} : { previous }) },
        { kernels: this.#runner.kernels, random: this.#random.fork(`clustering ${index}`) },
      );
      listPartitions(models, clustering);
      return clustering;
    });
    this.#clusteredAt = end;
  }

  #scaleBack(): void {
    const { exports } = this.#runner.kernels;
    for (const model of this.#models.flat())
      exports.scaleInPlace(model.sums.pointer, model.sums.view.length, 1 / this.#weight);
    this.#weight = 1;
  }
}

interface Model {
  readonly list: TypedBlock<Int32Array>;
  count: number;
  readonly sums: TypedBlock<Float64Array>;
  readonly weights: TypedBlock<Float64Array>;
  /** The window count at which it was last solved. */
  solvedAt: number;
}

interface SavedRidge {
  readonly nextOrigin: number;
  readonly weight: number;
  readonly rowCount: number;
  readonly clusteredAt: number;
  readonly clusterings: readonly { readonly labelOf: Int32Array; readonly centroids: Float64Array }[];
  readonly models: readonly {
    readonly sums: Float64Array;
    readonly weights: Float64Array;
    readonly solvedAt: number;
  }[];
}

/** Each model's partitions, in ascending order. */
function listPartitions(models: readonly Model[], clustering: Clustering): void {
  for (const model of models) model.count = 0;
  clustering.labelOf.forEach((label, partition) => {
    const model = models[label] as Model;
    model.list.view[model.count++] = partition;
  });
}

const groupOf = (model: Model): RidgeGroup => ({
  list: model.list.pointer,
  count: model.count,
  sums: model.sums.pointer,
  weights: model.weights.pointer,
});

/** The part of a model's list that lies in a range: lists ascend. */
function groupWithin(model: Model, { first, count }: PartitionRange): RidgeGroup {
  const list = model.list.view.subarray(0, model.count);
  const begin = list.findIndex((partition) => partition >= first);
  const end = list.findLastIndex((partition) => partition < first + count) + 1;
  const size = begin < 0 ? 0 : Math.max(0, end - begin);
  return { ...groupOf(model), list: model.list.pointer + Math.max(0, begin) * 4, count: size };
}

/** One direct ridge regression per cluster of partitions: see {@link PooledRidge}. */
export const pooledRidgeMember = (
  components: MemberComponents,
  settings: { readonly ridge: RidgeSettings },
): Member => new PooledRidge(components, settings.ridge);

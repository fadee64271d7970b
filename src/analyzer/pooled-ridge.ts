import type { Random } from '../base/random.ts';
import type { Block, TypedBlock } from '../kernels/arena.ts';
import {
  RIDGE_BATCH_ROWS,
  type RidgeGroup,
  type RidgeShape,
  ridgeColumns,
} from '../kernels/forecast-jobs.ts';
import type { KernelRunner } from '../kernels/pool.ts';
import { type Clustering, clusterProfiles, cycleProfiles, cycleWindowsOf } from './cluster.ts';
import type { History } from './history.ts';
import type { RidgeSettings } from './settings.ts';

/** Windows the kernel takes level and spread of a row from (assembly/ridge.ts). */
const LEVEL_WINDOWS = 168;

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
export class PooledRidge {
  readonly lagCount: number;
  readonly #settings: RidgeSettings;
  readonly #history: History;
  readonly #runner: KernelRunner;
  readonly #random: Random;
  readonly #shape: RidgeShape;
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
  #isSolved = false;
  /** Which model is solved next when they are solved in turn. */
  #turn = 0;

  constructor(
    options: { readonly settings: RidgeSettings; readonly horizon: number; readonly lagCount: number },
    components: { readonly history: History; readonly runner: KernelRunner; readonly random: Random },
  ) {
    const { settings, horizon, lagCount } = options;
    this.lagCount = lagCount;
    this.#settings = settings;
    this.#history = components.history;
    this.#runner = components.runner;
    this.#random = components.random;
    const { arena } = components.runner.kernels;
    const { inputs, columns } = ridgeColumns({ lagCount, horizon });
    this.#rows = arena.f64(RIDGE_BATCH_ROWS * columns);
    this.#level = arena.f64(RIDGE_BATCH_ROWS * 2);
    this.#pooled = arena.f64(inputs * columns);
    this.#models = Array.from({ length: settings.clusterSeeds }, () =>
      Array.from({ length: settings.clusterCount }, () => ({
        list: arena.i32(components.history.shape.partitionCount),
        count: 0,
        sums: arena.f64(inputs * columns),
        weights: arena.f64(inputs * columns),
      })),
    );
    this.#shape = {
      series: components.history.pointer,
      stride: components.history.stride,
      lagCount,
      horizon,
      spreadMin: SPREAD_MIN,
      spreadFloor: SPREAD_FLOOR,
      rows: this.#rows.pointer,
      level: this.#level.pointer,
    };
    this.#nextOrigin = components.history.dropped + lagCount;
  }

  /** Windows of history before which there is nothing to train on. */
  static windowsMin(options: { readonly lagCount: number; readonly horizon: number }): number {
    return options.lagCount + options.horizon + ORIGINS_MIN;
  }

  get isReady(): boolean {
    return this.#isSolved;
  }

  /** Takes in every origin whose targets have all been seen. */
  async train(): Promise<void> {
    const history = this.#history;
    const { horizon } = this.#shape;
    const end = history.dropped + history.length;
    if (end - history.dropped < PooledRidge.windowsMin({ lagCount: this.lagCount, horizon })) return;
    if (this.#clusterings.length === 0 || end - this.#clusteredAt >= RECLUSTER_WINDOWS) this.#cluster(end);

    this.#nextOrigin = Math.max(this.#nextOrigin, history.dropped + this.lagCount);
    const origins: number[] = [];
    const weights: number[] = [];
    const growth = 2 ** (1 / this.#settings.halfLifeWindows);
    for (; this.#nextOrigin + horizon <= end; this.#nextOrigin++) {
      this.#weight *= growth;
      const origin = this.#nextOrigin - history.dropped;
      if (history.outageCount(origin, origin + horizon) > OUTAGE_SHARE_MAX * horizon) continue;
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

  /**
   * Solves the models: all of them, or the next one only (a day of windows brings few rows; in turn, the work is spread).
   */
  async solve(which: 'all' | 'next'): Promise<void> {
    if (this.#rowCount === 0) return;
    const everyModel = this.#models.flat();
    const models = which === 'all' || !this.#isSolved ? everyModel : [everyModel[this.#turn] as Model];
    this.#turn = (this.#turn + 1) % everyModel.length;
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
    this.#isSolved = true;
  }

  /** What the members job needs to predict with these models; null before the first solution. */
  predictor(): { shape: RidgeShape; groups: RidgeGroup[]; share: number } | null {
    if (!this.#isSolved) return null;
    const groups = this.#models.flat().map(groupOf);
    return { shape: this.#shape, groups, share: 1 / this.#settings.clusterSeeds };
  }

  close(): void {
    const { arena } = this.#runner.kernels;
    for (const block of [this.#rows, this.#level, this.#pooled]) arena.free(block);
    for (const model of this.#models.flat())
      for (const block of [model.list, model.sums, model.weights]) arena.free(block);
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
      for (const model of models) model.count = 0;
      clustering.labelOf.forEach((label, partition) => {
        const model = models[label] as Model;
        model.list.view[model.count++] = partition;
      });
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
}

const groupOf = (model: Model): RidgeGroup => ({
  list: model.list.pointer,
  count: model.count,
  sums: model.sums.pointer,
  weights: model.weights.pointer,
});

/** The lags a model can have with so much history: all that were asked for, else a week. */
export function affordableLags(
  settings: RidgeSettings,
  options: { horizon: number; windows: number },
): number {
  const wanted = settings.lagWindows;
  const isAffordable = options.windows >= wanted + options.horizon + LEVEL_WINDOWS;
  return isAffordable ? wanted : Math.min(wanted, LEVEL_WINDOWS);
}

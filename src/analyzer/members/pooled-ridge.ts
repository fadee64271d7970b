import { ForeshardError } from '../../base/errors.ts';
import type { Random } from '../../base/random.ts';
import type { Block, TypedBlock } from '../../kernels/arena.ts';
import type { Pointer } from '../../kernels/exports.ts';
import type { KernelRunner } from '../../kernels/pool.ts';
import {
  RIDGE_BLOCK_ORIGINS,
  type RidgeLayout,
  type RidgeShape,
  ridgeLayout,
} from '../../kernels/ridge-jobs.ts';
import { type Clustering, clusterProfiles, cycleProfiles, cycleWindowsOf } from '../cluster.ts';
import type { History } from '../history.ts';
import type { RidgeSettings } from '../settings.ts';
import type { Member, MemberComponents, MemberState, PartitionRange } from './member.ts';
import { groupOf, groupWithin, listPartitions, type Model, type SavedRidge } from './ridge-models.ts';

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

/** A partition's origins enter by blocks of a day, each partition's at another hour: so no window costs much. */
const BLOCK_ORIGINS_MIN = 24;

/** A model is solved again after a day of windows; a window comes with the solving of one model at most. */
const SOLVE_WINDOWS = 24;
/** While single windows come, `advance` solves every model in turn. */
const REFIT_WINDOWS = 96;

/** Weights double every half-life; sums are scaled back long before they lose precision. */
const HALF_LIVES_MAX = 20;

/**
 * One direct ridge regression per cluster of partitions with a like cycle, averaged over clusterings from several seeds.
 *
 * Training data enter as sums only (assembly/ridge-sums.ts): a day of windows costs two rows per partition, and old rows
 * fade because new ones weigh more. Every model also gets a share of all other rows, so that a small cluster stays sane and a new partition is served
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
  readonly #layout: RidgeLayout;
  readonly #scratch: Block;
  readonly #pooled: TypedBlock<Float64Array>;
  /** [clustering][cluster]. */
  readonly #models: Model[][];
  #clusterings: Clustering[] = [];
  #clusteredAt = 0;
  /** Per partition, window since the start of all windows: its next origin to learn from. */
  readonly #nextOrigin: Int32Array;
  /** The window whose rows weigh 1. */
  #epoch = 0;
  #rowCount = 0;
  #advancedAt = 0;

  constructor(components: MemberComponents, settings: RidgeSettings) {
    const { history, runner, random, horizon } = components;
    const { lagWindows: lagCount } = settings;
    this.windowsMin = lagCount + horizon + ORIGINS_MIN + BLOCK_ORIGINS_MIN;
    this.#settings = settings;
    this.#history = history;
    this.#runner = runner;
    this.#random = random;
    this.#lagCount = lagCount;
    this.#horizon = horizon;
    const { arena } = runner.kernels;
    this.#layout = ridgeLayout({ lagCount, horizon });
    const { inputs, columns, momentCells, scratchCells } = this.#layout;
    this.#scratch = arena.f64(scratchCells);
    this.#pooled = arena.f64(momentCells);
    this.#models = Array.from({ length: settings.clusterSeeds }, () =>
      Array.from({ length: settings.clusterCount }, () => {
        const moments = arena.f64(momentCells);
        moments.view.fill(0);
        const list = arena.i32(history.shape.partitionCount);
        return { list, count: 0, moments, weights: arena.f64(inputs * columns), solvedAt: 0 };
      }),
    );
    this.#nextOrigin = new Int32Array(history.shape.partitionCount).fill(history.dropped + lagCount);
  }

  /** Learns from origins whose targets have all been seen; of the models, one that was not solved for a day is solved. */
  async advance(): Promise<void> {
    if (this.#history.length < this.windowsMin) return;
    const isNextWindow = this.#end - this.#advancedAt === 1;
    await this.#absorb();
    if (!isNextWindow || this.#rowCount === 0) return;
    const stale = this.#models
      .flat()
      .reduce((oldest, model) => (model.solvedAt < oldest.solvedAt ? model : oldest));
    if (this.#end - stale.solvedAt >= SOLVE_WINDOWS) await this.#solve([stale]);
  }

  async fit(): Promise<void> {
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
      nextOrigin: this.#nextOrigin.slice(),
      epoch: this.#epoch,
      rowCount: this.#rowCount,
      advancedAt: this.#advancedAt,
      clusteredAt: this.#clusteredAt,
      clusterings: this.#clusterings.map(({ labelOf, centroids }) => ({
        labelOf: labelOf.slice(),
        centroids: centroids.slice(),
      })),
      models: this.#models.flat().map(({ moments, weights, solvedAt }) => ({
        moments: moments.view.slice(),
        weights: weights.view.slice(),
        solvedAt,
      })),
    };
  }

  load(state: MemberState): void {
    const saved = state as unknown as SavedRidge;
    const models = this.#models.flat();
    const { partitionCount } = this.#history.shape;
    const { momentCells, inputs, columns } = this.#layout;
    const isSame =
      saved.models?.length === models.length &&
      saved.models.every(
        ({ moments, weights }) => moments.length === momentCells && weights.length === inputs * columns,
      ) &&
      saved.clusterings.every(({ labelOf }) => labelOf.length === partitionCount);
    if (!isSame)
      throw new ForeshardError(
        'FORESHARD_CORRUPT',
        'restart',
        'pooled-ridge: the saved models have another shape',
      );
    this.#nextOrigin.set(saved.nextOrigin);
    this.#epoch = saved.epoch;
    this.#rowCount = saved.rowCount;
    this.#advancedAt = saved.advancedAt;
    this.#clusteredAt = saved.clusteredAt;
    models.forEach((model, index) => {
      const { moments, weights, solvedAt } = saved.models[index] as SavedRidge['models'][number];
      model.moments.view.set(moments);
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
    for (const block of [this.#scratch, this.#pooled]) arena.free(block);
    for (const model of this.#models.flat())
      for (const block of [model.list, model.moments, model.weights]) arena.free(block);
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
      scratch: this.#scratch.pointer,
    };
  }

  async #absorb(): Promise<void> {
    const { dropped } = this.#history;
    const end = this.#end;
    if (this.#clusterings.length === 0 || end - this.#clusteredAt >= RECLUSTER_WINDOWS) this.#cluster(end);
    if ((end - this.#epoch) / this.#settings.halfLifeWindows > HALF_LIVES_MAX) this.#scaleBack();
    const due = this.#dueBlocks();
    if (due.length > 0) {
      const models = this.#models.flatMap((ofClustering, index) => {
        const { labelOf } = this.#clusterings[index] as Clustering;
        return ofClustering.map(({ moments }, label) => ({
          moments: moments.pointer,
          blocks: Int32Array.from(due.filter(([partition]) => labelOf[partition] === label).flat()),
        }));
      });
      const { halfLifeWindows } = this.#settings;
      const { rowCount } = await this.#runner.run('ridgeAbsorb', {
        shape: this.#shape,
        models,
        weight: 2 ** ((dropped - this.#epoch) / halfLifeWindows),
        growth: 2 ** (1 / halfLifeWindows),
      });
      this.#rowCount += rowCount;
    }
    this.#advancedAt = end;
  }

  /** [partition, first origin as window of the row, origins] of all origins that are complete and not learnt yet. */
  #dueBlocks(): [number, number, number][] {
    const history = this.#history;
    const { dropped } = history;
    const last = this.#end - this.#horizon;
    const oldest = dropped + this.#lagCount;
    const runs = this.#usableRuns(Math.max(oldest, Math.min(...this.#nextOrigin)), last);
    const due: [number, number, number][] = [];
    this.#nextOrigin.forEach((next, partition) => {
      // Whole days, which end at another hour for each partition.
      const limit = last - ((last + partition) % BLOCK_ORIGINS_MIN);
      if (limit <= next) return;
      for (const [runFirst, runEnd] of runs) {
        const end = Math.min(limit, runEnd);
        for (let first = Math.max(next, oldest, runFirst); first < end; first += RIDGE_BLOCK_ORIGINS)
          due.push([partition, first - dropped, Math.min(RIDGE_BLOCK_ORIGINS, end - first)]);
      }
      this.#nextOrigin[partition] = limit;
    });
    return due;
  }

  /** [first, end) of runs of origins whose targets are not spoilt by outages. */
  #usableRuns(first: number, end: number): [number, number][] {
    const history = this.#history;
    const runs: [number, number][] = [];
    for (let origin = first; origin < end; origin++) {
      const window = origin - history.dropped;
      if (history.outageCount(window, window + this.#horizon) > OUTAGE_SHARE_MAX * this.#horizon) continue;
      const open = runs.at(-1);
      if (open !== undefined && open[1] === origin) open[1]++;
      else runs.push([origin, origin + 1]);
    }
    return runs;
  }

  async #solve(models: readonly Model[]): Promise<void> {
    const { exports } = this.#runner.kernels;
    const { view, pointer } = this.#pooled;
    view.fill(0);
    // Every clustering has all rows, so the first one's clusters add up to the whole.
    for (const model of this.#models[0] as Model[])
      exports.addScaled(model.moments.pointer, view.length, 1, pointer);
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
    const { halfLifeWindows } = this.#settings;
    for (const { moments } of this.#models.flat())
      exports.scaleInPlace(
        moments.pointer,
        moments.view.length,
        2 ** -((this.#end - this.#epoch) / halfLifeWindows),
      );
    this.#epoch = this.#end;
  }
}

/** One direct ridge regression per cluster of partitions: see {@link PooledRidge}. */
export const pooledRidgeMember = (
  components: MemberComponents,
  settings: { readonly ridge: RidgeSettings },
): Member => new PooledRidge(components, settings.ridge);

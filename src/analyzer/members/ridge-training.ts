import { RIDGE_BLOCK_ORIGINS } from '../../kernels/ridge-jobs.ts';
import { type Clustering, clusterProfiles, cycleProfiles, cycleWindowsOf } from '../cluster.ts';
import type { RidgeSettings } from '../settings.ts';
import { SILENCE_DAYS_MAX } from '../silences.ts';
import type { MemberComponents, MemberState } from './member.ts';
import { listPartitions, type RidgeModel, type RidgeModels } from './ridge-models.ts';
import { isIntegerWithin, type SavedState } from './saved-state.ts';

/** A target window that was an outage teaches the imputed value; more than this share of them spoil a row. */
const OUTAGE_SHARE_MAX = 0.1;

/** Clusters are looked at again once a week. */
const RECLUSTER_WINDOWS = 168;

/** A partition's origins enter by blocks of a day, each partition's at another hour: so no window costs much. */
export const BLOCK_ORIGINS_MIN = 24;

/** Windows after which a silence is known for one, or is none. */
export const silenceWindows = ({ dayWindows }: { readonly dayWindows: number }): number =>
  SILENCE_DAYS_MAX * dayWindows;

/** Weights double every half-life; sums are scaled back long before they lose precision. */
const HALF_LIVES_MAX = 20;

/** What has entered the moments of a pooled ridge, and what may enter next: which origins, of whom, into which cluster. */
export class RidgeTraining {
  readonly #components: MemberComponents;
  readonly #settings: RidgeSettings;
  readonly #models: RidgeModels;
  #clusterings: readonly Clustering[] = [];
  #clusteredAt = 0;
  /** Per partition, window since the start of all windows: its next origin to learn from. */
  readonly #nextOrigin: Int32Array;
  /** The window whose rows weigh 1. */
  #epoch = 0;
  #rowCount = 0;
  #advancedAt = 0;

  constructor(components: MemberComponents, settings: RidgeSettings, models: RidgeModels) {
    const { shape, dropped } = components.history;
    this.#components = components;
    this.#settings = settings;
    this.#models = models;
    this.#nextOrigin = new Int32Array(shape.partitionCount).fill(dropped + settings.lagWindows);
  }

  /** Rows that have entered so far; 0: whatever came was flat. */
  get rowCount(): number {
    return this.#rowCount;
  }

  /** The window count up to which origins have been looked at. */
  get advancedAt(): number {
    return this.#advancedAt;
  }

  /** The window that comes next, since the start of all windows. */
  get end(): number {
    const { history } = this.#components;
    return history.dropped + history.length;
  }

  /** Adds every origin whose targets have all been seen to the moments of its partition's models. */
  async absorb(): Promise<void> {
    const { dropped } = this.#components.history;
    const { end } = this;
    const { halfLifeWindows } = this.#settings;
    if (this.#clusterings.length === 0 || end - this.#clusteredAt >= RECLUSTER_WINDOWS) this.#cluster(end);
    if ((end - this.#epoch) / halfLifeWindows > HALF_LIVES_MAX) this.#scaleBack();
    const due = this.#dueBlocks();
    if (due.length > 0) {
      const models = this.#models.byClustering.flatMap((ofClustering, index) => {
        const { labelOf } = this.#clusterings[index] as Clustering;
        return ofClustering.map(({ moments }, label) => ({
          moments: moments.pointer,
          blocks: Int32Array.from(due.filter(([partition]) => labelOf[partition] === label).flat()),
        }));
      });
      const { rowCount } = await this.#components.runner.run('ridgeAbsorb', {
        shape: this.#models.shape,
        models,
        weight: 2 ** ((dropped - this.#epoch) / halfLifeWindows),
        growth: 2 ** (1 / halfLifeWindows),
      });
      this.#rowCount += rowCount;
    }
    this.#advancedAt = end;
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
    };
  }

  /**
   * Reads and checks what was saved.
   *
   * @returns what writes it: nothing is changed before everything has been read.
   */
  read(saved: SavedState): () => void {
    const { end } = this;
    const { clusterCount, clusterSeeds } = this.#settings;
    const isWindow = (value: number): boolean => isIntegerWithin(value, 0, end);
    const nextOrigin = saved.numbersLike('nextOrigin', this.#nextOrigin, isWindow);
    const epoch = saved.integer('epoch', 0, end);
    const rowCount = saved.integer('rowCount', 0, Number.MAX_SAFE_INTEGER);
    const advancedAt = saved.integer('advancedAt', 0, end);
    const clusteredAt = saved.integer('clusteredAt', 0, end);
    // Before the first rows there are none; rows went where some clustering said.
    const counts = rowCount === 0 ? [0, clusterSeeds] : [clusterSeeds];
    const isLabel = (value: number): boolean => isIntegerWithin(value, 0, clusterCount - 1);
    const clusterings = saved.list('clusterings', counts).map((clustering) => {
      const labelOf = clustering.numbers('labelOf', Int32Array, this.#nextOrigin.length, isLabel);
      const centroids = clustering.numbers('centroids', Float64Array, undefined);
      // Of which cycle they are depends on the history at that time; profiles have an even number of windows.
      if (centroids.length % (2 * clusterCount) !== 0)
        throw clustering.corrupt('centroids', `are ${centroids.length} numbers for ${clusterCount} clusters`);
      return { clusterCount, labelOf: labelOf.slice(), centroids: centroids.slice() };
    });
    return () => {
      this.#nextOrigin.set(nextOrigin);
      this.#epoch = epoch;
      this.#rowCount = rowCount;
      this.#advancedAt = advancedAt;
      this.#clusteredAt = clusteredAt;
      this.#clusterings = clusterings;
      clusterings.forEach((clustering, index) => {
        listPartitions(this.#modelsOf(index), clustering);
      });
    };
  }

  /** [partition, first origin as window of the row, origins] of all origins that are complete and not learnt yet. */
  #dueBlocks(): [number, number, number][] {
    const { history, horizon } = this.#components;
    const { dropped } = history;
    // What is in the sums stays: nothing enters that may yet turn out to have been lost in a silence.
    const last = this.end - horizon - silenceWindows(history.shape);
    const oldest = dropped + this.#settings.lagWindows;
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
    const { history, horizon } = this.#components;
    const runs: [number, number][] = [];
    for (let origin = first; origin < end; origin++) {
      const window = origin - history.dropped;
      if (history.outageCount(window, window + horizon) > OUTAGE_SHARE_MAX * horizon) continue;
      const open = runs.at(-1);
      if (open !== undefined && open[1] === origin) open[1]++;
      else runs.push([origin, origin + 1]);
    }
    return runs;
  }

  #cluster(end: number): void {
    const { history, random, runner } = this.#components;
    const { clusterCount } = this.#settings;
    const profiles = cycleProfiles(history, cycleWindowsOf(history.shape, history.length));
    this.#clusterings = this.#models.byClustering.map((models, index) => {
      const previous = this.#clusterings[index];
      const clustering = clusterProfiles(
        profiles,
        { clusterCount, ...(previous === undefined ? {} : { previous }) },
        { kernels: runner.kernels, random: random.fork(`clustering ${index}`) },
      );
      listPartitions(models, clustering);
      return clustering;
    });
    this.#clusteredAt = end;
  }

  /** Makes the newest window the one whose rows weigh 1. */
  #scaleBack(): void {
    const { exports } = this.#components.runner.kernels;
    const { end } = this;
    const factor = 2 ** -((end - this.#epoch) / this.#settings.halfLifeWindows);
    for (const { moments } of this.#models.all)
      exports.scaleInPlace(moments.pointer, moments.view.length, factor);
    this.#epoch = end;
  }

  #modelsOf(clustering: number): readonly RidgeModel[] {
    return this.#models.byClustering[clustering] as readonly RidgeModel[];
  }
}

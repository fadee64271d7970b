import type { Pointer } from '../../kernels/exports.ts';
import type { RidgeSettings } from '../settings.ts';
import type { Member, MemberComponents, MemberState, PartitionRange } from './member.ts';
import { groupOf, groupWithin, type RidgeModel, RidgeModels } from './ridge-models.ts';
import { BLOCK_ORIGINS_MIN, RidgeTraining, silenceWindows } from './ridge-training.ts';
import { SavedState } from './saved-state.ts';

/** A day of origins: fewer rows are too few to learn a daily rhythm from. */
const ORIGINS_MIN = 24;

/** A model is solved again after a day of windows; a window comes with the solving of one model at most. */
const SOLVE_WINDOWS = 24;
/** While single windows come, `advance` solves every model in turn. */
const REFIT_WINDOWS = 96;

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
  readonly #components: MemberComponents;
  readonly #models: RidgeModels;
  readonly #training: RidgeTraining;

  constructor(components: MemberComponents, settings: RidgeSettings) {
    this.windowsMin =
      settings.lagWindows +
      components.horizon +
      ORIGINS_MIN +
      BLOCK_ORIGINS_MIN +
      silenceWindows(components.history.shape);
    this.#settings = settings;
    this.#components = components;
    this.#models = new RidgeModels(components, settings);
    this.#training = new RidgeTraining(components, settings, this.#models);
  }

  /** Learns from origins whose targets have all been seen; of the models, one that was not solved for a day is solved. */
  async advance(): Promise<void> {
    if (this.#components.history.length < this.windowsMin) return;
    const { end } = this.#training;
    const isNextWindow = end - this.#training.advancedAt === 1;
    await this.#training.absorb();
    if (!isNextWindow || this.#training.rowCount === 0) return;
    const { all } = this.#models;
    const stale = all.reduce((oldest, model) => (model.solvedAt < oldest.solvedAt ? model : oldest));
    // After the first rows there is no model to go on with in the meantime.
    if (all.every(isUnsolved)) await this.#solve(all);
    else if (end - stale.solvedAt >= SOLVE_WINDOWS) await this.#solve([stale]);
  }

  async fit(): Promise<void> {
    const { end, rowCount } = this.#training;
    const stale = this.#models.all.filter(
      (model) => end - model.solvedAt >= SOLVE_WINDOWS || isUnsolved(model),
    );
    if (rowCount > 0) await this.#solve(stale);
  }

  async predict(range: PartitionRange, out: Pointer): Promise<void> {
    const { history, horizon, runner } = this.#components;
    if (this.#models.all.every(isUnsolved)) {
      // Every row was flat: so is the forecast.
      await runner.run('seasonalMean', {
        series: history.pointer + range.first * history.stride * 8,
        count: range.count,
        stride: history.stride,
        length: history.length,
        season: Math.min(history.shape.dayWindows, history.length),
        cycles: 1,
        horizon,
        out,
      });
      return;
    }
    await runner.run('ridgePredict', {
      shape: this.#models.shape,
      groups: this.#models.all.map((model) => groupWithin(model, range)),
      share: 1 / this.#settings.clusterSeeds,
      origin: history.length,
      out,
      count: range.count,
      firstPartition: range.first,
    });
  }

  save(): MemberState {
    return {
      ...this.#training.save(),
      models: this.#models.all.map(({ moments, weights, solvedAt }) => ({
        moments: moments.view.slice(),
        weights: weights.view.slice(),
        solvedAt,
      })),
    };
  }

  load(state: MemberState): void {
    const saved = new SavedState(this.name, state);
    const { all } = this.#models;
    const parts = saved.list('models', [all.length]).map((part, index) => {
      const { moments, weights } = all[index] as RidgeModel;
      return {
        moments: part.numbersLike('moments', moments.view),
        weights: part.numbersLike('weights', weights.view),
        solvedAt: part.integer('solvedAt', 0, this.#training.end),
      };
    });
    const writeTraining = this.#training.read(saved);
    writeTraining();
    all.forEach((model, index) => {
      const { moments, weights, solvedAt } = parts[index] as (typeof parts)[number];
      model.moments.view.set(moments);
      model.weights.view.set(weights);
      model.solvedAt = solvedAt;
    });
  }

  close(): void {
    this.#models.close();
  }

  async #solve(models: readonly RidgeModel[]): Promise<void> {
    const { runner } = this.#components;
    const { exports } = runner.kernels;
    const { pooled } = this.#models;
    pooled.view.fill(0);
    // Every clustering has all rows, so the first one's clusters add up to the whole.
    for (const { moments } of this.#models.byClustering[0] as readonly RidgeModel[])
      exports.addScaled(moments.pointer, pooled.view.length, 1, pooled.pointer);
    await runner.run('ridgeSolve', {
      shape: this.#models.shape,
      groups: models.map(groupOf),
      pooled: pooled.pointer,
      // Where a cluster has no rows of its own, all that it can know is what the others know.
      poolingShare: Math.max(this.#settings.poolingShare, 1e-6),
      lambda: this.#settings.lambda,
    });
    for (const model of models) model.solvedAt = this.#training.end;
  }
}

const isUnsolved = ({ solvedAt }: RidgeModel): boolean => solvedAt === 0;

/** One direct ridge regression per cluster of partitions: see {@link PooledRidge}. */
export const pooledRidgeMember = (
  components: MemberComponents,
  settings: { readonly ridge: RidgeSettings },
): Member => new PooledRidge(components, settings.ridge);

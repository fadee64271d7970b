import type { Forecast } from '../../model/forecast.ts';
import { dimensionIndex, LOAD_DIMENSION_COUNT, type LoadProfile } from '../../model/load-profile.ts';
import { judgedSteps } from '../bands.ts';
import { Forecaster, type ForecasterComponents } from '../forecaster.ts';
import type { History } from '../history.ts';
import type { ForecastSettings } from '../settings.ts';
import { type Aggregates, aggregateProfile, findAggregates, seriesCountOf } from './aggregates.ts';
import { assertSumsFit, type SavedSums } from './checkpoint.ts';
import { reconcileStep, withReconciledMeans } from './reconciled-means.ts';
import { SumErrors } from './sum-errors.ts';

/** When so many partitions would change their cluster, sums are formed anew. */
const MOVED_SHARE = 0.1;

/** Clusters of partitions and the total, forecast as if each were a partition; and how far off that has been. */
export class Sums {
  readonly #settings: ForecastSettings;
  readonly #aggregates: Aggregates;
  readonly #forecaster: Forecaster;
  readonly #errors: SumErrors;
  /** Window, since the start of all, at which clusters were last looked at. */
  #lookedAt: number;

  private constructor(
    settings: ForecastSettings,
    parts: {
      readonly aggregates: Aggregates;
      readonly forecaster: Forecaster;
      readonly lookedAt: number;
    },
  ) {
    this.#settings = settings;
    this.#aggregates = parts.aggregates;
    this.#forecaster = parts.forecaster;
    this.#errors = new SumErrors(seriesCountOf(parts.aggregates));
    this.#lookedAt = parts.lookedAt;
  }

  /** Forms clusters of the partitions as they are now, and takes in their history. */
  static async form(
    history: Readonly<History>,
    settings: ForecastSettings,
    components: ForecasterComponents,
  ): Promise<Sums> {
    const aggregates = findAggregates(history, clusteringOf(components));
    const forecaster = new Forecaster(settings, components);
    const sums = new Sums(settings, { aggregates, forecaster, lookedAt: endOf(history) });
    try {
      await forecaster.observe(sums.#profile(history, 0));
    } catch (error) {
      forecaster.close();
      throw error;
    }
    return sums;
  }

  /** @throws ForeshardError as {@link Forecaster.restore} does. */
  static restore(
    saved: SavedSums,
    settings: ForecastSettings,
    options: { readonly components: ForecasterComponents; readonly partitionCount: number },
  ): Sums {
    assertSumsFit(saved, options.partitionCount);
    const { aggregates, lookedAt } = saved;
    const forecaster = Forecaster.restore(saved.forecaster, settings, options.components);
    const sums = new Sums(settings, { aggregates, forecaster, lookedAt });
    try {
      sums.#errors.load(saved.errors);
    } catch (error) {
      forecaster.close();
      throw error;
    }
    return sums;
  }

  save(): SavedSums {
    const forecaster = this.#forecaster.save() as SavedSums['forecaster'];
    return {
      forecaster,
      aggregates: this.#aggregates,
      errors: this.#errors.save(),
      lookedAt: this.#lookedAt,
    };
  }

  close(): void {
    this.#forecaster.close();
  }

  /** Takes in the partitions' windows that are new. */
  async observe(history: Readonly<History>): Promise<void> {
    const { startMs, windowMs } = history.shape;
    const knownEndMs = this.#forecaster.history?.endMs ?? startMs;
    const first = Math.max(0, Math.round((knownEndMs - startMs) / windowMs) - history.dropped);
    if (first >= history.length) return;
    const profile = this.#profile(history, first);
    await this.#forecaster.observe(profile);
    for (let w = first; w < history.length; w++)
      this.#errors.judge(
        history.dropped + w,
        history.isOutage(w) ? undefined : this.#driverAt(profile, w - first),
      );
  }

  /** Keeps what is said now of the steps to come, to be judged when they have come. */
  async keepClaims(partitions: Forecast, history: Readonly<History>): Promise<void> {
    const pair = await this.#paired(partitions);
    for (const step of judgedSteps(partitions.horizonSteps))
      this.#errors.keep(reconcileStep(pair, step, this.#errors).claims, endOf(history) + step);
  }

  /** The partitions' forecast, with means that add up to the sums' forecasts. */
  async reconciled(partitions: Forecast): Promise<Forecast> {
    return withReconciledMeans(await this.#paired(partitions), this.#errors);
  }

  /** Once a week: whether a part of the partitions worth mentioning resembles others now. */
  haveMoved(history: Readonly<History>, components: ForecasterComponents): boolean {
    const end = endOf(history);
    const { clusterCount, clusterOf } = this.#aggregates;
    if (clusterCount === 0 || end - this.#lookedAt < history.shape.weekWindows) return false;
    this.#lookedAt = end;
    const now = findAggregates(history, clusteringOf(components), this.#aggregates);
    const moved = now.clusterOf.filter((cluster, p) => cluster !== clusterOf[p]).length;
    return moved >= MOVED_SHARE * clusterOf.length;
  }

  async #paired(partitions: Forecast) {
    const sums = await this.#forecaster.forecast({ horizonSteps: partitions.horizonSteps });
    return { partitions, sums, aggregates: this.#aggregates, driver: this.#settings.driver };
  }

  #profile(history: Readonly<History>, first: number): LoadProfile {
    const range = { first, end: history.length, driver: this.#settings.driver };
    return aggregateProfile(history, this.#aggregates, range);
  }

  /** f64[series]. */
  #driverAt({ values, partitionCount }: LoadProfile, window: number): Float64Array {
    const base = window * partitionCount * LOAD_DIMENSION_COUNT + dimensionIndex(this.#settings.driver);
    return Float64Array.from(
      { length: partitionCount },
      (_, series) => values[base + series * LOAD_DIMENSION_COUNT] as number,
    );
  }
}

/** Windows since the start of all. */
const endOf = (history: Readonly<History>): number => history.dropped + history.length;

const clusteringOf = ({ runner, random }: ForecasterComponents) => ({
  kernels: runner.kernels,
  random: random.fork('clusters of partitions'),
});

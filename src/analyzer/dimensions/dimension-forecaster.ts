import { assert } from '../../base/assert.ts';
import type { Forecast } from '../../model/forecast.ts';
import {
  dimensionIndex,
  LOAD_DIMENSION_COUNT,
  LOAD_DIMENSIONS,
  type LoadDimension,
  type LoadProfile,
} from '../../model/load-profile.ts';
import type { ForecasterComponents } from '../forecaster.ts';
import type { HierarchyCheckpoint } from '../hierarchy/checkpoint.ts';
import { HierarchyForecaster } from '../hierarchy/hierarchy-forecaster.ts';
import { type ForecastSettings, trackedLevels } from '../settings.ts';
import { applyRatios } from './apply-ratios.ts';
import { type RatioShape, type SavedRatios, SeasonalRatios } from './seasonal-ratios.ts';

/** All a forecaster of every dimension knows, as plain data. */
export interface DimensionsCheckpoint extends HierarchyCheckpoint {
  /** By dimension: what its own forecaster knows. */
  readonly dimensions?: Readonly<Record<string, HierarchyCheckpoint>>;
  readonly ratios?: SavedRatios;
}

/**
 * Forecasts every dimension of every partition: the driver, and those that the settings name, by forecasters of their own; the
 * rest by the driver's forecast and their {@link SeasonalRatios} to it.
 *
 * It is used as {@link HierarchyForecaster} is. Members and skill are the driver's; `dimensionSkill` tells those of all.
 */
export class DimensionForecaster {
  readonly #settings: ForecastSettings;
  readonly #driver: HierarchyForecaster;
  readonly #own: Map<LoadDimension, HierarchyForecaster>;
  #ratios: SeasonalRatios | undefined;
  #isBusy = false;

  /** @throws ForeshardError FORESHARD_CONFIG naming a setting that is out of range. */
  constructor(
    settings: ForecastSettings,
    components: ForecasterComponents,
    restored?: {
      readonly driver: HierarchyForecaster;
      readonly own: ReadonlyMap<LoadDimension, HierarchyForecaster>;
      readonly ratios: SeasonalRatios | undefined;
    },
  ) {
    this.#settings = settings;
    this.#driver = restored?.driver ?? new HierarchyForecaster(settings, components);
    this.#own = new Map(restored?.own);
    this.#ratios = restored?.ratios;
    for (const dimension of ownDimensions(settings))
      if (!this.#own.has(dimension))
        this.#own.set(dimension, new HierarchyForecaster(...forDimension(dimension, settings, components)));
  }

  /** @throws ForeshardError as {@link HierarchyForecaster.observe} does. */
  observe(profile: LoadProfile): Promise<void> {
    return this.#exclusively(async () => {
      await this.#driver.observe(profile);
      for (const forecaster of this.#own.values()) await forecaster.observe(profile);
      this.#followRatios(profile);
    });
  }

  /** @throws ForeshardError as {@link HierarchyForecaster.forecast} does. */
  forecast(
    options: { readonly horizonSteps?: number; readonly levels?: readonly number[] } = {},
  ): Promise<Forecast> {
    return this.#exclusively(async () => {
      const forecast = await this.#driver.forecast(options);
      if (this.#ratios !== undefined) applyRatios(forecast, this.#ratios);
      const dimensionSkill = new Float64Array(forecast.partitionCount * LOAD_DIMENSION_COUNT);
      for (let i = 0; i < dimensionSkill.length; i++)
        dimensionSkill[i] = forecast.skill[Math.floor(i / LOAD_DIMENSION_COUNT)] as number;
      for (const [dimension, forecaster] of this.#own)
        takeDimension(dimension, await forecaster.forecast(options), { forecast, dimensionSkill });
      return { ...forecast, dimensionSkill };
    });
  }

  save(): DimensionsCheckpoint | undefined {
    assert(!this.#isBusy, 'a forecaster is saved when it rests');
    const driver = this.#driver.save();
    if (driver === undefined) return undefined;
    const saved = [...this.#own].map(([dimension, forecaster]) => [dimension, forecaster.save()] as const);
    return {
      ...driver,
      dimensions: Object.fromEntries(
        saved.flatMap(([dimension, own]) => (own === undefined ? [] : [[dimension, own]])),
      ),
      ...(this.#ratios && { ratios: this.#ratios.save() }),
    };
  }

  /**
   * What the checkpoint does not hold (a dimension that was not forecast by itself, ratios) is learnt anew from the profile that
   * is observed next, which therefore has to be the whole history.
   *
   * @throws ForeshardError as {@link HierarchyForecaster.restore} does.
   */
  static restore(
    checkpoint: DimensionsCheckpoint,
    settings: ForecastSettings,
    components: ForecasterComponents,
  ): DimensionForecaster {
    const opened: HierarchyForecaster[] = [];
    const open = (saved: HierarchyCheckpoint, ...how: Parameters<typeof forDimension>) => {
      const forecaster = HierarchyForecaster.restore(saved, ...forDimension(...how));
      opened.push(forecaster);
      return forecaster;
    };
    try {
      const driver = open(checkpoint, settings.driver, settings, components);
      const own = new Map<LoadDimension, HierarchyForecaster>();
      for (const dimension of ownDimensions(settings)) {
        const saved = checkpoint.dimensions?.[dimension];
        if (saved !== undefined) own.set(dimension, open(saved, dimension, settings, components));
      }
      const ratios = checkpoint.ratios && SeasonalRatios.restore(checkpoint.ratios);
      return new DimensionForecaster(settings, components, { driver, own, ratios });
    } catch (error) {
      for (const forecaster of opened) forecaster.close();
      throw error;
    }
  }

  /** Gives the kernel memory back. */
  close(): void {
    assert(!this.#isBusy, 'a forecaster is closed when it rests');
    this.#driver.close();
    for (const forecaster of this.#own.values()) forecaster.close();
  }

  /** Takes what is new into the ratios; where they are of other seasons than the driver's now, or of another past, all is learnt anew. */
  #followRatios(profile: LoadProfile): void {
    const { history } = this.#driver;
    if (history === undefined) return;
    const own = ownDimensions(this.#settings);
    const { partitionCount, windowMs, startMs, dayWindows, weekWindows } = history.shape;
    const shape: RatioShape = {
      ...{ partitionCount, windowMs, startMs, dayWindows, weekWindows },
      driver: this.#settings.driver,
      followers: LOAD_DIMENSIONS.filter((name) => name !== this.#settings.driver && !own.includes(name)),
      levels: trackedLevels(this.#settings),
    };
    const isOfShape = JSON.stringify(this.#ratios?.shape) === JSON.stringify(shape);
    if (this.#ratios === undefined || !isOfShape || this.#ratios.isRetold(profile))
      this.#ratios = new SeasonalRatios(shape);
    this.#ratios.observe(profile);
  }

  async #exclusively<Result>(work: () => Promise<Result>): Promise<Result> {
    assert(!this.#isBusy, 'a forecaster does one thing at a time');
    this.#isBusy = true;
    try {
      return await work();
    } finally {
      this.#isBusy = false;
    }
  }
}

const ownDimensions = ({ dimensions, driver }: ForecastSettings): LoadDimension[] =>
  LOAD_DIMENSIONS.filter((name) => name !== driver && dimensions.includes(name));

/** The driver draws the same chance whether other dimensions are forecast or not. */
const forDimension = (
  dimension: LoadDimension,
  settings: ForecastSettings,
  components: ForecasterComponents,
): [ForecastSettings, ForecasterComponents] =>
  dimension === settings.driver
    ? [settings, components]
    : [
        { ...settings, driver: dimension },
        { ...components, random: components.random.fork(`forecast of ${dimension}`) },
      ];

/** Writes one dimension of `own` over that of the forecast, and its skill. */
function takeDimension(
  dimension: LoadDimension,
  own: Forecast,
  { forecast, dimensionSkill }: { readonly forecast: Forecast; readonly dimensionSkill: Float64Array },
): void {
  const offset = dimensionIndex(dimension);
  const copy = (to: Float64Array, from: Float64Array): void => {
    for (let at = offset; at < to.length; at += LOAD_DIMENSION_COUNT) to[at] = from[at] as number;
  };
  copy(forecast.point, own.point);
  copy(forecast.mean, own.mean);
  copy(forecast.lower, own.lower);
  copy(forecast.upper, own.upper);
  forecast.intervals?.forEach((interval, i) => {
    copy(interval.lower, own.intervals?.[i]?.lower as Float64Array);
    copy(interval.upper, own.intervals?.[i]?.upper as Float64Array);
  });
  own.skill.forEach((skill, p) => {
    dimensionSkill[p * LOAD_DIMENSION_COUNT + offset] = skill;
  });
}

import type { ForecasterComponents } from '../analyzer/forecaster.ts';
import { HierarchyForecaster } from '../analyzer/hierarchy/hierarchy-forecaster.ts';
import type { ForecastSettings } from '../analyzer/settings.ts';
import { trustedForecast } from '../analyzer/trust.ts';
import { assert } from '../base/assert.ts';
import type { Forecast } from '../model/forecast.ts';
import { dimensionIndex, LOAD_DIMENSION_COUNT, type LoadProfile } from '../model/load-profile.ts';

const HOUR_MS = 3_600_000;
/** Last week's load is what an unskilled forecast is put aside for. */
const WEEK_HOURS = 168;

/** Load by the hour, of which forecasts see what came before them. */
export interface HourlyLoad {
  /** f64[hour][partition], queries. */
  readonly load: Float64Array;
  readonly startMs: number;
  readonly partitionCount: number;
}

/** The Query Pattern Analyzer's forecasts of each hour, as a cycle of a cluster would have had them. */
export class HourlyForecasts {
  readonly #load: HourlyLoad;
  readonly #skillMin: number;
  readonly #forecaster: HierarchyForecaster;
  #knownHours = 0;

  constructor(
    load: HourlyLoad,
    settings: { readonly forecast: ForecastSettings; readonly skillMin: number },
    components: ForecasterComponents,
  ) {
    this.#load = load;
    this.#skillMin = settings.skillMin;
    this.#forecaster = new HierarchyForecaster(settings.forecast, components);
  }

  /**
   * As of the start of `hour` of the load, step 0 being that hour.
   *
   * @param hour not before that of the last call.
   */
  async forecastAt(hour: number): Promise<Forecast> {
    assert(hour >= this.#knownHours, 'forecasts are made in order of time');
    if (hour > this.#knownHours) await this.#forecaster.observe(this.#profile(this.#knownHours, hour));
    this.#knownHours = hour;
    const forecast = await this.#forecaster.forecast();
    const lately = this.#profile(Math.max(0, hour - WEEK_HOURS), hour);
    return trustedForecast(forecast, lately, { skillMin: this.#skillMin }).forecast;
  }

  close(): void {
    this.#forecaster.close();
  }

  /** Hours [first, end). */
  #profile(first: number, end: number): LoadProfile {
    const { load, startMs, partitionCount } = this.#load;
    const windowCount = end - first;
    const values = new Float64Array(windowCount * partitionCount * LOAD_DIMENSION_COUNT);
    const queries = dimensionIndex('queries');
    for (let cell = 0; cell < windowCount * partitionCount; cell++)
      values[cell * LOAD_DIMENSION_COUNT + queries] = load[first * partitionCount + cell] as number;
    return {
      startMs: startMs + first * HOUR_MS,
      windowMs: HOUR_MS,
      windowCount,
      partitionCount,
      values,
      coverage: new Float64Array(windowCount).fill(1),
    };
  }
}

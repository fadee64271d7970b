import {
  DimensionForecaster,
  type DimensionsCheckpoint,
} from '../../../src/analyzer/dimensions/dimension-forecaster.ts';
import type { ForecasterComponents } from '../../../src/analyzer/forecaster.ts';
import type { ForecastSettings } from '../../../src/analyzer/settings.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { Forecast } from '../../../src/model/forecast.ts';
import type { LoadProfile } from '../../../src/model/load-profile.ts';
import type { CheckpointFile } from './checkpoint-file.ts';

export interface KeptForecasterComponents extends ForecasterComponents {
  readonly file: CheckpointFile;
}

/**
 * A forecaster that goes on after a restart where it was, instead of fitting everything anew to the published windows.
 *
 * What it knows is written after each forecast, beside the work. A file that cannot be read, is of other settings, or does not
 * fit the measured windows (another replay's, a cluster made anew) is put aside with a word in the log: nothing but time is
 * lost.
 */
export class KeptForecaster {
  readonly #settings: ForecastSettings;
  readonly #components: KeptForecasterComponents;
  #forecaster: DimensionForecaster | null = null;
  #writing: Promise<void> | null = null;

  constructor(settings: ForecastSettings, components: KeptForecasterComponents) {
    this.#settings = settings;
    this.#components = components;
  }

  /** Takes in the windows that are new, and forecasts. @throws ForeshardError as {@link DimensionForecaster} does. */
  async forecast(profile: LoadProfile): Promise<Forecast> {
    const forecast =
      this.#forecaster === null
        ? await this.#firstForecast(profile)
        : await advanced(this.#forecaster, profile);
    this.#keep();
    return forecast;
  }

  async close(): Promise<void> {
    await this.#writing;
    this.#forecaster?.close();
    this.#forecaster = null;
  }

  async #firstForecast(profile: LoadProfile): Promise<Forecast> {
    const { logger } = this.#components;
    const restored = await this.#restored();
    if (restored !== undefined)
      try {
        const forecast = await advanced(restored, profile);
        const endMs = profile.startMs + profile.windowCount * profile.windowMs;
        if (forecast.startMs === endMs) {
          logger.info({ endMs }, 'the forecast goes on from its checkpoint');
          this.#forecaster = restored;
          return forecast;
        }
        restored.close();
        this.#putAside(`it ends at ${forecast.startMs}, the measured windows at ${endMs}`);
      } catch (error) {
        restored.close();
        if (!(error instanceof ForeshardError)) throw error;
        this.#putAside(error.message);
      }
    this.#forecaster = new DimensionForecaster(this.#settings, this.#components);
    return advanced(this.#forecaster, profile);
  }

  async #restored(): Promise<DimensionForecaster | undefined> {
    try {
      const checkpoint = await this.#components.file.read();
      if (checkpoint === undefined) return undefined;
      return DimensionForecaster.restore(
        checkpoint as DimensionsCheckpoint,
        this.#settings,
        this.#components,
      );
    } catch (error) {
      if (!(error instanceof ForeshardError)) throw error;
      this.#putAside(error.message);
      return undefined;
    }
  }

  #putAside(why: string): void {
    this.#components.logger.warn({ why }, 'the forecast begins anew: its checkpoint cannot be used');
  }

  /** One write at a time; what comes while it lasts is in the next. */
  #keep(): void {
    if (this.#writing !== null) return;
    const checkpoint = this.#forecaster?.save();
    if (checkpoint === undefined) return;
    this.#writing = this.#components.file
      .write(checkpoint)
      .catch((error: unknown) => {
        this.#components.logger.warn({ fault: (error as Error).message }, 'the forecast could not be saved');
      })
      .finally(() => {
        this.#writing = null;
      });
  }
}

async function advanced(forecaster: DimensionForecaster, profile: LoadProfile): Promise<Forecast> {
  await forecaster.observe(profile);
  return forecaster.forecast();
}

import {
  type BaseForecaster,
  CalendarForecaster,
  type EffectMemory,
} from '../../../src/analyzer/seasons/calendar-forecaster.ts';
import { learnUplift } from '../../../src/analyzer/seasons/uplift.ts';
import { type Calendar, EVENT_MS_MAX } from '../../../src/model/calendar.ts';
import type { Forecast } from '../../../src/model/forecast.ts';
import type { LoadDimension, LoadProfile } from '../../../src/model/load-profile.ts';

/** An event of the calendar within a forecast. */
export interface ForecastEvent {
  readonly name: string;
  readonly startMs: number;
  readonly endMs: number;
  /** Series that it is, or is not, put into the forecast of. */
  readonly seriesCount: number;
  /** Mean factor on the load; null where nothing is known of such an event, and the forecast is that of ordinary days. */
  readonly factor: number | null;
  /** Earlier occurrences in the history; 0: the factor is that of the calendar file, or of the event's kind. */
  readonly occurrenceCount: number;
}

/** What is learnt here is learnt from one file, and forgotten with it. */
const NO_MEMORY: EffectMemory = {
  load: async () => [],
  keep: async () => {},
  forget: async () => {},
};

/** A forecast with the events of a calendar put in, and which those are. */
export async function forecastWithEvents(
  profile: LoadProfile,
  options: { readonly calendar: Calendar; readonly driver: LoadDimension; readonly base: BaseForecaster },
): Promise<{ readonly forecast: Forecast; readonly events: readonly ForecastEvent[] }> {
  const { calendar } = options;
  const forecaster = new CalendarForecaster({ ...options, memory: NO_MEMORY });
  const forecast = await forecaster.forecast(profile);
  const endMs = forecast.startMs + forecast.horizonSteps * forecast.stepMs;
  const events = calendar
    .occurrences(forecast.startMs, endMs)
    .filter((event) => event.endMs - event.startMs <= EVENT_MS_MAX)
    .map((event): ForecastEvent => {
      const uplift = learnUplift(event, forecaster.effects);
      const logs = uplift?.byPhase ?? new Float64Array(0);
      const meanLog = logs.reduce((sum, log) => sum + log / logs.length, 0);
      return {
        name: event.name,
        startMs: event.startMs,
        endMs: event.endMs,
        seriesCount: profile.partitionCount,
        factor: uplift === undefined ? null : Math.exp(meanLog),
        occurrenceCount: uplift?.occurrenceCount ?? 0,
      };
    });
  return { forecast, events };
}

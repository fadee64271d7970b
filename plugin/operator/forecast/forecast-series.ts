import { Forecaster, WINDOWS_MIN } from '../../../src/analyzer/forecaster.ts';
import { forecasterBytes } from '../../../src/analyzer/memory.ts';
import type { ForecastSettings } from '../../../src/analyzer/settings.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import { inlineRunner } from '../../../src/kernels/pool.ts';
import type { Calendar } from '../../../src/model/calendar.ts';
import type { Forecast } from '../../../src/model/forecast.ts';
import { dimensionIndex, LOAD_DIMENSION_COUNT, type LoadProfile } from '../../../src/model/load-profile.ts';
import type { GridSeries } from '../../logs/series/regular-grid.ts';
import { type ForecastEvent, forecastWithEvents } from './event-forecast.ts';
import { type Prepared, prepare, profileOf } from './prepared-series.ts';
import { groupSeries, type SeriesGroup } from './series-groups.ts';

/** What a series will be, in the units of its file. */
export interface SeriesForecast {
  readonly id: string;
  readonly point: readonly number[];
  /** By level in percent; 0 <= lower <= point <= upper, and a higher level's bounds contain a lower one's. */
  readonly lower: Readonly<Record<string, readonly number[]>>;
  readonly upper: Readonly<Record<string, readonly number[]>>;
  /** The members that are listened to most, joined by "+". */
  readonly model: string;
  /** 1 - error / error of the weekly seasonal naive; null where the history is too short to tell. */
  readonly skill: number | null;
  /** True where the forecast is worth less than usual; `notes` say why. */
  readonly degraded: boolean;
  readonly notes: readonly string[];
}

export interface ForecastOptions {
  readonly horizonSteps: number;
  /** Percent, ascending. */
  readonly levels: readonly number[];
  readonly settings: ForecastSettings;
  /** Whose events are learnt and forecast; series need times for it. */
  readonly calendar?: Calendar;
  /** Told now and then which share of the work is done, 0..1. */
  readonly onProgress?: (share: number) => void;
}

export interface FileForecast {
  /** In the order of the file. */
  readonly series: readonly SeriesForecast[];
  /** Of the calendar within the horizon, once for each group of series that are forecast together. */
  readonly events: readonly ForecastEvent[];
}

/** The forecaster's own bounds where it knows no error: a factor of so much either way. */
const UNKNOWN_FACTOR = 4;
/**
 * A skill is told down to errors of ten times the naive's. Beyond, it is one of a series where last week was right to a hair, or
 * of one value that was a million, and would pass for a judgement of the others.
 */
const NAIVE_ERROR_RATIO_MAX = 10;
const SKILL_TOLD_MIN = 1 - NAIVE_ERROR_RATIO_MAX;
/** A member with less than this share of the first one's weight is not named. */
const NAMED_WEIGHT_SHARE = 0.5;
const NAMED_MAX = 3;
const HISTORY_WINDOWS_MIN = 840;
/** More companions than this teach a model nothing new. */
const SERIES_PER_GROUP_MAX = 512;
/** Of the kernels' 512 MiB, the rest for what jobs need on the way. */
const GROUP_BYTES_MAX = 96 * 1024 * 1024;

/** Forecasts every series, in the order given. Never NaN, never below 0. */
export async function forecastSeries(
  all: readonly GridSeries[],
  options: ForecastOptions,
): Promise<FileForecast> {
  const series = new Array<SeriesForecast>(all.length);
  const events: ForecastEvent[] = [];
  const groups = groupSeries(all, {
    seriesMax: (windowMs, windowCount) => seriesThatFit(settingsFor(options, windowCount), windowMs),
    isByTime: options.calendar !== undefined,
  });
  let seriesDone = 0;
  for (const group of groups) {
    const done = (share: number): void =>
      options.onProgress?.((seriesDone + share * group.members.length) / all.length);
    const made =
      group.windowCount < WINDOWS_MIN
        ? { series: lastValues(group, options), events: [] }
        : await forecastGroup(group, options, done);
    for (const [i, { index }] of group.members.entries()) series[index] = made.series[i] as SeriesForecast;
    events.push(...made.events);
    seriesDone += group.members.length;
  }
  return { series, events };
}

const settingsFor = (
  { settings, horizonSteps, levels }: ForecastOptions,
  windowCount: number,
): ForecastSettings => ({
  ...settings,
  level: shareOf(levels[0] as number),
  levels: levels.slice(1).map(shareOf),
  horizonSteps,
  historyWindows: Math.max(HISTORY_WINDOWS_MIN, windowCount),
});

/** The largest group, halved until the kernels' memory has room for it; models are better for more than one series. */
function seriesThatFit(settings: ForecastSettings, windowMs: number): number {
  let partitionCount = SERIES_PER_GROUP_MAX;
  const bytes = (): number =>
    Object.values(forecasterBytes(settings, { partitionCount, windowMs })).reduce(
      (sum, part) => sum + part,
      0,
    );
  while (partitionCount > 1 && bytes() > GROUP_BYTES_MAX) partitionCount >>= 1;
  return partitionCount;
}

async function forecastGroup(
  group: SeriesGroup,
  options: ForecastOptions,
  onProgress: (share: number) => void,
): Promise<FileForecast> {
  const { calendar, settings, levels } = options;
  const prepared = group.members.map((member) => prepare(member, group, options));
  const forecaster = new Forecaster(settingsFor(options, group.windowCount), {
    // Kernel memory of its own for each group: its size differs, and freed blocks would not fit the next.
    runner: inlineRunner(loadKernels()),
    random: seededRandom(1n),
    logger: silentLogger,
  });
  const base = {
    forecast: async (profile: LoadProfile): Promise<Forecast> => {
      await forecaster.observe(profile, { onWindow: (count) => onProgress(count / group.windowCount) });
      return forecaster.forecast({ levels: levels.map(shareOf) });
    },
  };
  try {
    const profile = profileOf(prepared, group, settings);
    const { forecast, events } =
      calendar === undefined
        ? { forecast: await base.forecast(profile), events: [] }
        : await forecastWithEvents(profile, { calendar, driver: settings.driver, base });
    return {
      series: prepared.map((one, index) => seriesForecastOf(forecast, one, index, options)),
      events,
    };
  } finally {
    forecaster.close();
  }
}

const shareOf = (percent: number): number => percent / 100;

function seriesForecastOf(
  forecast: Forecast,
  one: Prepared,
  partition: number,
  { levels, settings }: ForecastOptions,
): SeriesForecast {
  const skill = forecast.skill[partition] as number;
  const isTold = Number.isFinite(skill) && skill >= SKILL_TOLD_MIN;
  const isWild = Number.isFinite(skill) && !isTold;
  const steps = (loads: Float64Array): number[] => stepsOf(loads, forecast, partition, one.scale, settings);
  return assembled({
    id: one.member.series.id,
    point: steps(forecast.point),
    bounds: (forecast.intervals ?? []).map(({ lower, upper }, i) => ({
      level: levels[i] as number,
      lower: steps(lower),
      upper: steps(upper),
    })),
    model: leadingMembers(forecast.members),
    skill: isTold ? skill : null,
    degraded: one.isDegraded || isWild,
    notes: isWild
      ? [
          ...one.notes,
          `its errors were more than ${NAIVE_ERROR_RATIO_MAX} times those of last week's values, as single wild values make them: no skill is told`,
        ]
      : one.notes,
  });
}

/** With one or two values there is nothing to learn from: the last one goes on, with bounds that say how little that is. */
function lastValues({ members }: SeriesGroup, { horizonSteps, levels }: ForecastOptions): SeriesForecast[] {
  return members.map(({ series, values }) => {
    const last = values.at(-1) as number;
    const logLast = Math.log1p(last);
    const steps = (value: number): number[] => new Array<number>(horizonSteps).fill(finite(value));
    return assembled({
      id: series.id,
      point: steps(last),
      bounds: levels.map((level) => ({
        level,
        lower: steps(Math.expm1(logLast - Math.log(UNKNOWN_FACTOR))),
        upper: steps(Math.expm1(logLast + Math.log(UNKNOWN_FACTOR))),
      })),
      model: 'last-value',
      skill: null,
      degraded: true,
      notes: [
        ...series.notes,
        `${values.length === 1 ? '1 value' : `${values.length} values`} of history: the last one goes on, with bounds of a factor of ${UNKNOWN_FACTOR} at every level`,
      ],
    });
  });
}

function stepsOf(
  loads: Float64Array,
  { horizonSteps, partitionCount }: Forecast,
  partition: number,
  scale: number,
  { driver }: ForecastSettings,
): number[] {
  const dimension = dimensionIndex(driver);
  return Array.from({ length: horizonSteps }, (_, step) =>
    finite((loads[(step * partitionCount + partition) * LOAD_DIMENSION_COUNT + dimension] as number) / scale),
  );
}

interface Parts extends Omit<SeriesForecast, 'lower' | 'upper' | 'point'> {
  readonly point: number[];
  readonly bounds: readonly { readonly level: number; readonly lower: number[]; readonly upper: number[] }[];
}

/** Levels are made one by one; rounding must not let them cross. */
function assembled({ id, point, bounds, ...rest }: Parts): SeriesForecast {
  const lower: Record<string, number[]> = {};
  const upper: Record<string, number[]> = {};
  let [innerLower, innerUpper] = [point, point];
  for (const bound of bounds) {
    innerLower = bound.lower.map((value, step) => Math.min(value, innerLower[step] as number));
    innerUpper = bound.upper.map((value, step) => Math.max(value, innerUpper[step] as number));
    lower[bound.level] = innerLower;
    upper[bound.level] = innerUpper;
  }
  return { id, point, lower, upper, ...rest };
}

/** An upper bound of values near the largest number would be Infinity, which JSON does not know. */
const finite = (value: number): number => Math.min(Math.max(0, value), Number.MAX_VALUE);

function leadingMembers(members: Forecast['members']): string {
  const sorted = [...members].sort((a, b) => b.weight - a.weight);
  const least = (sorted[0]?.weight ?? 0) * NAMED_WEIGHT_SHARE;
  return sorted
    .filter(({ weight }) => weight > 0 && weight >= least)
    .slice(0, NAMED_MAX)
    .map(({ name }) => name)
    .join('+');
}

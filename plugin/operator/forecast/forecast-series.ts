import { Forecaster, WINDOWS_MIN } from '../../../src/analyzer/forecaster.ts';
import { forecasterBytes } from '../../../src/analyzer/memory.ts';
import type { ForecastSettings } from '../../../src/analyzer/settings.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import { inlineRunner, type KernelRunner } from '../../../src/kernels/pool.ts';
import type { Forecast } from '../../../src/model/forecast.ts';
import { dimensionIndex, LOAD_DIMENSION_COUNT, type LoadProfile } from '../../../src/model/load-profile.ts';
import { describeMs, type GridSeries } from '../../logs/series/regular-grid.ts';
import { fillMissing } from './filled-series.ts';
import { type GroupMember, groupSeries, type SeriesGroup } from './series-groups.ts';

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
}

/** History windows that are asked of a series before its forecast is called whole: three days of hours, say. */
const WINDOWS_WHOLE = 72;
/** A forecast for which more of the history was filled in than measured. */
const MISSING_SHARE_MAX = 0.5;
/** The forecaster's own bounds where it knows no error: a factor of so much either way. */
const UNKNOWN_FACTOR = 4;
/** Fractions below this are forecast in a larger unit: the logarithm of 1 + load takes them for almost nothing. */
const MEAN_MIN = 10;
/** Errors ten times those of the naive: where the naive is right to a hair, or one value was a million. */
const SKILL_MIN = -9;
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
): Promise<SeriesForecast[]> {
  const forecasts = new Array<SeriesForecast>(all.length);
  const seriesMax = (windowMs: number, windowCount: number): number =>
    seriesThatFit(settingsFor(options, windowCount), windowMs);
  for (const group of groupSeries(all, seriesMax)) {
    const isShort = group.windowCount < WINDOWS_MIN;
    // Kernel memory of its own for each group: its size differs, and freed blocks would not fit the next.
    const made = isShort
      ? lastValues(group, options)
      : await forecastGroup(group, options, inlineRunner(loadKernels()));
    for (const [i, { index }] of group.members.entries()) forecasts[index] = made[i] as SeriesForecast;
  }
  return forecasts;
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

interface Prepared {
  readonly member: GroupMember;
  readonly values: Float64Array;
  /** What values are multiplied with while they are forecast. */
  readonly scale: number;
  readonly notes: readonly string[];
  readonly isDegraded: boolean;
}

async function forecastGroup(
  group: SeriesGroup,
  options: ForecastOptions,
  runner: KernelRunner,
): Promise<SeriesForecast[]> {
  const prepared = group.members.map((member) => prepare(member, group, options));
  const profile = profileOf(prepared, group, options.settings);
  const forecaster = new Forecaster(settingsFor(options, group.windowCount), {
    runner,
    random: seededRandom(1n),
    logger: silentLogger,
  });
  try {
    await forecaster.observe(profile);
    const forecast = await forecaster.forecast({ levels: options.levels.map(shareOf) });
    return prepared.map((one, index) => seriesForecastOf(forecast, one, index, options));
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
  const isTold = Number.isFinite(skill) && skill >= SKILL_MIN;
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
          `its skill is below ${SKILL_MIN}: such errors are those of single values, and say nothing of the others`,
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

function prepare(member: GroupMember, group: SeriesGroup, { horizonSteps }: ForecastOptions): Prepared {
  const { series } = member;
  const { values, missingCount, longestGap } = fillMissing(member.values, group.windowMs);
  const notes = [...series.notes];
  const windowCount = values.length;
  if (series.values.length > windowCount)
    notes.push(
      `its oldest ${series.values.length - windowCount} windows are left out, to forecast it with others`,
    );
  if (missingCount > 0)
    notes.push(
      `${missingCount} of ${windowCount} windows without a value, ${longestGap} in a row (${describeMs(longestGap * group.windowMs)}): filled with the week, day or window before`,
    );
  if (windowCount < WINDOWS_WHOLE)
    notes.push(`${windowCount} windows of history, below ${WINDOWS_WHOLE} bounds are guesses`);
  if (horizonSteps > windowCount)
    notes.push(`the horizon of ${horizonSteps} windows is longer than the history of ${windowCount}`);
  const isConstant = values.every((value) => value === values[0]);
  if (isConstant) notes.push(values[0] === 0 ? 'all values are 0' : 'all values are equal');
  const isDegraded =
    windowCount < WINDOWS_WHOLE ||
    horizonSteps > windowCount ||
    missingCount > MISSING_SHARE_MAX * windowCount;
  return { member, values, scale: scaleOf(values), notes, isDegraded };
}

/** A power of ten, so that values come back as they were written; 1 for counts. */
function scaleOf(values: Float64Array): number {
  if (values.every(Number.isInteger)) return 1;
  const mean = values.reduce((sum, value) => sum + value / values.length, 0);
  return mean >= MEAN_MIN || mean === 0 ? 1 : 10 ** Math.min(300, Math.ceil(Math.log10(MEAN_MIN / mean)));
}

/** A window that no series has a value for is an outage, from which nothing is learnt; others were filled. */
function profileOf(
  prepared: readonly Prepared[],
  { windowMs, windowCount }: SeriesGroup,
  { driver }: ForecastSettings,
): LoadProfile {
  const partitionCount = prepared.length;
  const values = new Float64Array(windowCount * partitionCount * LOAD_DIMENSION_COUNT);
  const coverage = new Float64Array(windowCount);
  const dimension = dimensionIndex(driver);
  for (const [p, one] of prepared.entries())
    for (let w = 0; w < windowCount; w++) {
      values[(w * partitionCount + p) * LOAD_DIMENSION_COUNT + dimension] =
        (one.values[w] as number) * one.scale;
      if (!Number.isNaN(one.member.values[w] as number)) coverage[w] = 1;
    }
  // Seasons are told by their length and not by the calendar, so any beginning will do.
  return { startMs: 0, windowMs, windowCount, partitionCount, values, coverage };
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

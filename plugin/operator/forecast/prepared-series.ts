import type { ForecastSettings } from '../../../src/analyzer/settings.ts';
import { dimensionIndex, LOAD_DIMENSION_COUNT, type LoadProfile } from '../../../src/model/load-profile.ts';
import { describeMs } from '../../logs/series/regular-grid.ts';
import { fillMissing } from './filled-series.ts';
import type { GroupMember, SeriesGroup } from './series-groups.ts';

/** History windows that are asked of a series before its forecast is called whole: three days of hours, say. */
export const WINDOWS_WHOLE = 72;
/** A forecast for which more of the history was filled in than measured. */
const MISSING_SHARE_MAX = 0.5;
/** Fractions below this are forecast in a larger unit: the logarithm of 1 + load takes them for almost nothing. */
const MEAN_MIN = 10;
/**
 * A load that is so many times what it ever was, or as small a part of it, cannot be told from a broken reading, an outage or an
 * event by its last hours: the forecast lies between the two for that long, and its bounds may hold neither.
 */
const OTHER_LEVEL = 50;
const OTHER_LEVEL_DAYS = 1.5;
/** The usual is that of the week before. */
const USUAL_DAYS = 7;
const DAY_MS = 86_400_000;

/** A series as the forecaster takes it. */
export interface Prepared {
  readonly member: GroupMember;
  readonly values: Float64Array;
  /** What values are multiplied with while they are forecast. */
  readonly scale: number;
  readonly notes: readonly string[];
  readonly isDegraded: boolean;
}

export function prepare(
  member: GroupMember,
  group: SeriesGroup,
  { horizonSteps }: { readonly horizonSteps: number },
): Prepared {
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
  const scale = scaleOf(values);
  const other = otherLevel(values, { scale, dayWindows: DAY_MS / group.windowMs });
  if (other !== null) notes.push(other);
  const isDegraded =
    other !== null ||
    windowCount < WINDOWS_WHOLE ||
    horizonSteps > windowCount ||
    missingCount > MISSING_SHARE_MAX * windowCount;
  return { member, values, scale, notes, isDegraded };
}

/** What is to be said of last windows that are far from all of the week before them; null where they are not. */
function otherLevel(
  values: Float64Array,
  { scale, dayWindows }: { readonly scale: number; readonly dayWindows: number },
): string | null {
  const lasting = Math.floor(OTHER_LEVEL_DAYS * dayWindows);
  const extremes = (from: number, to: number): readonly [number, number] => {
    let [low, high] = [Number.POSITIVE_INFINITY, 0];
    for (let i = Math.max(0, from); i < to; i++) {
      const load = 1 + (values[i] as number) * scale;
      low = Math.min(low, load);
      high = Math.max(high, load);
    }
    return [low, high];
  };
  for (let count = 1; count <= lasting && count < values.length; count++) {
    const since = values.length - count;
    const [before, first] = [extremes(since - 1, since)[0], extremes(since, since + 1)[0]];
    // What separates the two levels separates these neighbours.
    if (Math.max(before, first) <= OTHER_LEVEL * Math.min(before, first)) continue;
    const [low, high] = extremes(since, values.length);
    const [usualLow, usualHigh] = extremes(since - Math.ceil(USUAL_DAYS * dayWindows), since);
    const isAbove = low > OTHER_LEVEL * usualHigh;
    if (!isAbove && OTHER_LEVEL * high >= usualLow) continue;
    const times = isAbove ? `over ${OTHER_LEVEL} times` : `less than a ${OTHER_LEVEL}th of`;
    const what = count === 1 ? 'its last value is' : `its last ${count} values are`;
    return `${what} ${times} all of the week before: until that has lasted ${OTHER_LEVEL_DAYS} days the forecast lies between the two, and its bounds may hold neither`;
  }
  return null;
}

/** A power of ten, so that values come back as they were written; 1 for counts. */
function scaleOf(values: Float64Array): number {
  if (values.every(Number.isInteger)) return 1;
  const mean = values.reduce((sum, value) => sum + value / values.length, 0);
  return mean >= MEAN_MIN || mean === 0 ? 1 : 10 ** Math.min(300, Math.ceil(Math.log10(MEAN_MIN / mean)));
}

/** A window that no series has a value for is an outage, from which nothing is learnt; others were filled. */
export function profileOf(
  prepared: readonly Prepared[],
  { startMs, windowMs, windowCount }: SeriesGroup,
  { driver }: Pick<ForecastSettings, 'driver'>,
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
  return { startMs, windowMs, windowCount, partitionCount, values, coverage };
}

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

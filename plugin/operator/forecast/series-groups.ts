import type { GridSeries } from '../../logs/series/regular-grid.ts';

/** Series that are forecast together: the same window, and the same number of them. */
export interface SeriesGroup {
  /** Of window 0; 0 where series are put together whose times differ. */
  readonly startMs: number;
  readonly windowMs: number;
  readonly windowCount: number;
  readonly members: readonly GroupMember[];
}

export interface GroupMember {
  readonly series: GridSeries;
  /** Its place in the file. */
  readonly index: number;
  /** The newest `windowCount` values; NaN where nothing is known. */
  readonly values: Float64Array;
}

/** The oldest tenth of a series is worth less than the company of others that are like it. */
const LENGTH_SHARE_MIN = 0.9;
/**
 * Groups series by window and length. Those of nearly equal length are cut to the shortest of them, on the left: forecasts
 * begin after the last value, whenever that was.
 *
 * @param options.seriesMax how many series of that window and length fit into memory together, at least 1.
 * @param options.isByTime together only what ends together: where it matters which day a window is of.
 */
export function groupSeries(
  all: readonly GridSeries[],
  options: {
    readonly seriesMax: (windowMs: number, windowCount: number) => number;
    readonly isByTime: boolean;
  },
): SeriesGroup[] {
  const { seriesMax, isByTime } = options;
  const order = all
    .map((series, index) => ({ series, index, endWindow: isByTime ? endWindowOf(series) : 0 }))
    .sort(
      (a, b) =>
        a.series.windowMs - b.series.windowMs ||
        a.endWindow - b.endWindow ||
        b.series.values.length - a.series.values.length ||
        a.index - b.index,
    );
  const groups: SeriesGroup[] = [];
  for (let first = 0; first < order.length; ) {
    const { series, endWindow } = order[first] as (typeof order)[number];
    const { windowMs, values } = series;
    const lengthMin = Math.ceil(values.length * LENGTH_SHARE_MIN);
    const countMax = seriesMax(windowMs, values.length);
    let end = first + 1;
    while (
      end < order.length &&
      end - first < countMax &&
      order[end]?.series.windowMs === windowMs &&
      order[end]?.endWindow === endWindow &&
      (order[end]?.series.values.length ?? 0) >= lengthMin
    )
      end++;
    const chosen = order.slice(first, end);
    const shortest = (chosen.at(-1) as (typeof order)[number]).series;
    const windowCount = shortest.values.length;
    groups.push({
      startMs: isByTime ? shortest.startMs : 0,
      windowMs,
      windowCount,
      members: chosen.map(({ series, index }) => ({
        series,
        index,
        values: series.values.slice(-windowCount),
      })),
    });
    first = end;
  }
  return groups;
}

const endWindowOf = ({ startMs, windowMs, values }: GridSeries): number =>
  Math.round(startMs / windowMs) + values.length;

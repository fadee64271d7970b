import { WindowSeries } from '../../../src/analyzer/patterns/window-series.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { LogReading } from '../../logs/read-log.ts';
import { describeMs } from '../../logs/series/regular-grid.ts';
import type { CountedBy } from './flags.ts';

/** One series of counts. */
export interface CountSeries {
  readonly id: string;
  readonly startMs: number;
  readonly windowMs: number;
  /** Queries by window. */
  readonly values: Float64Array;
}

export interface CountOptions {
  readonly by: CountedBy;
  readonly windowMs: number;
  readonly partitionCount: number;
  readonly partitionOf: (key: string) => number;
  /** Storage node by partition. */
  readonly ownerOf: ArrayLike<number>;
  /** What to do about a log that is too short, or names no keys, where it is not what `foreshard counts` would do. */
  readonly remedies?: { readonly tooShort: string; readonly noKeys: string };
  /** After each batch. */
  readonly onBatch: () => void;
}

/** As many as a forecast looks at; fewer where there are so many partitions that they would not fit. */
const WINDOWS_MAX = 10_080;
const COUNTS_BYTES_MAX = 256 * 1024 * 1024;
const COUNT_BYTES = 4;
const REMEDIES = { tooShort: 'take narrower ones with --window', noKeys: 'count --by all' };
/** The row of all queries; partitions and nodes have theirs from 1 on. */
const ALL_ROW = 0;

/**
 * Counts the queries of a log by window: what a forecast of partitions begins with. A query counts once for each partition or
 * node that its keys belong to; the first and the last window are left out, since the log covers them in part.
 *
 * @throws ForeshardError FORESHARD_NOT_READY where no whole window, or no key, is in the log; others as `readLog` does.
 */
export async function countLog(reading: LogReading, options: CountOptions): Promise<CountSeries[]> {
  const { by, windowMs, partitionCount, partitionOf, ownerOf, remedies = REMEDIES } = options;
  const windowsMax = Math.min(WINDOWS_MAX, Math.floor(COUNTS_BYTES_MAX / COUNT_BYTES / (1 + partitionCount)));
  const series = new WindowSeries({ windowMs, windowsMax });
  const placeOf = (key: string): number =>
    by === 'node' ? (ownerOf[partitionOf(key)] as number) : partitionOf(key);
  const places = new Set<number>();
  for await (const { records } of reading) {
    for (const { timeMs, keys } of records) {
      series.add(ALL_ROW, timeMs);
      if (by === 'all') continue;
      const found = keys.length === 1 ? [placeOf(keys[0] as string)] : new Set(keys.map(placeOf));
      for (const place of found) {
        places.add(place);
        series.add(1 + place, timeMs);
      }
    }
    options.onBatch();
  }
  const { startMs, windowCount } = series.span;
  const refuse = (what: string): ForeshardError => new ForeshardError('FORESHARD_NOT_READY', 'wait', what);
  if (windowCount < 3)
    throw refuse(`the log covers no whole window of ${describeMs(windowMs)}: ${remedies.tooShort}`);
  if (by !== 'all' && places.size === 0)
    throw refuse(`no query of the log names a key, so none belongs to a partition: ${remedies.noKeys}`);
  const seriesOf = (id: string, row: number): CountSeries => ({
    id,
    startMs: startMs + windowMs,
    windowMs,
    values: series.sumOf([row]).slice(1, -1),
  });
  if (by === 'all') return [seriesOf('all', ALL_ROW)];
  return [...places].sort((a, b) => a - b).map((place) => seriesOf(`${by}-${place}`, 1 + place));
}

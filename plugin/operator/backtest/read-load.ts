import { ForeshardError } from '../../../src/base/errors.ts';
import { contiguousMap } from '../../../src/model/partition-map.ts';
import type { LogSummary } from '../../logs/log-record.ts';
import { countLog } from '../counts/count-log.ts';
import { LogProgress } from '../log-input/log-progress.ts';
import { openLog, partitionOfKey } from '../log-input/open-log.ts';
import type { BacktestFlags } from './flags.ts';

const HOUR_MS = 3_600_000;
/** Two days: one to learn from before the lead-in of a day, and what is left to judge by. */
export const HOURS_MIN = 48;

/** What a log asked of each partition, by whole hours. */
export interface LoggedLoad {
  /** f64[hour][partition], queries. */
  readonly load: Float64Array;
  readonly hourCount: number;
  readonly startMs: number;
  readonly summary: LogSummary;
}

/** @throws ForeshardError as {@link countLog} does. */
export async function readLoad(
  from: string | AsyncIterable<Uint8Array>,
  flags: BacktestFlags,
  { partitionCount, nodeCount }: { readonly partitionCount: number; readonly nodeCount: number },
): Promise<LoggedLoad> {
  const reading = openLog(from, { ...flags, window: '1h' });
  const progress = LogProgress.onStandardError(reading, flags);
  try {
    const series = await countLog(reading, {
      by: 'partition',
      windowMs: HOUR_MS,
      partitionCount,
      ownerOf: contiguousMap(partitionCount, nodeCount).ownerOf,
      partitionOf: (key) => partitionOfKey(key, partitionCount),
      remedies: {
        tooShort: `a backtest needs ${HOURS_MIN} whole hours at least, two days`,
        noKeys: 'a backtest needs to know which partition each query is for',
      },
      onBatch: () => progress.update(),
    });
    const first = series[0];
    if (first === undefined)
      throw new ForeshardError('FORESHARD_NOT_READY', 'wait', 'no query of the log belongs to a partition');
    const hourCount = first.values.length;
    const load = new Float64Array(new SharedArrayBuffer(hourCount * partitionCount * 8));
    for (const { id, values } of series) {
      const partition = Number(id.slice('partition-'.length));
      values.forEach((queries, hour) => {
        load[hour * partitionCount + partition] = queries;
      });
    }
    return { load, hourCount, startMs: first.startMs, summary: reading.summary() };
  } finally {
    progress.end();
  }
}

/** Load as a replay brings it, and as it is told to it: by columns, f64[window][partition] each. */
import { ForeshardError } from '../../../src/base/errors.ts';
import { LOAD_DIMENSION_COUNT, type LoadProfile } from '../../../src/model/load-profile.ts';
import type { LoadHistory, ProfileReport } from '../control-messages.ts';
import type { ProfileLedger, WindowLoad } from './profile-ledger.ts';

type Grid = Pick<ProfileLedger, 'windowMs' | 'partitionCount'>;

/**
 * Windows of a history that a replay brings along.
 *
 * @throws ForeshardError FORESHARD_CORRUPT naming what does not fit the settings or itself.
 */
export function windowsOf(
  history: LoadHistory,
  { ledger, queryNodeId }: { readonly ledger: Grid; readonly queryNodeId: number },
): WindowLoad[] {
  assertHistory(history, ledger);
  const { startMs, windowMs, windowCount, partitionCount } = history;
  const columns = [history.queries, history.cpuSeconds, history.readBytes, history.writeBytes];
  return Array.from({ length: windowCount }, (_, w) => {
    const values = new Float64Array(partitionCount * LOAD_DIMENSION_COUNT);
    let capturedCount = 0;
    for (let p = 0; p < partitionCount; p++) {
      columns.forEach((column, d) => {
        values[p * LOAD_DIMENSION_COUNT + d] = column?.[w * partitionCount + p] ?? 0;
      });
      capturedCount += values[p * LOAD_DIMENSION_COUNT] as number;
    }
    return {
      startMs: startMs + w * windowMs,
      queryNodeId,
      values,
      capturedCount: Math.round(capturedCount),
      droppedCount: 0,
    };
  });
}

export function reportOf({
  startMs,
  windowMs,
  windowCount,
  partitionCount,
  values,
  coverage,
}: LoadProfile): ProfileReport {
  const column = (dimension: number): Float64Array =>
    Float64Array.from(
      { length: windowCount * partitionCount },
      (_, i) => values[i * LOAD_DIMENSION_COUNT + dimension] as number,
    );
  return {
    startMs,
    windowMs,
    windowCount,
    partitionCount,
    queries: column(0),
    cpuSeconds: column(1),
    readBytes: column(2),
    writeBytes: column(3),
    coverage,
  };
}

function assertHistory(history: LoadHistory, ledger: Grid): void {
  for (const key of ['windowMs', 'partitionCount'] as const)
    if (history[key] !== ledger[key])
      throw corrupt(`its ${key} is ${history[key]}, the settings say ${ledger[key]}`);
  const length = history.windowCount * history.partitionCount;
  for (const key of ['queries', 'cpuSeconds', 'readBytes', 'writeBytes'] as const)
    if (history[key] !== undefined && history[key].length !== length)
      throw corrupt(
        `${key} holds ${history[key].length} values, not windowCount x partitionCount = ${length}`,
      );
}

function corrupt(why: string): ForeshardError {
  return new ForeshardError('FORESHARD_CORRUPT', 'report', `the history cannot be loaded: ${why}`);
}

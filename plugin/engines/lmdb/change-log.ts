import { ForeshardError } from '../../../src/base/errors.ts';
import type { Lsn } from '../../../src/model/migration.ts';
import type { LogEntry } from '../../../src/ports/partition-store.ts';
import { decodeLogEntry, newLogKey } from './entry-writer.ts';
import type { Table } from './environment.ts';
import { encodedKey } from './physical-key.ts';

/** Log entries dropped in one transaction: some 10 ms of the event loop. */
const REMOVE_ENTRIES_MAX = 4096;

/**
 * Entries afterLsn+1..lastLsn of a partition's log, at most `bytesMax` but at least one.
 *
 * @throws ForeshardError FORESHARD_CORRUPT when one of them is missing.
 */
export function readLogEntries(
  changeLog: Table,
  partitionId: number,
  options: { afterLsn: Lsn; lastLsn: Lsn; bytesMax: number },
): readonly LogEntry[] {
  const { afterLsn, lastLsn, bytesMax } = options;
  const entries: LogEntry[] = [];
  let sizeBytes = 0;
  const start = newLogKey(partitionId, afterLsn + 1);
  const end = newLogKey(partitionId, lastLsn + 1);
  for (const { key, value } of changeLog.getRange({ start, end })) {
    sizeBytes += value.length;
    if (entries.length > 0 && sizeBytes > bytesMax) return entries;
    const entry = decodeLogEntry(key, value);
    const expectedLsn = afterLsn + 1 + entries.length;
    if (entry.lsn !== expectedLsn) throw logGap(partitionId, expectedLsn);
    entries.push(entry);
  }
  if (afterLsn + entries.length < lastLsn) throw logGap(partitionId, afterLsn + entries.length + 1);
  return entries;
}

/** Removes entries with lsn <= upToLsn, in pieces, so that a long log does not hold up the event loop. */
export async function removeLogEntries(
  changeLog: Table,
  partitionId: number,
  upToLsn: Lsn,
  transact: (body: () => void) => void,
): Promise<void> {
  const range = {
    start: newLogKey(partitionId, 0),
    end: newLogKey(partitionId, upToLsn + 1),
    limit: REMOVE_ENTRIES_MAX,
  };
  for (;;) {
    const keys = [...changeLog.getKeys({ ...range })];
    if (keys.length === 0) return;
    transact(() => {
      for (const key of keys) changeLog.remove(encodedKey(key));
    });
    if (keys.length < REMOVE_ENTRIES_MAX) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

export const logGap = (partitionId: number, lsn: Lsn): ForeshardError =>
  new ForeshardError('FORESHARD_CORRUPT', 'retry', `partition ${partitionId}: entry ${lsn} is missing`);

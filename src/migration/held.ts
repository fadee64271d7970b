/** What still goes on of a migration that an operator's pause holds: nothing that brings it further. */
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import { type CopyRates, FREE_COPY_RATES, type StorageEngine } from '../ports/storage-engine.ts';
import { answeredInTime, commandOf, doNodeWork } from './node-work.ts';
import type { ReadWatch } from './reads/read-watch.ts';
import { type OpenRecord, readsTakenBack } from './records/record-changes.ts';
import type { MigrationSettings } from './settings.ts';
import { lagOf } from './step.ts';

export interface HeldContext {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly engine: StorageEngine;
  readonly settings: MigrationSettings;
  readonly ratesOf: (record: OpenRecord) => CopyRates;
  readonly readGuard?: ReadWatch;
  readonly isRetired: (storeId: string) => boolean;
}

const HELD: CopyRates = { ...FREE_COPY_RATES, bytesPerSecond: 0 };

/**
 * @returns the record with all reads back at the source, where they have to leave the target; else null. Never throws.
 */
export async function workWhileHeld(record: OpenRecord, context: HeldContext): Promise<OpenRecord | null> {
  const { phase, readWeight } = record.migration;
  if (phase === 'COPY') await holdCopy(record, context);
  const { readGuard } = context;
  return phase === 'SHIFT' && readWeight > 0 && readGuard ? guardReads(record, readGuard, context) : null;
}

/**
 * A pause stops the bytes of a snapshot as well, so the source's log grows meanwhile: the copy reads it after the snapshot.
 * Behind COPY log entries go on: the copy stays fresh, and the source can forget them.
 */
async function holdCopy(record: OpenRecord, context: HeldContext): Promise<void> {
  const { partitionId, migration } = record;
  try {
    await answeredInTime(context.engine.copy(migration.targetNodeId, commandOf(record), HELD), context);
  } catch (error) {
    context.logger.debug({ partitionId, error: String(error) }, 'a paused copy could not be held');
  }
}

/**
 * Reads go on at the target during a pause, so they are watched as always. Whatever is wrong, they are only taken back: a
 * migration that is to be given up for it is given up after the pause. A bad copy is found again then, by the same reports.
 */
async function guardReads(
  record: OpenRecord,
  readGuard: ReadWatch,
  context: HeldContext,
): Promise<OpenRecord | null> {
  const answered = doNodeWork(record, context);
  // Of a target that does not answer only the query nodes can tell.
  const lagEntries = await answered.then(lagOf, () => 0);
  const guard = await readGuard.verdictOf(record, lagEntries);
  return guard.kind === 'green' ? null : readsTakenBack(record, guard.reason, context.clock.nowMs());
}

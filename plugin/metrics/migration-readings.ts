import type { ExecutorStatus } from '../../src/migration/executor.ts';
import { MIGRATION_PHASES } from '../../src/model/migration.ts';
import { flag, type Reading, reading } from './reading.ts';

/** What a candidate for the office tells: what it has ended, and while it is elected, what is open. */
export function migrationReadings(isElected: boolean, status: ExecutorStatus): Reading[] {
  return [
    reading('foreshard_coordinator', flag(isElected)),
    reading('foreshard_migrations_ended_total', status.doneCount, { outcome: 'done' }),
    reading('foreshard_migrations_ended_total', status.abortedCount, { outcome: 'aborted' }),
    reading('foreshard_migration_copied_bytes_total', status.copiedBytes),
    // Another one knows better.
    ...(isElected ? openReadings(status) : []),
  ];
}

function openReadings({ open, quarantinedPartitionIds, ...status }: ExecutorStatus): Reading[] {
  const openIn = new Map<string, number>(MIGRATION_PHASES.map((phase) => [phase, 0]));
  let bytesPerSecond = 0;
  let limitBytesPerSecond = 0;
  for (const { phase, pace } of open) {
    openIn.set(phase, (openIn.get(phase) ?? 0) + 1);
    if (pace === null || (phase !== 'COPY' && phase !== 'CATCHUP')) continue;
    bytesPerSecond += pace.bytesPerSecond;
    limitBytesPerSecond += pace.limitBytesPerSecond;
  }
  return [
    ...[...openIn].map(([phase, count]) => reading('foreshard_migrations_open', count, { phase })),
    reading('foreshard_moves_waiting', status.queuedMoveCount, { for: 'place' }),
    reading('foreshard_moves_waiting', status.scheduledMoveCount, { for: 'hour' }),
    reading('foreshard_quarantined_partitions', quarantinedPartitionIds.length),
    reading('foreshard_migration_copy_bytes_per_second', bytesPerSecond),
    reading('foreshard_migration_copy_limit_bytes_per_second', limitBytesPerSecond),
  ];
}

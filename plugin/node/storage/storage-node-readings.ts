import { PARTITION_ROLES, type PartitionRole } from '../../../src/model/migration.ts';
import { flag, type Reading, reading } from '../../metrics/reading.ts';

export interface StorageNodeFacts {
  readonly storedBytes: number;
  readonly storedBytesMax: number;
  readonly freeBytes: number;
  readonly isWritable: boolean;
  readonly roles: Iterable<{ readonly role: PartitionRole }>;
  readonly commits: { readonly commitCount: number; readonly commitMs: number };
}

/** What a storage node tells. */
export function storageNodeReadings({ roles, commits, ...node }: StorageNodeFacts): Reading[] {
  const countOf = new Map<string, number>(PARTITION_ROLES.map((role) => [role, 0]));
  for (const { role } of roles) countOf.set(role, (countOf.get(role) ?? 0) + 1);
  countOf.delete('NONE');
  return [
    reading('foreshard_stored_bytes', node.storedBytes),
    reading('foreshard_stored_bytes_max', node.storedBytesMax),
    reading('foreshard_disk_free_bytes', node.freeBytes),
    reading('foreshard_store_writable', flag(node.isWritable)),
    ...[...countOf].map(([role, count]) =>
      reading('foreshard_partitions', count, { role: role.toLowerCase() }),
    ),
    reading('foreshard_commits_total', commits.commitCount),
    reading('foreshard_commit_seconds_total', commits.commitMs / 1000),
  ];
}

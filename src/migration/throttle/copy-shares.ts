/** What each open copy may use of the limits of its nodes and of the cluster. Pure. */
import type { PartitionRecord } from '../../model/migration.ts';
import { CopyCounts } from '../queue/admission.ts';
import type { OpenRecord } from '../records/record-changes.ts';
import type { MigrationSettings } from '../settings.ts';

export interface CopyShare {
  readonly bytesPerSecond: number;
  readonly entriesPerSecond: number;
}

/** Equal shares: a copy that cannot use its own leaves it unused, so that nobody's limit depends on somebody's pace. */
export function copyShareOf(
  { migration }: OpenRecord,
  records: readonly (PartitionRecord | null)[],
  { copyBytesPerSecond, throttle }: MigrationSettings,
): CopyShare {
  const copies = new CopyCounts(records);
  const atNode = Math.max(
    1,
    copies.outgoing.get(migration.sourceNodeId) ?? 0,
    copies.incoming.get(migration.targetNodeId) ?? 0,
  );
  const inCluster = Math.max(1, copies.total);
  return {
    bytesPerSecond: Math.min(
      copyBytesPerSecond,
      throttle.nodeBytesPerSecond / atNode,
      throttle.clusterBytesPerSecond / inCluster,
    ),
    entriesPerSecond: Math.min(
      throttle.nodeEntriesPerSecond / atNode,
      throttle.clusterEntriesPerSecond / inCluster,
    ),
  };
}

/** What is committed together with a transition: clean-up records and history. Pure. */
import type { MigrationOutcome, PartitionRecord } from '../../model/migration.ts';
import type { MetadataWrite } from '../../ports/metadata-store.ts';
import { isSwitched } from '../phases.ts';
import type { OpenRecord } from './record-changes.ts';
import type { MigrationHistory, RecordCodec } from './records.ts';

export interface Transition {
  readonly before: OpenRecord;
  readonly after: PartitionRecord;
  /** Of the migration of `before`, if it ends here. */
  readonly history: MigrationHistory | null;
  readonly nowMs: number;
}

/** What becomes of the migration of `before`; null while it goes on. */
export function outcomeOf(before: OpenRecord, after: PartitionRecord): MigrationOutcome | null {
  const { migration } = before;
  if (after.migration?.migrationId === migration.migrationId) return null;
  if (migration.phase === 'ABORT') return 'aborted';
  if (after.migration !== null) return 'superseded';
  return migration.kind === 'takeover' ? 'taken-over' : 'done';
}

/**
 * R10: what has to be removed one day is named before it exists, under the migration that is to remove it. So exactly one
 * record names each copy besides the owner's: the target's until the switch, the source's from then on.
 */
export function transitionWrites(transition: Transition, codec: RecordCodec): MetadataWrite[] {
  const { before, after, history } = transition;
  const writes: MetadataWrite[] = [];
  const old = before.migration;
  const { partitionId } = before;
  if (history !== null) {
    const key = codec.keys.history(partitionId, old.migrationId);
    writes.push({ kind: 'put', key, value: codec.encodeHistory(history) });
    for (const storeId of settledStores(before, after))
      writes.push({ kind: 'delete', key: codec.keys.cleanup(partitionId, old.migrationId, storeId) });
  }
  const migration = after.migration;
  if (migration === null) return writes;
  const isNew = migration.migrationId !== old.migrationId;
  if (isNew) writes.push(openingWrite({ ...after, migration }, codec, transition.nowMs));
  else if (migration.phase === 'SWITCHED') {
    const target = codec.keys.cleanup(partitionId, migration.migrationId, migration.targetStoreId);
    writes.push({ kind: 'delete', key: target });
    if (migration.kind !== 'takeover')
      writes.push(cleanupWrite({ ...after, migration }, 'source', codec, transition.nowMs));
  }
  return writes;
}

/** Names the copy of a migration that is opened, beside the record itself. */
export const openingWrite = (record: OpenRecord, codec: RecordCodec, nowMs: number): MetadataWrite =>
  cleanupWrite(record, isSwitched(record.migration.phase) ? 'source' : 'target', codec, nowMs);

function cleanupWrite(
  { partitionId, migration }: OpenRecord,
  side: 'source' | 'target',
  codec: RecordCodec,
  nowMs: number,
): MetadataWrite {
  const storeId = side === 'source' ? migration.sourceStoreId : migration.targetStoreId;
  const nodeId = side === 'source' ? migration.sourceNodeId : migration.targetNodeId;
  const cleanup =
    side === 'source'
      ? ({ kind: 'source', policy: 'deferred' } as const)
      : ({ kind: 'staging', policy: 'on-failure' } as const);
  const value = codec.encodeCleanup({ ...cleanup, sinceMs: nowMs, nodeId });
  return { kind: 'put', key: codec.keys.cleanup(partitionId, migration.migrationId, storeId), value };
}

/** Stores about which the migration that ends has nothing more to remember: it is done there, or another one takes over. */
function settledStores(before: OpenRecord, after: PartitionRecord): string[] {
  const { sourceStoreId, targetStoreId, kind, takeover } = before.migration;
  const both = [sourceStoreId, targetStoreId];
  const next = after.migration;
  // Its copy stays where it is, for another takeover; whoever owns the partition after that has it removed.
  const leavesCopy = kind === 'takeover' && before.migration.phase === 'ABORT' && !takeover?.isEmpty;
  if (next === null && leavesCopy) return [sourceStoreId];
  // A takeover leaves a third store out, whose copy is still to be removed then.
  return next?.kind === 'takeover'
    ? both.filter((storeId) => storeId === next.sourceStoreId || storeId === next.targetStoreId)
    : both;
}

/** The map's record of one partition, as tests of migrations need it. */
import { isSwitched } from '../../src/migration/phases.ts';
import type { OpenRecord } from '../../src/migration/records/record-changes.ts';
import { asEpoch, asNodeId, asPartitionId } from '../../src/model/ids.ts';
import type { Digest, MigrationPhase, MigrationRecord, PartitionRecord } from '../../src/model/migration.ts';

export const DIGEST: Digest = { entryCount: 3, sizeBytes: 30, buckets: ['aa', '00'] };

/** Partition 5, which node 1 owns at epoch 7 after three migrations. */
export const STABLE_RECORD: PartitionRecord = {
  partitionId: asPartitionId(5),
  ownerNodeId: asNodeId(1),
  ownerStoreId: 'store-1',
  epoch: asEpoch(7),
  ownedSinceMs: 0,
  migrationSeq: 3,
  migration: null,
};

/** Its migration 4, to node 2: from the switch on that one owns it, at epoch 8. It is fenced at lsn 100. */
export function recordIn(
  phase: MigrationPhase,
  migration: Partial<MigrationRecord> = {},
  partition: Partial<PartitionRecord> = {},
): OpenRecord {
  const owner = { ownerNodeId: asNodeId(2), ownerStoreId: 'store-2', epoch: asEpoch(8) };
  return {
    ...STABLE_RECORD,
    ...(isSwitched(phase) ? owner : {}),
    migrationSeq: 4,
    ...partition,
    migration: {
      migrationId: 4,
      sourceNodeId: asNodeId(1),
      sourceStoreId: 'store-1',
      targetNodeId: asNodeId(2),
      targetStoreId: 'store-2',
      phase,
      phaseAtMs: 0,
      startedAtMs: 0,
      digestSeed: '0'.repeat(16),
      readWeight: 0,
      notBeforeMs: 0,
      reason: 'node 1 is hot',
      attempt: 0,
      ...(phase === 'FENCED' || isSwitched(phase) ? { fenceLsn: 100, fenceDigest: DIGEST } : {}),
      ...migration,
    },
  };
}

import { listNodes } from '../plugin/metadata/node-registrations.ts';
import { recordCodec } from '../plugin/metadata/record-codec.ts';
import { asNodeId } from '../src/model/ids.ts';
import type { MigrationRecord } from '../src/model/migration.ts';
import type { MetadataStore } from '../src/ports/metadata-store.ts';

/**
 * Opens a migration as a coordinator does that dies right after; the one in a query node carries it on.
 *
 * @returns the source.
 * @throws Error when the record has changed meanwhile.
 */
export async function openMigration(
  metadata: MetadataStore,
  move: { readonly clusterName: string; readonly partitionId: number; readonly targetNodeId: number },
): Promise<number> {
  const { clusterName, partitionId, targetNodeId } = move;
  const codec = recordCodec(clusterName);
  const key = codec.keys.map(partitionId);
  const entry = await metadata.get(key);
  if (!entry) throw new Error(`partition ${partitionId} has no record`);
  const record = codec.decodePartition(partitionId, entry.value);
  const target = (await listNodes(metadata, clusterName)).find((node) => node.nodeId === targetNodeId);
  const migrationId = record.migrationSeq + 1;
  const nowMs = Date.now();
  const migration: MigrationRecord = {
    migrationId,
    sourceNodeId: record.ownerNodeId,
    sourceStoreId: record.ownerStoreId,
    targetNodeId: asNodeId(targetNodeId),
    targetStoreId: target?.storeId ?? '',
    phase: 'PREPARE',
    phaseAtMs: nowMs,
    startedAtMs: nowMs,
    digestSeed: '00112233445566aa',
    readWeight: 0,
    notBeforeMs: 0,
    reason: 'asked for by hand',
    attempt: 0,
  };
  const value = codec.encodePartition({ ...record, migrationSeq: migrationId, migration });
  const result = await metadata.commit({
    conditions: [{ key, revisionIs: entry.revision }],
    writes: [{ kind: 'put', key, value }],
  });
  if (!result.isCommitted) throw new Error(`partition ${partitionId} is being migrated already`);
  return record.ownerNodeId;
}

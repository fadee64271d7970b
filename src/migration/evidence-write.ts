import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { MetadataWrite } from '../ports/metadata-store.ts';
import type { KeyPrivacy, StorageEngine } from '../ports/storage-engine.ts';
import { gatherEvidence } from './mismatch.ts';
import { commandOf } from './node-work.ts';
import { isSwitched } from './phases.ts';
import type { OpenRecord } from './record-changes.ts';
import type { RecordCodec } from './records.ts';
import type { Mismatch } from './step.ts';

export interface EvidenceComponents {
  readonly codec: RecordCodec;
  readonly clock: Clock;
  readonly engine: StorageEngine;
  readonly logger: Logger;
  readonly keyPrivacy?: KeyPrivacy;
}

/** Looked for before the commit that ends the migration: after it the nodes forget what they scanned. */
export async function evidenceWrite(
  record: OpenRecord,
  mismatch: Mismatch,
  { codec, clock, engine, logger, keyPrivacy }: EvidenceComponents,
): Promise<MetadataWrite> {
  const { partitionId, migration } = record;
  const isAfter = isSwitched(migration.phase);
  const evidence = await gatherEvidence(
    {
      command: commandOf(record),
      phase: migration.phase,
      nowMs: clock.nowMs(),
      ownerNodeId: record.ownerNodeId,
      copyNodeId: isAfter ? migration.sourceNodeId : migration.targetNodeId,
      ...mismatch,
      privacy: keyPrivacy ?? { prefixBytes: 0, isHashKept: false },
    },
    engine,
  );
  const { differenceCount, limits, reason } = evidence;
  logger.error({ partitionId, differenceCount, limits, reason }, 'two copies of a partition differ');
  const key = codec.keys.evidence(partitionId, migration.migrationId);
  return { kind: 'put', key, value: codec.encodeEvidence(evidence) };
}

import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/logger.ts';
import type { MetadataWrite } from '../../ports/metadata-store.ts';
import type { KeyPrivacy, StorageEngine } from '../../ports/storage-engine.ts';
import { type EvidenceRequest, evidenceWithoutKeys, gatherEvidence } from '../mismatch.ts';
import { commandOf } from '../node-work.ts';
import { isHot, isSwitched } from '../phases.ts';
import type { Mismatch } from '../step.ts';
import type { OpenRecord } from './record-changes.ts';
import type { RecordCodec } from './records.ts';

/** The migration stands still meanwhile. */
const PATIENCE_MS = 5_000;
/** Writes wait at the fence. */
const FENCED_PATIENCE_MS = 250;

export interface EvidenceComponents {
  readonly codec: RecordCodec;
  readonly clock: Clock;
  readonly engine: StorageEngine;
  readonly logger: Logger;
  readonly keyPrivacy?: KeyPrivacy;
}

/**
 * Looked for before the commit that ends the migration: after it the nodes forget what they scanned.
 *
 * @returns null where evidence of this migration is there already and this has no keys to add: before a removal one copy is
 * verified again and again, and the nodes may not be able to list its keys each time.
 */
export async function evidenceWrite(
  record: OpenRecord,
  mismatch: Mismatch,
  { codec, clock, engine, logger, keyPrivacy }: EvidenceComponents,
): Promise<MetadataWrite | null> {
  const { partitionId, migration } = record;
  const isAfter = isSwitched(migration.phase);
  const request: EvidenceRequest = {
    command: commandOf(record),
    phase: migration.phase,
    nowMs: clock.nowMs(),
    ownerNodeId: record.ownerNodeId,
    copyNodeId: isAfter ? migration.sourceNodeId : migration.targetNodeId,
    ...mismatch,
    privacy: keyPrivacy ?? { prefixBytes: 0, isHashKept: false },
  };
  const patienceMs = isHot(migration.phase) ? FENCED_PATIENCE_MS : PATIENCE_MS;
  const patience = new AbortController();
  const evidence = await Promise.race([
    gatherEvidence(request, engine),
    clock
      .sleep(patienceMs, patience.signal)
      .then(() => evidenceWithoutKeys(request, `the nodes listed no keys within ${patienceMs} ms`)),
  ]);
  patience.abort();
  const { differenceCount, limits, reason } = evidence;
  logger.error({ partitionId, differenceCount, limits, reason }, 'two copies of a partition differ');
  const isRepeat = (migration.refutals ?? 0) > 0;
  if (isRepeat && evidence.differences.length === 0) return null;
  const key = codec.keys.evidence(partitionId, migration.migrationId);
  return { kind: 'put', key, value: codec.encodeEvidence(evidence) };
}

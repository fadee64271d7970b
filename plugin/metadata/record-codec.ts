/** Validated records of the metadata store, by JSON. */
import { z } from 'zod';
import { ForeshardError } from '../../src/base/errors.ts';
import { DIFFERENCE_KINDS, type MismatchEvidence } from '../../src/migration/mismatch.ts';
import type { Approval, Rejection } from '../../src/migration/queue/approvals.ts';
import {
  AUDITED_ACTIONS,
  type AuditRecord,
  type CleanupRecord,
  type MigrationHistory,
  OPERATOR_ACTIONS,
  type OperatorRequest,
  type RecordCodec,
  type RetirementRequest,
  STORE_STATES,
} from '../../src/migration/records/records.ts';
import { asEpoch, asNodeId, asPartitionId } from '../../src/model/ids.ts';
import { MIGRATION_OUTCOMES, MIGRATION_PHASES, type PartitionRecord } from '../../src/model/migration.ts';
import { clusterKeys } from './cluster-keys.ts';
import { decodeJson, encodeJson } from './json-values.ts';

const count = z.number().int().nonnegative();
const nodeId = count.max(65_535).transform(asNodeId);
const storeId = z.string().min(1).max(128);
const digest = z.object({
  entryCount: count,
  sizeBytes: count,
  buckets: z
    .array(
      z
        .string()
        .regex(/^[0-9a-f]*$/)
        .max(64),
    )
    .max(8192),
});
/** JSON has no infinity: a price of a move that would never end is none. */
const figure = z
  .number()
  .nullable()
  .transform((value) => value ?? 0);
const predicted = z.object({
  gain: figure,
  price: figure,
  sizeBytes: figure,
  seconds: z.number().nullable(),
  queriesPerSecond: z.number().nullable(),
});
const measured = z.object({
  sourceBefore: z.number().nullable(),
  sourceAfter: z.number().nullable(),
  targetBefore: z.number().nullable(),
  targetAfter: z.number().nullable(),
  latencyMs: z.number().nullable(),
  calmLatencyMs: z.number().nullable(),
});
const migration = z.object({
  migrationId: count.min(1),
  sourceNodeId: nodeId,
  sourceStoreId: storeId,
  targetNodeId: nodeId,
  targetStoreId: storeId,
  phase: z.enum(MIGRATION_PHASES),
  phaseAtMs: z.number(),
  startedAtMs: z.number(),
  digestSeed: z.string().regex(/^[0-9a-f]{16}$/),
  fenceLsn: count.exactOptional(),
  fenceDigest: digest.exactOptional(),
  verified: z.object({ lsn: count, digest }).exactOptional(),
  readWeight: z.number().min(0).max(1),
  guardReds: count.exactOptional(),
  guardReason: z.string().max(1000).exactOptional(),
  notBeforeMs: z.number(),
  refutals: count.exactOptional(),
  reason: z.string().max(1000),
  attempt: count,
  kind: z.enum(['rollback', 'takeover']).exactOptional(),
  resumes: count.min(1).exactOptional(),
  takeover: z.object({ lossAfterLsn: count, isEmpty: z.boolean() }).exactOptional(),
  keepsCopyFor: z.enum(['retry', 'follow']).exactOptional(),
  openedFor: z.string().max(1000).exactOptional(),
  abortedIn: z.enum(MIGRATION_PHASES).exactOptional(),
  fenceFailures: count.exactOptional(),
  pausedAtMs: z.number().exactOptional(),
  predicted: predicted.exactOptional(),
});
const quarantine = z.object({
  sinceMs: z.number(),
  untilMs: z.number().nullable(),
  migrationId: count,
  reason: z.string().max(1000),
});
const partition = z
  .object({
    v: z.literal(1),
    partitionId: count.max(16_383).transform(asPartitionId),
    ownerNodeId: nodeId,
    ownerStoreId: storeId,
    epoch: count.min(1).transform(asEpoch),
    ownedSinceMs: z.number(),
    migrationSeq: count,
    migration: migration.nullable(),
    quarantine: quarantine.exactOptional(),
    lineage: z.object({ epoch: count.min(1).transform(asEpoch), lsn: count }).exactOptional(),
  })
  .refine(
    (record) => (record.migration?.migrationId ?? 0) <= record.migrationSeq,
    'migrationId exceeds migrationSeq',
  )
  .transform(({ v: _, ...record }): PartitionRecord => record);

const storeState = z.object({ state: z.enum(STORE_STATES) });

const history = z.object({
  partitionId: count,
  migrationId: count,
  sourceNodeId: count,
  targetNodeId: count,
  outcome: z.enum(MIGRATION_OUTCOMES),
  reason: z.string(),
  startedAtMs: z.number(),
  endedAtMs: z.number(),
  epoch: count,
  fenceLsn: count.nullable(),
  verifiedLsn: count.nullable(),
  copiedBytes: count,
  copySeconds: z.number().nonnegative().nullable().default(null),
  fenceSeconds: z.number().nonnegative().nullable().default(null),
  kind: z.enum(['rollback', 'takeover']).exactOptional(),
  openedFor: z.string().exactOptional(),
  abortedIn: z.enum(MIGRATION_PHASES).exactOptional(),
  continuedBy: count.exactOptional(),
  scorecard: z.object({ predicted, measured }).exactOptional(),
});

const cleanup = z.object({
  kind: z.enum(['staging', 'source']),
  policy: z.enum(['on-failure', 'deferred']),
  sinceMs: z.number(),
  nodeId: count.exactOptional(),
});

const order = {
  requestId: z.string().regex(/^[0-9a-z-]{1,64}$/),
  atMs: z.number(),
  by: z.string().max(256),
  reason: z.string().max(1000),
};
const request = z.object({
  ...order,
  action: z.enum(OPERATOR_ACTIONS),
  partitionId: count.max(16_383),
  expiresAtMs: z.number(),
  takeover: z
    .object({
      fromStoreId: storeId,
      targetNodeId: count.max(65_535),
      lossAfterLsn: count.nullable(),
      isEmptyAllowed: z.boolean(),
    })
    .exactOptional(),
});
const retirement = z.object({ ...order, storeId, expiresAtMs: z.number(), isConfirmed: z.boolean() });
const approval = z.object({
  ...order,
  partitionId: count.max(16_383),
  sourceNodeId: count.max(65_535),
  targetNodeId: count.max(65_535),
  epoch: count.min(1),
  sizeBytes: z.number().nonnegative(),
  notBeforeMs: z.number(),
  notAfterMs: z.number(),
  order: count,
  after: z.array(z.object({ partitionId: count.max(16_383), sourceNodeId: count.max(65_535) })),
  moveReason: z.string().max(1000),
  predicted: predicted.exactOptional(),
});
const rejection = z.object({ ...order, partitionId: count.max(16_383), untilMs: z.number() });
const audit = z.object({
  ...order,
  action: z.enum(AUDITED_ACTIONS),
  partitionId: count.nullable(),
  outcome: z.enum(['done', 'refused']),
  message: z.string(),
});

const evidence = z.object({
  partitionId: count,
  migrationId: count,
  phase: z.enum(MIGRATION_PHASES),
  atMs: z.number(),
  ownerNodeId: count,
  copyNodeId: count,
  lsn: count.nullable(),
  reason: z.string(),
  suspectLaneCount: count,
  listedLaneCount: count,
  ownerEntryCount: count,
  copyEntryCount: count,
  differences: z.array(
    z.object({
      kind: z.enum(DIFFERENCE_KINDS),
      keyPrefix: z.string(),
      keyHash: z.string(),
      ownerValue: z.string(),
      copyValue: z.string(),
    }),
  ),
  differenceCount: count,
  limits: z.string(),
});

export function recordCodec(clusterName: string): RecordCodec {
  return {
    keys: clusterKeys(clusterName),
    encodePartition: (record) => encodeJson({ v: 1, ...record }),
    decodePartition(partitionId, bytes) {
      const record = decodeJson(partition, `record of partition ${partitionId}`, bytes);
      if (record.partitionId !== partitionId)
        throw new ForeshardError(
          'FORESHARD_CORRUPT',
          'report',
          `record of partition ${partitionId} speaks of partition ${record.partitionId}`,
        );
      return record;
    },
    encodeHistory: encodeJson,
    encodeCleanup: encodeJson,
    encodeEvidence: encodeJson,
    decodeCleanup: (bytes): CleanupRecord => decodeJson(cleanup, 'clean-up record', bytes),
    encodeRequest: encodeJson,
    decodeRequest: (bytes): OperatorRequest => decodeJson(request, 'request of an operator', bytes),
    encodeRetirement: encodeJson,
    decodeRetirement: (bytes): RetirementRequest =>
      decodeJson(retirement, 'request to retire a store', bytes),
    encodeApproval: encodeJson,
    decodeApproval: (bytes): Approval => decodeJson(approval, 'approval of a move', bytes),
    encodeRejection: encodeJson,
    decodeRejection: (bytes): Rejection => decodeJson(rejection, 'rejection of a move', bytes),
    encodeAudit: encodeJson,
    encodeStoreState: (state) => encodeJson({ state }),
    decodeStoreState: (bytes) => decodeJson(storeState, 'state of a store', bytes).state,
  };
}

export const decodeHistory = (bytes: Uint8Array): MigrationHistory =>
  decodeJson(history, 'history record', bytes);

export const decodeEvidence = (bytes: Uint8Array): MismatchEvidence =>
  decodeJson(evidence, 'evidence record', bytes);
export const decodeAudit = (bytes: Uint8Array): AuditRecord => decodeJson(audit, 'audit record', bytes);

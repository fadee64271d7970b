import { ForeshardError } from '../../../src/base/errors.ts';
import type { Rejection } from '../../../src/migration/approvals.ts';
import type { MetadataCondition, MetadataStore, MetadataWrite } from '../../../src/ports/metadata-store.ts';
import { decodeProposal } from '../../host/proposal-record.ts';
import { proposalKey } from '../../host/record-keys.ts';
import { readDecisions } from '../../metadata/decisions.ts';
import { recordCodec } from '../../metadata/record-codec.ts';
import { asRanges } from '../cluster-commands.ts';
import { newRequestId, whoAsks } from '../migration/order.ts';
import { asTime, counted } from '../units-text.ts';

/** A rejection, and perhaps a condition and an approval that ends, each: below the 128 operations of a transaction. */
const BATCH = 40;

export interface RejectOrder {
  /** Null: all moves that are proposed or approved. */
  readonly partitionIds: readonly number[] | null;
  readonly forMs: number;
  readonly reason: string;
}

/**
 * `foreshard reject`: plans leave these partitions where they are for a while, and an approval that has not begun is taken back.
 *
 * @returns what to tell.
 * @throws ForeshardError FORESHARD_CONFIG naming a partition of which no move is proposed or approved.
 */
export async function reject(
  metadata: MetadataStore,
  clusterName: string,
  { partitionIds, forMs, reason }: RejectOrder,
  nowMs: number,
): Promise<string> {
  const entry = await metadata.get(proposalKey(clusterName));
  const proposed = entry ? decodeProposal(entry.value).moves.map(({ partitionId }) => partitionId) : [];
  const { approvals } = await readDecisions(metadata, clusterName, nowMs);
  const approved = new Set(approvals.map(({ partitionId }) => partitionId));
  const known = new Set([...proposed, ...approved]);
  const strangers = (partitionIds ?? []).filter((partitionId) => !known.has(partitionId));
  if (strangers.length > 0)
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      `partition ${asRanges(strangers)}: no move of it is proposed or approved; nothing was rejected`,
    );
  const chosen = [...(partitionIds ?? known)].sort((a, b) => a - b);
  if (chosen.length === 0)
    throw new ForeshardError('FORESHARD_CONFLICT', 're-read', 'no move is proposed or approved');
  const untilMs = nowMs + forMs;
  const base = { requestId: newRequestId(nowMs), by: whoAsks(), reason, atMs: nowMs };
  for (let start = 0; start < chosen.length; start += BATCH)
    await writeBatch(metadata, clusterName, {
      rejections: chosen
        .slice(start, start + BATCH)
        .map((partitionId) => ({ ...base, partitionId, untilMs })),
      auditId: start === 0 ? base.requestId : `${base.requestId}-${start}`,
      approved,
    });
  const takenBack = chosen.filter((partitionId) => approved.has(partitionId)).length;
  const back = takenBack === 0 ? '' : `, ${takenBack} of which had been approved`;
  return `${counted(chosen.length, 'move')} rejected${back}: these partitions stay where they are until ${asTime(untilMs)}`;
}

async function writeBatch(
  metadata: MetadataStore,
  clusterName: string,
  batch: {
    readonly rejections: readonly Rejection[];
    readonly auditId: string;
    readonly approved: ReadonlySet<number>;
  },
): Promise<void> {
  const codec = recordCodec(clusterName);
  const { rejections, auditId, approved } = batch;
  const { by, reason, atMs, untilMs } = rejections[0] as Rejection;
  const partitions = rejections.map(({ partitionId }) => partitionId);
  const audit = codec.encodeAudit({
    ...{ requestId: auditId, atMs, by, reason },
    action: 'reject',
    partitionId: partitions.length === 1 ? (partitions[0] as number) : null,
    outcome: 'done',
    message: `the moves of partitions ${asRanges(partitions)}, until ${asTime(untilMs)}`,
  });
  const writes = rejections.flatMap((rejection): MetadataWrite[] => {
    const { partitionId } = rejection;
    const put: MetadataWrite = {
      kind: 'put',
      key: codec.keys.rejection(partitionId),
      value: codec.encodeRejection(rejection),
    };
    return approved.has(partitionId)
      ? [put, { kind: 'delete', key: codec.keys.approval(partitionId) }]
      : [put];
  });
  const conditions: MetadataCondition[] = [];
  for (const partitionId of partitions) {
    if (!approved.has(partitionId)) continue;
    const key = codec.keys.approval(partitionId);
    const entry = await metadata.get(key);
    if (entry === undefined) throw hasBegun();
    conditions.push({ key, revisionIs: entry.revision });
  }
  const { isCommitted } = await metadata.commit({
    conditions,
    writes: [...writes, { kind: 'put', key: codec.keys.audit(auditId), value: audit }],
  });
  if (!isCommitted) throw hasBegun();
}

const hasBegun = (): ForeshardError =>
  new ForeshardError(
    'FORESHARD_CONFLICT',
    're-read',
    'an approved move has begun meanwhile: `foreshard migrations` shows it, `foreshard cancel` ends it',
  );

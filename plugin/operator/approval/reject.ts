import { ForeshardError } from '../../../src/base/errors.ts';
import type { Approval, Rejection } from '../../../src/migration/queue/approvals.ts';
import type { MetadataStore, MetadataWrite } from '../../../src/ports/metadata-store.ts';
import { decodeProposal } from '../../host/records/proposal-record.ts';
import { proposalKey } from '../../host/records/record-keys.ts';
import { type ReadDecisions, readDecisions } from '../../metadata/decisions.ts';
import { recordCodec } from '../../metadata/record-codec.ts';
import { newRequestId, whoAsks } from '../migration/order.ts';
import { asRanges, asTime, counted } from '../units-text.ts';
import { asItWas, changesSince } from './as-it-was.ts';

/** A rejection, perhaps an approval that ends, and two conditions, each: below the 128 operations of a transaction. */
const BATCH = 31;
/** Of a rejection: a year. What is to stay for good is a rule (`affinity.rules.pinned`), which stands in the config for all to see. */
export const REJECTION_MS_MAX = 365 * 86_400_000;

export interface RejectOrder {
  /** Null: all moves that are proposed or approved. */
  readonly partitionIds: readonly number[] | null;
  readonly forMs: number;
  readonly reason: string;
}

/**
 * `foreshard reject`: plans leave these partitions where they are for a while, and an approval that has not begun is taken back,
 * together with those of moves that need the room that it would have made.
 *
 * @returns what to tell.
 * @throws ForeshardError FORESHARD_CONFLICT naming a partition of which no move is proposed or approved, or when one has begun,
 * or somebody else has decided of it, meanwhile.
 */
export async function reject(
  metadata: MetadataStore,
  clusterName: string,
  { partitionIds, forMs, reason }: RejectOrder,
  nowMs: number,
): Promise<string> {
  const entry = await metadata.get(proposalKey(clusterName));
  const proposed = entry ? decodeProposal(entry.value).moves.map(({ partitionId }) => partitionId) : [];
  const decisions = await readDecisions(metadata, clusterName, nowMs);
  const approved = new Set(decisions.approvals.map(({ partitionId }) => partitionId));
  const known = new Set([...proposed, ...approved]);
  const strangers = (partitionIds ?? []).filter((partitionId) => !known.has(partitionId));
  if (strangers.length > 0)
    throw new ForeshardError(
      'FORESHARD_CONFLICT',
      're-read',
      `partition ${asRanges(strangers)}: no move of it is proposed or approved; nothing was rejected (affinity.rules.pinned keeps a partition where it is)`,
    );
  const chosen = [...new Set(partitionIds ?? known)].sort((a, b) => a - b);
  if (chosen.length === 0)
    throw new ForeshardError('FORESHARD_CONFLICT', 're-read', 'no move is proposed or approved');
  const untilMs = nowMs + forMs;
  const base = { requestId: newRequestId(nowMs), by: whoAsks(), reason, atMs: nowMs };
  const dependants = dependantsOf(decisions.approvals, new Set(chosen));
  // Those that need room come last: should it end half-way, the coordinator finds their room-maker gone, and they are void.
  const all = [...chosen, ...dependants];
  for (let start = 0; start < all.length; start += BATCH)
    await writeBatch(metadata, clusterName, {
      rejection: { ...base, untilMs },
      rejected: all.slice(start, start + BATCH).filter((_, i) => start + i < chosen.length),
      withdrawn: all.slice(start, start + BATCH).filter((_, i) => start + i >= chosen.length),
      auditId: start === 0 ? base.requestId : `${base.requestId}-${start}`,
      doneCount: Math.min(start, chosen.length),
      decisions,
    });
  const takenBack = chosen.filter((partitionId) => approved.has(partitionId)).length;
  const back = takenBack === 0 ? '' : `, ${takenBack} of which had been approved`;
  const also = dependants.length === 0 ? '' : `; ${withdrawnText(dependants)}`;
  return `${counted(chosen.length, 'move')} rejected${back}: these partitions stay where they are until ${asTime(untilMs)}${also}`;
}

const withdrawnText = (partitions: readonly number[]): string =>
  `the approval of partition ${asRanges(partitions)} was taken back as well, since it needs the room`;

/** Approved moves, sorted, for which one of the rejected, or another of these, would have made room. */
function dependantsOf(approvals: readonly Approval[], rejected: ReadonlySet<number>): number[] {
  const stays = new Map(
    approvals
      .filter(({ partitionId }) => rejected.has(partitionId))
      .map(({ partitionId, sourceNodeId }) => [partitionId, sourceNodeId]),
  );
  for (let countBefore = -1; countBefore < stays.size; ) {
    countBefore = stays.size;
    for (const { partitionId, sourceNodeId, after } of approvals)
      if (after.some((maker) => stays.get(maker.partitionId) === maker.sourceNodeId))
        stays.set(partitionId, sourceNodeId);
  }
  return [...stays.keys()].filter((partitionId) => !rejected.has(partitionId)).sort((a, b) => a - b);
}

/** The transaction holds only while these partitions are approved, or rejected, just as it was read. */
async function writeBatch(
  metadata: MetadataStore,
  clusterName: string,
  batch: {
    readonly rejection: Omit<Rejection, 'partitionId'>;
    readonly rejected: readonly number[];
    /** Their approval ends, and plans may move them. */
    readonly withdrawn: readonly number[];
    readonly auditId: string;
    readonly doneCount: number;
    readonly decisions: ReadDecisions;
  },
): Promise<void> {
  const codec = recordCodec(clusterName);
  const { rejection, rejected, withdrawn, auditId, doneCount, decisions } = batch;
  const { by, reason, atMs, untilMs } = rejection;
  const partitions = [...rejected, ...withdrawn];
  const facts = [
    ...(rejected.length > 0
      ? [`the moves of partitions ${asRanges(rejected)}, until ${asTime(untilMs)}`]
      : []),
    ...(withdrawn.length > 0 ? [withdrawnText(withdrawn)] : []),
  ];
  const audit = codec.encodeAudit({
    ...{ requestId: auditId, atMs, by, reason },
    action: 'reject',
    partitionId: partitions.length === 1 ? (partitions[0] as number) : null,
    outcome: 'done',
    message: facts.join('; '),
  });
  const put = rejected.map((partitionId): MetadataWrite => {
    const value = codec.encodeRejection({ ...rejection, partitionId });
    return { kind: 'put', key: codec.keys.rejection(partitionId), value };
  });
  const deleted = partitions
    .map((partitionId) => codec.keys.approval(partitionId))
    .filter((key) => decisions.revisions.has(key))
    .map((key): MetadataWrite => ({ kind: 'delete', key }));
  const { isCommitted } = await metadata.commit({
    conditions: partitions.flatMap((partitionId) => asItWas(decisions, codec.keys, partitionId)),
    writes: [...put, ...deleted, { kind: 'put', key: codec.keys.audit(auditId), value: audit }],
  });
  if (isCommitted) return;
  const changes = await changesSince(metadata, clusterName, { before: decisions, partitions, nowMs: atMs });
  throw new ForeshardError(
    'FORESHARD_CONFLICT',
    're-read',
    `${changes ?? 'somebody has decided of these partitions meanwhile'}: ` +
      `${doneCount === 0 ? 'nothing was' : `the first ${doneCount} moves only were`} rejected`,
  );
}

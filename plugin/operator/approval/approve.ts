import { ForeshardError } from '../../../src/base/errors.ts';
import { predictionOf } from '../../../src/migration/progress/scorecard.ts';
import type { Approval } from '../../../src/migration/queue/approvals.ts';
import type { MetadataEntry, MetadataStore, MetadataWrite } from '../../../src/ports/metadata-store.ts';
import { changedAtMs, decodeProposal, type ProposalRecord } from '../../host/records/proposal-record.ts';
import { proposalKey } from '../../host/records/record-keys.ts';
import { type ReadDecisions, readDecisions } from '../../metadata/decisions.ts';
import { recordCodec } from '../../metadata/record-codec.ts';
import { newRequestId, whoAsks } from '../migration/order.ts';
import { asRanges, asTime, counted } from '../units-text.ts';
import { asItWas, changesSince } from './as-it-was.ts';
import { type ChosenMove, chooseMoves } from './choose-moves.ts';
import { readDoneMoves } from './done-moves.ts';

/** An approval that could not begin for so long is void: the load it was made for is another by then. */
const VALID_MS = 86_400_000;
/** An approval, perhaps a rejection that ends, and two conditions, each: below the 128 operations of a transaction. */
const BATCH = 31;

export interface ApproveOrder {
  /** Null: all moves of the proposal. */
  readonly partitionIds: readonly number[] | null;
  /** Not at the hour of the timetable, but as soon as there is a place. */
  readonly isNow: boolean;
  /** A window of the operator's own; null where that end is open. */
  readonly fromMs: number | null;
  readonly untilMs: number | null;
  readonly reason: string;
  /** {@link changedAtMs} of the proposal that was shown to whoever approves; left out: of whichever is the latest. */
  readonly proposalAtMs?: number;
}

/**
 * `foreshard approve`: moves of the latest proposal, as it is when this is called, are handed to whoever is coordinator.
 *
 * @returns what to tell.
 * @throws ForeshardError FORESHARD_NOT_READY without a proposal, FORESHARD_CONFLICT when it is past, or another or somebody else's decision came meanwhile,
 * or when the choice makes no sense by it, FORESHARD_CONFIG for a window that ends before it begins.
 */
export async function approve(
  metadata: MetadataStore,
  clusterName: string,
  order: ApproveOrder,
  nowMs: number,
): Promise<string> {
  const entry = await metadata.get(proposalKey(clusterName));
  if (entry === undefined) throw noProposal();
  const proposal = decodeProposal(entry.value);
  if (proposal.expiresAtMs < nowMs)
    throw new ForeshardError(
      'FORESHARD_CONFLICT',
      're-read',
      `the latest proposal held until ${asTime(proposal.expiresAtMs)}, and none has come since: nothing was approved. ` +
        '`foreshard status` tells whether there is a coordinator; it plans every `controller.cycleIntervalMs`, with plugin.mode "propose" or "auto"',
    );
  if (order.proposalAtMs !== undefined && order.proposalAtMs !== changedAtMs(proposal))
    throw new ForeshardError(
      'FORESHARD_CONFLICT',
      're-read',
      `another proposal came meanwhile, that of ${asTime(changedAtMs(proposal))}: read it, then decide; nothing was approved`,
    );
  const decisions = await readDecisions(metadata, clusterName, nowMs);
  const given = new Set(await readDoneMoves(metadata, clusterName, proposal));
  for (const { partitionId } of decisions.approvals) given.add(partitionId);
  const chosen = chooseMoves(proposal, order.partitionIds, given);
  if (chosen.length === 0)
    throw new ForeshardError(
      'FORESHARD_CONFLICT',
      're-read',
      `the proposal of ${asTime(changedAtMs(proposal))} has no moves`,
    );
  const approvals = approvalsOf(chosen, order, nowMs);
  await write(metadata, clusterName, { entry, given: approvals, decisions, proposal });
  return told(approvals);
}

function approvalsOf(chosen: readonly ChosenMove[], order: ApproveOrder, nowMs: number): Approval[] {
  const { fromMs, untilMs, isNow, reason } = order;
  const requestId = newRequestId(nowMs);
  const by = whoAsks();
  if (fromMs !== null && untilMs !== null && untilMs <= fromMs)
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      `--until ${asTime(untilMs)} is not after --from ${asTime(fromMs)}; nothing was approved`,
    );
  return chosen.map(({ move, order: place, after }) => {
    const { partitionId, sourceNodeId, targetNodeId, epoch, sizeBytes, schedule } = move;
    const plannedMs = isNow || schedule === null ? nowMs : Math.max(nowMs, schedule.startMs);
    // The hour of the timetable is the cheapest: it is kept where it lies in the operator's window.
    const isInWindow = plannedMs >= (fromMs ?? nowMs) && plannedMs <= (untilMs ?? plannedMs);
    const notBeforeMs = isInWindow ? plannedMs : (fromMs ?? nowMs);
    const notAfterMs = untilMs ?? notBeforeMs + VALID_MS;
    return {
      ...{ requestId, by, reason, atMs: nowMs },
      ...{ partitionId, sourceNodeId, targetNodeId, epoch, sizeBytes },
      ...{ notBeforeMs, notAfterMs, order: place, after, moveReason: move.reason.slice(0, 500) },
      predicted: predictionOf(move),
    };
  });
}

/**
 * Each transaction holds only while the proposal is the one that was read, and nobody has decided anything else of these
 * partitions: nobody approves what he has not seen, nor over a rejection that has just reported success.
 */
async function write(
  metadata: MetadataStore,
  clusterName: string,
  {
    entry,
    given,
    decisions,
    proposal,
  }: {
    readonly entry: MetadataEntry;
    readonly given: readonly Approval[];
    readonly decisions: ReadDecisions;
    readonly proposal: ProposalRecord;
  },
): Promise<void> {
  const codec = recordCodec(clusterName);
  for (let start = 0; start < given.length; start += BATCH) {
    const batch = given.slice(start, start + BATCH);
    const { requestId, by, reason, atMs } = batch[0] as Approval;
    const partitions = batch.map(({ partitionId }) => partitionId).sort((a, b) => a - b);
    const auditId = start === 0 ? requestId : `${requestId}-${start}`;
    const audit = codec.encodeAudit({
      ...{ requestId: auditId, atMs, by, reason },
      action: 'approve',
      partitionId: batch.length === 1 ? (partitions[0] as number) : null,
      outcome: 'done',
      message: `of the proposal of ${asTime(changedAtMs(proposal))}, the moves of partitions ${asRanges(partitions)}`,
    });
    const writes = batch.flatMap((approval): MetadataWrite[] => {
      const put: MetadataWrite = {
        kind: 'put',
        key: codec.keys.approval(approval.partitionId),
        value: codec.encodeApproval(approval),
      };
      const rejection = codec.keys.rejection(approval.partitionId);
      return decisions.revisions.has(rejection) ? [put, { kind: 'delete', key: rejection }] : [put];
    });
    const unchanged = partitions.flatMap((partitionId) => asItWas(decisions, codec.keys, partitionId));
    const { isCommitted } = await metadata.commit({
      conditions: [{ key: entry.key, revisionIs: entry.revision }, ...unchanged],
      writes: [...writes, { kind: 'put', key: codec.keys.audit(auditId), value: audit }],
    });
    if (isCommitted) continue;
    const changes = await changesSince(metadata, clusterName, { before: decisions, partitions, nowMs: atMs });
    throw new ForeshardError(
      'FORESHARD_CONFLICT',
      're-read',
      `${changes ?? 'another proposal came meanwhile'}: ` +
        `${start === 0 ? 'nothing was' : `the first ${start} moves only were`} approved. ` +
        'Read it (`foreshard proposal`), then approve',
    );
  }
}

function told(given: readonly Approval[]): string {
  const first = Math.min(...given.map(({ notBeforeMs }) => notBeforeMs));
  const last = Math.max(...given.map(({ notAfterMs }) => notAfterMs));
  return (
    `${counted(given.length, 'move')} approved: they begin from ${asTime(first)} on, as there is a place, and are void after ` +
    `${asTime(last)}; \`foreshard migrations\` shows them, \`foreshard reject\` takes them back until they begin`
  );
}

/** @param mode by the settings that the command has read; null: it has read none. */
export const noProposal = (mode: string | null = null): ForeshardError =>
  new ForeshardError('FORESHARD_NOT_READY', 'wait', `there is no proposal yet: ${whyNoProposal(mode)}`);

export const whyNoProposal = (mode: string | null): string =>
  mode === null
    ? 'plugin.mode must be "propose" or "auto", and a cycle must have run'
    : mode === 'observe'
      ? 'plugin.mode is "observe", in which plans are logged and not written; "propose" writes them'
      : 'no cycle has run (controller.cycleIntervalMs), or none had enough history';

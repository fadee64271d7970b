/** What has become of moves that were proposed. */
import { isOpen } from '../../../src/migration/records/record-changes.ts';
import type { MigrationHistory } from '../../../src/migration/records/records.ts';
import type { PartitionRecord } from '../../../src/model/migration.ts';
import type { PastMove, PastProposal } from '../../host/records/past-proposals.ts';
import type { Decisions } from '../../metadata/decisions.ts';

export const FATES = ['done', 'aborted', 'open', 'approved', 'rejected', 'proposed', 'dropped'] as const;
export type Fate = (typeof FATES)[number];

export interface MoveFate extends Omit<PastMove, 'epoch'> {
  readonly fate: Fate;
  /** Of a migration that has ended, milliseconds, and of one that was aborted the reason; else null. */
  readonly endedAtMs: number | null;
  readonly reason: string | null;
}

export interface Afterwards {
  readonly history: readonly MigrationHistory[];
  readonly records: readonly (PartitionRecord | null)[];
  readonly decisions: Decisions;
  /** The proposal that stands. */
  readonly isLatest: boolean;
}

export const fatesOf = ({ moves, untilMs }: PastProposal, afterwards: Afterwards): MoveFate[] =>
  moves.map((move) => fateOf(move, untilMs, afterwards));

/**
 * A migration is that of a proposed move if it went the same way from the epoch that the partition had: by then nobody else
 * could have moved it. Of several attempts the last one counts. A rejection is of what was proposed when it was given.
 */
function fateOf({ epoch, ...move }: PastMove, untilMs: number, afterwards: Afterwards): MoveFate {
  const { history, records, decisions, isLatest } = afterwards;
  const { partitionId, sourceNodeId, targetNodeId } = move;
  const goesThere = (other: Omit<PastMove, 'epoch'>): boolean =>
    other.partitionId === partitionId &&
    other.sourceNodeId === sourceNodeId &&
    other.targetNodeId === targetNodeId;
  const told = (fate: Fate, ended?: MigrationHistory): MoveFate => ({
    ...move,
    fate,
    endedAtMs: ended?.endedAtMs ?? null,
    reason: ended?.outcome === 'aborted' ? ended.reason : null,
  });
  // The switch begins the next epoch.
  const isOfEpoch = (other: { readonly epoch: number }): boolean =>
    other.epoch === epoch || other.epoch === epoch + 1;
  const attempts = history
    .filter((ended) => goesThere(ended) && isOfEpoch(ended))
    .sort((a, b) => b.endedAtMs - a.endedAtMs);
  const done = attempts.find(({ outcome }) => outcome === 'done');
  if (done !== undefined) return told('done', done);
  const record = records[partitionId] ?? null;
  if (
    record !== null &&
    isOpen(record) &&
    isOfEpoch(record) &&
    goesThere({ partitionId, ...record.migration })
  )
    return told('open');
  if (decisions.approvals.some((approval) => goesThere(approval) && approval.epoch === epoch))
    return told('approved');
  const aborted = attempts.find(({ outcome }) => outcome === 'aborted');
  if (aborted !== undefined) return told('aborted', aborted);
  if (decisions.rejections.some((of) => of.partitionId === partitionId && of.atMs <= untilMs))
    return told('rejected');
  return told(isLatest ? 'proposed' : 'dropped');
}

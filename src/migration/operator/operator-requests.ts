/**
 * What the coordinator answers an operator who asks for something the protocol does not do by itself: pure functions of the
 * record and of what the nodes said. Each refusal names what stands in the way and what to do instead.
 */
import { asNodeId } from '../../model/ids.ts';
import { type Lsn, type MigrationPhase, migrationName, type PartitionRecord } from '../../model/migration.ts';
import type { NodeMigrationStatus } from '../../ports/storage-engine.ts';
import { mayAbort } from '../phases.ts';
import { withQuarantine } from '../queue/quarantine.ts';
import {
  aborted,
  isOpen,
  type OpenRecord,
  retryGivenUp,
  rollbackOf,
  takeoverOf,
} from '../records/record-changes.ts';
import type { OperatorRequest, TakeoverRequest } from '../records/records.ts';
import type { MigrationSettings } from '../settings.ts';
import type { Heard } from './request-work.ts';

export type RequestAnswer =
  | { readonly kind: 'refuse'; readonly why: string }
  | {
      readonly kind: 'do';
      readonly record: OpenRecord;
      readonly message: string;
      /** A store that owns nothing from now on, for good. */
      readonly retiresStoreId?: string;
    };

const refuse = (why: string): RequestAnswer => ({ kind: 'refuse', why });

const nameOf = ({ by, reason }: OperatorRequest): string => `${by}: ${reason}`;

export interface RequestContext {
  readonly settings: MigrationSettings;
  readonly nowMs: number;
}

export function answerCancel(
  record: PartitionRecord,
  request: OperatorRequest,
  { settings, nowMs }: RequestContext,
): RequestAnswer {
  const { partitionId } = record;
  if (!isOpen(record))
    return refuse(`partition ${partitionId} is not being moved: there is nothing to cancel`);
  const { phase, migrationId, sourceNodeId, reason, keepsCopyFor } = record.migration;
  const name = migrationName({ partitionId, migrationId });
  const isTriedAgain = phase === 'ABORT' && keepsCopyFor === 'retry';
  if (mayAbort(phase) || isTriedAgain) {
    const why = `cancelled by ${nameOf(request)}`;
    // Or the next plan would begin it anew in a minute.
    const until = { sinceMs: nowMs, untilMs: nowMs + settings.quarantineMs, migrationId, reason: why };
    return {
      kind: 'do',
      record: withQuarantine((isTriedAgain ? retryGivenUp : aborted)(record, why, nowMs), until),
      message: `migration ${name} is cancelled ${isTriedAgain ? 'before its next fence' : `in ${phase}`}; node ${sourceNodeId} stays its owner`,
    };
  }
  if (phase === 'ABORT') return refuse(`migration ${name} is being aborted already: ${reason}`);
  if (phase === 'CLEANUP')
    return refuse(
      `migration ${name} is past its way back: the old copy is being removed; only a new move, with a new copy, can bring the partition back`,
    );
  return refuse(
    `migration ${name} has a new owner already (${phase}): \`foreshard rollback ${partitionId} --reason …\` takes the partition back to node ${sourceNodeId}`,
  );
}

export interface RollbackFacts {
  readonly canFollow: boolean;
  readonly follower: Heard<NodeMigrationStatus>;
  readonly owner: Heard<NodeMigrationStatus>;
}

/** @returns null while the way back may still be open, and the nodes have to be asked. */
export function refuseRollback(record: PartitionRecord): RequestAnswer | null {
  const { partitionId, migration } = record;
  if (migration === null)
    return refuse(
      `partition ${partitionId} has no old copy any more: it is removed when the grace after a move is over; only a new move, with a new copy, can bring it back`,
    );
  const standing: Partial<Record<MigrationPhase, string>> = {
    SWITCHED: 'its new owner is being opened: ask again in a moment',
    CLEANUP: 'the old copy is being removed: only a new move, with a new copy, can bring it back',
    ABORT: `it is being aborted, its owner has not changed: ${migration.reason}`,
  };
  if (migration.phase === 'GRACE') {
    const { quarantine } = record;
    return quarantine?.untilMs === null
      ? refuse(
          `the old copy is not known to be the same as the owner's (${quarantine.reason}): neither may replace the other before people have looked and ended the quarantine`,
        )
      : null;
  }
  const why =
    standing[migration.phase] ??
    `it has not switched yet (${migration.phase}): \`foreshard cancel ${partitionId} --reason …\` ends it`;
  return refuse(`migration ${migrationName({ partitionId, migrationId: migration.migrationId })}: ${why}`);
}

/** @param record in GRACE. */
export function answerRollback(
  record: OpenRecord,
  request: OperatorRequest,
  facts: RollbackFacts,
  { settings, nowMs }: RequestContext,
): RequestAnswer {
  const { partitionId, migration } = record;
  const { sourceNodeId, targetNodeId } = migration;
  const { follower, owner } = facts;
  if (!facts.canFollow)
    return refuse('this engine keeps no old copy up to date: only a new move can bring the partition back');
  if ('silence' in follower)
    return refuse(
      `node ${sourceNodeId}, which has the old copy, does not answer (${follower.silence}): start it and ask again`,
    );
  if ('silence' in owner)
    return refuse(
      `the owner, node ${targetNodeId}, does not answer (${owner.silence}), and a rollback needs it to give up its writes: start it; if its disk is lost for good, \`foreshard takeover ${partitionId}\` does without it`,
    );
  const copy = follower.answer;
  if (copy.failure)
    return refuse(
      `the old copy on node ${sourceNodeId} stopped following at lsn ${copy.lsn}: ${copy.failure}; mend that and ask again`,
    );
  if (copy.role !== 'FOLLOWER')
    return refuse(
      `the old copy on node ${sourceNodeId} is ${copy.role} and does not follow yet: ask again in a moment`,
    );
  const lag = Math.max(0, owner.answer.lsn - copy.lsn);
  if (lag > settings.verifyLagMax)
    return refuse(
      `the old copy on node ${sourceNodeId} is ${lag} entries behind the owner, more than migration.verifyLagMax (${settings.verifyLagMax}): ask again when it has caught up`,
    );
  const back = rollbackOf(record, `rollback by ${nameOf(request)}`, nowMs);
  return {
    kind: 'do',
    record: back,
    message: `migration ${migrationName({ partitionId, migrationId: back.migration.migrationId })} takes the partition back from node ${targetNodeId} to node ${sourceNodeId}, which is ${lag} entries behind`,
  };
}

export interface TakeoverFacts {
  /** The store that the owner's node has now, if it answers. */
  readonly ownerStoreId: Heard<string>;
  readonly target: Heard<{
    readonly storeId: string;
    readonly isRetired: boolean;
    readonly status: NodeMigrationStatus;
  }>;
  /** What other nodes that the partition's records name have, but for those whose stores are retired. */
  readonly otherCopies: readonly { readonly nodeId: number; readonly status: Heard<NodeMigrationStatus> }[];
  /** The owner's lsn as this coordinator last heard it. */
  readonly lastOwnerLsn: { readonly lsn: Lsn; readonly atMs: number } | null;
  readonly digestSeed: string;
}

export function answerTakeover(
  record: PartitionRecord,
  request: OperatorRequest & { readonly takeover: TakeoverRequest },
  facts: TakeoverFacts,
  nowMs: number,
): RequestAnswer {
  const { partitionId } = record;
  const { fromStoreId, targetNodeId, lossAfterLsn, isEmptyAllowed } = request.takeover;
  if (record.ownerStoreId !== fromStoreId)
    return refuse(
      `partition ${partitionId} is owned by store ${record.ownerStoreId} on node ${record.ownerNodeId}, not by ${fromStoreId}: name that one if it is the one that is lost`,
    );
  if ('answer' in facts.ownerStoreId && facts.ownerStoreId.answer === fromStoreId)
    return refuse(
      `store ${fromStoreId} answers from node ${record.ownerNodeId}: it is not lost; move the partition or roll it back, or stop that node for good first`,
    );
  const { target } = facts;
  if ('silence' in target)
    return refuse(`node ${targetNodeId} does not answer (${target.silence}): start it, or name another`);
  const { storeId, isRetired, status } = target.answer;
  if (storeId === fromStoreId) return refuse(`node ${targetNodeId} has the very store that is given up`);
  if (isRetired)
    return refuse(`the store of node ${targetNodeId} was retired itself: stop that node, and name another`);
  // What an earlier takeover has opened with nothing, and not removed yet, is whole only in name.
  const { migration } = record;
  const isNothing = migration?.takeover?.isEmpty === true && migration.targetStoreId === storeId;
  const state = isNothing ? 'none' : copyState(status);
  const silence = state === 'none' ? silenceText(facts.otherCopies) : '';
  const loss = lossText(status.lsn, facts.lastOwnerLsn, state) + silence;
  if (state === 'partial')
    return refuse(
      `node ${targetNodeId} has no whole copy of partition ${partitionId} (${status.role} of a copy that had not come to its end): nothing can be made of it`,
    );
  if (state === 'none') {
    const elsewhere = whereElse(facts.otherCopies);
    if (elsewhere !== null)
      return refuse(`node ${targetNodeId} has no copy of partition ${partitionId}, but ${elsewhere}`);
    if (!isEmptyAllowed)
      return refuse(
        `node ${targetNodeId} has no copy of partition ${partitionId}, nor has any node that its record names: all of its data would be lost; --empty opens it without any${silenceText(facts.otherCopies)}`,
      );
  }
  if (lossAfterLsn === null)
    return refuse(
      `${loss}; nothing was changed: say --i-accept-loss-after ${state === 'none' ? 0 : status.lsn} to go on`,
    );
  if (state === 'whole' && status.lsn < lossAfterLsn)
    return refuse(
      `${loss}, which is less than the ${lossAfterLsn} that --i-accept-loss-after says: accept ${status.lsn}, or name a node with more`,
    );
  const opened = takeoverOf(
    record,
    {
      targetNodeId: asNodeId(targetNodeId),
      targetStoreId: storeId,
      lossAfterLsn: state === 'none' ? 0 : lossAfterLsn,
      isEmpty: state === 'none',
      reason: `takeover by ${nameOf(request)}`,
      digestSeed: facts.digestSeed,
    },
    nowMs,
  );
  return {
    kind: 'do',
    record: opened,
    retiresStoreId: fromStoreId,
    message: `store ${fromStoreId} is retired; node ${targetNodeId} takes partition ${partitionId} over, by migration ${migrationName({ partitionId, migrationId: opened.migration.migrationId })}: ${loss}`,
  };
}

/** @returns null where nobody else is known to have a copy. */
function whereElse(copies: TakeoverFacts['otherCopies']): string | null {
  for (const { nodeId, status } of copies)
    if ('answer' in status && copyState(status.answer) === 'whole')
      return `node ${nodeId} has one at lsn ${status.answer.lsn}: take that, --to ${nodeId}`;
  return null;
}

/** Nobody can tell what they have; two machines may be lost, so an operator may go on without them. */
function silenceText(copies: TakeoverFacts['otherCopies']): string {
  const silent = copies.filter(({ status }) => 'silence' in status).map(({ nodeId }) => nodeId);
  return silent.length === 0
    ? ''
    : `; but node ${silent.join(' and node ')} may have a copy, and does not answer: start it first if it can be started`;
}

/** Whether a node's copy could become the owner's. */
function copyState({ role, isSnapshotComplete }: NodeMigrationStatus): 'whole' | 'partial' | 'none' {
  if (role === 'FOLLOWER' || role === 'FENCED') return 'whole';
  if (role === 'STAGING') return isSnapshotComplete ? 'whole' : 'partial';
  return role === 'NONE' ? 'none' : 'partial';
}

function lossText(
  copyLsn: Lsn,
  lastOwner: { readonly lsn: Lsn; readonly atMs: number } | null,
  state: 'whole' | 'partial' | 'none',
): string {
  const known =
    lastOwner === null
      ? "nobody here knows the owner's last lsn"
      : `the owner was last known at lsn ${lastOwner.lsn}, ${new Date(lastOwner.atMs).toISOString()}`;
  if (state === 'none') return `there is no copy: everything is lost; ${known}`;
  return `the copy holds everything up to lsn ${copyLsn}, what the owner wrote after that is lost; ${known}`;
}

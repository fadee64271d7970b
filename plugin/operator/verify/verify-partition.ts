/** Whether a partition is on its disks what its nodes believe it to be: every entry is read back, and copies are compared. */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { ForeshardError } from '../../../src/base/errors.ts';
import { isSwitched } from '../../../src/migration/phases.ts';
import type { PartitionRecord } from '../../../src/model/migration.ts';
import type { MigrationTransport } from '../../engines/migration-agent/migration-transport.ts';
import {
  parseReadBack,
  READ_BACK_OPERATION,
  type ReadBackReply,
} from '../../node/storage/partition-read-back.ts';

/** A copy that follows an owner under load is seldom at the same write when both are asked: it is asked again so often. */
const COMPARE_ATTEMPTS = 3;
/** Somebody else has a partition read back: so long at most, so often. */
const BUSY_ATTEMPTS = 20;
const BUSY_WAIT_MS = 250;

/** One node's copy. */
export interface VerifiedSide extends ReadBackReply {
  readonly nodeId: number;
}

export interface VerifiedPartition {
  readonly partitionId: number;
  readonly ownerNodeId: number;
  readonly sides: readonly VerifiedSide[];
  /** What is wrong; empty where all that was read is right. */
  readonly problems: readonly string[];
  /** What could not be compared, and why that is no fault. */
  readonly notes: readonly string[];
}

/**
 * Asks each node one thing at a time: a node reads one partition back at a time, and its own may take longer than anybody waits who is
 * told that it is busy. Copies are read beside the partitions that the node owns.
 */
export function inTurn(transport: MigrationTransport): MigrationTransport {
  const lastOf = new Map<number, Promise<unknown>>();
  return {
    request(nodeId, ...asked) {
      const answer = (lastOf.get(nodeId) ?? Promise.resolve()).then(() =>
        transport.request(nodeId, ...asked),
      );
      lastOf.set(
        nodeId,
        answer.catch(() => undefined),
      );
      return answer;
    },
  };
}

/**
 * Asks a node first whether it is there: one that is gone, or that takes us for a stranger, is found out in a second, while a
 * partition that is read back is waited for for minutes.
 *
 * @param isThere rejects with what came instead of an answer.
 */
export function onceThere(
  isThere: (nodeId: number) => Promise<unknown>,
  transport: MigrationTransport,
): MigrationTransport {
  const asked = new Map<number, Promise<unknown>>();
  return {
    async request(nodeId, ...rest) {
      const answer = asked.get(nodeId) ?? isThere(nodeId);
      asked.set(nodeId, answer);
      await answer;
      return transport.request(nodeId, ...rest);
    },
  };
}

/** A partition that moves while it is read is read again so often. */
const MOVED_ATTEMPTS = 3;

/**
 * Verifies a partition as the map has it now. What looks wrong while it changes hands is none: it is read again by the new record.
 *
 * @param readRecord of the map, as it is when it is called.
 */
export async function verifyAsItStands(
  readRecord: () => Promise<PartitionRecord>,
  transport: MigrationTransport,
): Promise<VerifiedPartition> {
  let record = await readRecord();
  for (let attempt = 1; ; attempt++) {
    const verified = await verifyPartition(record, transport);
    if (verified.problems.length === 0 || attempt === MOVED_ATTEMPTS) return verified;
    const before = record;
    record = await readRecord();
    if (isAsBefore(before, record)) return verified;
  }
}

const isAsBefore = (before: PartitionRecord, now: PartitionRecord): boolean =>
  before.epoch === now.epoch &&
  before.ownerNodeId === now.ownerNodeId &&
  before.migration?.migrationId === now.migration?.migrationId &&
  before.migration?.phase === now.migration?.phase;

export async function verifyPartition(
  { partitionId, ownerNodeId, epoch, migration }: PartitionRecord,
  transport: MigrationTransport,
): Promise<VerifiedPartition> {
  // With the migration's own seed the digest that is kept at each write can be compared as well.
  const digestSeed = migration?.digestSeed ?? randomBytes(8).toString('hex');
  const problems: string[] = [];
  const ask = async (nodeId: number): Promise<VerifiedSide | null> => {
    try {
      return { nodeId, ...(await readBack(transport, nodeId, { partitionId, digestSeed })) };
    } catch (error) {
      problems.push(`node ${nodeId} could not be asked: ${(error as Error).message}`);
      return null;
    }
  };
  const owner = await ask(ownerNodeId);
  if (owner === null) return { partitionId, ownerNodeId, sides: [], problems, notes: [] };
  if (owner.role !== 'OWNER' && owner.role !== 'FENCED')
    problems.push(`node ${ownerNodeId} should own it, and holds it as ${owner.role}`);
  else if (owner.epoch !== epoch)
    problems.push(`node ${ownerNodeId} owns it at epoch ${owner.epoch}, the map says ${epoch}`);
  problems.push(...faultsOf(owner));
  const copyNodeId =
    migration && (isSwitched(migration.phase) ? migration.sourceNodeId : migration.targetNodeId);
  if (copyNodeId === null) return { partitionId, ownerNodeId, sides: [owner], problems, notes: [] };
  const copy = await ask(copyNodeId);
  if (copy === null) return { partitionId, ownerNodeId, sides: [owner], problems, notes: [] };
  problems.push(...faultsOf(copy));
  const compared = await compare(owner, copy, ask);
  problems.push(...compared.problems);
  return { partitionId, ownerNodeId, sides: compared.sides, problems, notes: compared.notes };
}

/** What one copy says against itself. */
function faultsOf({ nodeId, scanned, kept, runningDigest }: VerifiedSide): string[] {
  const faults: string[] = [];
  if (scanned.entryCount !== kept.entryCount || scanned.sizeBytes !== kept.sizeBytes)
    faults.push(
      `node ${nodeId}: ${scanned.entryCount} entries of ${scanned.sizeBytes} bytes were read back, and ${kept.entryCount} of ${kept.sizeBytes} bytes written`,
    );
  if (runningDigest !== null && runningDigest !== scanned.digest)
    faults.push(`node ${nodeId}: what was read back is not what was written (digests differ)`);
  return faults;
}

/** Two copies can be compared only at the same write. */
async function compare(
  owner: VerifiedSide,
  copy: VerifiedSide,
  ask: (nodeId: number) => Promise<VerifiedSide | null>,
): Promise<{ sides: VerifiedSide[]; problems: string[]; notes: string[] }> {
  let [left, right] = [owner, copy];
  const note = (text: string) => ({ sides: [left, right], problems: [], notes: [text] });
  if (copy.isPartial) return note(`the copy on node ${copy.nodeId} is still being filled`);
  if (!['STAGING', 'FOLLOWER', 'FENCED'].includes(copy.role))
    return note(`node ${copy.nodeId} holds no copy of it now (${copy.role})`);
  for (let attempt = 0; left.lsn !== right.lsn && attempt < COMPARE_ATTEMPTS; attempt++) {
    // Both at once: who is read last is ahead.
    const [again, copyAgain] = await Promise.all([ask(left.nodeId), ask(right.nodeId)]);
    if (again === null || copyAgain === null) break;
    [left, right] = [again, copyAgain];
  }
  if (left.lsn !== right.lsn)
    return note(
      `the copy on node ${right.nodeId} was never seen at the same write as its owner (${right.lsn}, ${left.lsn}): not compared`,
    );
  if (left.scanned.digest === right.scanned.digest) return { sides: [left, right], problems: [], notes: [] };
  return {
    sides: [left, right],
    problems: [`nodes ${left.nodeId} and ${right.nodeId} hold different data at lsn ${left.lsn}`],
    notes: [],
  };
}

async function readBack(
  transport: MigrationTransport,
  nodeId: number,
  body: { readonly partitionId: number; readonly digestSeed: string },
): Promise<ReadBackReply> {
  for (let attempt = 1; ; attempt++) {
    try {
      return parseReadBack((await transport.request(nodeId, READ_BACK_OPERATION, { ...body })).body);
    } catch (error) {
      const isBusy = error instanceof ForeshardError && error.code === 'FORESHARD_LIMIT';
      if (!isBusy || attempt === BUSY_ATTEMPTS) throw error;
      await delay(BUSY_WAIT_MS);
    }
  }
}

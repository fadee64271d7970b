import type { Clock } from '../../../src/base/clock.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { PartitionStore } from '../../../src/ports/partition-store.ts';
import type { ControlReply } from '../../hooks.ts';
import { refusal } from './command-checks.ts';
import { encodeFingerprints } from './fingerprints.ts';
import type { RequestOf } from './migration-messages.ts';
import type { MigrationSessions } from './sessions.ts';

/** How long `verify.begin` waits for the digest of a small partition instead of sending the coordinator away. */
const DIGEST_WAIT_MS = 200;

export interface VerifyComponents {
  readonly store: PartitionStore;
  readonly clock: Clock;
  readonly sessions: MigrationSessions;
}

/** Begins a scan at a barrier: the owner sets it where it stands, the copy scans when it comes there. */
export async function beginVerify(
  body: RequestOf<'verify.begin'>,
  { store, clock, sessions }: VerifyComponents,
): Promise<ControlReply> {
  const meta = store.meta(body.partitionId);
  if (meta.migrationId !== body.migrationId)
    throw refusal(body, `this node takes part in ${meta.migrationId}`);
  const session = sessions.of(body);
  const seed = meta.digestSeed;
  if (!seed) throw new ForeshardError('FORESHARD_NOT_READY', 'retry', 'no digest is kept yet');
  session.enterRound(body.round);
  if (body.barrierLsn !== null) {
    if (session.verification?.lsn !== body.barrierLsn) {
      if (meta.lsn === body.barrierLsn) session.scanNow(seed);
      else if (meta.lsn > body.barrierLsn)
        throw new ForeshardError(
          'FORESHARD_CONFLICT',
          're-read',
          `already at ${meta.lsn}, beyond ${body.barrierLsn}`,
        );
    }
    return { body: { lsn: body.barrierLsn } };
  }
  if (meta.role !== 'OWNER') throw refusal(body, `this node is ${meta.role}, not the owner`);
  if (session.barrierLsn === null || session.verification === null || body.isFresh) {
    await Promise.race([session.completeDigest(seed), clock.sleep(DIGEST_WAIT_MS)]);
    session.barrierLsn = session.scanNow(seed).lsn;
    session.toldBarrierLsn = null;
    session.wake();
  }
  return { body: { lsn: session.barrierLsn } };
}

/** After a verification that failed: which entries stand behind the lanes that differ. */
export function listScanned(
  body: RequestOf<'verify.list'>,
  { store, sessions }: VerifyComponents,
): ControlReply {
  const meta = store.meta(body.partitionId);
  if (meta.migrationId !== body.migrationId || !meta.digestSeed)
    throw refusal(body, `this node takes part in ${meta.migrationId}`);
  const { entries, nextPosition } = sessions.of(body).list(meta.digestSeed, body);
  return { body: { nextPosition }, bulk: encodeFingerprints(entries) };
}

/** How a copy gets its entries: the snapshot page by page, then the change log, from the node that owns the partition. */
import type { Clock } from '../../../src/base/clock.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { Logger } from '../../../src/base/logger.ts';
import { DIGEST_FORMAT, type MigrationCommand } from '../../../src/model/migration.ts';
import type { PartitionMeta, PartitionStore, PhysicalEntry } from '../../../src/ports/partition-store.ts';
import type { CopyPacer } from './copy-pacer.ts';
import { decodeEntries, type MigrationOperation, parseBody, REPLIES } from './migration-messages.ts';
import type { MigrationSession } from './migration-session.ts';
import type { MigrationTransport } from './migration-transport.ts';
import { snapshotReopened } from './role-changes.ts';

export interface PullOptions {
  readonly command: MigrationCommand;
  readonly sourceNodeId: number;
  readonly digestSeed: string;
  /** How long the source keeps a request for which it has no entries. */
  readonly logWaitMs: number;
  /** How many bytes an answer holds at most; one larger entry is asked for in parts. */
  readonly partBytesMax: number;
}

export interface PullComponents {
  readonly store: PartitionStore;
  readonly transport: MigrationTransport;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly pacer: CopyPacer;
  readonly session: MigrationSession;
}

const RETRY_MS_MIN = 10;
const RETRY_MS_MAX = 500;
/** Log entries a follower keeps of its own: nobody reads them. */
const TRIM_EVERY_LSN = 1024;
/** Closer to the owner than this the log is applied as it comes. */
const UNPACED_LAG = 1_000;

/** Pulls until the session is closed or this side cannot go on, which it then says in `session.failure`. */
export async function pullUntilClosed(options: PullOptions, components: PullComponents): Promise<void> {
  const { session, clock, logger } = components;
  let retryMs = RETRY_MS_MIN;
  while (!session.signal.aborted) {
    try {
      await pullOnce(options, components);
      retryMs = RETRY_MS_MIN;
    } catch (error) {
      if (session.signal.aborted) return;
      const reason = error instanceof Error ? error.message : String(error);
      if (!mayPass(error)) {
        session.failure = reason;
        logger.warn({ partitionId: session.partitionId, error: reason }, 'a copy gave up');
        return;
      }
      logger.debug({ partitionId: session.partitionId, error: reason }, 'a pull failed and is repeated');
      await clock.sleep(retryMs, session.signal);
      retryMs = Math.min(RETRY_MS_MAX, retryMs * 2);
    }
  }
}

/** The source, or the way to it, may answer differently a moment later. Corrupt pieces are asked for again as well. */
function mayPass(error: unknown): boolean {
  if (!(error instanceof ForeshardError)) return false;
  if (error.code === 'FORESHARD_CORRUPT') return error.remedy !== 'abort';
  return [
    'FORESHARD_UNAVAILABLE',
    'FORESHARD_UNKNOWN_OUTCOME',
    'FORESHARD_NOT_READY',
    'FORESHARD_CONFLICT',
  ].includes(error.code);
}

async function pullOnce(options: PullOptions, components: PullComponents): Promise<void> {
  const meta = components.store.meta(components.session.partitionId);
  if (meta.role === 'STAGING' && meta.staging && !meta.staging.isComplete)
    await pullSnapshot(options, components);
  else await pullLog(options, components);
}

async function pullSnapshot(options: PullOptions, components: PullComponents): Promise<void> {
  const { store, session } = components;
  const { partitionId, migrationId } = session;
  const opened = await ask(options, components, 'replicate.openSnapshot', {
    digestFormat: DIGEST_FORMAT,
  });
  const { snapshotId, lsn } = parseBody(REPLIES['replicate.openSnapshot'], 'openSnapshot reply', opened.body);
  if (session.signal.aborted) return; // the copy may be gone meanwhile: a log begun now would be kept by nobody
  // A snapshot opened again after a crash is younger than the keys copied before it. The log is applied from the first
  // one's lsn all the same: puts and deletes are whole entries, so going over some twice ends in the same state. Until the
  // log has come to the younger one's lsn the copy is a mixture of two states, which the meta has to know.
  await store.startChangeLog(partitionId, { digestSeed: options.digestSeed, firstLsn: lsn });
  if (lsn > store.meta(partitionId).lsn)
    await store.updateMeta(partitionId, (meta) => snapshotReopened(meta, migrationId, lsn));
  let ahead: RequestedPiece | null = null;
  for (;;) {
    const staging = stagingOf(store.meta(partitionId), migrationId);
    if (!staging || staging.isComplete || session.signal.aborted) return;
    const { cursor } = staging;
    const requested: RequestedPiece =
      ahead !== null && isSameCursor(ahead.cursor, cursor)
        ? ahead
        : requestPiece(options, components, snapshotId, cursor);
    const { entries, sizeBytes, isEnd } = await requested.piece;
    if (session.signal.aborted) return;
    // The copy may have been begun anew while the piece was on its way: it must follow on what is there.
    const found = stagingOf(store.meta(partitionId), migrationId);
    if (!found || !isSameCursor(found.cursor, cursor)) continue;
    const last = entries[entries.length - 1];
    // The source reads the next piece, and it travels, while this one is made durable.
    ahead = last && !isEnd ? requestPiece(options, components, snapshotId, last.key) : null;
    await applied(components, { bytes: sizeBytes, entries: entries.length }, () =>
      store.applySnapshot(partitionId, migrationId, entries, isEnd || !last ? null : last.key),
    );
    await components.pacer.rest(session.signal);
  }
}

interface SnapshotPiece {
  readonly entries: readonly PhysicalEntry[];
  /** As they travelled. */
  readonly sizeBytes: number;
  readonly isEnd: boolean;
}

interface RequestedPiece {
  readonly cursor: Uint8Array | null;
  readonly piece: Promise<SnapshotPiece>;
}

/** Asks for the piece after the cursor. One that nobody waits for any more may fail in silence. */
function requestPiece(
  options: PullOptions,
  components: PullComponents,
  snapshotId: number,
  cursor: Uint8Array | null,
): RequestedPiece {
  const piece = askPiece(options, components, { snapshotId, cursor });
  piece.catch(() => undefined);
  return { cursor, piece };
}

async function askPiece(
  options: PullOptions,
  components: PullComponents,
  request: { readonly snapshotId: number; readonly cursor: Uint8Array | null },
): Promise<SnapshotPiece> {
  const { bytes, body } = await askWhole(options, components, 'replicate.readSnapshot', request);
  const { isEnd, lsn, loopLagMs } = parseBody(REPLIES['replicate.readSnapshot'], 'readSnapshot reply', body);
  components.pacer.heard({ ownerLsn: lsn, loopLagMs });
  const entries = decodeEntries(bytes).map((entry) => {
    if (entry.kind === 'put') return entry;
    throw new ForeshardError('FORESHARD_CORRUPT', 'abort', 'a snapshot with a delete in it');
  });
  return { entries, sizeBytes: bytes.length, isEnd };
}

const isSameCursor = (a: Uint8Array | null, b: Uint8Array | null): boolean =>
  a === b || (a !== null && b !== null && Buffer.compare(a, b) === 0);

const stagingOf = (meta: PartitionMeta, migrationId: number): PartitionMeta['staging'] =>
  meta.role === 'STAGING' && meta.staging?.migrationId === migrationId ? meta.staging : null;

/** Makes a piece durable, and counts what it was and what it took. */
async function applied<T>(
  { clock, pacer, session }: PullComponents,
  piece: { readonly bytes: number; readonly entries: number },
  apply: () => Promise<T>,
): Promise<T> {
  const startedMs = clock.monotonicMs();
  const outcome = await apply();
  session.copiedBytes += piece.bytes;
  pacer.applied({ ...piece, tookMs: clock.monotonicMs() - startedMs });
  return outcome;
}

async function pullLog(options: PullOptions, components: PullComponents): Promise<void> {
  const { store, session, pacer } = components;
  const { partitionId, migrationId } = session;
  const { lsn } = store.meta(partitionId);
  const request = { afterLsn: lsn, waitMs: options.logWaitMs };
  const { bytes, body } = await askWhole(options, components, 'replicate.readLog', request);
  const reply = parseBody(REPLIES['replicate.readLog'], 'readLog reply', body);
  const { barrierLsn } = reply;
  pacer.heard({ ownerLsn: reply.lsn, loopLagMs: reply.loopLagMs });
  if (session.signal.aborted) return;
  // Before applying what lies behind the barrier, and after reaching it: the scan must stand exactly at it.
  if (barrierLsn === store.meta(partitionId).lsn) session.scanNow(options.digestSeed);
  const entries = decodeEntries(bytes);
  if (entries.length === 0) return;
  const appliedLsn = await applied(components, { bytes: bytes.length, entries: entries.length }, () =>
    store.applyLog(partitionId, migrationId, entries),
  );
  if (barrierLsn === appliedLsn) session.scanNow(options.digestSeed);
  const isFollower = store.meta(partitionId).role === 'FOLLOWER';
  if (isFollower && Math.floor(appliedLsn / TRIM_EVERY_LSN) > Math.floor(lsn / TRIM_EVERY_LSN))
    await store.trimChangeLog(partitionId, appliedLsn);
  // Near the end of the log its pace is that of the clients' own writes: holding it back spares nobody anything, and at a
  // fence writes wait for it.
  if (reply.lsn - appliedLsn > UNPACED_LAG) await pacer.rest(session.signal);
}

function ask(
  { command, sourceNodeId }: PullOptions,
  { transport }: PullComponents,
  operation: MigrationOperation,
  body: Record<string, unknown>,
) {
  return transport.request(sourceNodeId, operation, { ...command, ...body });
}

/** Asks for a piece, and for its further parts where it is larger than one answer. */
async function askWhole(
  options: PullOptions,
  components: PullComponents,
  operation: 'replicate.readSnapshot' | 'replicate.readLog',
  body: Record<string, unknown>,
): Promise<{ bytes: Uint8Array; body: Record<string, unknown> }> {
  const piece = { ...body, bytesMax: Math.min(components.pacer.pieceBytes, options.partBytesMax) };
  const first = await ask(options, components, operation, { ...piece, offset: 0 });
  const totalBytes = Number(first.body.totalBytes);
  let bytes: Uint8Array = first.bulk ?? new Uint8Array(0);
  while (bytes.length < totalBytes) {
    const next = await ask(options, components, operation, { ...piece, offset: bytes.length });
    const isSamePiece = Number(next.body.totalBytes) === totalBytes;
    if (!isSamePiece || !next.bulk?.length)
      throw new ForeshardError(
        'FORESHARD_CORRUPT',
        'retry',
        `a piece of ${operation} changed between its parts`,
      );
    bytes = Buffer.concat([bytes, next.bulk]);
  }
  return { bytes, body: first.body };
}

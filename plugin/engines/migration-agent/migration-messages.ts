/** The control messages of migrations: their schemas, and entries as bulk bytes. */
import { z } from 'zod';
import { ForeshardError } from '../../../src/base/errors.ts';
import { asEpoch, asNodeId, asPartitionId } from '../../../src/model/ids.ts';
import { DIGEST_FORMAT, PARTITION_ROLES } from '../../../src/model/migration.ts';
import type { LogEntry, PhysicalEntry } from '../../../src/ports/partition-store.ts';
import { FREE_COPY_RATES } from '../../../src/ports/storage-engine.ts';

const count = z.number().int().nonnegative();
const command = {
  partitionId: count.max(16_383).transform(asPartitionId),
  migrationId: count.min(1),
  epoch: count.min(1).transform(asEpoch),
};
const piece = { bytesMax: count.min(1), offset: count };
const storeId = z.string().min(1).max(128);

/** Request bodies by operation. */
export const REQUESTS = {
  'replicate.prepare': z.object({
    ...command,
    side: z.enum(['source', 'target']),
    sourceNodeId: count.transform(asNodeId),
    targetNodeId: count.transform(asNodeId),
    sourceStoreId: storeId,
    targetStoreId: storeId,
    digestSeed: z.string().regex(/^[0-9a-f]{16}$/),
    digestFormat: count.default(1), // as it was before there was a second one
    freeBytesMin: z.number().nonnegative(),
    adopts: z.object({ migrationId: count.min(1).nullable(), isEmptyAllowed: z.boolean() }).exactOptional(),
  }),
  // A coordinator of before version 0.3 names bytes only, and adapts nothing.
  'replicate.copy': z.object({
    ...command,
    bytesPerSecond: z.number().nonnegative(),
    entriesPerSecond: z.number().nonnegative().default(FREE_COPY_RATES.entriesPerSecond),
    bytesPerSecondMin: z.number().nonnegative().default(FREE_COPY_RATES.bytesPerSecondMin),
    loopLagMsMax: z.number().nonnegative().default(FREE_COPY_RATES.loopLagMsMax),
  }),
  'replicate.openSnapshot': z.object({ ...command, digestFormat: count.default(1) }),
  'replicate.readSnapshot': z.object({
    ...command,
    ...piece,
    snapshotId: count,
    cursor: z.instanceof(Uint8Array).nullable(),
  }),
  'replicate.readLog': z.object({ ...command, ...piece, afterLsn: count, waitMs: count.max(10_000) }),
  'replicate.follow': z.object(command),
  'replicate.finish': z.object(command),
  'replicate.status': z.object({ ...command, include: z.enum(['digest', 'verify', 'none']) }),
  'replicate.statistics': z.object({}),
  'redirect.serveReads': z.object({ ...command, isServing: z.boolean() }),
  'redirect.fence': z.object(command),
  'redirect.activate': z.object({ ...command, fenceLsn: count }),
  'redirect.abort': z.object({ ...command, keepsLog: z.boolean().default(false) }),
  'verify.begin': z.object({
    ...command,
    barrierLsn: count.nullable(),
    isFresh: z.boolean(),
    round: count.default(0),
  }),
  'verify.list': z.object({
    ...command,
    lsn: count,
    lanes: z.array(count.max(8191)).max(64),
    privacy: z.object({ prefixBytes: count.max(64), isHashKept: z.boolean() }),
    fromPosition: count,
    entriesMax: count.min(1).max(5_000),
  }),
  'remove.run': z.object(command),
} as const;
export type MigrationOperation = keyof typeof REQUESTS;
export type RequestOf<O extends MigrationOperation> = z.output<(typeof REQUESTS)[O]>;

export const isMigrationOperation = (operation: string): operation is MigrationOperation =>
  Object.hasOwn(REQUESTS, operation);

const digest = z.object({
  entryCount: count,
  sizeBytes: count,
  buckets: z.array(z.string().max(64)).max(8192),
});

/** Reply bodies, where the asker relies on them. */
export const REPLIES = {
  'replicate.openSnapshot': z.object({ snapshotId: count, lsn: count }),
  // `lsn` is where the owner stands, `loopLagMs` how late its event loop was lately.
  'replicate.readSnapshot': z.object({
    totalBytes: count,
    isEnd: z.boolean(),
    lsn: count.default(0),
    loopLagMs: z.number().nonnegative().default(0),
  }),
  'replicate.readLog': z.object({
    totalBytes: count,
    lsn: count,
    barrierLsn: count.nullable(),
    loopLagMs: z.number().nonnegative().default(0),
  }),
  'replicate.status': z.object({
    role: z.enum(PARTITION_ROLES),
    epoch: count,
    lsn: count,
    closedMigrationId: count,
    copiedBytes: count,
    isSnapshotComplete: z.boolean(),
    verify: z.object({ lsn: count, scanned: digest, running: digest }).nullable(),
    digest: digest.nullable(),
    failure: z.string().max(2000).nullable(),
    copy: z
      .object({
        copiedEntries: count,
        ownerLsn: count,
        bytesPerSecond: z.number(),
        limitBytesPerSecond: z.number(),
        pieceBytes: count,
        reason: z.string().max(2000),
      })
      .exactOptional(),
  }),
  'replicate.statistics': z.object({
    storeId: z.string(),
    freeBytes: z.number(),
    dataBytes: z.number(),
    cpuSeconds: z.number(),
    isWritable: z.boolean(),
    pressure: z.object({ cpuShare: z.number(), loopLagMs: z.number(), commitMs: z.number() }).exactOptional(),
  }),
  'redirect.fence': z.object({ lsn: count, digest }),
  'redirect.abort': z.object({ isDone: z.boolean() }),
  'verify.begin': z.object({ lsn: count }),
  'verify.list': z.object({ nextPosition: count.nullable() }),
  'remove.run': z.object({ isDone: z.boolean() }),
} as const;

/** @throws ForeshardError FORESHARD_CORRUPT when the body is not what the operation asks for. */
export function parseBody<T>(schema: z.ZodType<T>, what: string, body: unknown): T {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  throw new ForeshardError('FORESHARD_CORRUPT', 'report', `${what}: ${z.prettifyError(result.error)}`);
}

/** @throws ForeshardError FORESHARD_CONFIG when the other side would sum entries up in another way. */
export function assertDigestFormat({ digestFormat }: { readonly digestFormat: number }): void {
  if (digestFormat === DIGEST_FORMAT) return;
  throw new ForeshardError(
    'FORESHARD_CONFIG',
    'abort',
    `digests have format ${DIGEST_FORMAT} here and ${digestFormat} on the other side: all nodes must be of one version`,
  );
}

// An entry: u8 kind (1 put, 2 delete), f64 lsn (0 in a snapshot), u16 key length, u32 value length, key, value.
const ENTRY_HEADER_BYTES = 15;
const PUT = 1;
const DELETE = 2;

export function encodeEntries(entries: readonly (PhysicalEntry | LogEntry)[]): Buffer {
  let sizeBytes = 0;
  for (const entry of entries) sizeBytes += ENTRY_HEADER_BYTES + entry.key.length + valueBytes(entry).length;
  const bytes = Buffer.allocUnsafe(sizeBytes);
  let offset = 0;
  for (const entry of entries) {
    const value = valueBytes(entry);
    bytes[offset] = 'kind' in entry && entry.kind === 'delete' ? DELETE : PUT;
    bytes.writeDoubleLE('lsn' in entry ? entry.lsn : 0, offset + 1);
    bytes.writeUInt16LE(entry.key.length, offset + 9);
    bytes.writeUInt32LE(value.length, offset + 11);
    bytes.set(entry.key, offset + ENTRY_HEADER_BYTES);
    bytes.set(value, offset + ENTRY_HEADER_BYTES + entry.key.length);
    offset += ENTRY_HEADER_BYTES + entry.key.length + value.length;
  }
  return bytes;
}

const NO_BYTES = new Uint8Array(0);
const valueBytes = (entry: PhysicalEntry | LogEntry): Uint8Array =>
  'value' in entry ? entry.value : NO_BYTES;

/**
 * Keys and values share memory with `bytes`: an entry that is kept keeps the whole piece.
 *
 * @throws ForeshardError FORESHARD_CORRUPT on bytes that are not whole entries.
 */
export function decodeEntries(bytes: Uint8Array): LogEntry[] {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const whole = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries: LogEntry[] = [];
  for (let offset = 0; offset < view.length; ) {
    if (offset + ENTRY_HEADER_BYTES > view.length) throw cutShort();
    const kind = view[offset];
    const lsn = view.readDoubleLE(offset + 1);
    const keyEnd = offset + ENTRY_HEADER_BYTES + view.readUInt16LE(offset + 9);
    const end = keyEnd + view.readUInt32LE(offset + 11);
    if (end > view.length || !Number.isSafeInteger(lsn) || lsn < 0 || (kind !== PUT && kind !== DELETE))
      throw cutShort();
    const key = whole.subarray(offset + ENTRY_HEADER_BYTES, keyEnd);
    if (kind === PUT) entries.push({ lsn, kind: 'put', key, value: whole.subarray(keyEnd, end) });
    else entries.push({ lsn, kind: 'delete', key });
    offset = end;
  }
  return entries;
}

const cutShort = (): ForeshardError =>
  new ForeshardError('FORESHARD_CORRUPT', 'abort', 'entries of a migration are cut short or malformed');

/** The part of a piece that fits into one reply. */
export const partOf = (whole: Buffer, offset: number, bytesMax: number): Buffer =>
  whole.subarray(offset, Math.min(whole.length, offset + bytesMax));

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { LmdbEngine } from '../../../../plugin/engines/lmdb/engine.ts';
import { PhysicalKey } from '../../../../plugin/engines/lmdb/physical-key.ts';
import { TYPE_STRING } from '../../../../plugin/engines/lmdb/record.ts';
import { VirtualClock } from '../../../../src/base/clock.ts';
import { ForeshardError } from '../../../../src/base/errors.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import type { PhysicalEntry } from '../../../../src/ports/partition-store.ts';

const PARTITION_COUNT = 16;
const SEED_A = '00112233445566aa';

interface Context {
  folder: string;
  engines: LmdbEngine[];
  source: LmdbEngine;
  target: LmdbEngine;
}

const test = suite<Context>('lmdb partition store');

async function openEngine(context: Context, name: string): Promise<LmdbEngine> {
  const engine = await LmdbEngine.open(
    { path: join(context.folder, name), partitionCount: PARTITION_COUNT, reserveBytes: 0 },
    { clock: new VirtualClock(1000) },
  );
  context.engines.push(engine);
  return engine;
}

test.before.each(async (context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'foreshard-store-'));
  context.engines = [];
  context.source = await openEngine(context, 'source');
  context.target = await openEngine(context, 'target');
});

test.after.each(async (context) => {
  for (const engine of context.engines) await engine.close();
  rmSync(context.folder, { recursive: true });
});

/** Writes through the same path as commands do. */
function put(engine: LmdbEngine, keyText: string, text: string, expiryMs = 0): number {
  const key = new PhysicalKey();
  const bytes = Buffer.from(keyText);
  key.setKey(bytes, 0, bytes.length);
  const partitionId = engine.store.partitionOfSlot(key.slot);
  const value = Buffer.from(text);
  engine.store.transact(() => {
    engine.store.writer.value.setStringHeader(expiryMs);
    engine.store.writer.value.append(value, 0, value.length);
    engine.store.writer.put(engine.store.states[partitionId], key);
  });
  return partitionId;
}

function remove(engine: LmdbEngine, keyText: string): void {
  const key = new PhysicalKey();
  const bytes = Buffer.from(keyText);
  key.setKey(bytes, 0, bytes.length);
  const partitionId = engine.store.partitionOfSlot(key.slot);
  engine.store.transact(() => engine.store.writer.delete(engine.store.states[partitionId], key));
}

const own = (engine: LmdbEngine, partitionId: number) =>
  engine.store.updateMeta(partitionId, (meta) => ({ ...meta, role: 'OWNER', epoch: 1, epochMax: 1 }));

async function stage(engine: LmdbEngine, partitionId: number, sourceStoreId: string, snapshotLsn: number) {
  await engine.store.startChangeLog(partitionId, { digestSeed: SEED_A, firstLsn: snapshotLsn });
  await engine.store.updateMeta(partitionId, (meta) => ({
    ...meta,
    role: 'STAGING',
    epoch: 1,
    migrationId: 7,
    staging: { migrationId: 7, sourceStoreId, snapshotLsn, cursor: null, isComplete: false },
  }));
}

test('a new store has its own id and keeps it', async (context) => {
  const { storeId } = context.source.store;
  check.is.not(storeId, context.target.store.storeId);
  await context.source.close();
  context.engines.shift();
  const again = await openEngine(context, 'source');
  check.is(again.store.storeId, storeId);
});

test('a store refuses another partition count', async (context) => {
  await context.source.close();
  context.engines.shift();
  const path = join(context.folder, 'source');
  try {
    await LmdbEngine.open({ path, partitionCount: 32 }, { clock: new VirtualClock() });
    check.unreachable();
  } catch (error) {
    check.is((error as ForeshardError).code, 'FORESHARD_CONFIG');
    check.match((error as Error).message, '16 partitions, not 32');
  }
});

test('a store in use is refused to another; one whose process was killed is taken over', async (context) => {
  const path = join(context.folder, 'source');
  const options = { path, partitionCount: PARTITION_COUNT };
  try {
    await LmdbEngine.open(options, { clock: new VirtualClock() });
    check.unreachable();
  } catch (error) {
    check.is((error as ForeshardError).code, 'FORESHARD_CONFIG');
    check.match((error as Error).message, `in use by process ${process.pid}`);
  }
  await context.source.close();
  context.engines.shift();
  for (const stale of [
    JSON.stringify({ pid: process.pid, startTicks: '1' }),
    JSON.stringify({ pid: 2 ** 22 + 1, startTicks: null }),
    '{"pi',
  ]) {
    writeFileSync(join(path, 'owner.lock'), stale);
    const engine = await LmdbEngine.open(options, { clock: new VirtualClock() });
    await engine.close();
  }
});

test('a folder that cannot be used is said by name', async (context) => {
  const path = join(context.folder, 'a file');
  writeFileSync(path, 'no store');
  try {
    await LmdbEngine.open({ path, partitionCount: PARTITION_COUNT }, { clock: new VirtualClock() });
    check.unreachable();
  } catch (error) {
    check.is((error as ForeshardError).code, 'FORESHARD_CONFIG');
    check.ok((error as Error).message.includes(path));
  }
});

test('role, lsn, counts and digest survive reopening', async (context) => {
  const partitionId = put(context.source, '{t}a', 'one');
  put(context.source, '{t}b', 'two', 99_999);
  await own(context.source, partitionId);
  await context.source.store.startChangeLog(partitionId, { digestSeed: SEED_A });
  put(context.source, '{t}c', 'three');
  const before = [
    context.source.store.meta(partitionId),
    context.source.store.statistics(partitionId),
    context.source.store.runningDigest(partitionId),
    context.source.store.states[partitionId].digest?.sums,
    context.source.store.readChangeLog(partitionId, 2, 1e6),
  ];
  await context.source.close();
  context.engines.shift();
  const { store } = await openEngine(context, 'source');
  check.equal(
    [
      store.meta(partitionId),
      store.statistics(partitionId),
      store.runningDigest(partitionId),
      store.states[partitionId].digest?.sums,
      store.readChangeLog(partitionId, 2, 1e6),
    ],
    before,
  );
  check.is(store.states[partitionId].nextExpiryMs, 99_999);
});

test('a refused change of meta leaves nothing behind', async (context) => {
  const before = context.source.store.meta(3);
  try {
    await context.source.store.updateMeta(3, () => {
      throw new ForeshardError('FORESHARD_STALE_EPOCH', 'refresh-map', 'no');
    });
    check.unreachable();
  } catch (error) {
    check.is((error as ForeshardError).code, 'FORESHARD_STALE_EPOCH');
  }
  check.equal(context.source.store.meta(3), before);
  await own(context.source, 3);
  check.is(context.source.store.meta(3).role, 'OWNER');
});

test('a snapshot shows the partition as it was', async (context) => {
  const partitionId = put(context.source, '{t}a', 'old');
  const snapshot = context.source.store.openSnapshot(partitionId);
  put(context.source, '{t}a', 'new');
  put(context.source, '{t}b', 'more');
  const entries = snapshot.read(null, 1e6);
  check.is(entries.length, 1);
  check.match(Buffer.from(entries[0].value).toString('latin1'), 'old');
  check.is(snapshot.lsn, 1);
  snapshot.close();
  const later = context.source.store.openSnapshot(partitionId);
  check.is(later.read(null, 1e6).length, 2);
  later.close();
});

test('a snapshot read in small pieces yields every entry once, in order', (context) => {
  let partitionId = 0;
  for (let i = 0; i < 50; i++) partitionId = put(context.source, `{t}${i}`, 'x'.repeat(i * 7));
  const snapshot = context.source.store.openSnapshot(partitionId);
  const seen: PhysicalEntry[] = [];
  for (let cursor: Uint8Array | null = null; ; ) {
    const piece = snapshot.read(cursor, 300);
    if (piece.length === 0) break;
    seen.push(...piece);
    cursor = piece[piece.length - 1].key;
  }
  check.equal(seen, snapshot.read(null, 1e9));
  check.is(seen.length, 50);
  snapshot.close();
});

test('a copy by snapshot and log, under writes, ends with equal digests', async (context) => {
  const { source, target } = context;
  const seed = BigInt(process.env.SEED ?? 42);
  const random = seededRandom(seed);
  const write = () => {
    const key = `{t}${random.nextBelow(60)}`;
    if (random.nextBelow(4) === 0) remove(source, key);
    else put(source, key, 'v'.repeat(random.nextBelow(200)), random.nextBelow(3) === 0 ? 5000 : 0);
  };
  const partitionId = put(source, '{t}0', 'first');
  await own(source, partitionId);
  for (let i = 0; i < 100; i++) write();
  await source.store.startChangeLog(partitionId, { digestSeed: SEED_A });
  check.is(source.store.runningDigest(partitionId).digest, null, 'not complete before the scan');
  const snapshot = source.store.openSnapshot(partitionId);
  await stage(target, partitionId, source.store.storeId, snapshot.lsn);
  for (let cursor: Uint8Array | null = null; ; ) {
    write();
    const piece = snapshot.read(cursor, 500);
    if (piece.length === 0) {
      await target.store.applySnapshot(partitionId, 7, [], null);
      break;
    }
    cursor = piece[piece.length - 1].key;
    await target.store.applySnapshot(partitionId, 7, piece, cursor);
  }
  const scanned = await snapshot.digest(SEED_A);
  await source.store.adoptDigest(partitionId, snapshot, scanned);
  snapshot.close();
  for (let lsn = target.store.meta(partitionId).lsn; lsn < source.store.meta(partitionId).lsn; )
    lsn = await target.store.applyLog(partitionId, 7, source.store.readChangeLog(partitionId, lsn, 700));
  const sourceDigest = source.store.runningDigest(partitionId);
  check.is(target.store.meta(partitionId).lsn, sourceDigest.lsn);
  check.equal(target.store.runningDigest(partitionId), sourceDigest, `seed ${seed}`);
  for (const engine of [source, target]) {
    const again = engine.store.openSnapshot(partitionId);
    check.equal(
      await again.digest(SEED_A),
      sourceDigest.digest,
      'what is on disk is what the running digest says',
    );
    again.close();
  }
  check.is(target.store.states[partitionId].keyCount, source.store.states[partitionId].keyCount);
});

test('a log with a gap is refused, by the one that reads it and the one that applies it', async (context) => {
  const { source, target } = context;
  const partitionId = put(source, '{t}a', '1');
  await source.store.startChangeLog(partitionId, { digestSeed: SEED_A });
  for (let i = 0; i < 5; i++) put(source, '{t}a', `${i}`);
  await stage(target, partitionId, source.store.storeId, 1);
  await target.store.applySnapshot(partitionId, 7, [], null);
  const entries = source.store.readChangeLog(partitionId, 1, 1e6);
  check.equal(
    entries.map((entry) => entry.lsn),
    [2, 3, 4, 5, 6],
  );
  for (const bad of [entries.slice(1), [entries[0], entries[2]], [entries[0], entries[0]]]) {
    try {
      await target.store.applyLog(partitionId, 7, bad);
      check.unreachable();
    } catch (error) {
      check.is((error as ForeshardError).code, 'FORESHARD_CORRUPT');
    }
    check.is(target.store.meta(partitionId).lsn, 1, 'nothing of a refused piece stays');
    check.is(target.store.statistics(partitionId).entryCount, 0);
  }
  await source.store.trimChangeLog(partitionId, 3);
  check.throws(() => source.store.readChangeLog(partitionId, 2, 1e6), /logs from 3, asked after 2/);
  check.is(source.store.readChangeLog(partitionId, 3, 1e6).length, 3);
});

test('a piece of a snapshot that does not follow on the one before is refused: it might be there already', async (context) => {
  const { source, target } = context;
  let partitionId = 0;
  for (let i = 0; i < 6; i++) partitionId = put(source, `{t}${i}`, `${i}`);
  const snapshot = source.store.openSnapshot(partitionId);
  const entries = snapshot.read(null, 1e6);
  snapshot.close();
  await stage(target, partitionId, source.store.storeId, 0);
  const [first, second, third, ...rest] = entries;
  await target.store.applySnapshot(partitionId, 7, [first, second], second.key);
  for (const bad of [
    [second, third],
    [rest[1], rest[0]],
    [third, third],
  ]) {
    try {
      await target.store.applySnapshot(partitionId, 7, bad, bad[1].key);
      check.unreachable();
    } catch (error) {
      check.is((error as ForeshardError).code, 'FORESHARD_CORRUPT');
    }
    check.is(target.store.statistics(partitionId).entryCount, 2, 'nothing of a refused piece stays');
    check.equal(target.store.meta(partitionId).staging?.cursor, second.key);
  }
  await target.store.applySnapshot(partitionId, 7, [third, ...rest], null);
  check.is(target.store.statistics(partitionId).entryCount, entries.length);
});

test('commands of another migration, or for another role, are refused', async (context) => {
  const { target } = context;
  await stage(target, 2, 'x', 0);
  const attempts = [
    () => target.store.applySnapshot(2, 6, [], null),
    () => target.store.applySnapshot(3, 7, [], null),
    () => target.store.applyLog(2, 7, []), // the snapshot is not complete
    () => target.store.deleteBatch(2, 7, 10), // a copy in use
    () => target.store.deleteBatch(3, 7, 10), // nothing there
  ];
  for (const attempt of attempts) {
    try {
      await attempt();
      check.unreachable();
    } catch (error) {
      check.is((error as ForeshardError).code, 'FORESHARD_STALE_EPOCH');
    }
  }
});

test('entries of another partition are refused', async (context) => {
  const { source, target } = context;
  const partitionId = put(source, '{t}a', '1');
  const snapshot = source.store.openSnapshot(partitionId);
  const entries = snapshot.read(null, 1e6);
  snapshot.close();
  const other = (partitionId + 1) % PARTITION_COUNT;
  await stage(target, other, 'x', 0);
  try {
    await target.store.applySnapshot(other, 7, entries, null);
    check.unreachable();
  } catch (error) {
    check.is((error as ForeshardError).code, 'FORESHARD_CORRUPT');
  }
});

test('a retired partition is deleted in batches until nothing is left, and only then', async (context) => {
  const { source } = context;
  let partitionId = 0;
  for (let i = 0; i < 25; i++) partitionId = put(source, `{t}${i}`, 'v', 5000 + i);
  await own(source, partitionId);
  await source.store.startChangeLog(partitionId, { digestSeed: SEED_A });
  const lsn = source.store.meta(partitionId).lsn;
  await source.store.updateMeta(partitionId, (meta) => ({ ...meta, role: 'RETIRED', migrationId: 9 }));
  check.is(await source.store.deleteBatch(partitionId, 9, 10), false);
  check.is(source.store.statistics(partitionId).entryCount, 15);
  check.is(await source.store.deleteBatch(partitionId, 9, 10), false);
  check.is(await source.store.deleteBatch(partitionId, 9, 10), true);
  check.equal(source.store.statistics(partitionId), { entryCount: 0, sizeBytes: 0 });
  check.is(source.store.meta(partitionId).lsn, lsn, 'a removal is no part of the history');
  check.is(source.store.meta(partitionId).digestSeed, null);
  check.equal(source.store.dueKeys(partitionId, 1e9, 10), [], 'the expiry index is empty too');
});

test('an entry added twice, or a pair that an exclusive or would cancel, changes the digest', async (context) => {
  const { source } = context;
  const partitionId = put(source, '{t}a', '1');
  const snapshot = source.store.openSnapshot(partitionId);
  const [entry] = snapshot.read(null, 1e6);
  const once = await snapshot.digest(SEED_A);
  const otherSeed = await snapshot.digest('ff');
  snapshot.close();
  check.not.equal(once.buckets, otherSeed.buckets, 'keyed by the seed');
  await source.store.startChangeLog(partitionId, { digestSeed: SEED_A });
  const { digest } = source.store.states[partitionId];
  const add = () => digest?.add(entry.key, entry.key.length, entry.value, entry.value.length);
  add();
  check.equal(digest?.toDigest(1, once.sizeBytes), once);
  add();
  check.not.equal(digest?.toDigest(1, once.sizeBytes), once);
  add();
  check.not.equal(digest?.toDigest(1, once.sizeBytes), once);
  check.is(entry.value[0], TYPE_STRING);
});

test.run();

import { suite } from 'uvu';
import * as check from 'uvu/assert';
import type { LmdbEngine } from '../../../../plugin/engines/lmdb/engine.ts';
import { HELD_REQUESTS_MAX } from '../../../../plugin/engines/lmdb/fence-queue.ts';
import { aborted } from '../../../../plugin/engines/migration-agent/role-changes.ts';
import { VirtualClock } from '../../../../src/base/clock.ts';
import { ForeshardError } from '../../../../src/base/errors.ts';
import { asEpoch, asPartitionId } from '../../../../src/model/ids.ts';
import { EngineBench, EngineClient, ownAll, partitionOfKey, type Reply } from './support.ts';

interface Context {
  bench: EngineBench;
  engine: LmdbEngine;
  clock: VirtualClock;
  client: EngineClient;
}

const test = suite<Context>('lmdb group commit');

test.before.each(async (context) => {
  context.bench = new EngineBench();
  context.clock = new VirtualClock(1_700_000_000_000);
  context.engine = await context.bench.open({ clock: context.clock });
  await ownAll(context.engine);
  context.client = new EngineClient(context.engine);
});
test.after.each((context) => context.bench.close());

const KEY = '{t}k';
const PARTITION = partitionOfKey(KEY);

const fence = (engine: LmdbEngine) =>
  engine.store.updateMeta(PARTITION, (meta) => ({ ...meta, role: 'FENCED', migrationId: 1 }));

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('all requests of a turn, of all connections, share one commit and take effect in order', async ({
  engine,
  client,
}) => {
  const other = new EngineClient(engine);
  const replies = [
    client.request(['SET', KEY, '1']),
    client.request(['GET', KEY]),
    client.request(['INCR', KEY]),
  ];
  client.send();
  replies.push(other.call(['INCR', KEY]), client.call(['GET', KEY]));
  const texts = (await Promise.all(replies)).map((reply) => reply.text);
  check.equal(texts, ['+OK\r\n', '$1\r\n1\r\n', ':2\r\n', ':3\r\n', '$1\r\n3\r\n']);
  check.is(engine.requests.counters.commits, 1);
  check.is(engine.requests.counters.groups, 1);
});

test('a turn of reads alone commits nothing', async ({ engine, client }) => {
  check.is((await client.call(['GET', KEY])).text, '$-1\r\n');
  check.is(engine.requests.counters.commits, 0);
});

test('a reply bears the lsn after its own request and the epoch of the owner', async ({ client }) => {
  const replies = [
    client.request(['SET', KEY, '1']),
    client.request(['HSET', '{t}h', 'a', '1']),
    client.request(['GET', KEY]),
  ];
  client.send();
  const [set, hset, get] = await Promise.all(replies);
  check.equal([set.lsn, hset.lsn, get.lsn], [1, 3, 3], 'a new hash is two entries: field and count');
  check.is(set.epoch, 1);
});

test('a hook hears of a group once for each partition, when it is durable', async ({ engine, client }) => {
  const heard: [number, number][] = [];
  engine.requests.onWriteCommitted = (partitionId, lsn) => heard.push([partitionId, lsn]);
  const replies = [client.request(['SET', KEY, '1']), client.request(['SET', KEY, '2'])];
  client.send();
  await Promise.all(replies);
  check.equal(heard, [[PARTITION, 2]]);
});

test('a request of another epoch, or for a partition of others, is turned away and writes nothing', async ({
  engine,
  client,
}) => {
  for (const epoch of [0, 2]) {
    const { status, epoch: answered } = await client.call(['SET', KEY, 'v'], { epoch });
    check.equal([status, answered], [1, 1]);
    check.is((await client.call(['GET', KEY], { epoch })).status, 1);
  }
  await engine.store.updateMeta(PARTITION, (meta) => ({ ...meta, role: 'RETIRED' }));
  check.is((await client.call(['SET', KEY, 'v'])).status, 1);
  check.is(engine.store.statistics(PARTITION).entryCount, 0);
});

test('a channel whose replies do not leave is run no further, loses nothing, and holds up nobody', async ({
  engine,
  client,
}) => {
  const large = 'v'.repeat(100_000);
  await client.ask('SET', KEY, large);
  client.unsentBytesMax = 250_000;
  client.isReading = false;
  const replies: Promise<Reply>[] = [];
  for (let i = 0; i < 10; i++) replies.push(client.request(['GET', KEY]));
  replies.push(client.request(['SET', KEY, '1']));
  client.send(); // one frame, in the middle of which the channel becomes congested
  replies.push(client.call(['INCR', KEY]));
  await turn();
  await turn();
  check.ok(client.replies.untakenBytes < 400_000, 'three replies of ten were made');
  const other = new EngineClient(engine);
  check.is(await other.ask('STRLEN', KEY), ':100000\r\n', 'the write behind the reads has not been done');
  replies.push(client.call(['INCR', KEY])); // must not overtake what waits
  await turn();
  client.isReading = true;
  client.flush();
  engine.requests.resume();
  const texts = (await Promise.all(replies)).map(({ text }) => text);
  check.equal(
    texts.map((text) => (text.length > 100_000 ? 'large' : text)),
    [...Array<string>(10).fill('large'), '+OK\r\n', ':2\r\n', ':3\r\n'],
  );
});

test('when the commit of such a group fails, what was left of it runs once all the same', async ({
  engine,
  client,
}) => {
  await client.ask('SET', KEY, 'v'.repeat(100_000));
  const transact = engine.store.transact.bind(engine.store);
  engine.store.transact = (run) =>
    transact(() => {
      run();
      throw new ForeshardError('FORESHARD_UNAVAILABLE', 'retry', 'a commit that fails');
    });
  client.unsentBytesMax = 250_000;
  client.answered.length = 0;
  const replies = [client.request(['SET', '{t}other', 'lost'])];
  for (let i = 0; i < 6; i++) replies.push(client.request(['GET', KEY]));
  client.send();
  const [set, ...gets] = (await Promise.all(replies)).map(({ text }) => text.slice(0, 8));
  check.match(set, /^-MISCONF/);
  check.equal(gets, Array<string>(6).fill('$100000\r'));
  for (let i = 0; i < 5; i++) await turn();
  check.is(client.answered.length, 7, 'nothing was answered twice');
});

test('what waited for a channel that has closed is dropped, and the next channel is served', async ({
  engine,
  client,
}) => {
  await client.ask('SET', KEY, 'v'.repeat(1000));
  client.unsentBytesMax = 500;
  client.isReading = false;
  for (let i = 0; i < 3; i++) void client.call(['APPEND', KEY, 'w']);
  void client.call(['GET', KEY]);
  void client.call(['APPEND', KEY, 'too late']);
  await turn();
  client.isOpen = false;
  engine.requests.resume();
  await turn();
  check.is(await new EngineClient(engine).ask('STRLEN', KEY), ':1003\r\n');
});

test('what arrives in the turn of a fence is held by it: the role is asked when the group runs', async ({
  engine,
  client,
}) => {
  const late = client.call(['SET', KEY, 'too late']); // received, not yet run
  const fenced = await fence(engine);
  await turn();
  await turn();
  check.is(engine.store.meta(PARTITION).lsn, fenced.lsn, 'no entry after the fence');
  check.is(engine.requests.heldCount, 1);
  await engine.store.updateMeta(PARTITION, (meta) => ({ ...meta, role: 'FOLLOWER', epoch: 2, epochMax: 2 }));
  check.is((await late).status, 1);
});

test('held requests run in order of arrival, and before later ones, when the fence is lifted', async ({
  engine,
  client,
}) => {
  await client.ask('SET', KEY, '');
  await fence(engine);
  const held: Promise<Reply>[] = [];
  for (const letter of 'abc') held.push(client.call(['APPEND', KEY, letter]));
  await turn();
  held.push(client.call(['GET', KEY]));
  await turn();
  check.is(engine.requests.heldCount, 4);
  const unfenced = engine.store.updateMeta(PARTITION, (meta) => ({ ...meta, role: 'OWNER' }));
  const later = client.call(['APPEND', KEY, 'd']);
  await unfenced;
  const texts = (await Promise.all([...held, later])).map((reply) => reply.text);
  check.equal(texts, [':1\r\n', ':2\r\n', ':3\r\n', '$3\r\nabc\r\n', ':4\r\n']);
  check.is(engine.requests.heldCount, 0);
});

test('a fence holds one partition, not the others', async ({ engine, client }) => {
  await fence(engine);
  const held = client.call(['SET', KEY, 'v']);
  const other = ['a', 'b', 'c', 'd'].find((key) => partitionOfKey(key) !== PARTITION) as string;
  check.is(await client.ask('SET', other, 'v'), '+OK\r\n');
  await engine.store.updateMeta(PARTITION, (meta) => ({ ...meta, role: 'OWNER' }));
  check.is((await held).text, '+OK\r\n');
});

test('requests beyond what a fence holds get an error, not silence', async ({ engine, client }) => {
  await fence(engine);
  const held = Array.from({ length: HELD_REQUESTS_MAX }, () => client.request(['INCR', KEY]));
  const excess = client.request(['INCR', KEY]);
  client.send();
  const { status, text } = await excess;
  check.is(status, 4);
  check.match(text, /^-TRYAGAIN /);
  await engine.store.updateMeta(PARTITION, (meta) => ({ ...meta, role: 'OWNER' }));
  check.is((await Promise.all(held)).pop()?.text, `:${HELD_REQUESTS_MAX}\r\n`);
});

test('a copy answers reads it is allowed to and up to date for, and nothing else', async ({
  engine,
  client,
}) => {
  await client.ask('SET', KEY, 'v');
  await engine.store.updateMeta(PARTITION, (meta) => ({ ...meta, role: 'FOLLOWER', epoch: 2, epochMax: 2 }));
  const ask = (command: string[], options: object) => client.call(command, { epoch: 2, ...options });
  const get = ['GET', KEY];
  check.is((await ask(get, { isCopyRead: true, minLsn: 1 })).status, 3, 'not told to serve');
  engine.store.setCopyReads(PARTITION, true);
  check.is((await ask(get, { isCopyRead: true, minLsn: 1 })).text, '$1\r\nv\r\n');
  check.is((await ask(get, { isCopyRead: true, minLsn: 2 })).status, 3, 'behind');
  check.is((await ask(get, { isCopyRead: true, epoch: 1 })).status, 3, 'routed by another map');
  check.is((await ask(get, {})).status, 1, 'a strong read goes to the owner');
  check.is((await ask(['SET', KEY, 'w'], { isCopyRead: true })).status, 3, 'writes never go to a copy');
  check.is((await client.call(get, { isCopyRead: true })).status, 3);
  await engine.store.updateMeta(PARTITION, (meta) => ({ ...meta, role: 'OWNER', epoch: 3, epochMax: 3 }));
  await engine.store.updateMeta(PARTITION, (meta) => ({ ...meta, role: 'FOLLOWER', epoch: 4, epochMax: 4 }));
  check.is((await ask(get, { isCopyRead: true, epoch: 4 })).status, 3, 'permission ends with the role');
});

test('a read waits for a copy that is a few milliseconds behind, and is told so if it stays behind', async ({
  bench,
  engine,
  client,
}) => {
  await engine.store.startChangeLog(PARTITION, { digestSeed: '1' });
  const target = await bench.open({ name: 'target' });
  await target.store.startChangeLog(PARTITION, { digestSeed: '1' });
  const staging = { migrationId: 1, sourceStoreId: 's', snapshotLsn: 0, cursor: null, isComplete: true };
  await target.store.updateMeta(PARTITION, (meta) => ({
    ...meta,
    role: 'STAGING',
    epoch: 1,
    migrationId: 1,
    staging,
  }));
  target.store.setCopyReads(PARTITION, true);
  const copyClient = new EngineClient(target);
  await client.ask('SET', KEY, 'v');
  const waiting = copyClient.call(['GET', KEY], { isCopyRead: true, migrationId: 1, minLsn: 1 });
  await new Promise((resolve) => setImmediate(resolve));
  await target.store.applyLog(PARTITION, 1, engine.store.readChangeLog(PARTITION, 0, 1e6));
  check.equal(await waiting, { status: 0, epoch: 1, lsn: 1, text: '$1\r\nv\r\n' });
  check.is(target.requests.counters.copyReadsWaited, 1);
  const beyond = await copyClient.call(['GET', KEY], { isCopyRead: true, migrationId: 1, minLsn: 2 });
  check.is(beyond.status, 3);
  check.is(target.requests.counters.copyReadsWaited, 1);
});

test('a node that is no longer the owner answers no read with what it still has', async ({
  engine,
  client,
}) => {
  await client.ask('SET', KEY, 'old');
  await engine.store.startChangeLog(PARTITION, { digestSeed: '1' });
  for (const role of ['FOLLOWER', 'RETIRED', 'NONE'] as const) {
    // The epoch of the switch; a query node with a long read, or a late one, still has the one before.
    await engine.store.updateMeta(PARTITION, (meta) => ({
      ...meta,
      role,
      epoch: 2,
      epochMax: 2,
      migrationId: 1,
    }));
    for (const epoch of [1, 2]) {
      check.is((await client.call(['GET', KEY], { epoch })).status, 1, `${role} at epoch ${epoch}`);
      const scan = await client.call(['SCANPART', '0', 'COUNT', '9'], { epoch, partitionId: PARTITION });
      check.is(scan.status, 1);
      const copyRead = { epoch, isCopyRead: true, migrationId: 1 };
      check.is((await client.call(['GET', KEY], copyRead)).status, 3, 'nobody has let it serve reads');
    }
  }
});

test('a copy that was given up answers no read, though it is still there and up to date', async ({
  engine,
  client,
}) => {
  await client.ask('SET', KEY, 'v');
  const staging = { migrationId: 1, sourceStoreId: 's', snapshotLsn: 0, cursor: null, isComplete: true };
  const command = { partitionId: asPartitionId(PARTITION), migrationId: 1, epoch: asEpoch(1) };
  await engine.store.updateMeta(PARTITION, (meta) => ({ ...meta, role: 'STAGING', migrationId: 1, staging }));
  engine.store.setCopyReads(PARTITION, true);
  const read = { isCopyRead: true, minLsn: 1, migrationId: 1 };
  check.is((await client.call(['GET', KEY], read)).text, '$1\r\nv\r\n');
  check.is(
    (await client.call(['GET', KEY], { ...read, migrationId: 2 })).status,
    3,
    'another migration’s copy',
  );
  // A query node that has not heard of the abort still sends reads here, by the epoch that goes on at the source.
  await engine.store.updateMeta(PARTITION, (meta) => aborted(meta, command));
  check.is(engine.store.meta(PARTITION).role, 'STAGING');
  check.is((await client.call(['GET', KEY], read)).status, 3, 'before its entries are deleted');
  check.is(await engine.store.deleteBatch(PARTITION, 1, 100), true);
  check.is((await client.call(['GET', KEY], read)).status, 3, 'nothing is not what the partition holds');
});

test('a malformed frame is refused before any of it runs', async ({ engine, client }) => {
  const frame = Buffer.alloc(40, 0xff);
  check.throws(
    () => engine.requests.receive(client, frame),
    (error: ForeshardError) => error.code === 'FORESHARD_CORRUPT',
  );
  void client.request(['SET', KEY, 'v'], { partitionId: 999 });
  check.throws(
    () => client.send(),
    (error: ForeshardError) => error.code === 'FORESHARD_CORRUPT',
  );
  check.match(
    (await client.call(['SET', KEY, 'v'], { partitionId: (PARTITION + 1) % 16 })).text,
    /^-ERR slot \d+ is not in/,
  );
});

test('expired keys are deleted by the owner, in batches, as entries of the log', async ({
  engine,
  client,
  clock,
}) => {
  for (let i = 0; i < 300; i++) void client.request(['SET', `{t}${i}`, 'v', 'PX', '100']);
  void client.request(['HSET', '{t}h', 'a', '1', 'b', '2']);
  void client.request(['PEXPIRE', '{t}h', '100']);
  client.send();
  check.is(await client.ask('SET', '{t}stays', 'v', 'PX', '5000'), '+OK\r\n');
  const { lsn } = await engine.store.startChangeLog(PARTITION, { digestSeed: '1' });
  clock.advanceTo(clock.nowMs() + 100);
  check.is(engine.expirer.runOnce(), 0, 'not yet');
  clock.advanceTo(clock.nowMs() + 1);
  check.is(engine.expirer.runOnce(), 256);
  check.is(engine.expirer.runOnce(), 45);
  check.is(engine.expirer.runOnce(), 0);
  check.equal(engine.store.statistics(PARTITION).entryCount, 1);
  const entries = engine.store.readChangeLog(PARTITION, lsn, 1e6);
  check.is(entries.length, 303, '300 strings, and a hash of two fields');
  check.ok(entries.every((entry) => entry.kind === 'delete'));
  check.is(engine.store.states[PARTITION].nextExpiryMs, clock.nowMs() + 4899);
});

test('a key that expires at the owner expires at its copy by the log, and before that is not seen there', async ({
  bench,
  engine,
  client,
  clock,
}) => {
  await engine.store.startChangeLog(PARTITION, { digestSeed: '1' });
  await client.ask('SET', KEY, 'v', 'PX', '100');
  const target = await bench.open({ name: 'target', clock });
  await target.store.startChangeLog(PARTITION, { digestSeed: '1' });
  await target.store.updateMeta(PARTITION, (meta) => ({
    ...meta,
    role: 'STAGING',
    epoch: 1,
    migrationId: 1,
    staging: { migrationId: 1, sourceStoreId: 's', snapshotLsn: 0, cursor: null, isComplete: true },
  }));
  target.store.setCopyReads(PARTITION, true);
  const copyClient = new EngineClient(target);
  const catchUp = async (): Promise<void> => {
    const { lsn } = target.store.meta(PARTITION);
    await target.store.applyLog(PARTITION, 1, engine.store.readChangeLog(PARTITION, lsn, 1e6));
  };
  await catchUp();
  check.is((await copyClient.call(['GET', KEY], { isCopyRead: true, migrationId: 1 })).text, '$1\r\nv\r\n');
  check.is(
    (await copyClient.call(['KEYCOUNT'], { partitionId: PARTITION })).status,
    1,
    'a copy is not counted',
  );
  check.is((await copyClient.call(['SCANPART', '0', 'COUNT', '9'], { partitionId: PARTITION })).status, 1);
  clock.advanceTo(clock.nowMs() + 101);
  check.is((await copyClient.call(['GET', KEY], { isCopyRead: true, migrationId: 1 })).text, '$-1\r\n');
  check.is(target.store.statistics(PARTITION).entryCount, 1, 'unseen, but there until the owner says so');
  check.is(engine.expirer.runOnce(), 1);
  await catchUp();
  check.is(target.store.statistics(PARTITION).entryCount, 0);
  check.equal(target.store.runningDigest(PARTITION), engine.store.runningDigest(PARTITION));
});

test('a copy does not expire by itself, nor does a fenced owner', async ({ engine, client, clock }) => {
  await client.ask('SET', KEY, 'v', 'PX', '100');
  clock.advanceTo(clock.nowMs() + 200);
  for (const role of ['FENCED', 'FOLLOWER', 'STAGING', 'RETIRED'] as const) {
    await engine.store.updateMeta(PARTITION, (meta) => ({ ...meta, role }));
    check.is(engine.expirer.runOnce(), 0, role);
  }
  await engine.store.updateMeta(PARTITION, (meta) => ({ ...meta, role: 'OWNER' }));
  check.is(engine.expirer.runOnce(), 1);
});

test('a failed commit fails the group, stops writes for good, and lets reads go on', async ({
  engine,
  client,
}) => {
  await client.ask('SET', KEY, 'kept');
  const table = engine.environment.meta;
  const put = table.put;
  (table as { put: unknown }).put = () => {
    throw new Error('EIO: a fault of the disk');
  };
  const replies = [client.request(['SET', KEY, 'lost']), client.request(['GET', KEY])];
  client.send();
  const [set, get] = await Promise.all(replies);
  check.is(set.status, 4);
  check.match(set.text, /^-MISCONF the store takes no writes until it is restarted.*EIO/);
  check.is(get.text, '$4\r\nkept\r\n', 'a read of the same group sees what is on the disk');
  (table as { put: unknown }).put = put;
  check.is((await client.call(['SET', KEY, 'again'])).status, 4, 'also when the disk works again');
  check.is(await client.ask('GET', KEY), '$4\r\nkept\r\n');
  check.is(engine.isWritable, false);
  check.is(engine.store.meta(PARTITION).lsn, 1, 'memory is what the file is');
  try {
    await engine.store.updateMeta(PARTITION, (meta) => ({ ...meta, epochMax: 9 }));
    check.unreachable();
  } catch (error) {
    check.is((error as ForeshardError).code, 'FORESHARD_STORE_FAILED');
  }
});

test('beyond its quota the store refuses what grows, and still reads and deletes', async ({
  bench,
  clock,
}) => {
  const engine = await bench.open({ name: 'small', clock, quotaBytes: 2000 });
  await ownAll(engine);
  const client = new EngineClient(engine);
  check.is(await client.ask('SET', '{t}1', 'x'.repeat(3000)), '+OK\r\n');
  clock.advanceTo(clock.nowMs() + 1000);
  const { status, text } = await client.call(['SET', '{t}2', 'x']);
  check.is(status, 4);
  check.match(text, /^-OOM .*quota is 2000/);
  check.is(await client.ask('STRLEN', '{t}1'), ':3000\r\n');
  check.is(engine.isWritable, false);
  check.is(await client.ask('DEL', '{t}1'), ':1\r\n');
  clock.advanceTo(clock.nowMs() + 1000);
  check.is(await client.ask('SET', '{t}2', 'x'), '+OK\r\n');
});

test.run();

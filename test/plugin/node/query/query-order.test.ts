import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  eventually,
  FAKE_PARTITION_COUNT,
  type FakeCluster,
  partitionOfKey,
  startFakeCluster,
} from '../../../support/fake-cluster.ts';
import { RespClient, RespError } from '../../../support/resp-client.ts';

const test = suite('plugin/node/query-node: order and failures');

let cluster: FakeCluster;
let client: RespClient;

async function start(options: Parameters<typeof startFakeCluster>[0] = {}): Promise<void> {
  cluster = await startFakeCluster(options);
  client = await RespClient.connect(cluster.query.port);
}

test.after.each(async () => {
  client?.close();
  await cluster?.close();
});

/** A key of a partition that node 0 owns, and one of a partition that node 1 owns. */
const KEY_AT_0 = Array.from({ length: 100 }, (_, i) => `a${i}`).find(
  (key) => partitionOfKey(key) === 2,
) as string;
const KEY_AT_1 = Array.from({ length: 100 }, (_, i) => `b${i}`).find(
  (key) => partitionOfKey(key) === 12,
) as string;
const PARTITION = 2;

function handOver(source: number, target: number): number {
  const epoch = (cluster.nodes[source].ownedAt.get(PARTITION) as number) + 1;
  cluster.nodes[source].ownedAt.delete(PARTITION);
  cluster.nodes[target].ownedAt.set(PARTITION, epoch);
  return epoch;
}

/** To an owner that has never answered, requests go one by one. */
async function hearOwners(): Promise<void> {
  for (const key of [KEY_AT_0, KEY_AT_1]) await client.call('GET', key);
  for (const node of cluster.nodes) node.seen.length = 0;
}

test('replies come in the order of the requests, though nodes answer in another', async () => {
  await start();
  await hearOwners();
  cluster.nodes[0].verdictOf = () => 'keep';
  const replies = client.pipeline([
    ['SET', KEY_AT_0, 'first'],
    ['SET', KEY_AT_1, 'second'],
    ['PING'],
    ['GET', KEY_AT_1],
    ['GET', KEY_AT_0],
  ]);
  await eventually(
    () => cluster.nodes[0].keptCount === 2 && cluster.nodes[1].seen.length === 2,
    'both nodes asked',
  );
  cluster.nodes[0].flushKept();
  assert.equal(await replies, ['OK', 'OK', 'PONG', 'second', 'first']);
});

test('of one client 256 queries are on their way at a time; the rest waits in the network', async () => {
  await start();
  await hearOwners();
  const [node] = cluster.nodes;
  node.verdictOf = () => 'keep';
  const replies = client.pipeline(Array.from({ length: 600 }, () => ['GET', KEY_AT_0]));
  await eventually(() => node.keptCount === 256, 'as many as may be');
  const other = await RespClient.connect(cluster.query.port);
  assert.is(await other.call('PING'), 'PONG', 'others go on');
  other.close();
  assert.is(node.keptCount, 256);
  node.verdictOf = () => 'answer';
  node.flushKept();
  assert.is((await replies).length, 600);
});

test('a pipeline that a change of owner cuts in two is carried out in its order, nothing twice, nothing lost', async () => {
  await start();
  const [source, target] = cluster.nodes;
  // As a fenced source does: it answers what came before the fence, keeps the rest, and refuses it after the switch.
  let before = 7;
  source.verdictOf = (request) => (request.partitionId === PARTITION && before-- <= 0 ? 'keep' : 'answer');
  const letters = [...'abcdefghijklmnopqrstuvwxyz'];
  const replies = client.pipeline(letters.map((letter) => ['APPEND', KEY_AT_0, letter]));
  await eventually(() => source.keptCount === letters.length - 7, 'the source holds the rest');
  handOver(0, 1);
  await cluster.setRecord(PARTITION, { ownerNodeId: 1 });
  // The query node has learnt of the new owner, but must not send there while the source holds older requests.
  const later = client.pipeline([
    ['APPEND', KEY_AT_0, '1'],
    ['APPEND', KEY_AT_0, '2'],
  ]);
  await eventually(() => cluster.query.routingTable().ownerOf[PARTITION] === 1, 'the new map is known');
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.is(target.seen.filter(({ partitionId }) => partitionId === PARTITION).length, 0);
  source.verdictOf = () => 'answer';
  source.flushKept();
  assert.equal(
    await replies,
    letters.map((_, i) => i + 1),
  );
  assert.equal(await later, [27, 28]);
  assert.is(await client.call('GET', KEY_AT_0), `${letters.join('')}12`);
  assert.is(cluster.query.counters.redirects, letters.length - 7);
});

test('a refusal that comes before the new map waits for the map, then goes to the new owner', async () => {
  await start();
  handOver(0, 1);
  const replies = client.pipeline([
    ['APPEND', KEY_AT_0, 'x'],
    ['APPEND', KEY_AT_0, 'y'],
  ]);
  await eventually(() => cluster.query.counters.redirects >= 2, 'refused');
  await cluster.setRecord(PARTITION, { ownerNodeId: 1 });
  assert.equal(await replies, [1, 2]);
});

test('a new owner that is not ready yet is tried again, in order', async () => {
  await start();
  const epoch = handOver(0, 1);
  cluster.nodes[1].ownedAt.delete(PARTITION);
  await cluster.setRecord(PARTITION, { ownerNodeId: 1 });
  const replies = client.pipeline([...'123456'].map((digit) => ['APPEND', KEY_AT_0, digit]));
  await eventually(() => cluster.query.counters.redirects > 10, 'refused more than once');
  cluster.nodes[1].ownedAt.set(PARTITION, epoch);
  assert.equal(await replies, [1, 2, 3, 4, 5, 6]);
  assert.is(await client.call('GET', KEY_AT_0), '123456');
});

test('an owner that begins to serve in the middle of a pipeline does nothing of it out of order', async () => {
  await start();
  const [, target] = cluster.nodes;
  await hearOwners();
  const epoch = handOver(0, 1);
  target.ownedAt.delete(PARTITION);
  // What it is asked while it activates: the first three are refused, whatever comes then is done.
  let refusals = 3;
  target.verdictOf = (request) => {
    if (request.partitionId === PARTITION && refusals-- === 0) target.ownedAt.set(PARTITION, epoch);
    return 'answer';
  };
  await cluster.setRecord(PARTITION, { ownerNodeId: 1 });
  await eventually(() => cluster.query.routingTable().ownerOf[PARTITION] === 1, 'the new map is known');
  const digits = [...'123456789'];
  const replies = client.pipeline(digits.map((digit) => ['APPEND', KEY_AT_0, digit]));
  assert.equal(
    await replies,
    digits.map((_, index) => index + 1),
  );
  assert.is(await client.call('GET', KEY_AT_0), '123456789');
});

test('a partition that nobody takes gets TRYAGAIN in the end; others never notice', async () => {
  await start({ retryMs: 80 });
  cluster.nodes[0].ownedAt.delete(PARTITION);
  const refused = client.errorOf('SET', KEY_AT_0, 'v');
  const other = await RespClient.connect(cluster.query.port);
  assert.is(await other.call('SET', KEY_AT_1, 'v'), 'OK');
  other.close();
  assert.match(String(await refused), /^TRYAGAIN partition 2 /);
});

test('a node that is down fails its own partitions only, and they come back with it', async () => {
  const retryMs = 400;
  await start({ retryMs });
  const { port } = cluster.nodes[0];
  await cluster.nodes[0].stop();
  await eventually(() => cluster.query.counters.connectedClients === 1, 'the client is there');
  assert.match(String(await client.errorOf('GET', KEY_AT_0)), /^CLUSTERDOWN .* storage node 0/);
  assert.is(await client.call('SET', KEY_AT_1, 'v'), 'OK');
  const mixed = await client.errorOf('MGET', KEY_AT_0, KEY_AT_1);
  assert.match(String(mixed), /^CLUSTERDOWN/);
  const half = await client.errorOf('MSET', KEY_AT_0, 'w', KEY_AT_1, 'w');
  assert.match(String(half), /^UNKNOWNOUTCOME MSET .* done in part: 1 of 2 parts .*CLUSTERDOWN/);
  assert.is(await client.call('GET', KEY_AT_1), 'w');
  // Once it has been away for longer than a query may wait, nobody waits for it.
  const startedMs = performance.now();
  await client.pipeline(Array.from({ length: 20 }, () => ['GET', KEY_AT_0]));
  assert.ok(performance.now() - startedMs < retryMs / 2);
  await cluster.nodes[0].restart(port);
  for (let i = 0; i < 200 && (await client.call('GET', KEY_AT_0)) instanceof RespError; i++)
    await new Promise((resolve) => setTimeout(resolve, 10));
  assert.is(await client.call('GET', KEY_AT_0), null);
});

test('a write whose connection is lost is answered as unknown and not sent again; a read is', async () => {
  await start();
  await hearOwners();
  const [node] = cluster.nodes;
  const { port } = node;
  node.verdictOf = () => 'keep';
  const replies = client.pipeline([
    ['SET', KEY_AT_0, 'v'],
    ['GET', KEY_AT_0],
    ['APPEND', KEY_AT_0, 'w'],
  ]);
  await eventually(() => node.keptCount === 3, 'all three are on their way');
  await node.stop();
  node.verdictOf = () => 'answer';
  await node.restart(port);
  const [set, get, append] = await replies;
  assert.match((set as RespError).text, /^UNKNOWNOUTCOME .*may or may not/);
  assert.is(get, null);
  assert.match((append as RespError).text, /^UNKNOWNOUTCOME/);
  assert.is(node.seen.filter(({ command }) => command !== 'GET').length, 2, 'no write was repeated');
  assert.is(cluster.query.counters.unknownOutcomes, 2);
});

test('reads go to a copy by weight, never beside a write, and back to the owner when it is behind', async () => {
  await start();
  const [owner, copy] = cluster.nodes;
  await client.call('SET', KEY_AT_0, 'v');
  copy.copies.set(PARTITION, 0);
  await cluster.setRecord(PARTITION, { migration: { phase: 'SHIFT', readWeight: 1 } });
  await eventually(() => cluster.query.routingTable().readWeightOf[PARTITION] === 1, 'the weight is known');
  assert.is(await client.call('GET', KEY_AT_0), 'v');
  assert.is(cluster.query.counters.copyReads, 0, 'the first read asks the owner how far it is');
  // The copy has applied nothing, this client has seen its own write: it must not read an older state.
  assert.is(await client.call('GET', KEY_AT_0), 'v');
  assert.is(cluster.query.counters.copyReadsBehind, 1);
  copy.copies.set(PARTITION, 1);
  assert.is(await client.call('GET', KEY_AT_0), 'from the copy');
  // In a pipeline, what follows a copy's read on its partition waits for it; what follows a write stays with the owner.
  assert.equal(
    await client.pipeline([
      ['GET', KEY_AT_0],
      ['APPEND', KEY_AT_0, 'w'],
      ['GET', KEY_AT_0],
    ]),
    ['from the copy', 2, 'vw'],
  );
  assert.is(owner.seen.filter(({ command }) => command === 'APPEND').length, 1);
  await cluster.setRecord(PARTITION, { migration: { phase: 'ABORT', readWeight: 1 } });
  await eventually(() => cluster.query.routingTable().readWeightOf[PARTITION] === 0, 'the abort is known');
  assert.is(await client.call('GET', KEY_AT_0), 'vw');
});

/** The copy at node 1 may answer all reads of PARTITION, but keeps them until `flushKept`. */
async function startWithSlowCopy(): Promise<void> {
  await start();
  const [, copy] = cluster.nodes;
  await client.call('SET', KEY_AT_0, 'v');
  copy.copies.set(PARTITION, 1);
  copy.verdictOf = ({ isCopyRead }) => (isCopyRead ? 'keep' : 'answer');
  await cluster.setRecord(PARTITION, { migration: { phase: 'SHIFT', readWeight: 1 } });
  await eventually(() => cluster.query.routingTable().readWeightOf[PARTITION] === 1, 'the weight is known');
  await client.call('GET', KEY_AT_0); // at the owner: a copy is asked only after that
}

/** Long enough for anything that was sent to have been seen: both nodes have answered another client since. */
async function settled(): Promise<void> {
  const other = await RespClient.connect(cluster.query.port);
  for (let i = 0; i < 3; i++) await other.call('DBSIZE');
  other.close();
}

const seenAt = (nodeId: number, command: string): number =>
  cluster.nodes[nodeId].seen.filter((request) => request.command === command).length;

test('a query on the partition of a read at a copy waits for that read; on others it does not', async () => {
  await startWithSlowCopy();
  const replies = client.pipeline([
    ['GET', KEY_AT_0],
    ['SET', KEY_AT_1, 'free'],
    ['APPEND', KEY_AT_0, 'w'],
  ]);
  await eventually(() => cluster.nodes[1].keptCount === 1, 'the copy is asked');
  await settled();
  assert.is(seenAt(1, 'SET'), 1, 'another partition is not held up');
  assert.is(seenAt(0, 'APPEND'), 0, 'the write must not overtake the read');
  cluster.nodes[1].flushKept();
  assert.equal(await replies, ['from the copy', 'OK', 2]);
});

test('a command over several partitions waits for a read at a copy, whichever partitions it names', async () => {
  await startWithSlowCopy();
  const replies = client.pipeline([
    ['GET', KEY_AT_0],
    ['MSET', KEY_AT_0, 'm', KEY_AT_1, 'm'],
  ]);
  await eventually(() => cluster.nodes[1].keptCount === 1, 'the copy is asked');
  await settled();
  assert.is(seenAt(0, 'MSET') + seenAt(1, 'MSET'), 0);
  cluster.nodes[1].flushKept();
  assert.equal(await replies, ['from the copy', 'OK']);
});

test('no read goes to a copy while a write of anybody on its partition is on its way', async () => {
  await startWithSlowCopy();
  cluster.nodes[0].verdictOf = ({ command }) => (command === 'APPEND' ? 'keep' : 'answer');
  const writer = await RespClient.connect(cluster.query.port);
  const write = writer.call('APPEND', KEY_AT_0, 'w');
  await eventually(() => cluster.nodes[0].keptCount === 1, 'the write is on its way');
  assert.is(await client.call('GET', KEY_AT_0), 'v', 'answered by the owner');
  assert.is(cluster.query.counters.copyReads, 0);
  cluster.nodes[0].flushKept();
  assert.is(await write, 2);
  writer.close();
});

test('no read goes to a copy while the same client has another query on its way', async () => {
  await startWithSlowCopy();
  const isOther = (words: readonly string[]): boolean => words[0] === KEY_AT_1;
  cluster.nodes[1].verdictOf = ({ words }) => (isOther(words) ? 'keep' : 'answer');
  const replies = client.pipeline([
    ['GET', KEY_AT_1],
    ['GET', KEY_AT_0],
  ]);
  await eventually(() => cluster.nodes[1].keptCount === 1 && seenAt(0, 'GET') === 2, 'both are asked');
  assert.is(cluster.query.counters.copyReads, 0);
  cluster.nodes[1].flushKept();
  assert.equal(await replies, [null, 'v']);
});

test('a read that a copy does not answer in time goes to the owner, and its late answer to nobody', async () => {
  await start({ copyReads: { lateMs: 30 } });
  const [owner, copy] = cluster.nodes;
  await client.call('SET', KEY_AT_0, 'v');
  copy.copies.set(PARTITION, 1);
  copy.verdictOf = ({ isCopyRead }) => (isCopyRead ? 'keep' : 'answer');
  await cluster.setRecord(PARTITION, { migration: { phase: 'SHIFT', readWeight: 1 } });
  await eventually(() => cluster.query.routingTable().readWeightOf[PARTITION] === 1, 'the weight is known');
  await client.call('GET', KEY_AT_0);
  for (let late = 1; late <= 3; late++) {
    assert.is(await client.call('GET', KEY_AT_0), 'v');
    assert.is(cluster.query.counters.copyReadsLate, late);
  }
  // Three in a row: it is left alone, and nobody waits for it any more.
  assert.is(await client.call('GET', KEY_AT_0), 'v');
  assert.is(copy.keptCount, 3);
  copy.flushKept();
  assert.equal(await client.pipeline([['APPEND', KEY_AT_0, 'w'], ['GET', KEY_AT_0], ['PING']]), [
    2,
    'vw',
    'PONG',
  ]);
  assert.is(cluster.query.corruptFrames(), 0);
  assert.is(owner.seen.filter(({ command }) => command === 'APPEND').length, 1);
});

test('a copy whose connection breaks costs its readers nothing but the way to the owner', async () => {
  await startWithSlowCopy();
  const replies = [client.call('GET', KEY_AT_0)];
  await eventually(() => cluster.nodes[1].keptCount === 1, 'the copy is asked');
  await cluster.nodes[1].stop();
  assert.equal(await Promise.all(replies), ['v']);
});

test('a copy is not asked for a client before the owner has answered something later than its connection', async () => {
  await startWithSlowCopy();
  const [, copy] = cluster.nodes;
  copy.verdictOf = () => 'answer';
  assert.is(await client.call('GET', KEY_AT_0), 'from the copy');
  // Another client of the same query node, back from another one: what it saw there this node may never have heard of.
  const back = await RespClient.connect(cluster.query.port);
  assert.is(await back.call('GET', KEY_AT_0), 'v');
  assert.is(await back.call('GET', KEY_AT_0), 'from the copy');
  back.close();
});

test('a copy is asked no longer when the owner has been silent for the time that it may be stale', async () => {
  await start({ copyReads: { stalenessMs: 80 } });
  const [, copy] = cluster.nodes;
  await client.call('SET', KEY_AT_0, 'v');
  copy.copies.set(PARTITION, 1);
  await cluster.setRecord(PARTITION, { migration: { phase: 'SHIFT', readWeight: 1 } });
  await eventually(() => cluster.query.routingTable().readWeightOf[PARTITION] === 1, 'the weight is known');
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.is(await client.call('GET', KEY_AT_0), 'v');
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.is(await client.call('GET', KEY_AT_0), 'v', 'the answer before is too old by now');
});

test('mirrored reads wait in nobody’s queue, reach no query log, and differ only where no expiry explains it', async () => {
  await start({ copyReads: { shadowShare: 1, isKeyHashKept: true } });
  const [owner, copy] = cluster.nodes;
  const told: number[] = [];
  cluster.hooks.onQueryCompleted = (_command, partitionId, nodeId) => {
    if (partitionId === PARTITION) told.push(nodeId);
  };
  await client.call('SET', KEY_AT_0, 'from the copy');
  copy.copies.set(PARTITION, 1);
  copy.verdictOf = () => 'keep';
  await cluster.setRecord(PARTITION, { migration: { phase: 'SHIFT', readWeight: 0 } });
  await eventually(() => cluster.query.routingTable().readMigrationOf[PARTITION] === 1, 'the copy is known');
  for (let i = 0; i < 20; i++) assert.is(await client.call('GET', KEY_AT_0), 'from the copy');
  await eventually(() => copy.keptCount === 16, 'no more than so many at a time');
  copy.verdictOf = () => 'answer';
  copy.flushKept();
  await eventually(() => cluster.query.counters.shadowReads === 16, 'all compared');
  assert.is(cluster.query.counters.shadowReadsUnequal, 0);
  assert.equal(new Set(told), new Set([0]));
  assert.is(told.length, 21);

  // The fake answers "from the copy" to PTTL too, and the owner an error: neither says that the key never expires.
  owner.values.set(KEY_AT_0, 'another value');
  await client.call('GET', KEY_AT_0);
  await eventually(() => copy.seen.some(({ command }) => command === 'PTTL'), 'the expiry is asked for');
  await settled();
  assert.is(cluster.query.counters.shadowReadsUnequal, 0);
});

test('onRoute decides where weighted reads go; a hook that throws is detached and the query answered', async () => {
  await start();
  cluster.nodes[1].copies.set(PARTITION, 100);
  await cluster.setRecord(PARTITION, { migration: { phase: 'SHIFT', readWeight: 0.5 } });
  await eventually(() => cluster.query.routingTable().readWeightOf[PARTITION] === 0.5, 'the weight is known');
  cluster.hooks.onRoute = () => true;
  assert.is(await client.call('GET', KEY_AT_0), null, 'first the owner is asked');
  assert.is(await client.call('GET', KEY_AT_0), 'from the copy');
  cluster.hooks.onRoute = () => false;
  assert.is(await client.call('GET', KEY_AT_0), null);
  cluster.hooks.onRoute = () => {
    throw new Error('a fault of the plugin');
  };
  assert.is((await client.call('PING')) as string, 'PONG');
  await client.call('GET', KEY_AT_0);
  cluster.hooks.onQueryCompleted = () => {
    throw new Error('another');
  };
  assert.is(await client.call('SET', KEY_AT_1, 'v'), 'OK');
  assert.equal(cluster.faults, ['onRoute', 'onQueryCompleted']);
  assert.is(cluster.hooks.onQueryCompleted, null);
});

test('onQueryCompleted tells of each partition that a query touched', async () => {
  await start();
  const told: string[] = [];
  cluster.hooks.onQueryCompleted = (
    _command,
    partitionId,
    nodeId,
    clientId,
    key,
    offset,
    length,
    latencyUs,
    requestBytes,
    replyBytes,
    outcome,
  ) => {
    assert.is(latencyUs >= 0 && requestBytes > 28 && replyBytes > 0 && clientId > 0, true);
    told.push(`${Buffer.from(key.subarray(offset, offset + length))} ${partitionId} ${nodeId} ${outcome}`);
  };
  await client.call('SET', KEY_AT_0, 'v');
  await client.call('MGET', KEY_AT_1, KEY_AT_0);
  await client.call('STRLEN', KEY_AT_0);
  assert.equal(
    told.sort(),
    [`${KEY_AT_0} 2 0 0`, `${KEY_AT_0} 2 0 0`, `${KEY_AT_0} 2 0 1`, `${KEY_AT_1} 12 1 0`].sort(),
  );
});

test('MGET puts the elements of all partitions back in order; DBSIZE asks every partition', async () => {
  await start();
  const keys = Array.from({ length: 60 }, (_, i) => `key${i}`);
  await client.pipeline(keys.filter((_, i) => i % 3 !== 0).map((key) => ['SET', key, `value of ${key}`]));
  assert.equal(await client.call('MGET', ...keys, keys[1]), [
    ...keys.map((key, i) => (i % 3 === 0 ? null : `value of ${key}`)),
    'value of key1',
  ]);
  assert.is(await client.call('DBSIZE'), FAKE_PARTITION_COUNT);
});

test('a storage node that answers what nobody asked loses its connection, and is counted', async () => {
  await start();
  cluster.nodes[0].verdictOf = ({ connection }) => {
    connection.replies.begin(4711, 0, 1, 1);
    connection.replies.simple('OK');
    connection.replies.end();
    return 'keep';
  };
  const reply = client.errorOf('SET', KEY_AT_0, 'v');
  await eventually(() => cluster.query.corruptFrames() === 1, 'counted');
  assert.match(String(await reply), /^UNKNOWNOUTCOME/);
  cluster.nodes[0].verdictOf = () => 'answer';
});

test('after a takeover that lost writes each client of then hears so once, and nobody who comes later', async () => {
  await start();
  const bystander = await RespClient.connect(cluster.query.port);
  for (let i = 0; i < 5; i++) await client.call('SET', KEY_AT_0, `v${i}`);
  await bystander.call('PING');
  const lsn = cluster.nodes[0].lsnOf.get(PARTITION) as number;
  cluster.nodes[0].verdictOf = () => 'keep';
  const onItsWay = client.pipeline([['SET', KEY_AT_0, 'lost']]);
  await eventually(() => cluster.nodes[0].keptCount === 1, 'a write at the owner that is given up');
  handOver(0, 1);
  await cluster.setRecord(PARTITION, { ownerNodeId: 1, cutLsn: lsn - 2 });
  const [outcome] = await onItsWay;
  assert.match((outcome as RespError).text, /UNKNOWNOUTCOME/);
  const replies = await client.pipeline([
    ['GET', KEY_AT_0],
    ['GET', KEY_AT_0],
    ['GET', KEY_AT_1],
  ]);
  assert.match(
    (replies[0] as RespError).text,
    new RegExp(`LINEAGELOST partition ${PARTITION} .* at lsn ${lsn - 2} .* seen ${lsn}`),
  );
  assert.not(replies[1] instanceof RespError);
  assert.not(replies[2] instanceof RespError);
  assert.match(((await bystander.pipeline([['GET', KEY_AT_0]]))[0] as RespError).text, /LINEAGELOST/);
  const newcomer = await RespClient.connect(cluster.query.port);
  assert.not((await newcomer.pipeline([['GET', KEY_AT_0]]))[0] instanceof RespError);
  bystander.close();
  newcomer.close();
});

test('a takeover that lost nothing this node has seen is a change of owner like any other', async () => {
  await start();
  await client.call('SET', KEY_AT_0, 'v');
  handOver(0, 1);
  await cluster.setRecord(PARTITION, { ownerNodeId: 1, cutLsn: 1 });
  await eventually(() => cluster.query.routingTable().ownerOf[PARTITION] === 1, 'the new map is known');
  assert.is(await client.call('GET', KEY_AT_0), 'v');
});

test.run();

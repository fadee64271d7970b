import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { commandIndexOf } from '../../../../plugin/commands/table.ts';
import { emptyStorageNodeHooks } from '../../../../plugin/hooks.ts';
import { clusterKeys } from '../../../../plugin/metadata/cluster-keys.ts';
import { loadMap } from '../../../../plugin/metadata/cluster-map.ts';
import { openEmbeddedMetadata } from '../../../../plugin/metadata/embedded.ts';
import { listNodes } from '../../../../plugin/metadata/node-registrations.ts';
import { recordCodec } from '../../../../plugin/metadata/record-codec.ts';
import { type RunningStorageNode, startStorageNode } from '../../../../plugin/node/storage/storage-node.ts';
import { RpcClient } from '../../../../plugin/rpc/client.ts';
import type { PeerRole } from '../../../../plugin/rpc/connection.ts';
import { DataReplyReader } from '../../../../plugin/rpc/data.ts';
import { systemClock } from '../../../../src/base/clock.ts';
import type { ForeshardError } from '../../../../src/base/errors.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import { asEpoch, asNodeId } from '../../../../src/model/ids.ts';
import type { MetadataStore } from '../../../../src/ports/metadata-store.ts';
import { keySlot } from '../../../../src/routing/key-slot.ts';

const CLUSTER = 'test';
const PARTITION_COUNT = 16;

interface Context {
  folder: string;
  metadata: MetadataStore;
  nodes: RunningStorageNode[];
  clients: RpcClient[];
}

const test = suite<Context>('storage node');

test.before.each((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'foreshard-node-'));
  context.metadata = openEmbeddedMetadata({ path: join(context.folder, 'meta'), pollMs: 5 });
  context.nodes = [];
  context.clients = [];
});

test.after.each(async (context) => {
  for (const client of context.clients) await client.close();
  for (const node of context.nodes) await node.close();
  await context.metadata.close();
  rmSync(context.folder, { recursive: true });
});

async function start(
  context: Context,
  nodeId: number,
  options: {
    folder?: string;
    storageNodeCount?: number;
    hooks?: ReturnType<typeof emptyStorageNodeHooks>;
    isStoreReplaced?: boolean;
    onWaiting?: (what: string) => void;
  } = {},
): Promise<RunningStorageNode> {
  const hooks = options.hooks ?? emptyStorageNodeHooks();
  const node = await startStorageNode(
    {
      clusterId: CLUSTER,
      nodeId,
      host: '127.0.0.1',
      port: 0,
      partitionCount: PARTITION_COUNT,
      storageNodeCount: options.storageNodeCount ?? 1,
      dataDir: join(context.folder, options.folder ?? `node-${nodeId}`),
      isStoreReplaced: options.isStoreReplaced ?? false,
      mapSizeBytes: 1 << 30,
      dataBytesMax: 1e9,
      freeBytesReserve: 0,
      valueBytesMax: 8 << 20,
    },
    {
      clock: systemClock(),
      logger: silentLogger,
      metadata: context.metadata,
      ...(options.onWaiting && { onWaiting: options.onWaiting }),
      hooks,
      onStoreOpened: async () => {},
      onHookFault: () => {
        hooks.onWriteCommitted = null;
      },
    },
  );
  context.nodes.push(node);
  return node;
}

const stop = async (context: Context, node: RunningStorageNode): Promise<void> => {
  context.nodes.splice(context.nodes.indexOf(node), 1);
  await node.close();
};

interface Asked {
  readonly status: number;
  readonly text: string;
}

function connect(context: Context, node: RunningStorageNode, role: PeerRole = 'query') {
  const waiting = new Map<number, (reply: Asked) => void>();
  let requestId = 0;
  const reader = new DataReplyReader();
  let onConnected = (): void => {};
  const connected = new Promise<void>((resolve) => {
    onConnected = resolve;
  });
  const client = new RpcClient(
    {
      identity: { clusterId: CLUSTER, nodeId: 10_000, role },
      address: () => ({ host: node.host, port: node.port }),
    },
    {
      onConnected: () => onConnected(),
      onDataReply(payload) {
        reader.open(payload);
        while (reader.next())
          waiting.get(reader.requestId)?.({
            status: reader.status,
            text: reader.payload.toString('latin1', reader.replyStart, reader.replyEnd),
          });
      },
    },
  );
  context.clients.push(client);
  client.start();
  const ask = async (...command: string[]): Promise<Asked> => {
    await connected;
    const parts = command.slice(1).map((part) => Buffer.from(part));
    const partitionId = keySlot(parts[0], 0, parts[0].length) >> 10;
    const id = ++requestId;
    const bytes = parts.reduce((sum, part) => sum + 4 + part.length, 0);
    client.requests.begin(id, partitionId, commandIndexOf(command[0]), 0, 1, 0, parts.length, bytes);
    for (const part of parts) client.requests.argument(part, 0, part.length);
    client.requests.end();
    return new Promise((resolve) => waiting.set(id, resolve));
  };
  return { client, ask };
}

test('nodes that start together form a cluster, and each serves its part only', async (context) => {
  const waits: string[] = [];
  let onWaiting = (): void => {};
  const isWaiting = new Promise<void>((resolve) => {
    onWaiting = resolve;
  });
  const first = start(context, 0, {
    storageNodeCount: 2,
    onWaiting: (what) => {
      waits.push(what);
      onWaiting();
    },
  });
  await isWaiting;
  check.is(waits[0], '1 of 2 storage nodes has registered; waiting for 1');
  const nodes = await Promise.all([first, start(context, 1, { storageNodeCount: 2 })]);
  const { records } = await loadMap(context.metadata, CLUSTER);
  check.equal(
    records.map((record) => record?.ownerNodeId),
    [...new Array(8).fill(0), ...new Array(8).fill(1)],
  );
  const clients = nodes.map((node) => connect(context, node));
  for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) {
    const owner = keySlot(Buffer.from(key), 0, key.length) >> 13;
    check.equal(await clients[owner].ask('SET', key, 'v'), { status: 0, text: '+OK\r\n' });
    check.is((await clients[1 - owner].ask('SET', key, 'v')).status, 1);
    check.is((await clients[1 - owner].ask('GET', key)).status, 1);
  }
  const { partitionBytes, dataBytes, isWritable } = nodes[0].nodeStatistics();
  check.ok(isWritable);
  check.is(
    partitionBytes.reduce((sum, bytes) => sum + bytes),
    dataBytes,
  );
});

test('a node that comes back serves what it had', async (context) => {
  const node = await start(context, 0);
  await connect(context, node).ask('SET', 'k', 'kept');
  await stop(context, node);
  const again = await start(context, 0);
  check.is((await connect(context, again).ask('GET', 'k')).text, '$4\r\nkept\r\n');
});

test('a node with an emptied disk owns nothing, whatever its name', async (context) => {
  const node = await start(context, 0);
  await connect(context, node).ask('SET', 'k', 'v');
  await stop(context, node);
  const emptied = await start(context, 0, { folder: 'other', isStoreReplaced: true });
  check.is((await connect(context, emptied).ask('GET', 'k')).status, 1);
  check.is((await connect(context, emptied).ask('SET', 'k', 'v')).status, 1);
});

test('an owner that was deposed while it was down does not serve', async (context) => {
  const node = await start(context, 0);
  await connect(context, node).ask('SET', 'k', 'v');
  await stop(context, node);
  const partitionId = keySlot(Buffer.from('k'), 0, 1) >> 10;
  const codec = recordCodec(CLUSTER);
  const { records } = await loadMap(context.metadata, CLUSTER);
  const record = records[partitionId];
  if (!record) throw new Error('the map is whole');
  const value = codec.encodePartition({
    ...record,
    ownerNodeId: asNodeId(7),
    ownerStoreId: 'x',
    epoch: asEpoch(2),
  });
  await context.metadata.commit({
    conditions: [],
    writes: [{ kind: 'put', key: clusterKeys(CLUSTER).map(partitionId), value }],
  });
  const again = await start(context, 0);
  check.is(again.engine.store.meta(partitionId).role, 'FENCED');
  check.is(again.engine.store.meta((partitionId + 1) % PARTITION_COUNT).role, 'OWNER');
});

test('a retired store refuses to start', async (context) => {
  const node = await start(context, 0);
  const { storeId } = node.engine.store;
  await stop(context, node);
  const value = new TextEncoder().encode(JSON.stringify({ state: 'retired' }));
  await context.metadata.commit({
    conditions: [],
    writes: [{ kind: 'put', key: clusterKeys(CLUSTER).store(storeId), value }],
  });
  try {
    await start(context, 0);
    check.unreachable();
  } catch (error) {
    check.is((error as ForeshardError).code, 'FORESHARD_CONFIG');
    check.match((error as Error).message, 'was retired');
  }
});

test('a folder that is not the one of this node’s data is refused, unless that is meant', async (context) => {
  const node = await start(context, 0);
  const { port } = node;
  const startElsewhere = (isStoreReplaced: boolean) =>
    start(context, 0, { folder: 'mistyped', isStoreReplaced });
  await startElsewhere(false).then(
    () => check.unreachable(),
    (error: ForeshardError) => {
      check.is(error.code, 'FORESHARD_CONFIG');
      check.match(error.message, /node 0 owns 16 partitions in store \S+, but \S+mistyped holds store/);
    },
  );
  // The one that has the data is still where queries are sent.
  const [registered] = await listNodes(context.metadata, CLUSTER);
  check.is(registered?.port, port);
  const replaced = await startElsewhere(true);
  check.is(replaced.engine.store.meta(3).role, 'NONE', 'it owns nothing');
});

test('control verbs go to the plugin, and are refused without one', async (context) => {
  const hooks = emptyStorageNodeHooks();
  const node = await start(context, 0, { hooks });
  const { client } = connect(context, node, 'coordinator');
  const refusal = await client.control('replicate.status', {}).catch((error: ForeshardError) => error.code);
  check.is(refusal, 'FORESHARD_UNAVAILABLE');
  hooks.replicate = async (operation, body) => ({ body: { operation, ...body }, bulk: Buffer.from('bytes') });
  const { body, bulk } = await client.control('replicate.status', { partitionId: 3 });
  check.equal({ ...body }, { operation: 'replicate.status', partitionId: 3 });
  check.is(Buffer.from(bulk as Uint8Array).toString(), 'bytes');
});

test('a hook hears of each partition written to; one that throws is taken off and the write stands', async (context) => {
  const hooks = emptyStorageNodeHooks();
  const heard: number[] = [];
  hooks.onWriteCommitted = (_, lsn) => {
    heard.push(lsn);
    if (heard.length === 2) throw new Error('a fault of the plugin');
  };
  const node = await start(context, 0, { hooks });
  const { ask } = connect(context, node);
  for (let i = 0; i < 3; i++) check.is((await ask('SET', 'k', `${i}`)).text, '+OK\r\n');
  check.equal(heard, [1, 2]);
  check.is((await ask('GET', 'k')).text, '$1\r\n2\r\n');
});

test.run();

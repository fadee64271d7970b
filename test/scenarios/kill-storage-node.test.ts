/**
 * kill -9 of a storage node in the middle of a migration, under write load through the real query node: afterwards the map
 * is whole, every role agrees with it, and no acknowledged write is missing.
 */
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { RpcStorageEngine } from '../../plugin/engines/lmdb/rpc-storage-engine.ts';
import { RpcTransport } from '../../plugin/engines/lmdb/rpc-transport.ts';
import { ClusterMapReader, clusterKeys, listNodes, recordCodec } from '../../plugin/metadata/cluster-map.ts';
import { openEmbeddedMetadata } from '../../plugin/metadata/embedded.ts';
import { NodeDirectory } from '../../plugin/metadata/node-directory.ts';
import { LocalCluster } from '../../plugin/node/local-cluster.ts';
import { asEpoch, asNodeId, asPartitionId } from '../../src/model/ids.ts';
import type { MigrationPhase, MigrationRecord, PartitionRecord } from '../../src/model/migration.ts';
import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import { keySlot } from '../../src/routing/key-slot.ts';
import { DEFAULT_SETTINGS } from '../../src/settings.ts';

const NODE_COUNT = 3;
const PARTITION_COUNT = 16;
const PARTITION = 2;
const CLUSTER = DEFAULT_SETTINGS.cluster.name;
const DOWN_MS = 200;
/** Some 400 KiB, copied in about a second: a copy that can be interrupted. */
const FILLER_COUNT = 400;
const FILLER_BYTES = 1_000;

const test = suite('a storage node is killed in the middle of a migration');
const sleep = (delayMs: number) => new Promise((resolve) => setTimeout(resolve, delayMs));

/** Keys of the moving partition and of two that stay. */
function keysOf(partitionId: number, count: number): string[] {
  for (let i = 0; ; i++) {
    const tag = Buffer.from(`{p${i}}`);
    if (keySlot(tag, 0, tag.length) >> 10 === partitionId)
      return Array.from({ length: count }, (_, key) => `${tag}:${key}`);
  }
}

/** Writers that number their writes; a write without an answer may or may not have happened. */
class Load {
  readonly #client: Redis;
  readonly #keys: readonly string[];
  readonly #attempted = new Map<string, number>();
  readonly #acknowledged = new Map<string, number>();
  readonly #running: Promise<void>[];
  #isEnding = false;
  acknowledgedCount = 0;

  constructor(client: Redis, keys: readonly string[]) {
    this.#client = client;
    this.#keys = keys;
    this.#running = keys.map((key) => this.#writeOn(key));
  }

  async end(): Promise<void> {
    this.#isEnding = true;
    await Promise.all(this.#running);
  }

  async findLost(): Promise<string[]> {
    const lost: string[] = [];
    for (const key of this.#keys) {
      const value = Number((await this.#client.get(key)) ?? 0);
      const [acknowledged, attempted] = [this.#acknowledged.get(key) ?? 0, this.#attempted.get(key) ?? 0];
      if (value < acknowledged || value > attempted)
        lost.push(`${key} is ${value}, acknowledged ${acknowledged}, attempted ${attempted}`);
    }
    return lost;
  }

  async #writeOn(key: string): Promise<void> {
    for (let seq = 1; !this.#isEnding; seq++) {
      this.#attempted.set(key, seq);
      try {
        await this.#client.set(key, String(seq));
        this.#acknowledged.set(key, seq);
        this.acknowledgedCount++;
      } catch {
        await sleep(5); // the node is down: an error reply, not an acknowledgement
      }
      await sleep(2);
    }
  }
}

/** Opens a migration as a coordinator does that dies right after; the one in the query node carries it on. */
async function openMigration(metadata: MetadataStore, targetNodeId: number): Promise<number> {
  const codec = recordCodec(CLUSTER);
  const key = codec.keys.map(PARTITION);
  const entry = await metadata.get(key);
  if (!entry) throw new Error('the partition has no record');
  const record = codec.decodePartition(PARTITION, entry.value);
  const target = (await listNodes(metadata, CLUSTER)).find((node) => node.nodeId === targetNodeId);
  const migrationId = record.migrationSeq + 1;
  const nowMs = Date.now();
  const migration: MigrationRecord = {
    migrationId,
    sourceNodeId: record.ownerNodeId,
    sourceStoreId: record.ownerStoreId,
    targetNodeId: asNodeId(targetNodeId),
    targetStoreId: target?.storeId ?? '',
    phase: 'PREPARE',
    phaseAtMs: nowMs,
    startedAtMs: nowMs,
    digestSeed: '00112233445566aa',
    readWeight: 0,
    notBeforeMs: 0,
    reason: 'asked for by the test',
    attempt: 0,
  };
  const value = codec.encodePartition({ ...record, migrationSeq: migrationId, migration });
  const result = await metadata.commit({
    conditions: [{ key, revisionIs: entry.revision }],
    writes: [{ kind: 'put', key, value }],
  });
  check.ok(result.isCommitted);
  return record.ownerNodeId;
}

async function until(claim: () => Promise<boolean>, what: string, timeoutMs = 30_000): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  while (!(await claim())) {
    if (performance.now() > deadlineMs) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await sleep(2);
  }
}

async function rolesOf(metadata: MetadataStore, record: PartitionRecord): Promise<string[]> {
  const directory = await NodeDirectory.open(metadata, CLUSTER);
  const transport = new RpcTransport({
    identity: { clusterId: CLUSTER, nodeId: 20_000, role: 'operator' },
    addressOf: (nodeId) => directory.addressOf(nodeId),
  });
  const engine = new RpcStorageEngine(transport);
  const command = {
    partitionId: asPartitionId(record.partitionId),
    migrationId: Math.max(1, record.migrationSeq),
    epoch: asEpoch(record.epoch),
  };
  const roles: string[] = [];
  for (let nodeId = 0; nodeId < NODE_COUNT; nodeId++)
    roles.push((await engine.status(asNodeId(nodeId), command)).role);
  await transport.close();
  directory.close();
  return roles;
}

const CASES: readonly { victim: 'source' | 'target'; phase: MigrationPhase }[] = [
  { victim: 'target', phase: 'COPY' },
  { victim: 'source', phase: 'COPY' },
  { victim: 'source', phase: 'SHIFT' },
  { victim: 'target', phase: 'GRACE' },
];

test('the map stays whole and every acknowledged write is there, whichever side dies in whichever phase', async () => {
  const cluster = await LocalCluster.start({
    storageNodeCount: NODE_COUNT,
    partitionCount: PARTITION_COUNT,
    settings: {
      migration: {
        copyBytesPerSecond: FILLER_COUNT * FILLER_BYTES,
        readWeightHoldMs: 60,
        graceMs: 300,
        unreachableMs: 10_000,
        prepareTimeoutMs: 10_000,
        fenceBudgetMs: 2_000,
        retryMsMax: 200,
        freeBytesReserve: 0,
      },
    },
  });
  const metadata = openEmbeddedMetadata({ path: join(cluster.folder, 'metadata') });
  const reader = new ClusterMapReader(metadata, CLUSTER);
  const client = new Redis({ host: cluster.host, port: cluster.port, lazyConnect: true });
  try {
    await client.connect();
    const filler = keysOf(PARTITION, FILLER_COUNT);
    await Promise.all(filler.map((key) => client.set(`${key}:filler`, 'x'.repeat(FILLER_BYTES))));
    const load = new Load(
      client,
      [PARTITION, 0, 15].flatMap((partitionId) => keysOf(partitionId, 4)),
    );
    for (const { victim, phase } of CASES) {
      const record = await reader.readPartition(PARTITION);
      const sourceNodeId = record?.ownerNodeId as number;
      const targetNodeId = (sourceNodeId + 1) % NODE_COUNT;
      await openMigration(metadata, targetNodeId);
      const phaseNow = async () => (await reader.readPartition(PARTITION))?.migration?.phase;
      await until(async () => (await phaseNow()) === phase, `phase ${phase}`);
      const victimId = victim === 'source' ? sourceNodeId : targetNodeId;
      const before = load.acknowledgedCount;
      await cluster.kill(victimId);
      await sleep(DOWN_MS);
      await cluster.restart(victimId);
      await until(
        async () => (await phaseNow()) === undefined,
        `the end of the migration whose ${victim} died in ${phase}`,
      );
      await until(async () => load.acknowledgedCount > before + 20, 'writes go on');
      const after = (await reader.readPartition(PARTITION)) as PartitionRecord;
      const expected = [0, 1, 2].map((nodeId) => (nodeId === after.ownerNodeId ? 'OWNER' : 'NONE'));
      check.equal(await rolesOf(metadata, after), expected, `${victim} died in ${phase}`);
    }
    await load.end();
    check.equal(await load.findLost(), []);
    check.ok(load.acknowledgedCount > 200, `${load.acknowledgedCount} writes`);
    for (const key of filler) check.is((await client.get(`${key}:filler`))?.length, FILLER_BYTES);
    const { map, quarantined, records } = await reader.load();
    check.equal(quarantined, []);
    check.ok(map.ownerOf.every((owner) => owner >= 0 && owner < NODE_COUNT));
    check.ok(records.every((record) => record?.migration === null));
    const { entries } = await metadata.list(clusterKeys(CLUSTER).cleanupPrefix);
    check.equal(entries, []);
  } finally {
    client.disconnect();
    await metadata.close();
    await cluster.stop();
  }
});

test.run();

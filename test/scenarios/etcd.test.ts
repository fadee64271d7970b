/** A cluster of real processes on a real etcd that is away, that is full, that holds nonsense, and that asks who is there. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { clusterKeys } from '../../plugin/metadata/cluster-keys.ts';
import { loadMap } from '../../plugin/metadata/cluster-map.ts';
import { openEtcdMetadata } from '../../plugin/metadata/etcd/etcd-metadata.ts';
import { LocalCluster, type LocalClusterOptions } from '../../plugin/node/local/local-cluster.ts';
import { hasEtcd, LocalEtcd } from '../../plugin/node/local/local-etcd.ts';
import { QUERY_NODE_ID_MIN } from '../../plugin/node/node-options.ts';
import { etcdRoleLines } from '../../plugin/operator/etcd-roles-command.ts';
import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import { makeEtcdCertificates } from '../support/etcd-certificates.ts';
import { requireOrSkip } from '../support/require.ts';
import { CLUSTER, keysOf, NumberedWrites, openMigration, sleep, until } from '../support/scenario.ts';

const PARTITION_COUNT = 16;
const OUTAGE_MS = 6_000;
const QUOTA_BYTES = 24 << 20;
const FILLER_BYTES = 1 << 20;
/** From the restart of etcd: an election, and what is left of the migration. */
const RESUMED_MS_MAX = 20_000;

const SETTINGS = {
  controller: { leaseTtlMs: 1_000, executorIntervalMs: 50 },
  migration: {
    copyBytesPerSecond: 150_000,
    readWeightSteps: [1],
    readWeightHoldMs: 100,
    graceMs: 300,
    residenceMs: 0,
    freeBytesReserve: 0,
  },
};

const startCluster = (
  metadata: Record<string, unknown>,
  more: Partial<LocalClusterOptions> = {},
): Promise<LocalCluster> =>
  LocalCluster.start({
    storageNodeCount: 2,
    partitionCount: PARTITION_COUNT,
    settings: { ...SETTINGS, metadata: { kind: 'etcd', ...metadata } },
    ...more,
  });

const migrationIsOver = async (
  metadata: MetadataStore,
  partitionId: number,
  owner: number,
): Promise<boolean> => {
  const record = (await loadMap(metadata, CLUSTER)).records[partitionId];
  return record?.migration === null && record.ownerNodeId === owner;
};

if (requireOrSkip('etcd', hasEtcd())) {
  const test = suite<{ etcd: LocalEtcd; cluster: LocalCluster; metadata: MetadataStore; client: Redis }>(
    'a cluster on etcd',
  );

  test.before(async (context) => {
    context.etcd = await LocalEtcd.start({ quotaBytes: QUOTA_BYTES });
    const { endpoints } = context.etcd;
    context.cluster = await startCluster({ endpoints });
    context.metadata = openEtcdMetadata({ endpoints, requestTimeoutMs: 1_000 });
    context.client = new Redis({ port: context.cluster.port, lazyConnect: false });
  });
  test.after(async ({ etcd, cluster, metadata, client }) => {
    client?.disconnect();
    await metadata?.close();
    await cluster?.stop();
    await etcd?.close();
  });

  test('etcd is killed for six seconds: no query fails, the open migration waits and goes on', async ({
    etcd,
    cluster,
    metadata,
    client,
  }) => {
    const value = 'x'.repeat(1_000);
    const [moved, beside] = [0, 9];
    const fillers = keysOf(moved, { partitionCount: PARTITION_COUNT, count: 300 });
    await client.mset(Object.fromEntries(fillers.map((key) => [`${key}:filler`, value])));
    const keys = [moved, beside].flatMap((partitionId) =>
      keysOf(partitionId, { partitionCount: PARTITION_COUNT, count: 3 }),
    );
    const writes = new NumberedWrites(client, keys);
    try {
      await until(async () => writes.acknowledgedCount > 50, 'the load runs');
      await openMigration(metadata, { partitionId: moved, targetNodeId: 1 });
      await sleep(500);
      await etcd.kill();
      const before = writes.acknowledgedCount;
      await sleep(OUTAGE_MS);
      check.ok(writes.acknowledgedCount > before + 100, 'writes are acknowledged during the outage');
      await etcd.restart();
      await until(() => migrationIsOver(metadata, moved, 1), 'the migration goes on', RESUMED_MS_MAX);
    } finally {
      await writes.end();
    }
    check.is(writes.failedCount, 0, cluster.log(QUERY_NODE_ID_MIN));
    check.equal(await writes.findLost(), []);
  });

  test('a full etcd is named with its remedy, queries go on, and the remedy helps', async ({
    etcd,
    cluster,
    metadata,
    client,
  }) => {
    const filler = (i: number) =>
      metadata.commit({
        conditions: [],
        writes: [{ kind: 'put', key: '/elsewhere/filler', value: new Uint8Array(FILLER_BYTES).fill(i) }],
      });
    let error: unknown;
    for (let i = 0; i < 100 && error === undefined; i++) {
      await filler(i).catch((thrown) => (error = thrown));
      await sleep(20);
    }
    check.match(String(error), /no space left/);
    const remedy =
      /etcd at [^ ]+ has no space left and takes no writes.*etcdctl compact.*defrag.*alarm disarm/;
    await until(
      async () => remedy.test(cluster.log(QUERY_NODE_ID_MIN)),
      'the coordinator says what is wrong and what to do',
    );
    check.is(
      await client.set(keysOf(3, { partitionCount: PARTITION_COUNT, count: 1 })[0] as string, 'v'),
      'OK',
    );

    // What the message says.
    const { revision } = await metadata.list('/elsewhere/');
    check.is(etcd.ctl('compact', String(revision)).status, 0);
    check.is(etcd.ctl('defrag').status, 0);
    check.is(etcd.ctl('alarm', 'disarm').status, 0);
    const moved = 1;
    await until(
      () =>
        openMigration(metadata, { partitionId: moved, targetNodeId: 1 }).then(
          () => true,
          () => false,
        ),
      'etcd takes writes',
    );
    await until(
      () => migrationIsOver(metadata, moved, 1),
      'a coordinator is elected and moves',
      RESUMED_MS_MAX,
    );
  });

  test('a record that is nonsense takes its own partition out, and no process down', async ({
    cluster,
    metadata,
    client,
  }) => {
    const [bad, good] = [5, 6];
    const { map } = clusterKeys(CLUSTER);
    const nonsense = [
      Buffer.from([0xff, 0xfe, 0x00]),
      Buffer.from('{"v":1,"partitionId":6}'),
      Buffer.from('{"__proto__":{"epoch":9}}'),
      Buffer.from('['.repeat(50_000)),
    ];
    const before = await metadata.get(map(bad));
    for (const value of nonsense) {
      await metadata.commit({ conditions: [], writes: [{ kind: 'put', key: map(bad), value }] });
      const { quarantined, records } = await loadMap(metadata, CLUSTER);
      check.equal(
        quarantined.map(({ partitionId }) => partitionId),
        [bad],
      );
      check.ok(records[good]);
    }
    // Who routes already goes on by what it knew; the other partitions are moved as ever.
    const keyOf = (partitionId: number) =>
      keysOf(partitionId, { partitionCount: PARTITION_COUNT, count: 1 })[0] as string;
    check.is(await client.set(keyOf(bad), 'v'), 'OK');
    await openMigration(metadata, { partitionId: good, targetNodeId: 1 });
    await until(() => migrationIsOver(metadata, good, 1), 'another partition is moved', RESUMED_MS_MAX);

    // Who starts now knows no owner of it, and serves all else; a storage node keeps the role that it has on its disk.
    await cluster.kill(1);
    await cluster.restart(1);
    await cluster.restart(QUERY_NODE_ID_MIN + 1);
    const late = new Redis({ port: cluster.addressOf(QUERY_NODE_ID_MIN + 1).port });
    try {
      check.is(await late.set(keyOf(good), 'w'), 'OK');
      const refusal = await late.get(keyOf(bad)).then(() => 'answered', String);
      check.match(refusal, /CLUSTERDOWN/);
      const value = before?.value as Uint8Array;
      await metadata.commit({ conditions: [], writes: [{ kind: 'put', key: map(bad), value }] });
      await until(async () => (await late.get(keyOf(bad)).catch(() => '')) === 'v', 'the record is mended');
    } finally {
      late.disconnect();
    }
    check.match(cluster.log(1), /the record of a partition is not valid/);
  });

  test('processes with a certificate, a user and a role each form a cluster, serve and migrate', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'foreshard-etcd-roles-'));
    const certificates = await makeEtcdCertificates(folder);
    const etcd = await LocalEtcd.start({ tls: certificates.server });
    const passwordFile = (role: string): string => join(folder, `foreshard-${CLUSTER}-${role}.password`);
    for (const role of ['storage', 'router', 'coordinator'])
      writeFileSync(passwordFile(role), `secret-of-${role}`, { mode: 0o600 });
    const root =
      'printf root | etcdctl user add root --interactive=false && etcdctl user grant-role root root';
    const script = [...etcdRoleLines(CLUSTER), root, 'etcdctl auth enable'].join('\n');
    const env = { ...process.env, ...etcd.ctlEnvironment };
    check.is(spawnSync('sh', ['-c', script], { cwd: folder, env, stdio: 'ignore' }).status, 0);
    const tls = {
      endpoints: etcd.endpoints,
      authorityFile: certificates.client.authorityFile,
      certificateFile: certificates.client.certificateFile,
      keyFile: certificates.client.keyFile,
    };
    let cluster: LocalCluster | null = null;
    let metadata: MetadataStore | null = null;
    try {
      cluster = await startCluster(tls, {
        environmentOf(nodeId) {
          const role = nodeId >= QUERY_NODE_ID_MIN ? 'coordinator' : 'storage';
          return {
            FORESHARD_METADATA_USER: `foreshard-${CLUSTER}-${role}`,
            FORESHARD_METADATA_PASSWORD_FILE: passwordFile(role),
          };
        },
      });
      const { authority, certificate, key } = await readTls(certificates.client);
      metadata = openEtcdMetadata({
        endpoints: etcd.endpoints,
        tls: { authority, certificate, key },
        login: { user: 'root', password: 'root' },
      });
      const client = new Redis({ port: cluster.port });
      check.is(await client.set('key', 'v'), 'OK');
      client.disconnect();
      const source = await openMigration(metadata, { partitionId: 2, targetNodeId: 1 });
      check.is(source, 0);
      const over = metadata;
      await until(() => migrationIsOver(over, 2, 1), 'the partition is moved', RESUMED_MS_MAX);
    } finally {
      await metadata?.close();
      await cluster?.stop();
      await etcd.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test.run();
}

async function readTls(files: {
  readonly authorityFile: string;
  readonly certificateFile: string;
  readonly keyFile: string;
}) {
  const { readFile } = await import('node:fs/promises');
  const [authority, certificate, key] = await Promise.all([
    readFile(files.authorityFile),
    readFile(files.certificateFile),
    readFile(files.keyFile),
  ]);
  return { authority, certificate, key };
}

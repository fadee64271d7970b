/**
 * The orders of an operator on real processes, by the real command line, under write load: a rollback, which loses nothing,
 * and a takeover from an owner that was killed while its follower lagged, which loses what it says and nothing else.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { ClusterMapReader } from '../../plugin/metadata/cluster-map.ts';
import { openEmbeddedMetadata } from '../../plugin/metadata/embedded.ts';
import { LocalCluster } from '../../plugin/node/local/local-cluster.ts';
import { askCoordinator } from '../../plugin/operator/migration/ask-coordinator.ts';
import type { PartitionRecord } from '../../src/model/migration.ts';
import { foreshardArguments } from '../support/repository.ts';
import { CLUSTER, keysOf, NumberedWrites, openMigration, until } from '../support/scenario.ts';

const PARTITION_COUNT = 16;
/** Node 0 of two owns it at first. */
const PARTITION = 2;

const test = suite('an operator’s orders on real processes');

interface Ran {
  readonly status: number | null;
  readonly output: string;
}

/** One command line in a process of its own, beside the cluster. */
function run(cluster: LocalCluster, ...args: string[]): Promise<Ran> {
  const config = ['--config', join(cluster.folder, 'foreshard.config.json')];
  const child = spawn(process.execPath, foreshardArguments(...args, ...config), { stdio: 'pipe' });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (bytes) => {
      output += String(bytes);
    });
  return new Promise((resolve) => child.on('close', (status) => resolve({ status, output })));
}

test('a partition goes back and forth without a copy, and from a dead owner with a loss that everybody hears of', async () => {
  const cluster = await LocalCluster.start({
    storageNodeCount: 2,
    partitionCount: PARTITION_COUNT,
    settings: {
      migration: { readWeightSteps: [], graceMs: 600_000, fenceBudgetMs: 3_000, freeBytesReserve: 0 },
    },
  });
  const metadata = openEmbeddedMetadata({ path: join(cluster.folder, 'metadata') });
  const reader = new ClusterMapReader(metadata, CLUSTER);
  const record = async (): Promise<PartitionRecord> =>
    (await reader.readPartition(PARTITION)) as PartitionRecord;
  const isInGraceAt = (nodeId: number) => async () => {
    const { ownerNodeId, migration } = await record();
    return ownerNodeId === nodeId && migration?.phase === 'GRACE';
  };
  const client = new Redis({ host: cluster.host, port: cluster.port, lazyConnect: true });
  try {
    await client.connect();
    const load = new NumberedWrites(client, keysOf(PARTITION, { partitionCount: PARTITION_COUNT, count: 3 }));
    await openMigration(metadata, { partitionId: PARTITION, targetNodeId: 1 });
    await until(isInGraceAt(1), 'node 1 owns it');
    const back = await run(cluster, 'rollback', String(PARTITION), '--yes', '--reason', 'the test');
    check.is(back.status, 0, back.output);
    await until(isInGraceAt(0), 'node 0 owns it again');
    const before = load.acknowledgedCount;
    const forward = { action: 'rollback', partitionId: PARTITION, reason: 'forward again' } as const;
    const again = await askCoordinator(metadata, CLUSTER, forward);
    check.is(again.outcome, 'done', again.message);
    await until(isInGraceAt(1), 'node 1 owns it once more');
    check.ok(load.acknowledgedCount > before, 'writes go on all the time');
    await until(async () => load.acknowledgedCount > before + 50, 'writes after the rollback');
    check.equal(await load.findLost(), []);

    // The follower hears nothing any more, then its owner dies.
    cluster.signal(0, 'SIGSTOP');
    const unheard = load.acknowledgedCount;
    await until(
      async () => load.acknowledgedCount > unheard + 100,
      'writes that the follower does not hear of',
    );
    await cluster.kill(1);
    cluster.signal(0, 'SIGCONT');
    const { ownerStoreId } = await record();
    const order = [
      'takeover',
      String(PARTITION),
      '--from',
      ownerStoreId,
      '--to',
      '0',
      '--reason',
      'disk lost',
    ];
    const asked = await run(cluster, ...order);
    check.is(asked.status, 1);
    const lsn = Number(/--i-accept-loss-after (\d+) to go on/.exec(asked.output)?.[1] ?? Number.NaN);
    check.ok(lsn > 0, asked.output);
    check.is((await record()).ownerNodeId, 1, 'nothing was changed');
    await load.end();
    const taken = await run(cluster, ...order, '--i-accept-loss-after', String(lsn));
    check.is(taken.status, 0, taken.output);
    await until(async () => (await record()).migration === null, 'the takeover is over');
    const { ownerNodeId, lineage, epoch } = await record();
    check.equal([ownerNodeId, lineage], [0, { epoch, lsn }]);

    const key = keysOf(PARTITION, { partitionCount: PARTITION_COUNT, count: 1 })[0] as string;
    // Until the query node has heard of the takeover, which the map already tells, the partition is on a node that is gone.
    let first: unknown = null;
    await until(async () => {
      first = await client.get(key).catch((error: Error) => error.message);
      return !/^CLUSTERDOWN/.test(String(first));
    }, 'the query node has heard of it');
    check.match(String(first), new RegExp(`^LINEAGELOST partition ${PARTITION} .* at lsn ${lsn} `));
    check.match(String(await client.get(key)), /^\d+$/);
    await client.set(key, 'after');
    check.is(await client.get(key), 'after');

    const returned = await cluster.restart(1).then(
      () => 'started',
      () => cluster.log(1),
    );
    check.match(returned, /was retired: its partitions have other owners/);
    const told = await run(cluster, 'migrations', '--partition', String(PARTITION));
    check.match(told.output, /0 migrations open\n4 ended/);
    check.match(told.output, /takeover, partition \d+, node 1 -> 0, taken-over .*takeover by .*: disk lost/);
  } finally {
    client.disconnect();
    await metadata.close();
    await cluster.stop();
  }
});

test.run();

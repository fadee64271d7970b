/**
 * A machine comes and another goes, on real processes under load, by the real command line: a node joins, another is drained in
 * a cluster that has measured nothing yet and whose plugin only observes, and is removed once it is empty.
 */
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { loadMap } from '../../plugin/metadata/cluster-map.ts';
import { openEmbeddedMetadata } from '../../plugin/metadata/embedded.ts';
import { LocalCluster } from '../../plugin/node/local/local-cluster.ts';
import { runCli } from '../support/run-cli.ts';
import { CLUSTER, keysOf, NumberedWrites, until } from '../support/scenario.ts';

const PARTITION_COUNT = 16;
/** Of two nodes, the second owns the upper half. */
const PARTITION = 12;

const test = suite('a node joins, another is drained and removed');

test('a joined node takes what a drained one gives away; nothing is lost, and only an empty node can be removed', async () => {
  const cluster = await LocalCluster.start({
    storageNodeCount: 2,
    partitionCount: PARTITION_COUNT,
    settings: {
      migration: {
        readWeightSteps: [],
        graceMs: 200,
        residenceMs: 0,
        freeBytesReserve: 0,
        fenceBudgetMs: 3_000,
      },
    },
  });
  const metadata = openEmbeddedMetadata({ path: join(cluster.folder, 'metadata') });
  const client = new Redis({ host: cluster.host, port: cluster.port, lazyConnect: true });
  const countsNow = async (): Promise<number[]> => {
    const counts = [0, 0, 0];
    for (const owner of (await loadMap(metadata, CLUSTER)).map.ownerOf) counts[owner]!++;
    return counts;
  };
  try {
    await client.connect();
    const load = new NumberedWrites(client, keysOf(PARTITION, { partitionCount: PARTITION_COUNT, count: 3 }));
    const slip = await cluster.restart(2).then(
      () => '',
      ({ message }: Error) => message,
    );
    check.match(slip, /cluster main has no such storage node, but 0, 1: name the right node\.id/);
    const joined = await runCli(cluster.folder, 'join', '2', '--reason', 'a machine more');
    check.is(joined.status, 0, joined.output);
    await cluster.restart(2);
    check.equal(await countsNow(), [8, 8, 0]);
    check.match((await runCli(cluster.folder, 'status')).output, /storage node 2: alive.* 0 partitions/);

    const early = await runCli(cluster.folder, 'remove', '1', '--yes', '--reason', 'too early');
    check.is(early.status, 1);
    check.match(early.output, /node 1 is not being drained.*nothing was done/);
    check.is((await runCli(cluster.folder, 'drain', '7', '--reason', 'a slip')).status, 2);

    const drained = await runCli(cluster.folder, 'drain', '1', '--wait', '--reason', 'the test');
    check.is(drained.status, 0, drained.output);
    check.match(drained.output, /^node 1: 8 of 8 partitions left/);
    check.match(drained.output, /node 1 is empty: stop it, then `foreshard remove 1`/);
    const counts = await countsNow();
    check.is(counts[1], 0);
    check.ok((counts[2] as number) >= 4, `the new node has ${counts[2]}`);
    const before = load.acknowledgedCount;
    await until(async () => load.acknowledgedCount > before + 20, 'writes go on');
    await load.end();
    check.equal(await load.findLost(), []);

    const removed = await runCli(cluster.folder, 'remove', '1', '--yes', '--reason', 'the test');
    check.is(removed.status, 0, removed.output);
    await cluster.kill(1, 'SIGTERM');
    check.not.match((await runCli(cluster.folder, 'status')).output, /storage node 1/);
    const returned = await cluster.restart(1).then(
      () => 'started',
      () => cluster.log(1),
    );
    check.match(returned, /was retired: its partitions have other owners/);
    const audit = (await runCli(cluster.folder, 'audit')).output;
    check.match(audit, /drain \(the test\): done: node 1 is being drained of 8 partitions/);
    check.match(audit, /remove \(the test\): done: node 1 is removed/);
  } finally {
    client.disconnect();
    await metadata.close();
    await cluster.stop();
  }
});

test.run();

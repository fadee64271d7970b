/** What `foreshard status`, `map` and an order say of a cluster whose nodes come and go, by the real command line. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { LocalCluster } from '../../plugin/node/local/local-cluster.ts';
import type { ClusterStatus, NodeStatus } from '../../plugin/operator/status/gather-status.ts';
import { runCli } from '../support/run-cli.ts';

const PARTITION_COUNT = 16;
const QUERY_NODE = 10_000;
/** An order used to wait for half a minute; most of what is left is the start of a process on a busy machine. */
const REFUSED_MS_MAX = 20_000;

const test = suite('status of a cluster');

const nodeOf = ({ nodes }: ClusterStatus, nodeId: number): NodeStatus =>
  nodes.find((node) => node.nodeId === nodeId) as NodeStatus;

test('who is there, who has gone and how, and what is wrong', async () => {
  const cluster = await LocalCluster.start({
    storageNodeCount: 2,
    partitionCount: PARTITION_COUNT,
    settings: { node: { zone: 'rack-1' }, controller: { leaseTtlMs: 1_000 } },
  });
  const statusNow = async (): Promise<{ exitCode: number | null; status: ClusterStatus }> => {
    const { status, output } = await runCli(cluster.folder, 'status', '--json');
    return { exitCode: status, status: JSON.parse(output) };
  };
  try {
    const { exitCode, status } = await statusNow();
    check.equal([exitCode, status.alarms], [0, []]);
    check.equal([status.coordinator.state, status.coordinator.candidate], ['leading', `query-${QUERY_NODE}`]);
    check.equal(
      status.nodes.map(({ nodeId, role, state, partitionCount, zone }) => [
        nodeId,
        role,
        state,
        partitionCount,
        zone,
      ]),
      [
        [0, 'storage', 'alive', 8, 'rack-1'],
        [1, 'storage', 'alive', 8, 'rack-1'],
        [QUERY_NODE, 'query', 'alive', 0, 'rack-1'],
      ],
    );
    check.is(nodeOf(status, 0).storeState, 'active');
    check.is(nodeOf(status, 0).epoch, 1);

    await cluster.kill(0);
    await cluster.kill(1, 'SIGTERM');
    await cluster.kill(QUERY_NODE, 'SIGTERM');
    const without = await statusNow();
    check.is(without.exitCode, 3);
    check.equal([nodeOf(without.status, 0).state, nodeOf(without.status, 1).state], ['dead', 'stopped']);
    const alarms = without.status.alarms.join('\n');
    check.match(
      alarms,
      /there is no coordinator: query-10000 was the last, elected at .* left the office at/,
    );
    check.match(alarms, /storage node 0 does not answer, and owns 8 partitions/);
    check.match(alarms, /storage node 1 is stopped, and owns 8 partitions/);
    check.match((await runCli(cluster.folder, 'map')).output, /^node 1 is stopped since /m);

    const order = await runCli(cluster.folder, 'cancel', '3', '--reason', 'the test');
    check.is(order.status, 1);
    check.match(order.output, /there is no coordinator: query-10000 was the last.*nothing was done/);
    check.ok(order.tookMs < REFUSED_MS_MAX, `${order.tookMs.toFixed(0)} ms`);
  } finally {
    await cluster.stop();
  }
});

test.run();

/** What an agent reads of real masters. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import {
  hasRedisServer,
  LocalRedisCluster,
} from '../../../../../plugin/engines/redis-cluster/local-redis-cluster.ts';
import { ClusterView } from '../../../../../plugin/engines/redis-cluster/topology/cluster-view.ts';
import { REDIS_DEFAULTS } from '../../../../../src/redis-settings.ts';
import { requireOrSkip } from '../../../../support/require.ts';

const test = suite('redis-cluster: what an agent reads of masters');
if (requireOrSkip('redis', hasRedisServer()))
  test('commands of a master are those of applications: what agents ask is not among them', async () => {
    const cluster = await LocalRedisCluster.start({ masterCount: 3 });
    const view = new ClusterView({ ...REDIS_DEFAULTS, nodes: [`127.0.0.1:${cluster.ports[0]}`] });
    try {
      const { masters } = await view.topology();
      const nodeId = masters.find(({ port }) => port === cluster.ports[0])?.nodeId as string;
      const before = await view.counters(nodeId);
      await view.keyCounts(
        nodeId,
        Array.from({ length: 1_000 }, (_, slot) => slot),
      );
      await cluster.pipeline(
        0,
        Array.from({ length: 50 }, () => ['GET', 'b']),
      );
      await view.topology();
      const after = await view.counters(nodeId);
      check.is(after.commands - before.commands, 50);
      check.ok(after.keyCount === before.keyCount && after.runId === before.runId);
    } finally {
      view.close();
      await cluster.stop();
    }
  });

test.run();

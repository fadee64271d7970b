import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { hasRedisProgram, LocalRedisCluster } from '../../../plugin/node/local-redis-cluster.ts';
import { requireOrSkip } from '../../support/require.ts';

const test = suite('local Redis Cluster');

if (requireOrSkip('redis', hasRedisProgram())) {
  test('serves every slot, and again after a master was killed and restarted', async () => {
    const cluster = await LocalRedisCluster.start({ masters: 2, emptyMasters: 1, replicasPerMaster: 1 });
    try {
      const nodes = String(await cluster.send(0, 'CLUSTER', 'NODES'))
        .trim()
        .split('\n');
      check.is(nodes.length, 5);
      check.is(nodes.filter((line) => line.includes('slave')).length, 2);
      check.is(nodes.filter((line) => / 0-8191$| 8192-16383$/.test(line)).length, 2);
      check.is(await cluster.send(0, 'SET', 'k{06S}', 'v'), 'OK');

      await cluster.kill(2);
      check.is(cluster.nodes[2].pid, undefined);
      await cluster.restart(2);
      await cluster.ready();
      check.is(await cluster.send(2, 'CLUSTER', 'MYID'), cluster.nodes[2].id);
      check.is((await cluster.info(2)).get('cluster_enabled'), '1');
    } finally {
      await cluster.close();
    }
  });

  test('a server that cannot start says why', async () => {
    let message = '';
    await LocalRedisCluster.start({ masters: 1, settings: ['--no-such-setting', '1'] }).catch((error) => {
      message = error.message;
    });
    check.match(message, /did not come up \(exit code 1\)/);
  });
}

test.run();

/** How a target is told that slots are its own. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { parseClusterNodes } from '../../../../plugin/engines/redis-cluster/cluster-nodes.ts';
import { commitSlots } from '../../../../plugin/engines/redis-cluster/commit-slots.ts';
import {
  hasRedisServer,
  LocalRedisCluster,
} from '../../../../plugin/engines/redis-cluster/local-redis-cluster.ts';
import { Pace } from '../../../../plugin/engines/redis-cluster/pace.ts';
import { RedisConnections } from '../../../../plugin/engines/redis-cluster/redis-connections.ts';
import type { RedisCommand } from '../../../../plugin/engines/redis-cluster/redis-node.ts';
import type { SlotMove } from '../../../../plugin/engines/redis-cluster/slot-move.ts';
import { runSteps } from '../../../../plugin/engines/redis-cluster/step-runner.ts';
import { systemClock } from '../../../../src/base/clock.ts';
import { REDIS_DEFAULTS } from '../../../../src/redis-settings.ts';
import { requireOrSkip } from '../../../support/require.ts';

const test = suite('redis-cluster: commits of slots');

const MOVE = { sourceId: 's', targetId: 't', otherMasterIds: ['o'] } as unknown as SlotMove;
const VALKEY = 'redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.0.1\r\n';
const REDIS = 'redis_version:7.0.15\r\n';

/** @returns the second batch, after what the target says of itself. */
function told(slots: readonly number[], server: string, replicas: number): readonly RedisCommand[] {
  const steps = commitSlots(MOVE, { drained: slots, taken: [], done: [] });
  const first = steps.next();
  if (first.done === true) throw new Error('nothing was sent');
  check.equal(first.value.to, ['t'], 'the target first');
  if (first.value.commands[0]?.[0] !== 'INFO') return first.value.commands;
  const second = steps.next([
    [Buffer.from(server), Buffer.from(`role:master\r\nconnected_slaves:${replicas}\r\n`)],
  ]);
  if (second.done === true) throw new Error('nothing was sent');
  check.equal(second.value.to, ['t']);
  return second.value.commands;
}

const node = (slot: number): RedisCommand => ['CLUSTER', 'SETSLOT', slot, 'NODE', 't'];
const importing = (slot: number): RedisCommand => ['CLUSTER', 'SETSLOT', slot, 'IMPORTING', 's'];
const stable = (slot: number): RedisCommand => ['CLUSTER', 'SETSLOT', slot, 'STABLE'];

test('all slots but the last are closed and taken in one transaction', () => {
  const together = [['MULTI'], stable(7), node(7), stable(8), node(8), importing(9), node(9), ['EXEC']];
  check.equal(told([7, 8, 9], REDIS, 0), together);
  check.equal(told([7, 8, 9], REDIS, 2), together);
  check.equal(told([7, 8, 9], VALKEY, 0), together);
});

test('one slot is opened once more before it is taken, too', () => {
  check.equal(told([7], REDIS, 0), [['MULTI'], importing(7), node(7), ['EXEC']]);
});

test('slots of a Valkey whose replicas have to agree to each are taken one by one', () => {
  check.equal(told([7, 8], VALKEY, 1), [node(7), node(8)]);
});

if (requireOrSkip('redis', hasRedisServer()))
  for (const slots of [[6_000, 6_001], [6_001]])
    test(`a target whose last of ${slots.length} slots somebody has closed takes an epoch nevertheless`, async () => {
      const cluster = await LocalRedisCluster.start();
      const nodes = new RedisConnections(REDIS_DEFAULTS);
      try {
        nodes.setAddresses(new Map(cluster.nodeIds.map((id, index) => [id, cluster.address(index)])));
        const [targetId, sourceId, otherId] = cluster.nodeIds as [string, string, string];
        const move = { sourceId, targetId, otherMasterIds: [otherId] } as unknown as SlotMove;
        for (const slot of slots) await cluster.command(0, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', sourceId);
        await cluster.command(0, 'CLUSTER', 'SETSLOT', 6_001, 'STABLE');
        await runSteps(commitSlots(move, { drained: slots, taken: [], done: [] }), {
          ...{ nodes, clock: systemClock(), assertMaySend: () => undefined },
          pace: new Pace(REDIS_DEFAULTS.slotMove),
        });
        const views = parseClusterNodes(String(await cluster.command(0, 'CLUSTER', 'NODES')), '');
        const epochOf = (id: string): number =>
          views.find(({ nodeId }) => nodeId === id)?.configEpoch as number;
        check.ok(epochOf(targetId) > epochOf(sourceId), `${epochOf(targetId)}, source ${epochOf(sourceId)}`);
      } finally {
        nodes.close();
        await cluster.stop();
      }
    });

test.run();

/** The Redis Cluster beside which an agent runs, as it is found from here. */
import { ForeshardError } from '../../../src/base/errors.ts';
import type { RedisSettings } from '../../../src/redis-settings.ts';
import type { ClusterTopology } from '../../engines/redis-cluster/topology/topology.ts';
import { counted } from '../units-text.ts';
import { type Finding, fail, ok, warn } from './findings.ts';

const CHECK = 'Redis Cluster';

/** Looks only: nothing is written anywhere. */
export async function lookAtRedis(settings: RedisSettings): Promise<Finding[]> {
  // Loaded here: who has no Redis needs no client of it.
  const { ClusterView } = await import('../../engines/redis-cluster/topology/cluster-view.ts');
  const view = new ClusterView(settings);
  try {
    return judgeRedis(await view.topology());
  } catch (error) {
    if (!(error instanceof ForeshardError)) throw error;
    return [
      fail(CHECK, error.message, 'redis.nodes has to name nodes that answer from here, in cluster mode'),
    ];
  } finally {
    view.close();
  }
}

/** Troubles hold moves only: an agent watches all the same. */
export function judgeRedis({ masters, troubles }: Pick<ClusterTopology, 'masters' | 'troubles'>): Finding[] {
  const slotCount = masters.reduce((sum, master) => sum + master.slotCount, 0);
  const replicaCount = masters.reduce((sum, master) => sum + master.replicaIds.length, 0);
  return [
    ok(
      CHECK,
      `${counted(masters.length, 'master')}, ${counted(replicaCount, 'replica')}, ${counted(slotCount, 'slot')}`,
    ),
    ...troubles.map((trouble) => warn(CHECK, trouble, 'no slot is moved while it is so')),
  ];
}

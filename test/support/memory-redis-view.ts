import { parseClusterNodes } from '../../plugin/engines/redis-cluster/server/cluster-nodes.ts';
import { countersOf, parseInfo } from '../../plugin/engines/redis-cluster/server/node-info.ts';
import { numberOf, textOf } from '../../plugin/engines/redis-cluster/server/redis-node.ts';
import type { ClusterView } from '../../plugin/engines/redis-cluster/topology/cluster-view.ts';
import { topologyOf } from '../../plugin/engines/redis-cluster/topology/topology.ts';
import type { MemoryRedisCluster } from './memory-redis-cluster.ts';

/** What an agent looks at a cluster through, of the model. */
export function memoryView(cluster: MemoryRedisCluster): ClusterView {
  const ask = async (nodeId: string, ...command: (string | number)[]) =>
    (await cluster.node(nodeId).pipeline([command]))[0];
  const view = {
    nodes: {
      node: (nodeId: string) => cluster.node(nodeId),
      dedicated: (nodeId: string) => cluster.node(nodeId),
    },
    async topology() {
      const views = new Map();
      for (const { nodeId } of cluster.servers)
        views.set(nodeId, parseClusterNodes(textOf(await ask(nodeId, 'CLUSTER', 'NODES')), '127.0.0.1'));
      return topologyOf(views.get(cluster.servers[0]?.nodeId), views);
    },
    counters: async (nodeId: string) => countersOf(parseInfo(textOf(await ask(nodeId, 'INFO')))),
    keyCounts: (nodeId: string, slots: readonly number[]) =>
      Promise.all(slots.map(async (slot) => numberOf(await ask(nodeId, 'CLUSTER', 'COUNTKEYSINSLOT', slot)))),
    readOnlyClients: async () => 0,
    close: () => undefined,
  };
  return view as unknown as ClusterView;
}

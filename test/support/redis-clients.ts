import { Cluster } from 'ioredis';
import { createCluster } from 'redis';
import type { LocalRedisCluster } from '../../plugin/engines/redis-cluster/local-redis-cluster.ts';

/** An ioredis cluster client that has connected. */
export async function openIoredis(
  servers: LocalRedisCluster,
  options: Omit<NonNullable<ConstructorParameters<typeof Cluster>[1]>, 'redisOptions'> = {},
): Promise<Cluster> {
  const client = new Cluster(
    servers.ports.map((port) => ({ host: '127.0.0.1', port })),
    { ...options, lazyConnect: true },
  );
  await client.connect();
  return client;
}

const newNodeRedis = (servers: LocalRedisCluster) =>
  createCluster({ rootNodes: servers.ports.map((port) => ({ url: `redis://127.0.0.1:${port}` })) });

export type NodeRedisCluster = ReturnType<typeof newNodeRedis>;

/** A node-redis cluster client that has connected. */
export async function openNodeRedis(servers: LocalRedisCluster): Promise<NodeRedisCluster> {
  const client = newNodeRedis(servers);
  // A client without a listener for errors throws them into the process.
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

import { ForeshardError } from '../../../src/base/errors.ts';
import type { QueryTap } from '../query-tap.ts';
import { isIoredis, tapIoredis } from './ioredis.ts';
import {
  isNodeRedisClient,
  isNodeRedisCluster,
  tapNodeRedisClient,
  tapNodeRedisCluster,
} from './node-redis.ts';

/** @throws ForeshardError FORESHARD_CONFIG unless it is a client that `tapClient` knows. */
export function assertKnownClient(client: object): void {
  if (isIoredis(client) || isNodeRedisCluster(client) || isNodeRedisClient(client)) return;
  const found = (client as object | undefined)?.constructor?.name ?? typeof client;
  throw new ForeshardError(
    'FORESHARD_CONFIG',
    'fix-config',
    `captureCluster takes a Cluster or Redis of ioredis 5 or 6, or a cluster or client of node-redis 6 (package "redis"), found ${found}`,
  );
}

/**
 * Puts hooks into a client of any library that is known here.
 *
 * @returns undoes it: the very functions that were there are there again.
 */
export function tapClient(client: object, tap: QueryTap): () => void {
  if (isIoredis(client)) return tapIoredis(client, tap);
  return isNodeRedisCluster(client) ? tapNodeRedisCluster(client, tap) : tapNodeRedisClient(client, tap);
}

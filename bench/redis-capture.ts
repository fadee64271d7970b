import { createHash } from 'node:crypto';
import { Cluster } from 'ioredis';
import { hasRedisProgram, LocalRedisCluster } from '../plugin/node/local-redis-cluster.ts';
import type { BenchOutcome } from './types.ts';

export const area = 'redis-capture';

/** Keys in all slots' ranges; values of 100 bytes. */
const KEY_COUNT = 1_000;
/** Commands under way at once, as of a busy process. */
const CONCURRENCY = 64;

/**
 * CPU time of this process for one GET over ioredis to a cluster of three masters, in blocks of two arms that alternate. What is
 * told now is the floor: both arms are the bare client, so that their difference is what this way of measuring makes of nothing.
 */
export async function run({ isSmall }: { isSmall: boolean }): Promise<BenchOutcome> {
  if (!hasRedisProgram())
    return {
      results: [],
      skipped: [{ name: 'redis-capture', why: 'redis-server is not installed (Debian: redis-server)' }],
    };
  const servers = await LocalRedisCluster.start();
  const client = new Cluster(servers.addresses.map(({ host, port }) => ({ host, port })));
  try {
    const keys = Array.from({ length: KEY_COUNT }, (_, i) => `flight:${i}:seats`);
    for (const key of keys) await client.set(key, 'v'.repeat(100));
    const blockCommands = isSmall ? 500 : 4_000;
    const pairs = isSmall ? 4 : 100;
    const differences: number[] = [];
    const bare: number[] = [];
    const block = async (): Promise<number> => {
      const before = process.cpuUsage();
      let sent = 0;
      const lane = async (): Promise<void> => {
        while (sent < blockCommands) await client.get(keys[sent++ % KEY_COUNT]);
      };
      await Promise.all(Array.from({ length: CONCURRENCY }, lane));
      const { user, system } = process.cpuUsage(before);
      return (user + system) / blockCommands;
    };
    for (let pair = isSmall ? -1 : -10; pair < pairs; pair++) {
      const [first, second] = [await block(), await block()];
      if (pair < 0) continue;
      const isTurned = pair % 2 === 1;
      bare.push(isTurned ? second : first);
      differences.push(isTurned ? first - second : second - first);
    }
    const value = mean(differences);
    const baselineValue = mean(bare);
    return {
      results: [
        {
          name: 'ioredis-cluster/get/floor',
          metric: 'CPU µs per operation between two arms that are the same',
          value,
          unit: 'µs',
          baseline: 'bare client',
          baselineValue,
          ratio: value / baselineValue,
          settings: { blockCommands, pairs, standardErrorUs: standardError(differences) },
          hash: createHash('sha256').update(keys.join()).digest('hex').slice(0, 8),
        },
      ],
      skipped: [],
    };
  } finally {
    client.disconnect();
    await servers.close();
  }
}

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

function standardError(values: readonly number[]): number {
  const centre = mean(values);
  const variance = values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1);
  return Math.sqrt(variance / values.length);
}

/** The executor of slot moves on a real cluster: orders of an operator, and keys that go away while they move. */
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import {
  hasRedisServer,
  LocalRedisCluster,
} from '../../../../../plugin/engines/redis-cluster/local-redis-cluster.ts';
import { MapMirror } from '../../../../../plugin/engines/redis-cluster/moves/map-mirror.ts';
import { SlotExecutor } from '../../../../../plugin/engines/redis-cluster/moves/slot-executor.ts';
import {
  numberOf,
  type RedisCommand,
} from '../../../../../plugin/engines/redis-cluster/server/redis-node.ts';
import { ClusterView } from '../../../../../plugin/engines/redis-cluster/topology/cluster-view.ts';
import { clusterKeys } from '../../../../../plugin/metadata/cluster-keys.ts';
import { loadMap } from '../../../../../plugin/metadata/cluster-map.ts';
import { openMetadata } from '../../../../../plugin/metadata/open.ts';
import { askCoordinator } from '../../../../../plugin/operator/migration/ask-coordinator.ts';
import { systemClock } from '../../../../../src/base/clock.ts';
import { silentLogger } from '../../../../../src/base/logger.ts';
import type { Proposal } from '../../../../../src/model/proposal.ts';
import { keySlot } from '../../../../../src/routing/key-slot.ts';
import { DEFAULT_SETTINGS, type Settings } from '../../../../../src/settings.ts';
import { requireOrSkip } from '../../../../support/require.ts';
import { withTemporaryFolder } from '../../../../support/temporary-folder.ts';

const test = suite('redis-cluster: the executor of slot moves');
const NAME = 'executor-test';
/** One of 16 partitions: its slots are 0 to 1023. */
const SLOTS = 1_024;

const slotOf = (key: string): number => keySlot(Buffer.from(key), 0, Buffer.byteLength(key));

if (requireOrSkip('redis', hasRedisServer()))
  test('a cancel stops a move that is under way, with what is open finished', () =>
    withTemporaryFolder(async (folder) => {
      // With no third master that could be named, claims are not settled.
      const cluster = await LocalRedisCluster.start({ masterCount: 2 });
      const settings: Settings = {
        ...DEFAULT_SETTINGS,
        cluster: { ...DEFAULT_SETTINGS.cluster, name: NAME, partitionCount: 16 },
        metadata: { ...DEFAULT_SETTINGS.metadata, path: join(folder, 'metadata') },
        redis: {
          ...DEFAULT_SETTINGS.redis,
          nodes: [`127.0.0.1:${cluster.ports[0]}`],
          slotMove: { ...DEFAULT_SETTINGS.redis.slotMove, windowSlotsMax: 8 },
        },
      };
      const metadata = openMetadata(settings.metadata);
      const view = new ClusterView(settings.redis);
      try {
        const told: string[] = [];
        const warnings: unknown[] = [];
        const commands: RedisCommand[] = [];
        for (let i = 0; commands.length < 5_000; i++)
          if (slotOf(`k${i}`) < SLOTS) commands.push(['SET', `k${i}`, 'v']);
        await cluster.pipeline(0, commands);
        const leadership = await metadata.campaign({
          election: clusterKeys(NAME).coordinator,
          candidate: 'a',
          ttlMs: 10_000,
          signal: new AbortController().signal,
        });
        const executor = new SlotExecutor(settings, {
          clock: systemClock(),
          logger: { ...silentLogger, warn: (fields) => void warnings.push(fields) },
          metadata,
          view,
          mirror: new MapMirror(metadata, { clusterName: NAME, partitionCount: 16 }),
          leadership: () => leadership,
          planNowMs: () => Date.now(),
          isInWindow: () => true,
          isStopping: () => false,
          onEnded: ({ partitionId, outcome, reason }) =>
            void told.push(`${partitionId} ${outcome}: ${reason}`),
        });
        await executor.tick();
        const move = { partitionId: 0, sourceNodeId: 0, targetNodeId: 1, sizeBytes: 1_000, reason: 'test' };
        const { map } = await loadMap(metadata, NAME);
        await executor.admit({
          moves: [{ ...move, schedule: null }],
          baseOwnerOf: map.ownerOf,
          baseEpochOf: map.epochOf,
        } as unknown as Proposal);
        const moving = executor.tick();
        while (numberOf(await cluster.command(1, 'DBSIZE')) === 0) await pause(5);
        const asked = askCoordinator(metadata, NAME, {
          action: 'cancel',
          partitionId: 0,
          reason: 'not now',
        });
        await moving;
        const moved = numberOf(await cluster.command(1, 'DBSIZE'));
        check.ok(moved > 0 && moved < commands.length, `${moved} keys of ${commands.length} have moved`);
        await executor.tick();
        await asked;
        check.is(executor.status().abortedCount, 1);
        const isDoubter = cluster.version === '7.0.15';
        check.equal(
          warnings.filter((fields) => /third master/.test(JSON.stringify(fields))),
          isDoubter ? [{ why: 'the cluster has no third master' }] : [],
        );
        check.is(told.length, 1, 'whoever is to be told is told once');
        check.match(told[0] as string, /^0 aborted: .*not now/);
        check.equal(executor.status().open, []);
        const left = numberOf(await cluster.command(0, 'DBSIZE'));
        check.is(left + moved, commands.length);
        for (const index of [0, 1])
          check.not.match(String(await cluster.command(index, 'CLUSTER', 'NODES')), /\[\d+-/);
      } finally {
        view.close();
        await metadata.close();
        await cluster.stop();
      }
    }));

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test.run();

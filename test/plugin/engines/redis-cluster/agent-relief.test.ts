/** Relief between cycles beside real Redis servers, by what captured clients tell of now. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { RedisAgent } from '../../../../plugin/engines/redis-cluster/agent.ts';
import {
  hasRedisServer,
  LocalRedisCluster,
} from '../../../../plugin/engines/redis-cluster/local-redis-cluster.ts';
import { ProfileLedger } from '../../../../plugin/host/analysis/profile-ledger.ts';
import { ProfilePublisher } from '../../../../plugin/host/analysis/profile-publisher.ts';
import { capturePrefix, profilePrefix, reliefKey } from '../../../../plugin/host/records/record-keys.ts';
import { decodeRelief } from '../../../../plugin/host/records/relief-record.ts';
import { openMetadata } from '../../../../plugin/metadata/open.ts';
import { encodePulse } from '../../../../plugin/redis/pulse-record.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import { LOAD_DIMENSION_COUNT } from '../../../../src/model/load-profile.ts';
import type { MetadataStore } from '../../../../src/ports/metadata-store.ts';
import { DEFAULT_SETTINGS, type Settings } from '../../../../src/settings.ts';
import { settingsFor, until, WINDOW_MS } from '../../../support/redis-agent.ts';
import { requireOrSkip } from '../../../support/require.ts';
import { withTemporaryFolder } from '../../../support/temporary-folder.ts';

const test = suite('redis-cluster: relief between cycles, real servers');

/** What a captured application tells while it asks partitions for so many queries a second. @returns how to end it. */
function publishNow(
  metadata: MetadataStore,
  { cluster: { name, partitionCount } }: Settings,
  queriesOf: (partition: number) => number,
): () => Promise<void> {
  const captureId = 20_001;
  const ledger = new ProfileLedger({ windowMs: WINDOW_MS, partitionCount, windowsMax: 24 });
  const prefix = profilePrefix(name);
  const publisher = new ProfilePublisher({ metadata, ledger, prefix, logger: silentLogger });
  const perSecond = Array.from({ length: partitionCount }, (_, p) => queriesOf(p)).reduce((a, b) => a + b);
  const startedMs = Date.now();
  let isEnding = false;
  const running = (async () => {
    while (!isEnding) {
      const atMs = Date.now();
      const seconds = (atMs - startedMs) / 1000;
      const values = new Float64Array(partitionCount * LOAD_DIMENSION_COUNT);
      for (let p = 0; p < partitionCount; p++) values[p * LOAD_DIMENSION_COUNT] = queriesOf(p) * seconds;
      const capturedCount = Math.round(perSecond * seconds);
      const startMs = Math.floor(startedMs / WINDOW_MS) * WINDOW_MS;
      await publisher.publish([{ startMs, queryNodeId: captureId, values, capturedCount, droppedCount: 0 }]);
      const pulse = encodePulse({
        ...{ v: 1, atMs, application: 'test', host: 'here', pid: 1, startedMs, fault: null },
        ...{ capturedCount, droppedCount: 0, keylessCount: 0, intervalMs: 1_000, latency: [] },
      });
      const key = `${capturePrefix(name)}${captureId}`;
      await metadata.commit({ conditions: [], writes: [{ kind: 'put', key, value: pulse }] });
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  })();
  return async () => {
    isEnding = true;
    await running;
  };
}

if (requireOrSkip('redis', hasRedisServer())) {
  test('a master that gets hot between two cycles is relieved, without a history as well', () =>
    withTemporaryFolder(async (folder) => {
      const cluster = await LocalRedisCluster.start();
      const controller = { ...DEFAULT_SETTINGS.controller, cycleIntervalMs: 7_200_000, reliefAfterMs: 4_000 };
      const settings = settingsFor(cluster, folder, { controller });
      const metadata = openMetadata(settings.metadata);
      const agent = await RedisAgent.start(settings, {
        logger: silentLogger,
        onFault: (error) => check.unreachable(String(error)),
      });
      // Not before: a queued commit of this thread holds LMDB's lock until its loop turns, and to open the agent's store waits for it.
      const stopClients = publishNow(metadata, settings, (p) => (p < 8 ? 60 : 0));
      try {
        const key = reliefKey(settings.cluster.name);
        await until('it is relieved', async () => (await metadata.get(key)) !== undefined);
        const relief = decodeRelief(key, (await metadata.get(key))?.value as Uint8Array);
        check.is(relief.refusal, null);
        check.equal(
          relief.stresses.map(({ nodeId, dimension }) => [nodeId, dimension]),
          [[0, 'queries']],
        );
        check.ok(
          relief.moves.every(({ partitionId, sourceNodeId }) => partitionId < 8 && sourceNodeId === 0),
        );
        await until('its moves are done', () => agent.migrationStatus().doneCount === relief.moves.length);
      } finally {
        await agent.close();
        await stopClients();
        await metadata.close();
        await cluster.stop();
      }
    }));
}

test.run();

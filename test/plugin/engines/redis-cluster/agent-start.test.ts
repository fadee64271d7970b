/** What an agent refuses before it can be elected: no server of a cluster is asked. */
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { RedisAgent } from '../../../../plugin/engines/redis-cluster/agent.ts';
import { clusterKeys } from '../../../../plugin/metadata/cluster-keys.ts';
import { bootstrapCluster } from '../../../../plugin/metadata/form-cluster.ts';
import { openMetadata } from '../../../../plugin/metadata/open.ts';
import type { ForeshardError } from '../../../../src/base/errors.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import { DEFAULT_SETTINGS, type Settings } from '../../../../src/settings.ts';
import { withTemporaryFolder } from '../../../support/temporary-folder.ts';

const test = suite('redis-cluster: what an agent refuses to start with');

const settingsIn = (folder: string): Settings => ({
  ...DEFAULT_SETTINGS,
  metadata: { ...DEFAULT_SETTINGS.metadata, path: join(folder, 'metadata') },
  // Nobody listens there: whatever is refused before is told first.
  redis: { ...DEFAULT_SETTINGS.redis, nodes: ['127.0.0.1:1'] },
});

async function refusalOf(settings: Settings): Promise<ForeshardError> {
  const refused = await RedisAgent.start(settings, { logger: silentLogger, onFault: () => undefined }).catch(
    (error: unknown) => error,
  );
  const metadata = openMetadata(settings.metadata);
  const elected = await metadata.get(clusterKeys(settings.cluster.name).coordinator);
  await metadata.close();
  check.is(elected, undefined);
  return refused as ForeshardError;
}

test('without kernels it is not elected: it says how to build them', async () => {
  await withTemporaryFolder(async (folder) => {
    const before = process.env.FORESHARD_KERNELS;
    process.env.FORESHARD_KERNELS = 'none';
    try {
      const refused = await refusalOf(settingsIn(folder));
      check.is(refused.code, 'FORESHARD_CONFIG');
      check.match(refused.message, /FORESHARD_KERNELS/);
    } finally {
      if (before === undefined) delete process.env.FORESHARD_KERNELS;
      else process.env.FORESHARD_KERNELS = before;
    }
  });
});

test('of a cluster that was formed with other partitions it names the setting, as nodes do', async () => {
  await withTemporaryFolder(async (folder) => {
    const settings = settingsIn(folder);
    const metadata = openMetadata(settings.metadata);
    await bootstrapCluster(metadata, settings.cluster.name, {
      partitionCount: 512,
      nodes: [{ nodeId: 0, storeId: 'a' }],
    });
    await metadata.close();
    const refused = await refusalOf(settings);
    check.is(refused.code, 'FORESHARD_CONFIG');
    check.is(
      refused.message,
      'cluster.partitionCount: the cluster was formed with 512 partitions, the settings say 256: set it to 512',
    );
    const same = { ...settings, cluster: { ...settings.cluster, partitionCount: 512 } };
    check.is((await refusalOf(same)).code, 'FORESHARD_UNAVAILABLE');
  });
});

test.run();

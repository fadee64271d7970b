import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { registerNode } from '../../../plugin/metadata/node-registrations.ts';
import { recordCodec } from '../../../plugin/metadata/record-codec.ts';
import { formingLines, readForming } from '../../../plugin/operator/status/forming.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import { DEFAULT_SETTINGS } from '../../../src/settings.ts';
import { PlainMetadata } from '../../support/plain-metadata.ts';

const test = suite('a cluster that is not there yet');

test('it says whom it waits for, until it is formed', async () => {
  const plain = new PlainMetadata();
  const metadata = plain as unknown as MetadataStore;
  const cluster = { ...DEFAULT_SETTINGS.cluster, name: 'shop', storageNodeCount: 12 };
  const lines = async (): Promise<string> => {
    const forming = await readForming(metadata, { ...DEFAULT_SETTINGS, cluster });
    return forming === null ? 'formed' : formingLines(forming).join('\n');
  };
  const register = (nodeId: number, role: 'storage' | 'query' = 'storage'): Promise<void> =>
    registerNode(metadata, 'shop', {
      ...{ nodeId, role, host: 'db', port: 7_400, storeId: '', incarnation: 'i', version: '1' },
      startedAtMs: 1,
    });
  await register(10_000, 'query');
  await register(12);
  check.match(
    await lines(),
    /not formed yet\nALARM: 0 of 12 storage nodes have registered; waiting for 0, 1,/,
  );
  await register(1);
  check.is(
    await lines(),
    'cluster shop: not formed yet\nstorage node 1: registered at db:7400\n' +
      'ALARM: 1 of 12 storage nodes has registered; waiting for 0, 2, 3, 4, 5, 6, 7, 8 and more: start them, or set cluster.storageNodeCount',
  );
  for (let nodeId = 0; nodeId < 12; nodeId++) await register(nodeId);
  check.match(await lines(), /ALARM: 12 of 12 storage nodes have registered; the cluster is being formed$/);
  plain.put(recordCodec('shop').keys.cluster, new TextEncoder().encode('{"v":1,"partitionCount":16}'));
  check.is(await lines(), 'formed');
});

test('beside a Redis Cluster it waits for an agent, not for storage nodes', async () => {
  const redis = { ...DEFAULT_SETTINGS.redis, nodes: ['127.0.0.1:7000'] };
  const forming = await readForming(new PlainMetadata() as unknown as MetadataStore, {
    ...DEFAULT_SETTINGS,
    redis,
  });
  check.equal(forming?.missing, []);
  check.match(
    formingLines(forming as NonNullable<typeof forming>).join('\n'),
    /ALARM: no agent has written the map/,
  );
});

test.run();

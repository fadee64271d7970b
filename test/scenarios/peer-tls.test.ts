/** A cluster whose nodes speak TLS to each other, with certificates of `foreshard certs`: it serves, it migrates, strangers get nothing. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { ClusterMapReader } from '../../plugin/metadata/cluster-map.ts';
import { openEmbeddedMetadata } from '../../plugin/metadata/embedded.ts';
import { listNodes } from '../../plugin/metadata/node-registrations.ts';
import { LocalCluster } from '../../plugin/node/local/local-cluster.ts';
import { QUERY_NODE_ID_MIN } from '../../plugin/node/node-options.ts';
import { RpcClient } from '../../plugin/rpc/client.ts';
import type { PeerIdentity } from '../../plugin/rpc/connection.ts';
import { PeerTls } from '../../plugin/rpc/peer-tls.ts';
import { ForeshardError } from '../../src/base/errors.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { foreshardArguments } from '../support/repository.ts';
import { CLUSTER, keysOf, NumberedWrites, openMigration, until } from '../support/scenario.ts';
import { withTemporaryFolder } from '../support/temporary-folder.ts';

const PARTITION_COUNT = 16;
const PARTITION = 3;

const test = suite('TLS between the nodes of a cluster');

function makeCertificates(folder: string): void {
  const made = spawnSync(process.execPath, foreshardArguments('certs', '--out', folder), {
    encoding: 'utf8',
    env: { ...process.env, FORESHARD_CLUSTER_STORAGE_NODE_COUNT: '2' },
  });
  check.is(made.status, 0, made.stderr);
  check.match(made.stdout, /authority\.pem.*keep it off the nodes/);
}

test('it serves and migrates, and answers nobody without the right certificate', () =>
  withTemporaryFolder(async (folder) => {
    makeCertificates(folder);
    const nameOf = (nodeId: number): string =>
      nodeId >= QUERY_NODE_ID_MIN ? `query-${nodeId}` : `storage-${nodeId}`;
    const cluster = await LocalCluster.start({
      storageNodeCount: 2,
      partitionCount: PARTITION_COUNT,
      settings: {
        migration: { readWeightHoldMs: 30, graceMs: 200, retryMsMax: 200, freeBytesReserve: 0 },
        security: { peerAuthorityFile: join(folder, 'authority.pem') },
      },
      environmentOf: (nodeId) => ({
        FORESHARD_SECURITY_PEER_CERTIFICATE_FILE: join(folder, `${nameOf(nodeId)}.pem`),
        FORESHARD_SECURITY_PEER_KEY_FILE: join(folder, `${nameOf(nodeId)}.key`),
      }),
    });
    const metadata = openEmbeddedMetadata({ path: join(cluster.folder, 'metadata') });
    const client = new Redis({ host: cluster.host, port: cluster.port, lazyConnect: true });
    const clients: RpcClient[] = [];
    try {
      await client.connect();
      const writes = new NumberedWrites(
        client,
        keysOf(PARTITION, { partitionCount: PARTITION_COUNT, count: 4 }),
      );
      const reader = new ClusterMapReader(metadata, CLUSTER);
      const sourceNodeId = await openMigration(metadata, { partitionId: PARTITION, targetNodeId: 1 });
      check.is(sourceNodeId, 0);
      await until(async () => {
        const record = await reader.readPartition(PARTITION);
        return record?.ownerNodeId === 1 && record.migration === null;
      }, 'the partition has moved');
      await writes.end();
      check.equal(await writes.findLost(), []);
      check.ok(writes.acknowledgedCount > 20, `${writes.acknowledgedCount} writes`);

      const storage = (await listNodes(metadata, CLUSTER)).find(({ nodeId }) => nodeId === 1);
      const ask = async (identity: PeerIdentity, certificate: string | null): Promise<string> => {
        const tls =
          certificate === null
            ? null
            : new PeerTls(
                {
                  authorityFile: join(folder, 'authority.pem'),
                  certificateFile: join(folder, `${certificate}.pem`),
                  keyFile: join(folder, `${certificate}.key`),
                },
                silentLogger,
              );
        const address = () => ({ host: '127.0.0.1', port: storage?.port ?? 0 });
        const rpc = new RpcClient({ identity, peerNodeId: 1, address, tls });
        clients.push(rpc);
        const asked = { partitionId: PARTITION, migrationId: 1, epoch: 1 };
        try {
          await rpc.control('redirect.fence', asked, { timeoutMs: 1_000 });
          return 'answered';
        } catch (error) {
          check.instance(error, ForeshardError);
          return (error as Error).message;
        }
      };
      const asCoordinator = { clusterId: CLUSTER, nodeId: QUERY_NODE_ID_MIN, role: 'coordinator' } as const;
      check.match(await ask(asCoordinator, null), /was not sent/);
      check.match(await ask(asCoordinator, 'storage-0'), /its certificate is foreshard:\/\/\S+\/storage\/0/);
      const asStorage = { clusterId: CLUSTER, nodeId: 0, role: 'storage' } as const;
      check.match(await ask(asStorage, 'storage-0'), /refused to node 0 \(storage\): only coordinator may/);
    } finally {
      client.disconnect();
      for (const rpc of clients) await rpc.close();
      await metadata.close();
      await cluster.stop();
    }
  }));

test.run();

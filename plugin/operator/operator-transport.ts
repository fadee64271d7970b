import { silentLogger } from '../../src/base/logger.ts';
import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import type { Settings } from '../../src/settings.ts';
import { RpcTransport } from '../engines/migration-agent/rpc-transport.ts';
import { listMembers } from '../metadata/members.ts';
import { NodeDirectory } from '../metadata/node-directory.ts';
import { peerTlsOf } from '../rpc/peer-tls.ts';

/** The operator's commands speak to no node for longer, unless they ask for work. */
const NODE_TIMEOUT_MS = 1_000;
/** As in the certificate that `foreshard certs` makes for operators: the role tells them from node 0. */
const OPERATOR_ID = 0;

/** Opens the way to the storage nodes for one command. A node that is not registered now is looked for where it was last. @param timeoutMs of one question. */
export async function withNodes(
  { cluster, security }: Settings,
  metadata: MetadataStore,
  use: (transport: RpcTransport) => Promise<void>,
  timeoutMs = NODE_TIMEOUT_MS,
): Promise<void> {
  const directory = await NodeDirectory.open(metadata, cluster.name);
  const lastKnown = new Map((await listMembers(metadata, cluster.name)).map((node) => [node.nodeId, node]));
  const transport = new RpcTransport({
    identity: { clusterId: cluster.name, nodeId: OPERATOR_ID, role: 'operator' },
    addressOf: (nodeId) => directory.addressOf(nodeId) ?? lastKnown.get(nodeId) ?? null,
    tls: peerTlsOf(security, silentLogger),
    timeoutMs,
  });
  try {
    await use(transport);
  } finally {
    await transport.close();
    directory.close();
  }
}

/** Two storage nodes in this process, with the real agents: what the conformance suite of engines is run over. */
import { DEFAULT_AGENT_SETTINGS } from '../../plugin/engines/migration-agent/agent-settings.ts';
import { MigrationAgent } from '../../plugin/engines/migration-agent/migration-agent.ts';
import { RpcStorageEngine } from '../../plugin/engines/migration-agent/rpc-storage-engine.ts';
import { systemClock } from '../../src/base/clock.ts';
import { ForeshardError } from '../../src/base/errors.ts';
import { silentLogger } from '../../src/base/logger.ts';
import type {
  ClientReply,
  ClientRequest,
  ConformanceMap,
  EngineUnderTest,
} from '../../src/conformance/index.ts';
import type { PartitionRecord } from '../../src/model/migration.ts';
import type { PartitionStore } from '../../src/ports/partition-store.ts';

export const AGENT_PARTITION_COUNT = 16;

type CopyRead = { readonly migrationId: number; readonly minLsn: number };

/** A store, open, and what serves clients from it. */
export interface OpenStore {
  readonly store: PartitionStore;
  write(request: ClientRequest & { readonly value: string | null }): Promise<ClientReply>;
  read(request: ClientRequest & { readonly copyOf?: CopyRead | undefined }): Promise<ClientReply>;
  close(): Promise<void>;
}

interface Running extends OpenStore {
  readonly agent: MigrationAgent;
}

const NODE_COUNT = 2;

/** @param openStore opens what the node has left behind, or an empty one. */
export async function openAgents(
  map: ConformanceMap,
  openStore: (nodeId: number) => Promise<OpenStore>,
): Promise<EngineUnderTest> {
  const nodes = new Map<number, Running>();
  const nodeOf = (nodeId: number): Running => {
    const node = nodes.get(nodeId);
    if (node === undefined)
      throw new ForeshardError('FORESHARD_UNAVAILABLE', 'retry', `node ${nodeId} does not run`);
    return node;
  };
  const transport = {
    request: async (nodeId: number, operation: string, body: Record<string, unknown>) =>
      nodeOf(nodeId).agent.handle(operation, body),
  };
  const start = async (nodeId: number): Promise<void> => {
    const opened = await openStore(nodeId);
    const settings = { ...DEFAULT_AGENT_SETTINGS, partitionCount: AGENT_PARTITION_COUNT };
    const agent = new MigrationAgent(
      // Small enough that a copy of the suite takes several pieces.
      { ...settings, pieceBytes: 2_048, pieceBytesMin: 1_024, logWaitMs: 20, removePauseMs: 1 },
      {
        store: opened.store,
        transport,
        clock: systemClock(),
        logger: silentLogger,
        readRecord: (partitionId) => map.readPartition(partitionId),
        cpuSeconds: () => 0,
        isWritable: () => true,
      },
    );
    const records = Array.from({ length: AGENT_PARTITION_COUNT }, (_, partition) =>
      map.readPartition(partition),
    );
    await agent.reconcile((await Promise.all(records)).map((record) => record ?? null));
    nodes.set(nodeId, { ...opened, agent });
  };
  const stop = async (nodeId: number): Promise<void> => {
    const { agent, close } = nodeOf(nodeId);
    nodes.delete(nodeId);
    await agent.close();
    await close();
  };
  for (let nodeId = 0; nodeId < NODE_COUNT; nodeId++) await start(nodeId);
  return {
    engine: new RpcStorageEngine(transport),
    storeIdOf: (nodeId) => nodeOf(nodeId).store.storeId,
    async own({ partitionId, ownerNodeId, epoch }: PartitionRecord) {
      const { store } = nodeOf(ownerNodeId);
      await store.updateMeta(partitionId, (meta) => ({ ...meta, role: 'OWNER', epoch, epochMax: epoch }));
    },
    async write(request) {
      const { agent, write } = nodeOf(request.nodeId);
      const reply = await write(request);
      if (reply.isServed) agent.onWriteCommitted(request.partitionId);
      return reply;
    },
    read: (request) => nodeOf(request.nodeId).read(request),
    async restart(nodeId) {
      await stop(nodeId);
      await start(nodeId);
    },
    async close() {
      for (const nodeId of [...nodes.keys()]) await stop(nodeId);
    },
  };
}

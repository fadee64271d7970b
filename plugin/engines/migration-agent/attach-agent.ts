import type { Clock } from '../../../src/base/clock.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { Logger } from '../../../src/base/logger.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import type { PartitionStore } from '../../../src/ports/partition-store.ts';
import type { NodePressure } from '../../../src/ports/storage-engine.ts';
import type { StorageNodeHooks } from '../../hooks.ts';
import { ClusterMapReader } from '../../metadata/cluster-map.ts';
import { NodeDirectory } from '../../metadata/node-directory.ts';
import type { PeerTls } from '../../rpc/peer-tls.ts';
import { type AgentSettings, DEFAULT_AGENT_SETTINGS } from './agent-settings.ts';
import { MigrationAgent } from './migration-agent.ts';
import { RpcTransport } from './rpc-transport.ts';

export interface AttachAgentOptions {
  readonly clusterName: string;
  readonly nodeId: number;
  readonly partitionCount: number;
  readonly store: PartitionStore;
  /** Whether the store takes writes now: its engine knows, free bytes alone do not tell (a store that failed has them). */
  readonly isWritable: () => boolean;
  readonly pressure?: () => NodePressure;
  readonly loopLagMs?: () => number;
  readonly metadata: MetadataStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tls?: PeerTls | null;
  readonly settings?: Partial<AgentSettings>;
}

/** Gives a storage node its migration agent: the hooks that answer the coordinator and the other nodes. */
export async function attachMigrationAgent(
  options: AttachAgentOptions,
): Promise<{ readonly hooks: Partial<StorageNodeHooks>; detach(): Promise<void> }> {
  const { clusterName, nodeId, partitionCount, store, metadata, clock, logger } = options;
  const directory = await NodeDirectory.open(metadata, clusterName);
  const transport = new RpcTransport({
    identity: { clusterId: clusterName, nodeId, role: 'storage' },
    addressOf: (peer) => directory.addressOf(peer),
    tls: options.tls ?? null,
  });
  const reader = new ClusterMapReader(metadata, clusterName);
  const agent = new MigrationAgent(
    { ...DEFAULT_AGENT_SETTINGS, partitionCount, ...options.settings },
    {
      store,
      transport,
      clock,
      logger,
      readRecord: (partitionId) => reader.readPartition(partitionId),
      cpuSeconds: () => {
        const { user, system } = process.cpuUsage();
        return (user + system) / 1e6;
      },
      isWritable: options.isWritable,
      ...(options.pressure && { pressure: options.pressure }),
      ...(options.loopLagMs && { loopLagMs: options.loopLagMs }),
    },
  );
  await reconcileIfFormed(agent, reader);
  const { handle } = agent;
  return {
    hooks: {
      onWriteCommitted: agent.onWriteCommitted,
      replicate: handle,
      redirect: handle,
      verify: handle,
      remove: handle,
    },
    async detach() {
      await agent.close();
      await transport.close();
      directory.close();
    },
  };
}

/** A cluster that is being formed has no map yet: nothing can have moved on. */
async function reconcileIfFormed(agent: MigrationAgent, reader: ClusterMapReader): Promise<void> {
  try {
    await agent.reconcile((await reader.load()).records);
  } catch (error) {
    if (!(error instanceof ForeshardError && error.code === 'FORESHARD_NOT_READY')) throw error;
  }
}

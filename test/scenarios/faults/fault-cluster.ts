/** A cluster of real processes whose metadata store the test reads and writes itself: what faults are aimed by and judged by. */
import { join } from 'node:path';
import { PATIENT_READ_GUARD } from '../../../bench/migration-cluster.ts';
import { RpcStorageEngine } from '../../../plugin/engines/migration-agent/rpc-storage-engine.ts';
import { RpcTransport } from '../../../plugin/engines/migration-agent/rpc-transport.ts';
import { clusterKeys } from '../../../plugin/metadata/cluster-keys.ts';
import { ClusterMapReader } from '../../../plugin/metadata/cluster-map.ts';
import { openEmbeddedMetadata } from '../../../plugin/metadata/embedded.ts';
import { openEtcdMetadata } from '../../../plugin/metadata/etcd/etcd-metadata.ts';
import { NodeDirectory } from '../../../plugin/metadata/node-directory.ts';
import { listNodes, registerNode } from '../../../plugin/metadata/node-registrations.ts';
import { LocalCluster } from '../../../plugin/node/local/local-cluster.ts';
import type { LocalEtcd } from '../../../plugin/node/local/local-etcd.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import { asEpoch, asNodeId, asPartitionId } from '../../../src/model/ids.ts';
import type { MigrationRecord, PartitionRecord } from '../../../src/model/migration.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import { RespClient } from '../../support/resp-client.ts';
import { CLUSTER, keysOf, openMigration, sleep, until } from '../../support/scenario.ts';
import type { Address } from './open-loop-load.ts';

export const STORAGE_NODES = [0, 1, 2] as const;
export const QUERY_NODES = [10_000, 10_001] as const;
export const PARTITION_COUNT = 16;
/** A coordinator is deposed after so long; what is stopped is stopped for longer. */
export const LEASE_TTL_MS = 1_000;
/** The test's own number among the nodes. */
const OBSERVER_ID = 20_000;
/** Everything heals within this, or it is stuck: restarts and elections take seconds on a busy machine. */
const HEAL_MS_MAX = 60_000;

export interface FaultClusterOptions {
  readonly holdPhase?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Settings of `node`. */
  readonly node?: Readonly<Record<string, unknown>>;
  readonly folder?: string;
  /** Holds the metadata, which is embedded otherwise. The caller's to close. */
  readonly etcd?: LocalEtcd;
}

/** A member of etcd that does not answer is asked again soon. */
const OBSERVER_REQUEST_MS = 500;
/** Longer than any outage of the suite. */
const STORE_AWAY_MS_MAX = 120_000;
/** Of each node's output, in evidence. */
const LAST_LINES = 25;
const STATUS_MS_MAX = 5_000;

export interface HitOptions {
  /** How long the process is away. */
  readonly forMs: number;
  /** Called once it is away. */
  readonly onStruck?: () => Promise<void>;
}

/** Everything that waits on purpose waits briefly, so that dozens of faults fit into minutes. */
export const FAULT_SETTINGS = {
  copyBytesPerSecond: 1_000_000,
  readWeightSteps: [0.5, 1],
  readWeightHoldMs: 120,
  graceMs: 350,
  residenceMs: 0,
  unreachableMs: 10_000,
  prepareTimeoutMs: 10_000,
  fenceBudgetMs: 1_000,
  fenceRetriesMax: 0, // a fault is about one fence
  retryMsMin: 20,
  retryMsMax: 100,
  attemptsMax: 1_000,
  freeBytesReserve: 0,
  readGuard: PATIENT_READ_GUARD,
};

export class FaultCluster {
  readonly cluster: LocalCluster;
  readonly metadata: MetadataStore;
  readonly reader: ClusterMapReader;
  /** Query nodes that are down or stopped on purpose: clients do not try them. */
  readonly unreachable = new Set<number>();
  readonly #directory: NodeDirectory;
  readonly #transport: RpcTransport;
  readonly #engine: RpcStorageEngine;

  private constructor(cluster: LocalCluster, metadata: MetadataStore, directory: NodeDirectory) {
    this.cluster = cluster;
    this.metadata = metadata;
    this.reader = new ClusterMapReader(metadata, CLUSTER);
    this.#directory = directory;
    this.#transport = new RpcTransport({
      identity: { clusterId: CLUSTER, nodeId: OBSERVER_ID, role: 'operator' },
      addressOf: (nodeId) => directory.addressOf(nodeId),
    });
    this.#engine = new RpcStorageEngine(this.#transport);
  }

  static async start(options: FaultClusterOptions = {}): Promise<FaultCluster> {
    const cluster = await LocalCluster.start({
      storageNodeCount: STORAGE_NODES.length,
      partitionCount: PARTITION_COUNT,
      environment: {
        ...(options.holdPhase === undefined ? {} : { FORESHARD_HOLD_PHASE: options.holdPhase }),
        ...options.environment,
      },
      ...(options.folder === undefined ? {} : { folder: options.folder }),
      settings: {
        controller: { leaseTtlMs: LEASE_TTL_MS, executorIntervalMs: 20 },
        migration: FAULT_SETTINGS,
        ...(options.node === undefined ? {} : { node: options.node }),
        ...(options.etcd && { metadata: { kind: 'etcd', endpoints: options.etcd.endpoints } }),
      },
    });
    try {
      await cluster.restart(QUERY_NODES[1]);
      const metadata = options.etcd
        ? openEtcdMetadata({ endpoints: options.etcd.endpoints, requestTimeoutMs: OBSERVER_REQUEST_MS })
        : openEmbeddedMetadata({ path: join(cluster.folder, 'metadata') });
      return new FaultCluster(cluster, metadata, await NodeDirectory.open(metadata, CLUSTER));
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await this.#transport.close();
    this.#directory.close();
    await this.metadata.close();
    await this.cluster.stop();
  }

  /** The query nodes that run. */
  clientAddresses = (): readonly Address[] =>
    QUERY_NODES.filter((nodeId) => !this.unreachable.has(nodeId)).map((nodeId) =>
      this.cluster.addressOf(nodeId),
    );

  /** Waits for a store that is out of reach. */
  async record(partitionId: number): Promise<PartitionRecord> {
    const deadlineMs = performance.now() + STORE_AWAY_MS_MAX;
    for (;;) {
      try {
        const record = await this.reader.readPartition(partitionId);
        if (record === undefined) throw new Error(`partition ${partitionId} has no record`);
        return record;
      } catch (error) {
        const isAway = error instanceof ForeshardError && error.code === 'FORESHARD_UNAVAILABLE';
        if (!isAway || performance.now() > deadlineMs) throw error;
        await sleep(50);
      }
    }
  }

  async migration(partitionId: number): Promise<MigrationRecord | null> {
    return (await this.record(partitionId)).migration;
  }

  /** Moves the partition to the next storage node; a coordinator carries it on. */
  async beginMigration(
    partitionId: number,
  ): Promise<{ readonly sourceNodeId: number; readonly targetNodeId: number }> {
    const { ownerNodeId, migration } = await this.record(partitionId);
    if (migration !== null) throw new Error(`partition ${partitionId} is still in ${migration.phase}`);
    const targetNodeId = (ownerNodeId + 1) % STORAGE_NODES.length;
    await openMigration(this.metadata, { partitionId, targetNodeId });
    return { sourceNodeId: ownerNodeId, targetNodeId };
  }

  /** @throws Error when it is not over in time: a migration that is stuck. */
  async untilStable(partitionId: number, label: string): Promise<PartitionRecord> {
    await until(
      async () => (await this.migration(partitionId)) === null,
      `partition ${partitionId} is stable: ${label}`,
      HEAL_MS_MAX,
    );
    return this.record(partitionId);
  }

  async coordinator(): Promise<number> {
    let found = -1;
    await until(
      async () => {
        const entry = await this.metadata.get(clusterKeys(CLUSTER).coordinator);
        if (entry === undefined) return false;
        found = Number(String(JSON.parse(Buffer.from(entry.value).toString()).candidate).split('-')[1]);
        return true;
      },
      'a coordinator is elected',
      HEAL_MS_MAX,
    );
    return found;
  }

  /**
   * A partition that is served has one OWNER, where the map says, and nothing left elsewhere.
   *
   * @param only this partition; all of them where it is left out.
   */
  async findOwnerless(only?: number): Promise<string[]> {
    const { records, quarantined } = await this.reader.load();
    const wrong = quarantined.map(({ partitionId, why }) => `partition ${partitionId}: ${why}`);
    for (const record of records) {
      if (record === null || (only !== undefined && record.partitionId !== only)) continue;
      const roles = await Promise.all(STORAGE_NODES.map((nodeId) => this.#roleOf(nodeId, record)));
      const expected = STORAGE_NODES.map((nodeId) => (nodeId === record.ownerNodeId ? 'OWNER' : 'NONE'));
      if (record.migration !== null || roles.join() !== expected.join())
        wrong.push(
          `partition ${record.partitionId}: owner ${record.ownerNodeId} by the map, in ${record.migration?.phase ?? 'no migration'}; roles ${roles.join()}`,
        );
    }
    return wrong;
  }

  /** @returns what a node says it is to a partition. */
  async #roleOf(nodeId: number, record: PartitionRecord): Promise<string> {
    const command = {
      partitionId: asPartitionId(record.partitionId),
      migrationId: Math.max(1, record.migrationSeq),
      epoch: asEpoch(record.epoch),
    };
    for (let attempt = 0; ; attempt++)
      try {
        return (await this.#engine.status(asNodeId(nodeId), command)).role;
      } catch (error) {
        if (!(error instanceof ForeshardError) || attempt === 5) throw error;
        await sleep(200); // the connection of before the fault
      }
  }

  /** What the coordinators say of open migrations, and the last lines of every node's output. */
  async lastWords(): Promise<string> {
    const words: string[] = [];
    for (const nodeId of QUERY_NODES) {
      const options = { nodeId, timeoutMs: STATUS_MS_MAX };
      const status = await this.cluster
        .control({ operation: 'migrationStatus' }, options)
        .catch((error) => String(error));
      words.push(`node ${nodeId} on migrations: ${JSON.stringify(status)}`);
    }
    for (const nodeId of [...STORAGE_NODES, ...QUERY_NODES]) {
      const lines = this.cluster.log(nodeId).trim().split('\n').slice(-LAST_LINES);
      words.push(`node ${nodeId}:\n${lines.join('\n')}`);
    }
    return words.join('\n');
  }

  async withClient<T>(use: (client: RespClient) => Promise<T>): Promise<T> {
    const client = await RespClient.connect(this.cluster.port);
    try {
      return await use(client);
    } finally {
      client.close();
    }
  }

  /** Values that make a copy of the partition take a while at `copyBytesPerSecond`. */
  async fill(
    partitionId: number,
    options: { readonly count: number; readonly bytes: number },
  ): Promise<void> {
    const keys = keysOf(partitionId, { partitionCount: PARTITION_COUNT, count: options.count });
    const value = 'x'.repeat(options.bytes);
    await this.withClient((client) => client.pipeline(keys.map((key) => ['SET', `${key}:filler`, value])));
  }

  /** Lets the storage nodes be reached at other ports, by everybody: query nodes are started again, so that they ask. */
  async readdress(portOf: (nodeId: number) => number): Promise<void> {
    for (const node of await listNodes(this.metadata, CLUSTER))
      if (node.role === 'storage')
        await registerNode(this.metadata, CLUSTER, { ...node, port: portOf(node.nodeId) });
    for (const nodeId of QUERY_NODES) {
      await this.cluster.kill(nodeId);
      await this.cluster.restart(nodeId);
    }
  }

  /** kill -9, and then a start on what is left on the disk. */
  async killAndRestart(nodeId: number, options: HitOptions): Promise<void> {
    this.unreachable.add(nodeId);
    await this.cluster.kill(nodeId);
    await options.onStruck?.();
    await sleep(options.forMs);
    await this.cluster.restart(nodeId);
    this.unreachable.delete(nodeId);
  }

  /** SIGSTOP, and SIGCONT after so long: a process that was away and does not know it. */
  async stopAndContinue(nodeId: number, options: HitOptions): Promise<void> {
    this.cluster.signal(nodeId, 'SIGSTOP');
    try {
      await options.onStruck?.();
      await sleep(options.forMs);
    } finally {
      this.cluster.signal(nodeId, 'SIGCONT');
    }
  }
}

/** One `{tag}` for each partition. */
export function tagsOf(partitions: readonly number[]): ReadonlyMap<number, string> {
  return new Map(
    partitions.map((partitionId) => {
      const [key] = keysOf(partitionId, { partitionCount: PARTITION_COUNT, count: 1 }) as [string];
      return [partitionId, key.slice(0, key.indexOf('}') + 1)];
    }),
  );
}

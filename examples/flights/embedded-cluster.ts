import { createClient } from 'redis';
import type {
  CaptureStatus,
  CycleSummary,
  LoadHistory,
  MigrationStatusReport,
} from '../../plugin/host/control-messages.ts';
import { LocalCluster } from '../../plugin/node/local/local-cluster.ts';
import { LocalEtcd } from '../../plugin/node/local/local-etcd.ts';
import { contiguousMap } from '../../src/model/partition-map.ts';
import {
  CLIENT_COUNT,
  type ReplayClients,
  type ReplayCluster,
  type ReplayClusterOptions,
  replaySettings,
} from './replay-cluster.ts';

/** This package's own nodes: one query node and storage nodes as processes, with metadata in a file or in an etcd of its own. */
export class EmbeddedCluster implements ReplayCluster {
  readonly description: string;
  readonly startOwnerOf: Int32Array;
  readonly #cluster: LocalCluster;
  readonly #etcd: LocalEtcd | null;

  private constructor(cluster: LocalCluster, etcd: LocalEtcd | null) {
    this.#cluster = cluster;
    this.#etcd = etcd;
    const { storageNodeCount, partitionCount, port } = cluster;
    this.startOwnerOf = contiguousMap(partitionCount, storageNodeCount).ownerOf;
    this.description =
      `one query node on port ${port}, ${storageNodeCount} storage nodes` +
      (etcd === null ? '' : `, metadata in etcd at ${etcd.endpoints.join(', ')}`);
  }

  static async start(options: ReplayClusterOptions, metadata: 'embedded' | 'etcd'): Promise<EmbeddedCluster> {
    const { nodeCount, partitionCount } = options;
    const etcd = metadata === 'etcd' ? await LocalEtcd.start() : null;
    try {
      const cluster = await LocalCluster.start({
        storageNodeCount: nodeCount,
        partitionCount,
        settings: {
          ...replaySettings(options),
          ...(etcd && { metadata: { kind: 'etcd', endpoints: etcd.endpoints } }),
        },
      });
      return new EmbeddedCluster(cluster, etcd);
    } catch (error) {
      await etcd?.close();
      throw error;
    }
  }

  async openClients(): Promise<ReplayClients> {
    const open = () => createClient({ url: `redis://${this.#cluster.host}:${this.#cluster.port}` });
    const clients = Array.from({ length: CLIENT_COUNT }, open);
    for (const client of clients) {
      client.on('error', () => undefined); // every failed command is counted where it was sent
      await client.connect();
    }
    const [first] = clients;
    return {
      load: clients,
      store: {
        get: (key) => first.get(key),
        set: (key, value) => first.set(key, value),
        hSet: (key, fields) => first.hSet(key, fields),
        hGetAll: (key) => first.hGetAll(key),
        async *scanAll() {
          for await (const keys of first.scanIterator({ COUNT: 1000 })) yield* keys;
        },
      },
      async close() {
        for (const client of clients) client.destroy();
      },
    };
  }

  async setClock(nowMs: number): Promise<void> {
    await this.#cluster.control({ operation: 'setClock', nowMs });
  }

  async loadHistory(history: LoadHistory): Promise<void> {
    await this.#cluster.control({ operation: 'loadHistory', history });
  }

  async advance(toMs: number, options = { isCycleSkipped: false }): Promise<CycleSummary | null> {
    return (await this.#cluster.control({ operation: 'advance', toMs, ...options })).cycle;
  }

  migrationStatus(): Promise<MigrationStatusReport> {
    return this.#cluster.control({ operation: 'migrationStatus' });
  }

  async owners(): Promise<Int32Array> {
    return (await this.#cluster.control({ operation: 'ownership' })).ownerOf;
  }

  async measuredQueries(): Promise<Float64Array> {
    return (await this.#cluster.control({ operation: 'profile' })).queries;
  }

  captured(): Promise<CaptureStatus> {
    return this.#cluster.control({ operation: 'captureStatus' });
  }

  async queryTypes(): ReturnType<ReplayCluster['queryTypes']> {
    return (await this.#cluster.control({ operation: 'queryTypes' })).types;
  }

  memoryBytes(): number {
    return this.#cluster.memoryBytes();
  }

  async stop(): Promise<void> {
    await this.#cluster.stop();
    await this.#etcd?.close();
  }
}

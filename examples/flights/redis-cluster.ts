import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cluster } from 'ioredis';
import { createCluster } from 'redis';
import { LocalRedisCluster } from '../../plugin/engines/redis-cluster/local-redis-cluster.ts';
import { ProfileLedger } from '../../plugin/host/analysis/profile-ledger.ts';
import { ProfilePublisher } from '../../plugin/host/analysis/profile-publisher.ts';
import type {
  AdvanceReport,
  CaptureStatus,
  CycleSummary,
  LoadHistory,
  MigrationStatusReport,
  OwnershipReport,
} from '../../plugin/host/control-messages.ts';
import { decodeQueryTypes } from '../../plugin/host/records/query-types-record.ts';
import { profilePrefix, queryTypesPrefix } from '../../plugin/host/records/record-keys.ts';
import { openMetadata } from '../../plugin/metadata/open.ts';
import { ControlledProcess, residentBytes } from '../../plugin/node/local/controlled-process.ts';
import { ClusterCapture, type ReplayClock } from '../../plugin/redis/capture-cluster.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { LOAD_DIMENSION_COUNT } from '../../src/model/load-profile.ts';
import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import { DEFAULT_SETTINGS } from '../../src/settings.ts';
import {
  CLIENT_COUNT,
  type ReplayClients,
  type ReplayCluster,
  type ReplayClusterOptions,
  replaySettings,
} from './replay-cluster.ts';
import type { RedisCommands } from './workload.ts';

const CLUSTER_NAME = 'flights';
/** History was measured by nobody who captures: below the numbers that captures draw. */
const HISTORY_RECORDER_ID = 1;
/** A cycle is the longest thing that is asked of the agent. */
const CONTROL_MS_MAX = 120_000;

/**
 * A Redis Cluster of real servers with an agent beside it, in a process of its own as `foreshard agent` runs it. This process
 * is the application: its clients, of two libraries, are captured, and know nothing of slots that move.
 */
export class RedisReplayCluster implements ReplayCluster {
  readonly description: string;
  readonly startOwnerOf: Int32Array;
  readonly #servers: LocalRedisCluster;
  readonly #agent: ControlledProcess;
  readonly #folder: string;
  readonly #metadata: MetadataStore;
  readonly #ledger: ProfileLedger;
  readonly #publisher: ProfilePublisher;
  #nowMs = 0;
  #capture: ClusterCapture | null = null;
  #captured: CaptureStatus = { capturedCount: 0, droppedCount: 0, isAttached: false };

  private constructor(parts: {
    readonly servers: LocalRedisCluster;
    readonly agent: ControlledProcess;
    readonly folder: string;
    readonly partitionCount: number;
    readonly startOwnerOf: Int32Array;
  }) {
    const { servers, agent, folder, partitionCount, startOwnerOf } = parts;
    this.#servers = servers;
    this.#agent = agent;
    this.#folder = folder;
    this.startOwnerOf = startOwnerOf;
    this.description =
      `a Redis Cluster of ${servers.ports.length} redis-servers (${servers.version}) on ports ${servers.ports.join(', ')}, ` +
      'one agent that moves its slots';
    this.#metadata = openMetadata({ ...DEFAULT_SETTINGS.metadata, path: join(folder, 'metadata') });
    this.#ledger = new ProfileLedger({
      windowMs: DEFAULT_SETTINGS.analyzer.windowMs,
      partitionCount,
      windowsMax: DEFAULT_SETTINGS.forecast.historyWindows,
    });
    this.#publisher = new ProfilePublisher({
      metadata: this.#metadata,
      ledger: this.#ledger,
      prefix: profilePrefix(CLUSTER_NAME),
      logger: silentLogger,
    });
  }

  /** @throws ForeshardError FORESHARD_UNAVAILABLE with the line that installs redis-server where it is missing or too old. */
  static async start(options: ReplayClusterOptions): Promise<RedisReplayCluster> {
    const { nodeCount, partitionCount } = options;
    const servers = await LocalRedisCluster.start({ masterCount: nodeCount });
    const folder = mkdtempSync(join(tmpdir(), 'foreshard-redis-agent-'));
    let agent: ControlledProcess | undefined;
    try {
      writeFileSync(join(folder, 'foreshard.config.json'), JSON.stringify(configOf(options, servers)));
      agent = new ControlledProcess('the agent', ['agent', '--config', configFile(folder)], { folder });
      await agent.ready;
      const { ownerOf } = (await agent.control(
        { operation: 'ownership' },
        CONTROL_MS_MAX,
      )) as OwnershipReport;
      return new RedisReplayCluster({ servers, agent, folder, partitionCount, startOwnerOf: ownerOf });
    } catch (error) {
      await agent?.stop();
      await servers.stop();
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** Half of them are of ioredis, half of node-redis. */
  async openClients(replay: ReplayClock): Promise<ReplayClients> {
    const nodeRedis = await Promise.all(
      Array.from({ length: CLIENT_COUNT / 2 }, () => openNodeRedis(this.#servers)),
    );
    const ioredis = Array.from({ length: CLIENT_COUNT / 2 }, () => openIoredis(this.#servers));
    // What stores and reads back is no part of the load.
    const store = await openNodeRedis(this.#servers);
    const config = configFile(this.#folder);
    const [first, ...others] = [...nodeRedis, ...ioredis];
    const capture = new ClusterCapture(first, { application: 'flights', config }, replay);
    for (const client of others) capture.add(client);
    await capture.started;
    this.#capture = capture;
    return {
      load: [...nodeRedis, ...ioredis.map(asCommands)],
      store: {
        get: (key) => store.get(key),
        set: (key, value) => store.set(key, value),
        hSet: (key, fields) => store.hSet(key, fields),
        hGetAll: (key) => store.hGetAll(key),
        async *scanAll() {
          for (const master of store.masters) {
            const node = await store.nodeClient(master);
            for await (const keys of node.scanIterator({ COUNT: 1000 })) yield* keys;
          }
        },
      },
      close: async () => {
        await capture.stop();
        for (const client of [...nodeRedis, store]) client.destroy();
        for (const client of ioredis) client.disconnect();
      },
    };
  }

  async setClock(nowMs: number): Promise<void> {
    this.#nowMs = nowMs;
    this.#capture?.setClock(nowMs);
    await this.#agent.control({ operation: 'setClock', nowMs }, CONTROL_MS_MAX);
  }

  async loadHistory({ startMs, windowMs, windowCount, partitionCount, queries }: LoadHistory): Promise<void> {
    await this.#publisher.publish(
      Array.from({ length: windowCount }, (_, window) => {
        const values = new Float64Array(partitionCount * LOAD_DIMENSION_COUNT);
        let capturedCount = 0;
        for (let p = 0; p < partitionCount; p++) {
          const count = queries[window * partitionCount + p];
          values[p * LOAD_DIMENSION_COUNT] = count;
          capturedCount += count;
        }
        return {
          startMs: startMs + window * windowMs,
          queryNodeId: HISTORY_RECORDER_ID,
          values,
          capturedCount,
          droppedCount: 0,
        };
      }),
    );
  }

  async advance(toMs: number, options = { isCycleSkipped: false }): Promise<CycleSummary | null> {
    if (this.#capture !== null)
      this.#captured = {
        ...(await this.#capture.advance(toMs)),
        isAttached: this.#capture.status().isAttached,
      };
    const report = (await this.#agent.control(
      { operation: 'advance', toMs, ...options },
      CONTROL_MS_MAX,
    )) as AdvanceReport;
    return report.cycle;
  }

  async migrationStatus(): Promise<MigrationStatusReport> {
    return (await this.#agent.control(
      { operation: 'migrationStatus' },
      CONTROL_MS_MAX,
    )) as MigrationStatusReport;
  }

  async owners(): Promise<Int32Array> {
    return ((await this.#agent.control({ operation: 'ownership' }, CONTROL_MS_MAX)) as OwnershipReport)
      .ownerOf;
  }

  /** As the agent reads it: from what the application has published. */
  async measuredQueries(): Promise<Float64Array> {
    await this.#publisher.refresh(this.#nowMs);
    const { values, windowCount, partitionCount } = this.#ledger.toProfile(this.#nowMs);
    return Float64Array.from(
      { length: windowCount * partitionCount },
      (_, i) => values[i * LOAD_DIMENSION_COUNT],
    );
  }

  async captured(): Promise<CaptureStatus> {
    return this.#captured;
  }

  async queryTypes(): ReturnType<ReplayCluster['queryTypes']> {
    const { entries } = await this.#metadata.list(queryTypesPrefix(CLUSTER_NAME));
    return entries.flatMap(({ key, value }) => decodeQueryTypes(key, value).types);
  }

  memoryBytes(): number {
    const pids = [
      this.#agent.process.pid as number,
      ...this.#servers.ports.map((_, i) => this.#servers.pid(i)),
    ];
    return pids.reduce((sum, pid) => sum + residentBytes(pid), 0);
  }

  async stop(): Promise<void> {
    await this.#capture?.stop();
    await this.#agent.stop();
    await this.#metadata.close();
    await this.#servers.stop();
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

const configFile = (folder: string): string => join(folder, 'foreshard.config.json');

function configOf(options: ReplayClusterOptions, servers: LocalRedisCluster): unknown {
  const { cluster, ...settings } = replaySettings(options);
  return {
    ...settings,
    cluster: { ...cluster, name: CLUSTER_NAME, partitionCount: options.partitionCount },
    node: { logLevel: 'warn' },
    metadata: { path: 'metadata' },
    redis: { nodes: servers.ports.map((port) => `127.0.0.1:${port}`) },
  };
}

async function openNodeRedis(servers: LocalRedisCluster) {
  const client = createCluster({
    rootNodes: servers.ports.map((port) => ({ url: `redis://127.0.0.1:${port}` })),
  });
  client.on('error', () => undefined); // every failed command is counted where it was sent
  await client.connect();
  return client;
}

const openIoredis = (servers: LocalRedisCluster): Cluster =>
  new Cluster(servers.ports.map((port) => ({ host: '127.0.0.1', port })));

const asCommands = (client: Cluster): RedisCommands => ({
  get: (key) => client.get(key),
  hmGet: (key, fields) => client.hmget(key, ...fields),
  incr: (key) => client.incr(key),
});

/** Storage nodes, their agents and a coordinator in one process, over real LMDB stores and real sockets: for benches and tests. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LmdbPartitionStore } from '../plugin/engines/lmdb/lmdb-partition-store.ts';
import { PhysicalKey } from '../plugin/engines/lmdb/physical-key.ts';
import { attachMigrationAgent } from '../plugin/engines/migration-agent/attach-agent.ts';
import { RpcStorageEngine } from '../plugin/engines/migration-agent/rpc-storage-engine.ts';
import { RpcTransport } from '../plugin/engines/migration-agent/rpc-transport.ts';
import { emptyStorageNodeHooks } from '../plugin/hooks.ts';
import { ReadGuardFeed } from '../plugin/host/coordinator/read-guard-feed.ts';
import { ReadReports } from '../plugin/host/coordinator/read-reports.ts';
import { clusterKeys } from '../plugin/metadata/cluster-keys.ts';
import { ClusterMapReader, type LoadedMap } from '../plugin/metadata/cluster-map.ts';
import { openEmbeddedMetadata } from '../plugin/metadata/embedded.ts';
import { NodeDirectory } from '../plugin/metadata/node-directory.ts';
import { readReportPrefix } from '../plugin/metadata/read-report.ts';
import { recordCodec } from '../plugin/metadata/record-codec.ts';
import { type RunningStorageNode, startStorageNode } from '../plugin/node/storage/storage-node.ts';
import { systemClock } from '../src/base/clock.ts';
import { type Logger, silentLogger } from '../src/base/logger.ts';
import { seededRandom } from '../src/base/random.ts';
import { MigrationExecutor } from '../src/migration/executor.ts';
import { DEFAULT_READ_GUARD, type ReadGuardSettings } from '../src/migration/reads/read-guard-settings.ts';
import { DEFAULT_MIGRATION_SETTINGS, type MigrationSettings } from '../src/migration/settings.ts';
import { DEFAULT_THROTTLE } from '../src/migration/throttle/throttle-settings.ts';
import { asNodeId, asPartitionId } from '../src/model/ids.ts';
import type { Proposal } from '../src/model/proposal.ts';
import type { Leadership, MetadataStore } from '../src/ports/metadata-store.ts';

export const CLUSTER = 'local';
const PARTITION_COUNT = 16;
const TICK_MS = 10;

/** A machine that does other things as well is slow for reasons that are not the copy's. */
export const PATIENT_READ_GUARD: ReadGuardSettings = {
  ...DEFAULT_READ_GUARD,
  latencyMsMin: 10_000,
  cpuShareMax: 1,
  loopLagMsMax: 10_000,
  commitMsMax: 10_000,
  holdMs: 100,
};

/** Everything that waits on purpose, waits briefly. */
export const QUICK_SETTINGS: MigrationSettings = {
  ...DEFAULT_MIGRATION_SETTINGS,
  copyBytesPerSecond: 1e9,
  throttle: { ...DEFAULT_THROTTLE, isAdaptive: false, nodeBytesPerSecond: 1e9 },
  residenceMs: 0,
  readWeightHoldMs: 5,
  graceMs: 50,
  retryMsMin: 10,
  retryMsMax: 200,
  unreachableMs: 5_000,
  freeBytesReserve: 0,
  readGuard: PATIENT_READ_GUARD,
};

interface LocalNode {
  node: RunningStorageNode;
  store: LmdbPartitionStore;
  hooks: ReturnType<typeof emptyStorageNodeHooks>;
  detach: () => Promise<void>;
}

export class MigrationCluster {
  readonly folder = mkdtempSync(join(tmpdir(), 'foreshard-migration-'));
  readonly metadata: MetadataStore = openEmbeddedMetadata({ path: join(this.folder, 'metadata'), pollMs: 5 });
  readonly nodes = new Map<number, LocalNode>();
  readonly reader = new ClusterMapReader(this.metadata, CLUSTER);
  executor!: MigrationExecutor;
  readonly #nodeCount: number;
  readonly #settings: MigrationSettings;
  readonly #logger: Logger;
  readonly #clock = systemClock();
  readonly #ending = new AbortController();
  #transport!: RpcTransport;
  #directory!: NodeDirectory;
  #leadership: Leadership | null = null;
  #askedCount = 0;
  #loop: Promise<void> = Promise.resolve();

  private constructor(nodeCount: number, settings: MigrationSettings, logger: Logger) {
    this.#nodeCount = nodeCount;
    this.#settings = settings;
    this.#logger = logger;
  }

  static async open(
    nodeCount: number,
    settings: MigrationSettings = QUICK_SETTINGS,
    logger: Logger = silentLogger,
  ): Promise<MigrationCluster> {
    const cluster = new MigrationCluster(nodeCount, settings, logger);
    await Promise.all(Array.from({ length: nodeCount }, (_, nodeId) => cluster.startNode(nodeId)));
    await cluster.#startCoordinator();
    return cluster;
  }

  async startNode(nodeId: number): Promise<void> {
    const hooks = emptyStorageNodeHooks();
    const [clock, logger, metadata] = [this.#clock, this.#logger, this.metadata];
    let detach = async (): Promise<void> => {};
    const node = await startStorageNode(
      {
        clusterId: CLUSTER,
        nodeId,
        host: '127.0.0.1',
        port: 0,
        partitionCount: PARTITION_COUNT,
        storageNodeCount: this.#nodeCount,
        dataDir: join(this.folder, `node-${nodeId}`),
        mapSizeBytes: 4 << 30,
        dataBytesMax: 1e10,
        freeBytesReserve: 0,
        valueBytesMax: 8 << 20,
      },
      {
        clock,
        logger,
        metadata,
        hooks,
        onHookFault: (hook, error) => {
          throw new Error(`hook ${hook} failed`, { cause: error });
        },
        onStoreOpened: async (opened) => {
          const common = { clusterName: CLUSTER, nodeId, partitionCount: PARTITION_COUNT };
          const attached = await attachMigrationAgent({ ...common, ...opened, metadata, clock, logger });
          Object.assign(hooks, attached.hooks);
          detach = attached.detach;
        },
      },
    );
    this.nodes.set(nodeId, { node, store: node.engine.store, hooks, detach });
  }

  async stopNode(nodeId: number): Promise<void> {
    const running = this.nodes.get(nodeId) as LocalNode;
    this.nodes.delete(nodeId);
    await running.detach();
    await running.node.close();
  }

  storeOf(nodeId: number): LmdbPartitionStore {
    return (this.nodes.get(nodeId) as LocalNode).store;
  }

  loadMap(): Promise<LoadedMap> {
    return this.reader.load();
  }

  /** Writes strings straight into the owner's store, in one transaction; the partition follows from the `{tag}` of the keys. */
  write(nodeId: number, entries: readonly { readonly key: string; readonly value: Uint8Array }[]): void {
    const { store, hooks } = this.nodes.get(nodeId) as LocalNode;
    const physical = new PhysicalKey();
    const { touched } = store.transact(() => {
      for (const { key, value } of entries) {
        const bytes = Buffer.from(key);
        physical.setKey(bytes, 0, bytes.length);
        const state = store.states[store.partitionOfSlot(physical.slot)];
        if (state?.role !== 'OWNER') throw new Error(`node ${nodeId} does not own the partition of ${key}`);
        store.writer.value.setStringHeader(0);
        store.writer.value.append(value, 0, value.length);
        store.writer.put(state, physical);
      }
    });
    for (const state of touched) hooks.onWriteCommitted?.(state.partitionId, state.lsn);
  }

  /** @throws Error when the executor refuses the move. */
  async move(partitionId: number, targetNodeId: number): Promise<void> {
    const { map } = await this.loadMap();
    const { refused } = await this.executor.admit(proposalOf(map, partitionId, targetNodeId));
    if (refused[0]) throw new Error(`the move was refused: ${refused[0].refusal}`);
    this.#askedCount++;
  }

  /** Waits for the outcome of every move. @throws Error when some are still open after `timeoutMs`. */
  async waitUntilStable(timeoutMs = 20_000): Promise<void> {
    const deadlineMs = this.#clock.monotonicMs() + timeoutMs;
    for (;;) {
      const { doneCount, abortedCount } = this.executor.status();
      if (doneCount + abortedCount >= this.#askedCount) return;
      if (this.#clock.monotonicMs() > deadlineMs)
        throw new Error(`still open: ${JSON.stringify(this.executor.status())}`);
      await this.#clock.sleep(2);
    }
  }

  async close(): Promise<void> {
    this.#ending.abort();
    await this.#loop;
    await this.executor.settled();
    await this.#leadership?.resign();
    await this.#transport.close();
    this.#directory.close();
    for (const nodeId of [...this.nodes.keys()]) await this.stopNode(nodeId);
    await this.metadata.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #startCoordinator(): Promise<void> {
    this.#directory = await NodeDirectory.open(this.metadata, CLUSTER);
    this.#transport = new RpcTransport({
      identity: { clusterId: CLUSTER, nodeId: 10_000, role: 'coordinator' },
      addressOf: (nodeId) => this.#directory.addressOf(nodeId),
    });
    this.#leadership = await this.metadata.campaign({
      election: clusterKeys(CLUSTER).coordinator,
      candidate: 'local',
      ttlMs: 10_000,
      signal: this.#ending.signal,
    });
    const engine = new RpcStorageEngine(this.#transport);
    const { metadata } = this;
    const [clock, logger] = [this.#clock, this.#logger];
    this.executor = new MigrationExecutor(this.#settings, {
      clock,
      random: seededRandom(1n),
      logger,
      engine,
      metadata,
      readGuard: new ReadGuardFeed(this.#settings.readGuard, {
        reports: new ReadReports({ metadata, prefix: readReportPrefix(CLUSTER), clock, logger }),
        engine,
        clock,
        logger,
      }),
      codec: recordCodec(CLUSTER),
      leadership: () => this.#leadership,
      keyPrivacy: { prefixBytes: 24, isHashKept: true },
    });
    this.#loop = this.#tickUntilEnd();
  }

  async #tickUntilEnd(): Promise<void> {
    while (!this.#ending.signal.aborted) {
      await this.executor.tick();
      await this.#clock.sleep(TICK_MS, this.#ending.signal);
    }
  }
}

function proposalOf(map: LoadedMap['map'], partitionId: number, targetNodeId: number): Proposal {
  const targetOwnerOf = map.ownerOf.slice();
  targetOwnerOf[partitionId] = targetNodeId;
  return {
    baseOwnerOf: map.ownerOf,
    baseEpochOf: map.epochOf,
    targetOwnerOf,
    moves: [
      {
        partitionId: asPartitionId(partitionId),
        sourceNodeId: asNodeId(map.ownerOf[partitionId] as number),
        targetNodeId: asNodeId(targetNodeId),
        sizeBytes: 0,
        gain: 1,
        cost: 0,
        reason: 'asked for',
        schedule: null,
      },
    ],
    costBefore: 1,
    costAfter: 0,
    costOverTime: 0,
    leftOut: [],
    growth: [],
    lowerBound: 0,
    algorithm: 'none',
    seed: 0n,
    iterations: 0,
  };
}

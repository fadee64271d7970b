import { setTimeout as delay } from 'node:timers/promises';
import { assert } from '../../../src/base/assert.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { NodeStatistics } from '../../../src/ports/storage-engine.ts';
import { LmdbEngine } from '../../engines/lmdb/engine.ts';
import type { ControlReply, StorageNodeHooks } from '../../hooks.ts';
import { clusterKeys } from '../../metadata/cluster-keys.ts';
import { ClusterMapReader, readStoreState } from '../../metadata/cluster-map.ts';
import type { Reading } from '../../metrics/reading.ts';
import type { PeerIdentity } from '../../rpc/connection.ts';
import { DataRequestReader, STATUS_NOT_OWNER } from '../../rpc/data.ts';
import { RpcServer, type RpcServerConnection } from '../../rpc/server.ts';
import type { HealthReason } from '../health.ts';
import type { RunningNode, StorageNodeComponents, StorageNodeOptions } from '../node-options.ts';
import { Registration } from '../registration.ts';
import { assertBelongs } from './assert-belongs.ts';
import { assertOwnStore } from './assert-own-store.ts';
import { takeRoles, waitForCluster, waitForMap } from './join-cluster.ts';
import { OperatorQuestions } from './operator-questions.ts';
import { assertMayLook, assertMayQuery, PeerRights } from './peer-rights.ts';
import { PressureGauge } from './pressure-gauge.ts';
import { storageNodeReadings } from './storage-node-readings.ts';
import { StoreWatch } from './store-watch.ts';

/** Longer than a hint of the metadata store takes to reach the query nodes: 25 ms in the embedded store. */
const QUIET_LOOK_MS = 75;
/** Query nodes that cannot read the metadata store go on sending; they are not waited for. */
const QUIET_LOOKS_MAX = 10;

export interface RunningStorageNode extends RunningNode {
  readonly engine: LmdbEngine;
  nodeStatistics(): NodeStatistics;
}

type Verb = keyof Pick<StorageNodeHooks, 'replicate' | 'redirect' | 'verify' | 'remove'>;
const VERBS: readonly string[] = ['replicate', 'redirect', 'verify', 'remove'] satisfies Verb[];

/**
 * Opens the store, joins or forms the cluster, brings the roles of its partitions in line with the map, and serves.
 *
 * It listens before it serves, since others have to learn its port to form a cluster; until roles and map agree, every
 * request is answered as by a node that is not the owner, which a query node tries again, writes too: nothing was done.
 *
 * @throws ForeshardError FORESHARD_CONFIG when the store is another cluster's, or was retired; FORESHARD_NOT_READY when the
 * nodes a new cluster needs do not appear within a minute.
 */
export async function startStorageNode(
  options: StorageNodeOptions,
  components: StorageNodeComponents,
): Promise<RunningStorageNode> {
  const { clock } = components;
  const engine = await LmdbEngine.open(
    {
      path: options.dataDir,
      partitionCount: options.partitionCount,
      mapSizeBytes: options.mapSizeBytes,
      quotaBytes: options.dataBytesMax,
      reserveBytes: options.freeBytesReserve,
      valueBytesMax: options.valueBytesMax,
    },
    { clock },
  );
  const node = new StorageNode(options, components, engine);
  try {
    await node.start();
  } catch (error) {
    await node.close();
    throw error;
  }
  return node;
}

class StorageNode implements RunningStorageNode {
  readonly engine: LmdbEngine;
  readonly #options: StorageNodeOptions;
  readonly #components: StorageNodeComponents;
  readonly #server: RpcServer;
  readonly #pressure: PressureGauge;
  readonly #rights: PeerRights;
  readonly #questions: OperatorQuestions;
  #isServing = false;
  #dataFrameCount = 0;
  #storeWatch: StoreWatch | null = null;
  #registration: Registration | null = null;

  constructor(options: StorageNodeOptions, components: StorageNodeComponents, engine: LmdbEngine) {
    this.#options = options;
    this.#components = components;
    this.engine = engine;
    this.#pressure = new PressureGauge(() => engine.environment);
    this.#questions = new OperatorQuestions(engine, components.clock);
    const { clusterId, nodeId, host, port, tls = null } = options;
    const reader = new ClusterMapReader(components.metadata, clusterId);
    this.#rights = new PeerRights((partitionId) => reader.readPartition(partitionId));
    this.#server = new RpcServer(
      { identity: { clusterId, nodeId, role: 'storage' }, host, port, logger: components.logger, tls },
      {
        onData: (connection, payload) => {
          assertMayQuery(connection.peer);
          this.#dataFrameCount++;
          if (this.#isServing) engine.requests.receive(connection, payload);
          else refuseAll(connection, payload);
        },
        onDrained: () => engine.requests.resume(),
        onClosed: () => engine.requests.resume(),
        onControl: (operation, body, { peer }) => this.#control(operation, body, peer),
      },
    );
  }

  get host(): string {
    return this.#options.host;
  }

  get port(): number {
    return this.#server.port;
  }

  async start(): Promise<void> {
    const { clusterId } = this.#options;
    const { metadata, clock } = this.#components;
    const { engine } = this;
    const { storeId } = engine.store;
    if ((await readStoreState(metadata, clusterId, storeId)) === 'retired')
      throw new ForeshardError(
        'FORESHARD_CONFIG',
        'fix-config',
        `store ${storeId} in ${this.#options.dataDir} was retired: its partitions have other owners, give this node an empty folder`,
      );
    await this.#assertBelongs();
    await this.#components.onStoreOpened({
      store: engine.store,
      isWritable: () => engine.isWritable,
      pressure: () => this.#pressure.read(),
      loopLagMs: () => this.#pressure.loopLagMs(),
    });
    await this.#server.listen();
    this.#registration = await Registration.announce(
      this.#options,
      { role: 'storage', listens: this, storeId, nowMs: clock.nowMs() },
      metadata,
    );
    await waitForCluster(this.#options, this.#components);
    await waitForMap(engine.store, this.#options, this.#components);
    await takeRoles(engine.store, this.#options, this.#components);
    engine.requests.onWriteCommitted = (partitionId, lsn) => this.#onWriteCommitted(partitionId, lsn);
    engine.expirer.start();
    this.#isServing = true;
    this.#storeWatch = new StoreWatch(
      { clusterId, storeId },
      { metadata, clock, onRetired: () => this.#onRetired() },
    );
  }

  /** That this node, with this store, is who the map and the members say. */
  async #assertBelongs(): Promise<void> {
    const { clusterId, nodeId, dataDir, storageNodeCount, isStoreReplaced } = this.#options;
    const { metadata, clock } = this.#components;
    const { storeId, states } = this.engine.store;
    // A cluster that is being formed has no map yet: nobody owns anything.
    const isFormed = (await metadata.get(clusterKeys(clusterId).cluster)) !== undefined;
    const records = isFormed ? (await new ClusterMapReader(metadata, clusterId).load()).records : [];
    if (!isStoreReplaced) assertOwnStore(records, { nodeId, dataDir, storeId });
    const node = {
      nodeId,
      // Of one whose disk is lost the process before may not be forgotten yet.
      storeId: isStoreReplaced ? null : storeId,
      hasPartitions: states.some(({ role }) => role !== 'NONE'),
      isFounder: !isFormed && nodeId < storageNodeCount,
      nowMs: clock.nowMs(),
    };
    await assertBelongs(metadata, clusterId, node, records);
  }

  /** Another node owns what this one owned: what it still answered would be lost. */
  #onRetired(): void {
    if (!this.#isServing) return;
    this.#isServing = false;
    const { storeId } = this.engine.store;
    this.#components.logger.error(
      { storeId },
      'this store was retired by an operator: the node serves no more, stop it',
    );
  }

  #onWriteCommitted(partitionId: number, lsn: number): void {
    const { hooks, onHookFault } = this.#components;
    if (hooks.onWriteCommitted === null) return;
    try {
      hooks.onWriteCommitted(partitionId, lsn);
    } catch (error) {
      onHookFault('onWriteCommitted', error);
    }
  }

  async #control(
    operation: string,
    body: Record<string, unknown>,
    peer: PeerIdentity | null,
  ): Promise<ControlReply> {
    if (this.#questions.isAbout(operation)) {
      assertMayLook(peer, operation);
      return this.#questions.answer(operation, body);
    }
    const verb = operation.split('.', 1)[0] as Verb;
    const handler = VERBS.includes(verb) ? this.#components.hooks[verb] : null;
    this.#assertServing();
    if (handler === null)
      throw new ForeshardError(
        'FORESHARD_UNAVAILABLE',
        'retry',
        `no plugin on this node answers ${operation}`,
      );
    assert(peer !== null, 'nothing is taken before the hello');
    await this.#rights.assertMayAsk(peer, operation, body);
    return handler(operation, body);
  }

  #assertServing(): void {
    if (!this.#isServing)
      throw new ForeshardError('FORESHARD_UNAVAILABLE', 'retry', 'the node has not joined its cluster yet');
  }

  problems(): readonly HealthReason[] {
    const reasons: HealthReason[] = [];
    if (this.#storeWatch?.state === 'retired')
      reasons.push({ code: 'retired', isBlocking: true, text: 'the store was retired: nothing is served' });
    if (!this.engine.isWritable)
      reasons.push({
        code: 'store-failed',
        isBlocking: true,
        text: 'no writes are taken: the disk is full, or a commit failed',
      });
    if (this.#storeWatch?.state === 'draining')
      reasons.push({ code: 'draining', isBlocking: false, text: 'an operator has the node emptied' });
    if (this.#storeWatch !== null) reasons.push(...this.#storeWatch.problems());
    return reasons;
  }

  readings(): readonly Reading[] {
    const { store, environment, isWritable } = this.engine;
    return storageNodeReadings({
      storedBytes: store.usedBytes(),
      storedBytesMax: this.#options.dataBytesMax,
      freeBytes: store.freeBytes(),
      isWritable,
      roles: store.states,
      commits: environment,
    });
  }

  nodeStatistics(): NodeStatistics {
    const { store } = this.engine;
    const partitionBytes = new Float64Array(this.#options.partitionCount);
    for (const { partitionId, role, sizeBytes } of store.states)
      if (role === 'OWNER' || role === 'FENCED') partitionBytes[partitionId] = sizeBytes;
    const { user, system } = process.cpuUsage();
    return {
      storeId: store.storeId,
      freeBytes: store.freeBytes(),
      dataBytes: store.usedBytes(),
      partitionBytes,
      cpuSeconds: (user + system) / 1e6,
      isWritable: this.engine.isWritable,
    };
  }

  /**
   * Says first that it ends, so that query nodes keep what comes for it until it is back, and answers what is on its way: a
   * write whose connection breaks before its answer would have an unknown outcome.
   */
  async close(): Promise<void> {
    const { clock, logger } = this.#components;
    await this.#registration?.withdraw(clock.nowMs(), logger);
    if (this.#isServing) await this.#quiet();
    this.#isServing = false;
    this.#pressure.close();
    this.#storeWatch?.close();
    await this.#server.close();
    await this.engine.close();
  }

  /** Resolves when nothing has come for a while. */
  async #quiet(): Promise<void> {
    for (let look = 0, seen = -1; look < QUIET_LOOKS_MAX && seen !== this.#dataFrameCount; look++) {
      seen = this.#dataFrameCount;
      await delay(QUIET_LOOK_MS);
    }
  }
}

function refuseAll(connection: RpcServerConnection, payload: Buffer): void {
  const reader = new DataRequestReader();
  reader.open(payload);
  while (reader.next()) {
    connection.replies.begin(reader.requestId, STATUS_NOT_OWNER, 0, 0);
    connection.replies.end();
  }
}

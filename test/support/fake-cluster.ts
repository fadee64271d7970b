import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { COMMANDS } from '../../plugin/commands/table.ts';
import { emptyQueryNodeHooks, type QueryNodeHooks } from '../../plugin/hooks.ts';
import { clusterKeys } from '../../plugin/metadata/cluster-keys.ts';
import { openEmbeddedMetadata } from '../../plugin/metadata/embedded.ts';
import { bootstrapCluster } from '../../plugin/metadata/form-cluster.ts';
import { registerNode } from '../../plugin/metadata/node-registrations.ts';
import { recordCodec } from '../../plugin/metadata/record-codec.ts';
import type { QueryNodeOptions } from '../../plugin/node/node-options.ts';
import type { CopyReadLimits } from '../../plugin/node/query/copy-reads.ts';
import { type RunningQueryNode, startQueryNode } from '../../plugin/node/query/query-node.ts';
import { DataRequestReader, STATUS_BEHIND, STATUS_NOT_OWNER, STATUS_OK } from '../../plugin/rpc/data.ts';
import { RpcServer, type RpcServerConnection } from '../../plugin/rpc/server.ts';
import { systemClock } from '../../src/base/clock.ts';
import { type Logger, silentLogger } from '../../src/base/logger.ts';
import { asEpoch, asNodeId, asPartitionId } from '../../src/model/ids.ts';
import type { MigrationRecord, PartitionRecord } from '../../src/model/migration.ts';
import { keySlot } from '../../src/routing/key-slot.ts';

const CLUSTER = 'test';
export const FAKE_PARTITION_COUNT = 16;

export const partitionOfKey = (key: string): number =>
  keySlot(Buffer.from(key), 0, Buffer.byteLength(key)) >> 10;

interface FakeRequest {
  readonly requestId: number;
  readonly partitionId: number;
  readonly command: string;
  readonly epoch: number;
  readonly minLsn: number;
  readonly isCopyRead: boolean;
  readonly words: readonly string[];
  readonly connection: RpcServerConnection;
}

/** What a fake storage node does with a request: answer it now, or keep it until `flushKept`. */
export type Verdict = 'answer' | 'keep' | 'drop-connection';

/** A storage node that keeps strings in memory and does as the test tells it: fences, refuses, answers late, dies. */
export class FakeStorageNode {
  readonly nodeId: number;
  /** Epoch by which this node owns each partition; missing where it does not. */
  readonly ownedAt = new Map<number, number>();
  /** Partitions of which it is a readable copy, with the lsn it has applied. */
  readonly copies = new Map<number, number>();
  /** Everything it was asked, in order of arrival. */
  readonly seen: FakeRequest[] = [];
  /** Shared by all nodes of a cluster: as if every copy were instant. */
  readonly values: Map<string, string>;
  readonly lsnOf: Map<number, number>;
  verdictOf: (request: FakeRequest) => Verdict = () => 'answer';
  #kept: FakeRequest[] = [];
  #server: RpcServer;
  readonly #reader = new DataRequestReader();

  constructor(nodeId: number, values: Map<string, string>, lsnOf: Map<number, number>) {
    this.nodeId = nodeId;
    this.values = values;
    this.lsnOf = lsnOf;
    this.#server = this.#newServer(0);
  }

  #newServer(port: number): RpcServer {
    return new RpcServer(
      { identity: { clusterId: CLUSTER, nodeId: this.nodeId, role: 'storage' }, port },
      { onData: (connection, payload) => this.#onData(connection, payload) },
    );
  }

  get port(): number {
    return this.#server.port;
  }

  get keptCount(): number {
    return this.#kept.length;
  }

  listen(): Promise<number> {
    return this.#server.listen();
  }

  /** As a crash: connections are cut, what was kept is forgotten. */
  async stop(): Promise<void> {
    this.#kept = [];
    await this.#server.close();
  }

  async restart(port: number): Promise<void> {
    this.#server = this.#newServer(port);
    await this.#server.listen();
  }

  /** Decides about everything that was kept, in order, by what holds now. */
  flushKept(): void {
    for (const request of this.#kept.splice(0)) this.#answer(request);
  }

  #onData(connection: RpcServerConnection, payload: Buffer): void {
    const reader = this.#reader;
    reader.open(payload);
    while (reader.next()) {
      const words: string[] = [];
      for (let i = 0; i < reader.argumentCount; i++)
        words.push(payload.toString('latin1', reader.starts[i], reader.ends[i]));
      const { requestId, partitionId, epoch, minLsn, isCopyRead, commandIndex } = reader;
      const command = COMMANDS[commandIndex].name;
      const request = { requestId, partitionId, command, epoch, minLsn, isCopyRead, words, connection };
      this.seen.push(request);
      const verdict = this.verdictOf(request);
      if (verdict === 'answer') this.#answer(request);
      else if (verdict === 'keep') this.#kept.push(request);
      else {
        connection.close();
        return;
      }
    }
  }

  #answer(request: FakeRequest): void {
    const { partitionId, connection, requestId } = request;
    const { replies } = connection;
    const ownedAt = this.ownedAt.get(partitionId);
    const copyLsn = this.copies.get(partitionId);
    if (request.isCopyRead && copyLsn !== undefined) {
      const isBehind = copyLsn < request.minLsn;
      replies.begin(requestId, isBehind ? STATUS_BEHIND : STATUS_OK, request.epoch, copyLsn);
      if (!isBehind) replies.bulkText('from the copy');
    } else if (ownedAt !== request.epoch) replies.begin(requestId, STATUS_NOT_OWNER, ownedAt ?? 0, 0);
    else {
      const lsn =
        (this.lsnOf.get(partitionId) ?? 0) +
        (request.command === 'APPEND' || request.command === 'SET' ? 1 : 0);
      this.lsnOf.set(partitionId, lsn);
      replies.begin(requestId, STATUS_OK, ownedAt, lsn);
      this.#execute(request);
    }
    replies.end();
  }

  #execute({ command, words, connection: { replies } }: FakeRequest): void {
    const [key, value] = words;
    const writeValue = (name: string): void => {
      const found = this.values.get(name);
      if (found === undefined) replies.nil(false);
      else replies.bulkText(found);
    };
    if (command === 'SET') {
      this.values.set(key, value);
      replies.simple('OK');
    } else if (command === 'APPEND') {
      this.values.set(key, (this.values.get(key) ?? '') + value);
      replies.integer((this.values.get(key) as string).length);
    } else if (command === 'MSET') {
      for (let i = 0; i < words.length; i += 2) this.values.set(words[i], words[i + 1]);
      replies.simple('OK');
    } else if (command === 'GET') writeValue(key);
    else if (command === 'MGET') {
      replies.array(words.length);
      for (const word of words) writeValue(word);
    } else if (command === 'KEYCOUNT') replies.integer(1);
    else replies.error(`ERR the fake does not know ${command}`);
  }
}

/** A real query node and a real metadata store over fake storage nodes: for what only happens when things go wrong. */
export interface FakeCluster {
  readonly query: RunningQueryNode;
  readonly nodes: readonly FakeStorageNode[];
  readonly hooks: QueryNodeHooks;
  readonly faults: string[];
  /** Changes a partition's record: its owner (with the next epoch), or its open migration. A takeover cuts at an lsn. */
  setRecord(
    partitionId: number,
    change: { ownerNodeId?: number; migration?: Partial<MigrationRecord> | null; cutLsn?: number },
  ): Promise<void>;
  close(): Promise<void>;
}

export async function startFakeCluster(
  options: {
    nodeCount?: number;
    retryMs?: number;
    password?: string;
    copyReads?: Partial<CopyReadLimits>;
    /** Who may connect to the query node, and how. */
    guards?: Pick<QueryNodeOptions, 'users' | 'clientTls' | 'handshakeLimits'>;
    logger?: Logger;
  } = {},
): Promise<FakeCluster> {
  const folder = mkdtempSync(join(tmpdir(), 'foreshard-fake-'));
  const clock = systemClock();
  const metadata = openEmbeddedMetadata({ path: folder, pollMs: 2 });
  const values = new Map<string, string>();
  const lsnOf = new Map<number, number>();
  const nodes = Array.from(
    { length: options.nodeCount ?? 2 },
    (_, nodeId) => new FakeStorageNode(nodeId, values, lsnOf),
  );
  for (const node of nodes) {
    await node.listen();
    const { nodeId, port } = node;
    const registration = { nodeId, port, role: 'storage' as const, host: '127.0.0.1', storeId: `s${nodeId}` };
    await registerNode(metadata, CLUSTER, {
      ...registration,
      incarnation: '1',
      version: '1',
      startedAtMs: 0,
    });
  }
  await bootstrapCluster(metadata, CLUSTER, {
    partitionCount: FAKE_PARTITION_COUNT,
    nodes: nodes.map(({ nodeId }) => ({ nodeId, storeId: `s${nodeId}` })),
  });
  const hooks = emptyQueryNodeHooks();
  const faults: string[] = [];
  const query = await startQueryNode(
    {
      clusterId: CLUSTER,
      nodeId: 10_000,
      host: '127.0.0.1',
      port: 0,
      partitionCount: FAKE_PARTITION_COUNT,
      storageNodeCount: nodes.length,
      password: options.password ?? null,
      valueBytesMax: 1 << 20,
      clientConnectionsMax: 100,
      retryMs: options.retryMs ?? 5_000,
      ...options.guards,
      // Slow machines are no reason for a read to leave a copy, unless that is what the test is about.
      copyReads: { lateMs: 60_000, stalenessMs: 60_000, ...options.copyReads },
    },
    {
      clock,
      logger: options.logger ?? silentLogger,
      metadata,
      hooks,
      onHookFault: (hook) => {
        faults.push(hook);
        hooks[hook as keyof QueryNodeHooks] = null;
      },
    },
  );
  const { ownerOf, epochOf } = query.routingTable();
  ownerOf.forEach((owner, p) => {
    nodes[owner].ownedAt.set(p, epochOf[p]);
  });
  const codec = recordCodec(CLUSTER);
  return {
    query,
    nodes,
    hooks,
    faults,
    async setRecord(partitionId, { ownerNodeId, migration, cutLsn }) {
      const key = clusterKeys(CLUSTER).map(partitionId);
      const entry = await metadata.get(key);
      if (entry === undefined) throw new Error(`no record of partition ${partitionId}`);
      const record = codec.decodePartition(partitionId, entry.value);
      const isMoving = ownerNodeId !== undefined;
      const epoch = asEpoch(record.epoch + (isMoving ? 1 : 0));
      const next: PartitionRecord = {
        ...record,
        partitionId: asPartitionId(partitionId),
        ownerNodeId: asNodeId(ownerNodeId ?? record.ownerNodeId),
        epoch,
        ...(cutLsn === undefined ? {} : { lineage: { epoch, lsn: cutLsn } }),
        migrationSeq: 1,
        migration: migration ? { ...MIGRATION, sourceNodeId: record.ownerNodeId, ...migration } : null,
      };
      await metadata.commit({
        conditions: [],
        writes: [{ kind: 'put', key, value: codec.encodePartition(next) }],
      });
    },
    async close() {
      await query.close();
      for (const node of nodes) await node.stop();
      await metadata.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const MIGRATION: MigrationRecord = {
  migrationId: 1,
  sourceNodeId: asNodeId(0),
  sourceStoreId: 's0',
  targetNodeId: asNodeId(1),
  targetStoreId: 's1',
  phase: 'SHIFT',
  phaseAtMs: 0,
  startedAtMs: 0,
  digestSeed: '0123456789abcdef',
  readWeight: 1,
  notBeforeMs: 0,
  reason: 'test',
  attempt: 1,
};

/** Polls; fails with what was waited for. */
export async function eventually(claim: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 1000 && !claim(); i++) await new Promise((resolve) => setTimeout(resolve, 3));
  if (!claim()) throw new Error(`it did not come about: ${what}`);
}

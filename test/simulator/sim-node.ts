/** A storage node of the simulation: the real agent on a disk in memory, and a data path that checks ownership as it writes. */
import { MigrationAgent } from '../../plugin/engines/lmdb/migration-agent.ts';
import type { MigrationTransport } from '../../plugin/engines/lmdb/migration-transport.ts';
import type { ClusterMapReader } from '../../plugin/metadata/cluster-map.ts';
import { silentLogger } from '../../src/base/logger.ts';
import type { PartitionMeta, PartitionStore } from '../../src/ports/partition-store.ts';
import { type MemoryDisk, MemoryPartitionStore } from '../support/memory-partition-store.ts';
import type { Bug } from './bugs.ts';
import { Life, type SimClock } from './sim-clock.ts';

export type DataReply =
  | { readonly kind: 'ok'; readonly lsn: number; readonly value: Uint8Array | undefined }
  | { readonly kind: 'refused' };

export interface DataRequest {
  readonly partitionId: number;
  readonly epoch: number;
  readonly key: string;
  /** A write; null deletes. Undefined for a read. */
  readonly value: Uint8Array | null | undefined;
  /** Set on reads that a copy may answer. */
  readonly minLsn: number | null;
}

export interface SimNodeOptions {
  readonly nodeId: number;
  readonly disk: MemoryDisk;
  readonly partitionCount: number;
  readonly clock: SimClock;
  readonly bug: Bug;
  readonly makeTransport: (life: Life) => MigrationTransport;
  readonly makeReader: (life: Life) => ClusterMapReader;
  readonly onMeta: (nodeId: number, partitionId: number, before: PartitionMeta, after: PartitionMeta) => void;
}

export class SimNode {
  readonly nodeId: number;
  readonly disk: MemoryDisk;
  readonly #options: SimNodeOptions;
  #life: Life | null = null;
  #agent: MigrationAgent | null = null;
  #store: MemoryPartitionStore | null = null;

  constructor(options: SimNodeOptions) {
    this.nodeId = options.nodeId;
    this.disk = options.disk;
    this.#options = options;
  }

  get isUp(): boolean {
    return this.#life !== null;
  }

  /** The agent that answers control messages now, once it has compared its roles with the map. */
  get handle(): MigrationAgent['handle'] | null {
    return this.#agent?.handle ?? null;
  }

  async start(): Promise<void> {
    const { clock, partitionCount, bug } = this.#options;
    const life = new Life();
    this.#life = life;
    const store = new MemoryPartitionStore(this.disk, {
      onMeta: (partitionId, before, after) => {
        this.#options.onMeta(this.nodeId, partitionId, before, after);
        if (bug === 'fence-lifted-by-timer' && before.role !== 'FENCED' && after.role === 'FENCED')
          clock.after(300, () => this.#liftFence(partitionId, life));
      },
    });
    const reader = this.#options.makeReader(life);
    const agent = new MigrationAgent(
      {
        partitionCount,
        pieceBytes: 60,
        partBytesMax: 40,
        logWaitMs: 50,
        removeEntriesMax: 3,
        removePauseMs: 5,
        logEntriesMax: 1e9,
        snapshotIdleMs: 200,
        trimEntries: 4,
      },
      {
        store: guarded(bug === 'none' ? store : withBug(store, bug), life),
        transport: this.#options.makeTransport(life),
        clock: life.clock(clock),
        logger: silentLogger,
        readRecord: async (partitionId) => {
          const record = await reader.readPartition(partitionId);
          if (bug !== 'commit-timeout-taken-as-failure' || !record?.migration) return record;
          // The same belief on the node: whoever says "aborted" is not checked against the map.
          return record.migration.phase === 'SWITCHED'
            ? { ...record, migration: { ...record.migration, phase: 'ABORT' } }
            : record;
        },
        cpuSeconds: () => 0,
        isWritable: () => true,
      },
    );
    while (!life.isOver) {
      try {
        await agent.reconcile((await reader.load()).records);
        break;
      } catch {
        await life.clock(clock).sleep(20);
      }
    }
    this.#agent = agent;
    this.#store = store;
  }

  /** kill -9: what is on disk stays, all else is gone. */
  crash(): void {
    this.#life?.end();
    this.#life = this.#agent = this.#store = null;
    if (this.#options.bug !== 'fence-not-durable') return;
    for (const partition of this.disk.partitions.values())
      if (partition.meta.role === 'FENCED')
        partition.meta = { ...partition.meta, role: 'OWNER', fence: null };
  }

  /** One data request, received and carried out. Null: the node is down or died meanwhile, no answer comes. */
  async serve(request: DataRequest, workMs: number): Promise<DataReply | null> {
    const life = this.#life;
    const { clock, bug } = this.#options;
    if (!life || !this.#store) return null;
    const isOwnerAtReceipt = this.#isOwner(this.#store, request);
    await clock.sleep(workMs);
    if (life.isOver || !this.#store) return null;
    const isOwner = bug === 'owner-check-at-receipt' ? isOwnerAtReceipt : this.#isOwner(this.#store, request);
    const { partitionId, key, value, minLsn } = request;
    if (value === undefined) return this.#read(this.#store, partitionId, key, isOwner, minLsn);
    if (!isOwner) return { kind: 'refused' };
    const lsn = this.#store.change(partitionId, key, value);
    this.#agent?.onWriteCommitted(partitionId);
    return { kind: 'ok', lsn, value: undefined };
  }

  #read(
    store: MemoryPartitionStore,
    partitionId: number,
    key: string,
    isOwner: boolean,
    minLsn: number | null,
  ): DataReply {
    const { role, lsn } = store.meta(partitionId);
    const isCopy = minLsn !== null && role === 'STAGING' && store.isServingCopyReads(partitionId);
    const isBehind = isCopy && lsn < minLsn && this.#options.bug !== 'copy-ignores-min-lsn';
    if ((!isOwner && !isCopy) || isBehind) return { kind: 'refused' };
    return { kind: 'ok', lsn, value: store.get(partitionId, key) };
  }

  #isOwner(store: MemoryPartitionStore, { partitionId, epoch }: DataRequest): boolean {
    const meta = store.meta(partitionId);
    return meta.role === 'OWNER' && meta.epoch === epoch;
  }

  #liftFence(partitionId: number, life: Life): void {
    const partition = this.disk.partitions.get(partitionId);
    if (life.isOver || partition?.meta.role !== 'FENCED') return;
    const before = partition.meta;
    partition.meta = { ...before, role: 'OWNER', fence: null };
    this.#options.onMeta(this.nodeId, partitionId, before, partition.meta);
  }
}

/** The store of a life that is over does nothing more. */
function guarded(store: PartitionStore, life: Life): PartitionStore {
  return new Proxy(store, {
    get(target, property) {
      const member = Reflect.get(target, property);
      if (typeof member !== 'function') return member;
      return (...parameters: unknown[]) => {
        if (life.isOver) throw new Error('this process has been killed');
        return member.apply(target, parameters);
      };
    },
  });
}

function withBug(store: MemoryPartitionStore, bug: Bug): PartitionStore {
  const isDropping = bug === 'deletes-not-shipped' || bug === 'deletes-not-shipped-unverified';
  if (!isDropping) return store;
  const blind = { entryCount: 0, sizeBytes: 0, buckets: [] };
  return new Proxy(store, {
    get(target, property) {
      if (property === 'applyLog')
        return async (
          partitionId: number,
          _migrationId: number,
          entries: Parameters<PartitionStore['applyLog']>[2],
        ) => {
          for (const { key, kind, ...rest } of entries) {
            const name = Buffer.from(key).toString('latin1');
            const kept =
              kind === 'put' ? (rest as { value: Uint8Array }).value : store.get(partitionId, name);
            store.change(partitionId, name, kept ?? null);
          }
          return store.meta(partitionId).lsn;
        };
      if (bug === 'deletes-not-shipped-unverified') {
        if (property === 'runningDigest') return (id: number) => ({ lsn: store.meta(id).lsn, digest: blind });
        if (property === 'updateMeta')
          return (id: number, change: Parameters<PartitionStore['updateMeta']>[1]) =>
            store.updateMeta(id, (meta) => change(meta, () => blind));
        if (property === 'openSnapshot')
          return (id: number) => {
            const snapshot = store.openSnapshot(id);
            return {
              lsn: snapshot.lsn,
              runningDigest: blind,
              read: snapshot.read.bind(snapshot),
              digest: async () => blind,
              close() {},
            };
          };
      }
      const member = Reflect.get(target, property);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}

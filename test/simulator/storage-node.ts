/** A storage node of the simulation: the real agent on a simulated disk, and a data path that checks ownership as it writes. */
import { MigrationAgent } from '../../plugin/engines/migration-agent/migration-agent.ts';
import type { MigrationTransport } from '../../plugin/engines/migration-agent/migration-transport.ts';
import { ForeshardError } from '../../src/base/errors.ts';
import { silentLogger } from '../../src/base/logger.ts';
import type { PartitionRecord } from '../../src/model/migration.ts';
import type { MemoryStoreHooks } from '../support/memory-partition-store.ts';
import type { SimClock } from './clock.ts';
import { type SimDisk, SimStore } from './disk.ts';
import { Life } from './life.ts';
import type { Mutant } from './mutants.ts';
import type { ControlHandler } from './network.ts';

export type DataReply =
  | { readonly kind: 'ok'; readonly lsn: number; readonly value: Uint8Array | undefined }
  /** Certainly nothing was done. */
  | { readonly kind: 'refused' }
  /** The store failed in it. */
  | { readonly kind: 'unknown' };

export interface DataRequest {
  readonly partitionId: number;
  readonly epoch: number;
  readonly key: string;
  /** A write; null deletes. Undefined for a read. */
  readonly value: Uint8Array | null | undefined;
  /** Set on reads that a copy may answer. */
  readonly minLsn: number | null;
}

/** The records of the map, read linearizably. */
export interface RecordReader {
  readPartition(partitionId: number): Promise<PartitionRecord | undefined>;
  readAll(): Promise<(PartitionRecord | null)[]>;
}

export interface SimNodeOptions {
  readonly nodeId: number;
  readonly disk: SimDisk;
  readonly partitionCount: number;
  readonly pieceBytes: number;
  readonly clock: SimClock;
  readonly mutant: Mutant;
  readonly wallOffsetMs: () => number;
  readonly makeTransport: (life: Life) => MigrationTransport;
  readonly makeReader: (life: Life) => RecordReader;
  readonly hooks: MemoryStoreHooks;
  /** A client's write has been made. */
  readonly onWrite: (nodeId: number, request: DataRequest, lsn: number) => void;
  readonly onAcknowledge: (nodeId: number) => void;
  /** The process has died, or needs to be started again, by a fault of its disk. */
  readonly onDiskFault: (node: SimNode) => void;
  readonly onTorn: (partitionId: number, migrationId: number) => void;
  readonly onCopied: (life: Life, copy: string, sizeBytes: number) => void;
}

const RECONCILE_RETRY_MS = 20;

interface Running {
  readonly life: Life;
  readonly store: SimStore;
  readonly agent: MigrationAgent;
  readonly handle: ControlHandler;
  isListening: boolean;
}

export class SimNode {
  readonly nodeId: number;
  readonly disk: SimDisk;
  readonly #options: SimNodeOptions;
  #running: Running | null = null;
  /** The machine is gone for good, with its disk. */
  isLost = false;
  /** Its store has been retired though the machine is there: it has stopped for good. */
  isRetired = false;

  constructor(options: SimNodeOptions) {
    this.nodeId = options.nodeId;
    this.disk = options.disk;
    this.#options = options;
  }

  /** Nobody will ever start it again. */
  get isGone(): boolean {
    return this.isLost || this.isRetired;
  }

  get life(): Life | null {
    return this.#running?.life ?? null;
  }

  /** The process that answers now, once it has compared its roles with the map. */
  get listening(): Running | null {
    return this.#running?.isListening ? this.#running : null;
  }

  async start(): Promise<void> {
    if (this.isGone) return;
    const { clock, mutant, hooks } = this.#options;
    const life = new Life(`n${this.nodeId}`, clock, this.#options.wallOffsetMs);
    this.disk.reopen();
    const store = new SimStore(
      this.disk,
      {
        life,
        onCrash: () => this.#options.onDiskFault(this),
        onFailure: () => this.#options.onDiskFault(this),
        onTorn: this.#options.onTorn,
        onCopied: (copy, sizeBytes) => this.#options.onCopied(life, copy, sizeBytes),
      },
      hooks,
    );
    const reader = this.#options.makeReader(life);
    const agent = this.#makeAgent(life, store, reader);
    const handle = mutant.handle?.(agent.handle, store) ?? agent.handle;
    const running: Running = { life, store, agent, handle, isListening: false };
    this.#running = running;
    while (!life.isOver) {
      try {
        const records = await reader.readAll();
        await agent.reconcile(records);
        running.isListening = true;
        return;
      } catch {
        await life.clock.sleep(RECONCILE_RETRY_MS);
      }
    }
  }

  #makeAgent(life: Life, store: SimStore, reader: RecordReader): MigrationAgent {
    const { partitionCount, pieceBytes, mutant } = this.#options;
    return new MigrationAgent(
      {
        partitionCount,
        pieceBytes,
        pieceBytesMin: pieceBytes, // each of a few entries: there is nothing to make smaller
        pieceMsMax: 5,
        partBytesMax: 40,
        logWaitMs: 50,
        removeEntriesMax: 2,
        removePauseMs: 5,
        logEntriesMax: 1e9,
        snapshotIdleMs: 200,
        trimEntries: 4,
      },
      {
        store: mutant.store?.(store, life) ?? store,
        transport: this.#options.makeTransport(life),
        clock: life.clock,
        logger: silentLogger,
        readRecord: async (partitionId) => {
          const record = await reader.readPartition(partitionId);
          return record && mutant.record ? mutant.record(record) : record;
        },
        cpuSeconds: () => 0,
        isWritable: () => store.isWritable,
      },
    );
  }

  /** kill -9: what is on disk stays, all else is gone. */
  crash(): void {
    this.#running?.life.end();
    this.#running = null;
    this.disk.processDied(this.#options.clock.nowMs());
    this.#options.mutant.onCrash?.(this.disk.memory);
  }

  /** It has read that its store is retired: it stops, and refuses to start again. */
  retire(): void {
    this.crash();
    this.isRetired = true;
  }

  lose(): void {
    this.crash();
    this.disk.memory.partitions.clear();
    this.isLost = true;
  }

  /** A request has arrived; the answer comes after `workMs` of waiting in queues, or never. */
  receive(request: DataRequest, workMs: number, reply: (answer: DataReply) => void): void {
    const running = this.listening;
    const { clock, mutant } = this.#options;
    if (!running) return;
    const { life, store } = running;
    life.run(() => {
      const mayAtReceipt = mutant.data?.checksOwnerAtReceipt && this.#isOwner(store, request);
      clock.after(workMs, () =>
        life.run(() => {
          const isOwner = mayAtReceipt ?? this.#isOwner(store, request);
          const answer = this.#carryOut(running, request, isOwner);
          if (answer) reply(answer);
        }),
      );
    });
  }

  #carryOut(running: Running, request: DataRequest, isOwner: boolean): DataReply | null {
    if (request.value === undefined) return this.#read(running.store, request, isOwner);
    if (!isOwner) return { kind: 'refused' };
    const { partitionId, key, value } = request;
    try {
      const onMade = (lsn: number): void => this.#options.onWrite(this.nodeId, request, lsn);
      const lsn = running.store.write(partitionId, key, value, onMade);
      if (lsn === null) return null;
      running.agent.onWriteCommitted(partitionId);
      this.#options.onAcknowledge(this.nodeId);
      return { kind: 'ok', lsn, value: undefined };
    } catch (error) {
      if (!(error instanceof ForeshardError)) throw error;
      return { kind: error.code === 'FORESHARD_DISK_FULL' ? 'refused' : 'unknown' };
    }
  }

  #read(store: SimStore, { partitionId, key, minLsn }: DataRequest, isOwner: boolean): DataReply {
    const { role, lsn } = store.meta(partitionId);
    const rules = this.#options.mutant.data;
    const isServing = rules?.servesCopiesUnasked || store.isServingCopyReads(partitionId);
    const isCopy = minLsn !== null && role === 'STAGING' && isServing;
    const isBehind = isCopy && lsn < minLsn && !rules?.ignoresMinLsn;
    const isFormer = rules?.readsAnyRole === true && role !== 'NONE' && role !== 'STAGING';
    if ((!isOwner && !isCopy && !isFormer) || isBehind) return { kind: 'refused' };
    return { kind: 'ok', lsn, value: store.get(partitionId, key) };
  }

  #isOwner(store: SimStore, { partitionId, epoch }: DataRequest): boolean {
    const meta = store.meta(partitionId);
    return (
      meta.role === 'OWNER' && (meta.epoch === epoch || this.#options.mutant.data?.ignoresEpoch === true)
    );
  }
}

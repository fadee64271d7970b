/** A disk that outlives the processes on it, and fails as disks do. */
import { ForeshardError } from '../../src/base/errors.ts';
import type { PartitionStore } from '../../src/ports/partition-store.ts';
import {
  type DiskPartition,
  type MemoryDisk,
  MemoryPartitionStore,
  type MemoryStoreHooks,
  newDisk,
} from '../support/memory-partition-store.ts';
import type { Life } from './life.ts';

/**
 * What the next commit meets. LMDB syncs inside its one write transaction, and the process does nothing else meanwhile: so a
 * commit is never half there, but a crash or an error in it leaves open whether it is there at all.
 */
export const DISK_FAULTS = [
  'crash-before-sync',
  'crash-after-sync',
  'error-lost', // EIO; what was written is gone
  'error-kept', // EIO; what was written is there after the restart
  'slow', // the sync takes long, and the process stands still
  'torn', // one entry of a copied piece is not on the disk, though the disk says so
] as const;
export type DiskFault = (typeof DISK_FAULTS)[number];

/** What a life that is over was waiting for never comes. One promise for all would keep every world that ever waited for it. */
const never = (): Promise<never> => new Promise(() => {});

/** What a planted bug makes of the disk's word; nothing else uses it. */
export interface BrokenPromise {
  /** Commits are durable only so much later. */
  readonly syncsAfterMs?: number;
  /** After an error the store goes on, and what comes then is lost with it. */
  readonly goesOnAfterError?: boolean;
}

export class SimDisk {
  readonly memory: MemoryDisk;
  readonly #broken: BrokenPromise | null;
  /** With a broken promise: the disk as it was before each transaction that is not durable. */
  #undurable: { readonly untilMs: number; readonly image: DiskImage }[] = [];
  isFull = false;
  /** Why the environment takes no writes until the process is started again. */
  failure: string | null = null;
  #next: { readonly fault: DiskFault; readonly slowMs: number } | null = null;
  #keptAtRestart: (() => void) | null = null;

  constructor(storeId: string, broken: BrokenPromise | null = null) {
    this.memory = newDisk(storeId);
    this.#broken = broken;
  }

  /** The next commit meets it; one that has not come to pass when the next fault is set is forgotten. */
  arm(fault: DiskFault, slowMs: number): void {
    this.#next = { fault, slowMs };
  }

  /** A process opens the store. */
  reopen(): void {
    const kept = this.#keptAtRestart;
    this.failure = this.#keptAtRestart = null;
    kept?.();
  }

  heal(): void {
    this.#next = null;
    this.isFull = false;
  }

  /** Runs one write transaction. @returns null when the process has died in it. */
  commit<T>(process: StoreProcess, transaction: () => T): T | null {
    if (process.life.isOver) return null;
    if (this.failure) throw storeFailed(this.failure);
    const next = this.#next;
    if (this.#broken?.syncsAfterMs)
      this.#keepImage(process.life.clock.monotonicMs() + this.#broken.syncsAfterMs);
    if (next === null || next.fault === 'torn') return transaction();
    this.#next = null;
    switch (next.fault) {
      case 'crash-after-sync':
        unheard(transaction());
        process.onCrash();
        return null;
      case 'crash-before-sync':
        process.onCrash();
        return null;
      case 'slow': {
        const result = transaction();
        process.life.stopFor(next.slowMs);
        return result;
      }
      default:
        if (this.#broken?.goesOnAfterError) {
          this.#keepImage(Number.POSITIVE_INFINITY);
          return transaction();
        }
        if (next.fault === 'error-kept') this.#keptAtRestart = () => unheard(transaction());
        this.failure = 'EIO';
        process.onFailure();
        throw storeFailed(this.failure);
    }
  }

  /** All that was not durable is gone; with an honest disk that is nothing. */
  processDied(nowMs: number): void {
    const lost = this.#undurable.find(({ untilMs }) => untilMs > nowMs);
    this.#undurable = [];
    if (!lost) return;
    this.memory.partitions.clear();
    for (const [id, partition] of lost.image) this.memory.partitions.set(id, partition);
  }

  #keepImage(untilMs: number): void {
    const image: DiskImage = new Map();
    for (const [id, partition] of this.memory.partitions) image.set(id, copyOf(partition));
    this.#undurable.push({ untilMs, image });
  }

  /** Whether a piece that is written now loses an entry. */
  takeTorn(): boolean {
    if (this.#next?.fault !== 'torn') return false;
    this.#next = null;
    return true;
  }
}

/** Nobody is left who could hear that the transaction was refused. */
function unheard(outcome: unknown): void {
  if (outcome instanceof Promise) outcome.catch(() => undefined);
}

type DiskImage = Map<number, DiskPartition>;

const copyOf = (partition: DiskPartition): DiskPartition => ({
  ...partition,
  entries: new Map(partition.entries),
  log: [...partition.log],
  sums: { ...partition.sums, lanes: partition.sums.lanes.slice() },
});

const storeFailed = (why: string): ForeshardError =>
  new ForeshardError('FORESHARD_STORE_FAILED', 'restart', `a commit failed (${why})`);

const diskFull = (): ForeshardError =>
  new ForeshardError('FORESHARD_DISK_FULL', 'free-space', 'the disk of the simulation is full');

/** What a disk has to know of the process that has it open. */
export interface StoreProcess {
  readonly life: Life;
  /** The process dies in the middle of a commit. */
  readonly onCrash: () => void;
  /** A commit has failed; somebody will have to restart the process. */
  readonly onFailure: () => void;
  readonly onTorn: (partitionId: number, migrationId: number) => void;
  /** A piece of a snapshot is about to be written. */
  readonly onCopied: (copy: string, sizeBytes: number) => void;
}

/** A MemoryPartitionStore whose every transaction goes through the disk. */
export class SimStore extends MemoryPartitionStore {
  readonly #sim: SimDisk;
  readonly #process: StoreProcess;

  constructor(disk: SimDisk, process: StoreProcess, hooks: MemoryStoreHooks) {
    super(disk.memory, hooks);
    this.#sim = disk;
    this.#process = process;
  }

  override updateMeta(...parameters: Parameters<PartitionStore['updateMeta']>) {
    return this.#durably(() => super.updateMeta(...parameters));
  }

  override startChangeLog(...parameters: Parameters<PartitionStore['startChangeLog']>) {
    return this.#durably(() => super.startChangeLog(...parameters));
  }

  override stopChangeLog(partitionId: number) {
    return this.#durably(() => super.stopChangeLog(partitionId));
  }

  override trimChangeLog(partitionId: number, upToLsn: number) {
    return this.#durably(() => super.trimChangeLog(partitionId, upToLsn));
  }

  override adoptDigest(...parameters: Parameters<PartitionStore['adoptDigest']>) {
    return this.#durably(() => super.adoptDigest(...parameters));
  }

  override async applySnapshot(...parameters: Parameters<PartitionStore['applySnapshot']>) {
    if (this.#sim.isFull) throw diskFull();
    const [partitionId, migrationId, entries] = parameters;
    const sizeBytes = entries.reduce((sum, { key, value }) => sum + key.length + value.length, 0);
    this.#process.onCopied(`${partitionId}/${migrationId}`, sizeBytes);
    await this.#durably(() => super.applySnapshot(...parameters));
    const first = entries[0];
    if (!first || !this.#sim.takeTorn()) return;
    this.partition(partitionId).entries.delete(Buffer.from(first.key).toString('latin1'));
    this.#process.onTorn(partitionId, migrationId);
  }

  override async applyLog(...parameters: Parameters<PartitionStore['applyLog']>) {
    if (this.#sim.isFull) throw diskFull();
    return this.#durably(() => super.applyLog(...parameters));
  }

  override deleteBatch(...parameters: Parameters<PartitionStore['deleteBatch']>) {
    return this.#durably(() => super.deleteBatch(...parameters));
  }

  override freeBytes(): number {
    return this.#sim.isFull ? 0 : super.freeBytes();
  }

  /**
   * A client's write.
   *
   * @param onMade in the same transaction: told also of a write whose process never hears of it.
   * @returns its lsn; null when the process has died in it. @throws ForeshardError when it is refused.
   */
  write(
    partitionId: number,
    key: string,
    value: Uint8Array | null,
    onMade: (lsn: number) => void,
  ): number | null {
    // Deletes are how room comes back.
    if (this.#sim.isFull && value !== null) throw diskFull();
    return this.#sim.commit(this.#process, () => {
      const lsn = this.change(partitionId, key, value);
      onMade(lsn);
      return lsn;
    });
  }

  get isWritable(): boolean {
    return this.#sim.failure === null && !this.#sim.isFull;
  }

  /** The promise comes when the process does something again. */
  async #durably<T>(transaction: () => Promise<T>): Promise<T> {
    const result = this.#sim.commit(this.#process, transaction);
    if (result === null) return never();
    return this.#process.life.isStopped ? this.#process.life.whileAlive(result) : result;
  }
}

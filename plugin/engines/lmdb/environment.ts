import { randomBytes } from 'node:crypto';
import { statfsSync } from 'node:fs';
import { open, type RootDatabase, type Transaction } from 'lmdb';
import { ForeshardError } from '../../../src/base/errors.ts';
import { makeFolder } from '../../make-folder.ts';
import { type EncodedKey, encodedKey, KEY_ENCODER } from './physical-key.ts';
import { StoreLock } from './store-lock.ts';

export interface KeyRange {
  readonly start: EncodedKey;
  /** Exclusive. */
  readonly end: EncodedKey;
  readonly limit?: number;
  readonly transaction?: Transaction;
}

/** What we use of an lmdb database; its own types know no encoded keys, and not `lastSize`. */
export interface Table {
  /** Bytes of the value last read: `getBinaryFast` returns a longer buffer, which the next read overwrites. */
  readonly lastSize: number;
  getBinaryFast(key: EncodedKey): Uint8Array | undefined;
  getBinary(key: EncodedKey): Uint8Array | undefined;
  put(key: EncodedKey, value: Uint8Array): unknown;
  remove(key: EncodedKey): unknown;
  getRange(range: KeyRange): Iterable<{ readonly key: Uint8Array; readonly value: Uint8Array }>;
  getKeys(range: KeyRange): Iterable<Uint8Array>;
  useReadTransaction(): Transaction;
  transactionSync(body: () => void): void;
  getStats(): TableStats;
}

interface TableStats {
  readonly pageSize: number;
  readonly lastPageNumber: number;
  readonly free: { readonly entryCount: number };
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
}

export interface EnvironmentOptions {
  readonly path: string;
  readonly partitionCount: number;
  /** Address space kept for the file; no quota, and no memory. */
  readonly mapSizeBytes: number;
}

interface StoreIdentity {
  readonly format: 1;
  readonly storeId: string;
  readonly partitionCount: number;
}

/** What we give to lmdb beside its typed options: in its manual or its source, not in its types. */
const UNTYPED_OPTIONS: object = {
  // Keys and values of clients are nobody else's business.
  permissionsMode: 0o600,
};
const TABLE_ENCODINGS: object = { encoding: 'binary', keyEncoder: KEY_ENCODER };

const IDENTITY_KEY = encodedKey(new TextEncoder().encode('store'));

/**
 * The LMDB environment of one store: one writer (this process), plain LMDB commits.
 *
 * `overlappingSync` is off on purpose. With it lmdb commits first and flushes later on another thread, and after a
 * failed flush what was read as committed is gone with the machine. Without it `transactionSync` returns when data and
 * meta page are on the disk (by strace: pages, fdatasync, then the meta page to an O_DSYNC descriptor, then the reply), a failure is an exception in the caller's hands, and no reader ever sees what is not yet
 * durable. The event loop waits for the disk meanwhile; the requests that arrive in that time make the next group.
 *
 * Any failed commit makes the environment fail-stop for writes: after a failed fdatasync the kernel may have dropped the
 * dirty pages, so a later success would prove nothing.
 */
export class LmdbEnvironment {
  readonly storeId: string;
  readonly path: string;
  readonly data: Table;
  readonly meta: Table;
  readonly changeLog: Table;
  readonly expiryIndex: Table;
  readonly #root: RootDatabase<Uint8Array, Uint8Array>;
  /** Write transactions since the store was opened, and the time they took together, each with its way to the disk. */
  commitCount = 0;
  commitMs = 0;
  #failure: Error | null = null;
  #isInTransaction = false;

  readonly #lock: StoreLock;

  /** @throws ForeshardError FORESHARD_CONFIG when the folder cannot be used: taken, of another format, not writable. */
  constructor(options: EnvironmentOptions) {
    this.path = options.path;
    try {
      makeFolder(options.path);
      this.#lock = StoreLock.acquire(options.path);
    } catch (error) {
      throw cannotOpen(options.path, error);
    }
    try {
      this.#root = open<Uint8Array, Uint8Array>({
        path: options.path,
        maxDbs: 8,
        mapSize: options.mapSizeBytes,
        overlappingSync: false,
        ...UNTYPED_OPTIONS,
      });
      const table = (name: string): Table =>
        this.#root.openDB({ name, ...TABLE_ENCODINGS }) as unknown as Table;
      this.data = table('data');
      this.meta = table('meta');
      this.changeLog = table('log');
      this.expiryIndex = table('expiry');
      this.storeId = this.#readOrMakeIdentity(options.partitionCount).storeId;
    } catch (error) {
      this.#lock.release();
      throw cannotOpen(options.path, error);
    }
  }

  /** Why writes are refused until a restart; null while all is well. */
  get failure(): Error | null {
    return this.#failure;
  }

  /**
   * Runs `body` in the one write transaction; when it returns, everything is on the disk. Nests into a running one.
   *
   * @throws ForeshardError FORESHARD_STORE_FAILED when this or an earlier commit failed: nothing of `body` is kept.
   * A ForeshardError thrown by `body` itself is a refusal: nothing is kept either, and the environment stays well.
   */
  write<Result>(body: () => Result): Result {
    if (this.#isInTransaction) return body();
    if (this.#failure) throw this.#refusal(this.#failure);
    let result: Result | undefined;
    let isRefusal = false;
    this.#isInTransaction = true;
    const startedMs = performance.now();
    try {
      this.data.transactionSync(() => {
        try {
          result = body();
        } catch (error) {
          isRefusal = error instanceof ForeshardError;
          throw error;
        }
      });
    } catch (error) {
      if (isRefusal) throw error;
      this.#failure = error as Error;
      throw this.#refusal(error as Error);
    } finally {
      this.#isInTransaction = false;
      this.commitCount++;
      this.commitMs += performance.now() - startedMs;
    }
    return result as Result;
  }

  #refusal(cause: Error): ForeshardError {
    const message = `a commit to ${this.path} failed (${cause.message}): writes are refused until the node is restarted`;
    return new ForeshardError('FORESHARD_STORE_FAILED', 'restart', message, { cause });
  }

  /** Bytes an unprivileged process may still write to the file system of the store. */
  freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.path);
    return bavail * bsize;
  }

  /** Bytes inside the file that deletes gave back: LMDB uses them again but never shrinks the file. */
  reusableBytes(): number {
    const { free, pageSize, lastPageNumber } = this.data.getStats();
    if (free.entryCount === 0) return 0;
    let usedPages = 2; // the two meta pages
    for (const table of [this.data, this.meta, this.changeLog, this.expiryIndex]) {
      const stats = table.getStats();
      usedPages += stats.treeBranchPageCount + stats.treeLeafPageCount + stats.overflowPages;
    }
    return Math.max(0, lastPageNumber + 1 - usedPages) * pageSize;
  }

  async close(): Promise<void> {
    await this.#root.close();
    this.#lock.release();
  }

  #readOrMakeIdentity(partitionCount: number): StoreIdentity {
    const bytes = this.meta.getBinary(IDENTITY_KEY);
    if (bytes === undefined) {
      const identity: StoreIdentity = { format: 1, storeId: randomBytes(16).toString('hex'), partitionCount };
      this.write(() => this.meta.put(IDENTITY_KEY, Buffer.from(JSON.stringify(identity))));
      return identity;
    }
    const identity = JSON.parse(Buffer.from(bytes).toString()) as StoreIdentity;
    if (identity.format !== 1)
      throw new ForeshardError(
        'FORESHARD_CONFIG',
        'fix-config',
        `${this.path} has format ${identity.format}, not 1`,
      );
    if (identity.partitionCount !== partitionCount)
      throw new ForeshardError(
        'FORESHARD_CONFIG',
        'fix-config',
        `${this.path} was made for ${identity.partitionCount} partitions, not ${partitionCount}`,
      );
    return identity;
  }
}

function cannotOpen(path: string, error: unknown): ForeshardError {
  if (error instanceof ForeshardError) return error;
  const message =
    `cannot open the store in ${path} (node.dataDir or --data-dir): ${(error as Error).message}: ` +
    'name a folder that this process may make and write to';
  return new ForeshardError('FORESHARD_CONFIG', 'fix-config', message, { cause: error });
}

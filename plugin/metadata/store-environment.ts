import { statSync } from 'node:fs';
import { join } from 'node:path';
import { type Database, open, type RootDatabase } from 'lmdb';
import { assert } from '../../src/base/assert.ts';
import { makeFolder } from '../make-folder.ts';
import type { LeaseRecord } from './embedded-leases.ts';

/** The map of 16,384 partitions with long digests stays far below; LMDB only reserves address space. */
const MAP_SIZE_BYTES = 1 << 30;

/** By the identity of their data file: of this thread alone, as the module is. */
const environments = new Map<string, StoreEnvironment>();

/**
 * The LMDB environment of a metadata store: one for all handles that this thread has of it. A commit that is queued holds LMDB's lock
 * until this thread's event loop turns. A second environment in the same thread that asks for the lock meanwhile, be it to open its
 * databases, would wait for itself, for ever; in one environment all commits stand in one queue.
 */
export class StoreEnvironment {
  readonly root: RootDatabase;
  readonly entries: Database<Buffer, string>;
  readonly counters: Database<number, string>;
  readonly changes: Database<string[], number>;
  readonly leases: Database<LeaseRecord, string>;
  readonly #identity: string;
  #handleCount = 0;
  #failure: unknown = null;

  private constructor(path: string) {
    this.root = open({
      path,
      maxDbs: 8,
      mapSize: MAP_SIZE_BYTES,
      // Without overlap a commit is synced before it is visible: another process never acts on what a crash takes back.
      overlappingSync: false,
      noSubdir: false,
    });
    try {
      this.entries = this.root.openDB({ name: 'entries', encoding: 'binary' });
      this.counters = this.root.openDB({ name: 'counters', encoding: 'json' });
      this.changes = this.root.openDB({ name: 'changes', encoding: 'json' });
      this.leases = this.root.openDB({ name: 'leases', encoding: 'json' });
      this.root.readerCheck(); // readers of killed processes would pin old pages for ever
      const identity = identityOf(path);
      if (identity === null) throw new Error('its data file was deleted while it was opened');
      this.#identity = identity;
    } catch (error) {
      void this.root.close();
      throw error;
    }
  }

  /**
   * Every handle releases it once.
   *
   * @param path a folder; made where missing.
   * @throws Error of the file system or of LMDB.
   */
  static acquire(path: string): StoreEnvironment {
    makeFolder(path);
    const identity = identityOf(path);
    const environment =
      (identity === null ? undefined : environments.get(identity)) ?? new StoreEnvironment(path);
    environments.set(environment.#identity, environment);
    environment.#handleCount++;
    return environment;
  }

  /**
   * Queues a write transaction behind those of all handles. One that throws is committed with what it has written until then.
   *
   * LMDB tells of a failed commit by promises that it hands to nobody as well, its batch's and the reason beside its error: unhandled,
   * they would end the process.
   */
  async transact<Result>(action: () => Result): Promise<Result> {
    const committed = this.entries.transaction(action);
    // The batch has its promise from when it is handed over, in the immediate that was set just now or before.
    setImmediate(() => void this.root.committed.then(undefined, () => undefined));
    try {
      return await committed;
    } catch (error) {
      const { commitError } = error as { readonly commitError?: Promise<unknown> };
      commitError?.catch(() => undefined);
      throw error;
    }
  }

  /** What has failed, once something has: LMDB after a failed commit is fail-stop. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Whoever opens the store next gets another environment, which reads again what is on disk. */
  fail(cause: unknown): void {
    this.#failure = cause;
    this.#forget();
  }

  /** The last handle closes it. */
  async release(): Promise<void> {
    assert(this.#handleCount > 0, 'each handle releases its environment once');
    if (--this.#handleCount > 0) return;
    this.#forget();
    await this.root.close();
  }

  #forget(): void {
    if (environments.get(this.#identity) === this) environments.delete(this.#identity);
  }
}

/** Device and inode of the data file, which an open environment keeps from being given to another; null where there is none. */
function identityOf(path: string): string | null {
  const found = statSync(join(path, 'data.mdb'), { bigint: true, throwIfNoEntry: false });
  return found === undefined ? null : `${found.dev}:${found.ino}`;
}

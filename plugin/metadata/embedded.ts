/**
 * The metadata store of one machine: an LMDB environment that its processes share. Every commit is one write transaction
 * (LMDB's lock is held across processes), flushed to disk before anybody can see it, so that "visible" means "durable".
 */
import { type Database, open, type RootDatabase } from 'lmdb';
import { assert } from '../../src/base/assert.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { ForeshardError } from '../../src/base/errors.ts';
import {
  type CommitResult,
  conditionHolds,
  type Leadership,
  type MetadataEntry,
  type MetadataStore,
  type MetadataTransaction,
  type MetadataWrite,
  type Unwatch,
} from '../../src/ports/metadata-store.ts';
import { makeFolder } from '../host/make-folder.ts';
import { campaignByHeartbeat } from './election.ts';
import { assertWithinLimits } from './transaction-limits.ts';

export interface EmbeddedMetadataOptions {
  /** Folder of the environment; made where missing. */
  readonly path: string;
  /** How often other processes' changes are looked for; this process's own changes hint at once. Default 25. */
  readonly pollMs?: number;
  /** How many commits the change list remembers; a watcher further behind is told that anything may have changed. */
  readonly changeListMax?: number;
  readonly clock?: Clock;
  /**
   * For a thread that computes. A commit that is queued holds LMDB's lock, which is that of all processes, until this
   * thread's event loop has turned and run it: a thread that plans for a second would hold up every fence of the cluster.
   * Made at once, in one call, it holds the lock for as long as the disk takes; the thread waits meanwhile. Default false.
   */
  readonly commitsAtOnce?: boolean;
}

/** f64 revision, f64 createRevision, then the value. */
const HEADER_BYTES = 16;
const REVISION = 'revision';
const CHANGE_LIST_MAX_DEFAULT = 1024;
const POLL_MS_DEFAULT = 25;
/** The map of 16,384 partitions with long digests stays far below; LMDB only reserves address space. */
const MAP_SIZE_BYTES = 1 << 30;

interface Watcher {
  readonly prefix: string;
  readonly onHint: () => void;
}

/** @throws ForeshardError FORESHARD_CONFIG when the folder cannot be made or holds no store that can be opened. */
export function openEmbeddedMetadata(options: EmbeddedMetadataOptions): MetadataStore {
  let root: RootDatabase | null = null;
  try {
    makeFolder(options.path);
    root = open({
      path: options.path,
      maxDbs: 4,
      mapSize: MAP_SIZE_BYTES,
      // Without overlap a commit is synced before it is visible: another process never acts on what a crash takes back.
      overlappingSync: false,
      noSubdir: false,
    });
    return new EmbeddedMetadata(root, options);
  } catch (cause) {
    void root?.close();
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      `metadata.path: cannot open the metadata store in ${options.path}: ${(cause as Error).message}: ` +
        'name a folder that this process may make and write to',
      { cause },
    );
  }
}

class EmbeddedMetadata implements MetadataStore {
  readonly #root: RootDatabase;
  readonly #entries: Database<Buffer, string>;
  readonly #counters: Database<number, string>;
  readonly #changes: Database<string[], number>;
  readonly #clock: Clock;
  readonly #changeListMax: number;
  readonly #commitsAtOnce: boolean;
  readonly #watchers = new Set<Watcher>();
  readonly #closing = new AbortController();
  readonly #poll: NodeJS.Timeout;
  #hintedRevision: number;
  #openCommits = 0;
  #onIdle: (() => void) | null = null;
  #failure: unknown = null;

  constructor(root: RootDatabase, options: EmbeddedMetadataOptions) {
    this.#root = root;
    this.#entries = root.openDB({ name: 'entries', encoding: 'binary' });
    this.#counters = root.openDB({ name: 'counters', encoding: 'json' });
    this.#changes = root.openDB({ name: 'changes', encoding: 'json' });
    this.#clock = options.clock ?? systemClock();
    this.#changeListMax = options.changeListMax ?? CHANGE_LIST_MAX_DEFAULT;
    this.#commitsAtOnce = options.commitsAtOnce ?? false;
    root.readerCheck(); // readers of killed processes would pin old pages for ever
    this.#hintedRevision = this.#currentRevision();
    this.#poll = setInterval(() => this.#hintChanges(), options.pollMs ?? POLL_MS_DEFAULT);
    this.#poll.unref();
  }

  async get(key: string): Promise<MetadataEntry | undefined> {
    this.#assertUsable();
    this.#root.resetReadTxn(); // a cached read transaction would answer from before another process's commit
    return this.#read(key);
  }

  async list(prefix: string): Promise<{ entries: readonly MetadataEntry[]; revision: number }> {
    this.#assertUsable();
    this.#root.resetReadTxn();
    const entries: MetadataEntry[] = [];
    for (const { key, value } of this.#entries.getRange({ start: prefix, end: `${prefix}\uffff` }))
      entries.push(decodeEntry(key, value));
    return { entries, revision: this.#counters.get(REVISION) ?? 0 };
  }

  async commit(transaction: MetadataTransaction): Promise<CommitResult> {
    assertWithinLimits(transaction);
    return this.#transact((revision) => {
      const failed = transaction.conditions.find(
        (condition) => !conditionHolds(condition, this.#read(condition.key)),
      );
      if (failed) return { isCommitted: false, failed };
      for (const write of transaction.writes) this.#write(write, revision);
      return { isCommitted: true, revision };
    });
  }

  watch(prefix: string, onHint: () => void): Unwatch {
    const watcher = { prefix, onHint };
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  campaign(options: {
    readonly election: string;
    readonly candidate: string;
    readonly ttlMs: number;
    readonly signal: AbortSignal;
  }): Promise<Leadership> {
    const signal = AbortSignal.any([options.signal, this.#closing.signal]);
    return campaignByHeartbeat({
      ...options,
      signal,
      store: this,
      clock: this.#clock,
      closing: this.#closing.signal,
    });
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    clearInterval(this.#poll);
    this.#watchers.clear();
    if (this.#openCommits > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve));
    await this.#root.close();
  }

  async #transact(action: (revision: number) => CommitResult): Promise<CommitResult> {
    this.#assertUsable();
    this.#openCommits++;
    try {
      const apply = (): CommitResult => action((this.#counters.get(REVISION) ?? 0) + 1);
      const result = this.#commitsAtOnce
        ? this.#root.transactionSync(apply)
        : await this.#entries.transaction(apply);
      if (result.isCommitted) this.#hintChanges();
      return result;
    } catch (cause) {
      // LMDB after a failed commit is fail-stop: what is on disk is not known until the environment is opened again.
      this.#failure = cause;
      throw new ForeshardError('FORESHARD_UNKNOWN_OUTCOME', 're-read', 'a metadata commit failed', { cause });
    } finally {
      this.#openCommits--;
      if (this.#openCommits === 0) this.#onIdle?.();
    }
  }

  /** Inside a write transaction. */
  #write(write: MetadataWrite, revision: number): void {
    if (write.kind === 'delete') this.#entries.remove(write.key);
    else {
      const createRevision = this.#read(write.key)?.createRevision ?? revision;
      this.#entries.put(write.key, encodeEntry(write.value, revision, createRevision));
    }
    const changed = this.#changes.get(revision) ?? [];
    this.#changes.put(revision, [...changed, write.key]);
    this.#changes.remove(revision - this.#changeListMax);
    this.#counters.put(REVISION, revision);
  }

  #read(key: string): MetadataEntry | undefined {
    const bytes = this.#entries.get(key);
    return bytes && decodeEntry(key, bytes);
  }

  #currentRevision(): number {
    this.#root.resetReadTxn();
    return this.#counters.get(REVISION) ?? 0;
  }

  #hintChanges(): void {
    if (this.#closing.signal.aborted) return;
    const revision = this.#currentRevision();
    if (revision === this.#hintedRevision) return;
    const isForgotten =
      revision - this.#hintedRevision > this.#changeListMax || revision < this.#hintedRevision;
    const changed = new Set<string>();
    if (!isForgotten && this.#watchers.size > 0)
      for (const { value } of this.#changes.getRange({ start: this.#hintedRevision + 1, end: revision + 1 }))
        for (const key of value) changed.add(key);
    this.#hintedRevision = revision;
    for (const watcher of [...this.#watchers])
      if (isForgotten || [...changed].some((key) => key.startsWith(watcher.prefix))) watcher.onHint();
  }

  #assertUsable(): void {
    if (this.#closing.signal.aborted)
      throw new ForeshardError('FORESHARD_UNAVAILABLE', 'restart', 'the metadata store is closed');
    if (this.#failure)
      throw new ForeshardError('FORESHARD_UNAVAILABLE', 'restart', 'the metadata store failed a commit', {
        cause: this.#failure,
      });
  }
}

function encodeEntry(value: Uint8Array, revision: number, createRevision: number): Buffer {
  assert(createRevision >= 1 && createRevision <= revision, 'a key is created before it is changed');
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + value.length);
  bytes.writeDoubleLE(revision, 0);
  bytes.writeDoubleLE(createRevision, 8);
  bytes.set(value, HEADER_BYTES);
  return bytes;
}

function decodeEntry(key: string, bytes: Buffer): MetadataEntry {
  if (bytes.length < HEADER_BYTES)
    throw new ForeshardError('FORESHARD_CORRUPT', 'report', `metadata key ${key} is cut short`);
  return {
    key,
    revision: bytes.readDoubleLE(0),
    createRevision: bytes.readDoubleLE(8),
    value: new Uint8Array(bytes.subarray(HEADER_BYTES)),
  };
}

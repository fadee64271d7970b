/**
 * The metadata store of one machine: an LMDB environment that its processes share. Every commit is one write transaction
 * (LMDB's lock is held across processes), flushed to disk before anybody can see it, so that "visible" means "durable".
 */
import { randomUUID } from 'node:crypto';
import { assert } from '../../src/base/assert.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { ForeshardError } from '../../src/base/errors.ts';
import {
  type Announced,
  type Announcement,
  type Candidacy,
  type CommitResult,
  conditionHolds,
  type Leadership,
  type MetadataEntry,
  type MetadataStore,
  type MetadataTransaction,
  type MetadataWrite,
  type Unwatch,
} from '../../src/ports/metadata-store.ts';
import { keepAnnounced } from './announcement.ts';
import { campaignByHeartbeat } from './election.ts';
import { EmbeddedLeases } from './embedded-leases.ts';
import { StoreEnvironment } from './store-environment.ts';
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
/** A lease lasts seconds: so often is fine enough to see one end. */
const LEASE_LOOK_MS = 250;

interface Watcher {
  readonly prefix: string;
  readonly onHint: () => void;
}

/** @throws ForeshardError FORESHARD_CONFIG when the folder cannot be made or holds no store that can be opened. */
export function openEmbeddedMetadata(options: EmbeddedMetadataOptions): MetadataStore {
  let environment: StoreEnvironment | null = null;
  try {
    environment = StoreEnvironment.acquire(options.path);
    return new EmbeddedMetadata(environment, options);
  } catch (cause) {
    void environment?.release();
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
  readonly #environment: StoreEnvironment;
  readonly #leases: EmbeddedLeases;
  readonly #clock: Clock;
  readonly #changeListMax: number;
  readonly #commitsAtOnce: boolean;
  readonly #watchers = new Set<Watcher>();
  readonly #closing = new AbortController();
  readonly #poll: NodeJS.Timeout;
  #hintedRevision: number;
  #leasesLookedMs: number;
  #openCommits = 0;
  #onIdle: (() => void) | null = null;

  constructor(environment: StoreEnvironment, options: EmbeddedMetadataOptions) {
    this.#environment = environment;
    this.#clock = options.clock ?? systemClock();
    this.#leases = new EmbeddedLeases(environment.leases, this.#clock);
    this.#leasesLookedMs = this.#clock.monotonicMs();
    this.#changeListMax = options.changeListMax ?? CHANGE_LIST_MAX_DEFAULT;
    this.#commitsAtOnce = options.commitsAtOnce ?? false;
    this.#hintedRevision = this.#currentRevision();
    this.#poll = setInterval(() => {
      this.#hintChanges();
      this.#lookAtLeases();
    }, options.pollMs ?? POLL_MS_DEFAULT);
    this.#poll.unref();
  }

  async get(key: string): Promise<MetadataEntry | undefined> {
    this.#assertUsable();
    this.#environment.root.resetReadTxn(); // a cached read transaction would answer from before another process's commit
    return this.#read(key);
  }

  async list(prefix: string): Promise<{ entries: readonly MetadataEntry[]; revision: number }> {
    this.#assertUsable();
    this.#environment.root.resetReadTxn();
    const entries: MetadataEntry[] = [];
    for (const { key, value } of this.#environment.entries.getRange({
      start: prefix,
      end: `${prefix}\uffff`,
    }))
      entries.push(decodeEntry(key, value));
    return { entries, revision: this.#environment.counters.get(REVISION) ?? 0 };
  }

  async commit(transaction: MetadataTransaction): Promise<CommitResult> {
    assertWithinLimits(transaction);
    return this.#transact((revision) => {
      const failed = transaction.conditions.find(
        (condition) => !conditionHolds(condition, this.#read(condition.key)),
      );
      if (failed) return { isCommitted: false, failed };
      this.#write(transaction.writes, revision);
      return { isCommitted: true, revision };
    });
  }

  watch(prefix: string, onHint: () => void, options: { readonly afterRevision?: number } = {}): Unwatch {
    const watcher = { prefix, onHint };
    this.#watchers.add(watcher);
    // Never within the call: whoever watches may not be ready yet.
    const { afterRevision } = options;
    if (afterRevision !== undefined)
      queueMicrotask(() => {
        if (
          !this.#closing.signal.aborted &&
          this.#watchers.has(watcher) &&
          this.#hasChanged(prefix, afterRevision)
        )
          onHint();
      });
    return () => void this.#watchers.delete(watcher);
  }

  async announce({ key, value, ttlMs }: Announced): Promise<Announcement> {
    const write = { kind: 'put', key, value } as const;
    assertWithinLimits({ conditions: [], writes: [write] });
    const holder = randomUUID();
    const take = (revision: number): void => {
      this.#write([write], revision);
      this.#leases.grant(key, holder, ttlMs);
    };
    await this.#transact(take);
    return keepAnnounced({
      clock: this.#clock,
      ttlMs,
      closing: this.#closing.signal,
      beat: () =>
        this.#transact((revision) => {
          if (this.#leases.isHeldBy(key, holder)) this.#leases.beat(key);
          else if (!this.#read(key)) take(revision);
        }),
      remove: () =>
        this.#transact((revision) => {
          if (this.#leases.isHeldBy(key, holder)) this.#write([{ kind: 'delete', key }], revision);
        }),
    });
  }

  campaign(options: Candidacy): Promise<Leadership> {
    return campaignByHeartbeat({
      ...options,
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
    await this.#environment.release();
  }

  async #transact<T>(action: (revision: number) => T): Promise<T> {
    this.#assertUsable();
    this.#openCommits++;
    try {
      const apply = (): T => action((this.#environment.counters.get(REVISION) ?? 0) + 1);
      const result = this.#commitsAtOnce
        ? this.#environment.root.transactionSync(apply)
        : await this.#environment.transact(apply);
      this.#hintChanges();
      return result;
    } catch (cause) {
      // It comes of reading what is there, before anything is written: nothing has been done.
      if (cause instanceof ForeshardError) throw cause;
      // LMDB after a failed commit is fail-stop: what is on disk is not known until the environment is opened again.
      this.#environment.fail(cause);
      throw new ForeshardError('FORESHARD_UNKNOWN_OUTCOME', 're-read', 'a metadata commit failed', { cause });
    } finally {
      this.#openCommits--;
      if (this.#openCommits === 0) this.#onIdle?.();
    }
  }

  /**
   * Inside a write transaction, once in it. A queued one keeps what was written before somebody threw, so all that is read comes
   * first.
   *
   * @param writes of a key each.
   * @throws ForeshardError FORESHARD_CORRUPT of an entry that is there, before anything is written.
   */
  #write(writes: readonly MetadataWrite[], revision: number): void {
    if (writes.length === 0) return;
    const { entries, changes, counters } = this.#environment;
    const before = writes.map(({ key, kind }) => (kind === 'put' ? this.#read(key) : undefined));
    for (const [index, write] of writes.entries()) {
      this.#leases.drop(write.key);
      if (write.kind === 'delete') entries.remove(write.key);
      else {
        const createRevision = before[index]?.createRevision ?? revision;
        entries.put(write.key, encodeEntry(write.value, revision, createRevision));
      }
    }
    changes.put(
      revision,
      writes.map(({ key }) => key),
    );
    changes.remove(revision - this.#changeListMax);
    counters.put(REVISION, revision);
  }

  #read(key: string): MetadataEntry | undefined {
    const bytes = this.#environment.entries.get(key);
    return bytes && decodeEntry(key, bytes);
  }

  #currentRevision(): number {
    this.#environment.root.resetReadTxn();
    return this.#environment.counters.get(REVISION) ?? 0;
  }

  #hintChanges(): void {
    if (this.#closing.signal.aborted) return;
    const revision = this.#currentRevision();
    if (revision === this.#hintedRevision) return;
    const changed =
      this.#watchers.size > 0 ? this.#changedSince(this.#hintedRevision, revision) : new Set<string>();
    this.#hintedRevision = revision;
    for (const watcher of [...this.#watchers])
      if (changed === null || [...changed].some((key) => key.startsWith(watcher.prefix))) watcher.onHint();
  }

  /** Keys that were written in (afterRevision, revision]; null when the change list no longer says. */
  #changedSince(afterRevision: number, revision: number): ReadonlySet<string> | null {
    if (revision - afterRevision > this.#changeListMax || revision < afterRevision) return null;
    const changed = new Set<string>();
    for (const { value } of this.#environment.changes.getRange({
      start: afterRevision + 1,
      end: revision + 1,
    }))
      for (const key of value) changed.add(key);
    return changed;
  }

  #hasChanged(prefix: string, afterRevision: number): boolean {
    const changed = this.#changedSince(afterRevision, this.#currentRevision());
    return changed === null || [...changed].some((key) => key.startsWith(prefix));
  }

  #lookAtLeases(): void {
    const nowMs = this.#clock.monotonicMs();
    if (
      this.#closing.signal.aborted ||
      this.#environment.failure ||
      nowMs - this.#leasesLookedMs < LEASE_LOOK_MS
    )
      return;
    this.#leasesLookedMs = nowMs;
    this.#environment.root.resetReadTxn();
    for (const { key, lease } of this.#leases.expired())
      this.#transact((revision) => {
        // It may have been heard of since, and whoever looks besides us may have been first.
        if (this.#leases.isStill(key, lease)) this.#write([{ kind: 'delete', key }], revision);
      }).catch(() => {});
  }

  #assertUsable(): void {
    if (this.#closing.signal.aborted)
      throw new ForeshardError('FORESHARD_UNAVAILABLE', 'restart', 'the metadata store is closed');
    if (this.#environment.failure)
      throw new ForeshardError('FORESHARD_UNAVAILABLE', 'restart', 'the metadata store failed a commit', {
        cause: this.#environment.failure,
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

/**
 * The one consistent view that all processes share: the partition map, leadership, published profiles.
 * Adapters: embedded (one machine) and etcd; both pass the suite of metadata stores in `src/conformance/`.
 */
export interface MetadataStore {
  /** Linearizable read. */
  get(key: string): Promise<MetadataEntry | undefined>;
  /** Linearizable read of every key with the prefix, sorted by key, at one revision. */
  list(prefix: string): Promise<{ readonly entries: readonly MetadataEntry[]; readonly revision: number }>;
  /**
   * Applies all writes at one revision, or none.
   *
   * @returns the new revision, or the first condition that did not hold.
   * @throws ForeshardError FORESHARD_UNKNOWN_OUTCOME when it may or may not have happened: re-read, never guess.
   * @throws ForeshardError FORESHARD_UNAVAILABLE when it certainly did not happen.
   */
  commit(transaction: MetadataTransaction): Promise<CommitResult>;
  /**
   * A wake-up hint: something under the prefix may have changed. Re-read before acting. Never throws; may repeat.
   *
   * @param options.afterRevision of a `list` or a commit: whatever has changed since is hinted at as well, also where the
   * store has forgotten what it was (compaction). Without it, what changes from now on.
   */
  watch(prefix: string, onHint: () => void, options?: { readonly afterRevision?: number }): Unwatch;
  /**
   * Writes a key that says "I am here", and keeps it for as long as this process lives: a lease. After a death it is gone
   * within about twice the time to live; a store that has lost it gets it again. A hint of life, never proof: a process that
   * was paused finds itself gone, and whoever reads the key may read it of one that has just died.
   *
   * Whoever writes the key later has it: what was announced before then neither keeps nor removes it.
   *
   * @returns once the key is there.
   * @throws ForeshardError as `commit` does, when it could not be written.
   */
  announce(announced: Announced): Promise<Announcement>;
  /**
   * Stands for election until `signal` aborts. Resolves once elected.
   * Leadership is a hint to act; safety comes from putting `term` into the conditions of every commit.
   */
  campaign(candidacy: Candidacy): Promise<Leadership>;
  close(): Promise<void>;
}

export interface MetadataEntry {
  readonly key: string;
  readonly value: Uint8Array;
  /** Store revision of the last write to this key; 0 is never used. */
  readonly revision: number;
  /** Store revision at which this key came to exist. */
  readonly createRevision: number;
}

export type MetadataCondition =
  | { readonly key: string; readonly revisionIs: number } // 0 = the key must not exist
  | { readonly key: string; readonly createRevisionIs: number };

/** Whether a condition holds of what its key is found to be; undefined where the key is not there. */
export function conditionHolds(condition: MetadataCondition, entry: MetadataEntry | undefined): boolean {
  if ('revisionIs' in condition) return (entry?.revision ?? 0) === condition.revisionIs;
  return (entry?.createRevision ?? 0) === condition.createRevisionIs;
}

export type MetadataWrite =
  | { readonly kind: 'put'; readonly key: string; readonly value: Uint8Array }
  | { readonly kind: 'delete'; readonly key: string };

export interface MetadataTransaction {
  readonly conditions: readonly MetadataCondition[];
  readonly writes: readonly MetadataWrite[];
}

export type CommitResult =
  | { readonly isCommitted: true; readonly revision: number }
  | { readonly isCommitted: false; readonly failed: MetadataCondition };

export type Unwatch = () => void;

export interface Announced {
  readonly key: string;
  readonly value: Uint8Array;
  readonly ttlMs: number;
}

export interface Candidacy {
  readonly election: string;
  readonly candidate: string;
  readonly ttlMs: number;
  readonly signal: AbortSignal;
}

export interface Announcement {
  /** Takes the key back, if it still is ours. Never throws: what cannot be taken back goes by itself. */
  end(): Promise<void>;
}

export interface Leadership {
  /** The condition that fences this leader: put it into every transaction. */
  readonly fence: MetadataCondition;
  /** Resolves when leadership is, or may be, lost. */
  readonly lost: Promise<void>;
  isHeld(): boolean;
  resign(): Promise<void>;
}

/** etcd's own limits; every adapter keeps them, so that code which works on one works on the other. */
export const TRANSACTION_OPERATIONS_MAX = 128;
export const TRANSACTION_BYTES_MAX = 1_500_000;

/**
 * The one consistent view that all processes share: the partition map, leadership, published profiles.
 * Adapters: embedded (one machine) and etcd; both pass `test/conformance/metadata-store.ts`.
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
  /** A wake-up hint: something under the prefix may have changed. Re-read before acting. Never throws; may repeat. */
  watch(prefix: string, onHint: () => void): Unwatch;
  /**
   * Stands for election until `signal` aborts. Resolves once elected.
   * Leadership is a hint to act; safety comes from putting `term` into the conditions of every commit.
   */
  campaign(options: {
    readonly election: string;
    readonly candidate: string;
    readonly ttlMs: number;
    readonly signal: AbortSignal;
  }): Promise<Leadership>;
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

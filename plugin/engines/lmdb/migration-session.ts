import type { Clock } from '../../../src/base/clock.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { Digest, Lsn } from '../../../src/model/migration.ts';
import type { PartitionSnapshot, PartitionStore } from '../../../src/ports/partition-store.ts';

export interface Verification {
  readonly lsn: Lsn;
  /** Null while the scan runs. */
  result: { readonly lsn: Lsn; readonly scanned: Digest; readonly running: Digest } | null;
}

/**
 * What a node remembers of one migration of one partition besides what is durable: all of it can be lost at any time, and
 * the coordinator's repeated commands bring it back.
 */
export class MigrationSession {
  readonly partitionId: number;
  readonly migrationId: number;
  readonly #store: PartitionStore;
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  /** Why this node cannot go on; the coordinator reads it and aborts. */
  failure: string | null = null;
  copiedBytes = 0;
  /** Owner: log readers stop at it once, so that the copy can scan exactly there. */
  barrierLsn: Lsn | null = null;
  /** Owner: the barrier that a log reader standing at it has been told of; it may be lost, and is then told again. */
  toldBarrierLsn: Lsn | null = null;
  /** Owner: how far the log reader has durably come. */
  readerLsn: Lsn | null = null;
  /** Owner: the log was last trimmed up to here. */
  trimmedLsn: Lsn = 0;
  verification: Verification | null = null;
  snapshot: { readonly id: number; readonly snapshot: PartitionSnapshot; usedMs: number } | null = null;
  #adoption: Promise<void> | null = null;
  #waiters: (() => void)[] = [];

  constructor(partitionId: number, migrationId: number, store: PartitionStore, clock: Clock) {
    this.partitionId = partitionId;
    this.migrationId = migrationId;
    this.#store = store;
    this.#clock = clock;
  }

  get signal(): AbortSignal {
    return this.#closing.signal;
  }

  close(): void {
    this.#closing.abort();
    this.closeSnapshot();
    this.wake();
  }

  closeSnapshot(): void {
    this.snapshot?.snapshot.close();
    this.snapshot = null;
  }

  /** The sides swap, or the fence is up: what was verified before counts for nothing after. */
  forgetVerification(): void {
    this.verification = null;
    this.barrierLsn = null;
  }

  /** Something a log reader waits for has happened. */
  wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter();
  }

  async waitForWrite(waitMs: number): Promise<void> {
    if (this.signal.aborted) return;
    const over = new AbortController();
    this.#waiters.push(() => over.abort());
    await this.#clock.sleep(waitMs, over.signal);
  }

  /** Opens a snapshot at this instant and scans it in the background. At one lsn it is done once. */
  scanNow(digestSeed: string): Verification {
    const snapshot = this.#store.openSnapshot(this.partitionId);
    const { lsn, runningDigest } = snapshot;
    if (this.verification?.lsn === lsn || runningDigest === null) {
      snapshot.close();
      if (runningDigest === null)
        throw new ForeshardError('FORESHARD_NOT_READY', 'retry', 'the running digest is not complete yet');
      return this.verification as Verification;
    }
    const verification: Verification = { lsn, result: null };
    this.verification = verification;
    void snapshot
      .digest(digestSeed, this.signal)
      .then((scanned) => {
        verification.result = { lsn, scanned, running: runningDigest };
      })
      .catch((error) => this.#giveUpUnlessClosed('the verification scan failed', error))
      .finally(() => snapshot.close());
    return verification;
  }

  /** Owner: completes the running digest by a scan, once. Resolves when it is complete, or the session is over. */
  completeDigest(digestSeed: string): Promise<void> {
    this.#adoption ??= this.#adoptDigest(digestSeed).catch((error) =>
      this.#giveUpUnlessClosed('the running digest could not be completed', error),
    );
    return this.#adoption;
  }

  async #adoptDigest(digestSeed: string): Promise<void> {
    if (this.#store.runningDigest(this.partitionId).digest) return;
    const snapshot = this.#store.openSnapshot(this.partitionId);
    try {
      const scanned = await snapshot.digest(digestSeed, this.signal);
      if (!this.signal.aborted) await this.#store.adoptDigest(this.partitionId, snapshot, scanned);
    } finally {
      snapshot.close();
    }
  }

  #giveUpUnlessClosed(what: string, error: unknown): void {
    if (!this.signal.aborted)
      this.failure = `${what}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

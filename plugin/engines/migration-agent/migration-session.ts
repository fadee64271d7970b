import type { Clock } from '../../../src/base/clock.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { Digest, Lsn } from '../../../src/model/migration.ts';
import type { PartitionSnapshot, PartitionStore } from '../../../src/ports/partition-store.ts';
import type { EntryPage, ListEntriesOptions } from '../../../src/ports/storage-engine.ts';

/** A snapshot pins old pages; the coordinator asks within a tick or two if it asks at all. */
const SCANNED_IDLE_MS = 10_000;

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
  #round = 0;
  snapshot: { readonly id: number; readonly snapshot: PartitionSnapshot; usedMs: number } | null = null;
  /** What was scanned last, kept open for a while: should the digests differ, its entries are asked for. */
  #scanned: { readonly lsn: Lsn; readonly snapshot: PartitionSnapshot; usedMs: number } | null = null;
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
    this.#closeScanned();
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
    this.#closeScanned();
  }

  /**
   * A verification that failed is asked for again after a while, in the next round: whoever mended the copy meanwhile may
   * have left its lsn as it was. A session that began after that has nothing to forget, or scans once more than it must.
   */
  enterRound(round: number): void {
    if (round <= this.#round) return;
    this.#round = round;
    this.forgetVerification();
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
    this.#closeScanned();
    void snapshot
      .digest(digestSeed, this.signal)
      .then((scanned) => {
        verification.result = { lsn, scanned, running: runningDigest };
        if (this.verification === verification && !this.signal.aborted) this.#keepScanned(lsn, snapshot);
        else snapshot.close();
      })
      .catch((error) => {
        snapshot.close();
        this.#giveUpUnlessClosed('the verification scan failed', error);
      });
    return verification;
  }

  /**
   * Entries as the last scan saw them, or as they are, if the partition still stands at that lsn.
   *
   * @throws ForeshardError FORESHARD_NOT_READY when that state is gone: the node restarted, or nobody asked for long.
   */
  list(digestSeed: string, { lsn, ...options }: ListEntriesOptions): EntryPage {
    if (this.#scanned?.lsn !== lsn && this.#store.meta(this.partitionId).lsn === lsn)
      this.#keepScanned(lsn, this.#store.openSnapshot(this.partitionId));
    const scanned = this.#scanned;
    if (scanned?.lsn !== lsn)
      throw new ForeshardError('FORESHARD_NOT_READY', 'abort', `what stood at lsn ${lsn} is gone`);
    scanned.usedMs = this.#clock.monotonicMs();
    return scanned.snapshot.list(digestSeed, options);
  }

  #keepScanned(lsn: Lsn, snapshot: PartitionSnapshot): void {
    this.#closeScanned();
    const scanned = { lsn, snapshot, usedMs: this.#clock.monotonicMs() };
    this.#scanned = scanned;
    void (async () => {
      do await this.#clock.sleep(SCANNED_IDLE_MS, this.signal);
      while (this.#scanned === scanned && this.#clock.monotonicMs() - scanned.usedMs < SCANNED_IDLE_MS);
      if (this.#scanned === scanned) this.#closeScanned();
    })();
  }

  #closeScanned(): void {
    this.#scanned?.snapshot.close();
    this.#scanned = null;
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

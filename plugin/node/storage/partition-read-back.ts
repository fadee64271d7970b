/** Reads every entry of a partition back from the disk and sums it up: for `foreshard verify`, at any time, also without a migration. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { Digest } from '../../../src/model/migration.ts';
import type { PartitionStore } from '../../../src/ports/partition-store.ts';
import { parseBody } from '../../engines/migration-agent/migration-messages.ts';
import type { ControlReply } from '../../hooks.ts';

export const READ_BACK_OPERATION = 'readBack.partition';

const count = z.number().int().nonnegative();
const seed = z.string().regex(/^[0-9a-f]{16}$/);
const request = z.object({ partitionId: count.max(16_383), digestSeed: seed });
const sums = z.object({ entryCount: count, sizeBytes: count });
const hash = z.string().length(64);
const reply = z.object({
  storeId: z.string().min(1).max(128),
  role: z.enum(['NONE', 'STAGING', 'OWNER', 'FENCED', 'FOLLOWER', 'RETIRED']),
  epoch: count,
  /** The state that was read. */
  lsn: count,
  /** By reading all entries. */
  scanned: sums.extend({ digest: hash }),
  /** By what is kept at each write. */
  kept: sums,
  /** The digest that is kept at each write while the partition is moved, where the asker's seed is its seed; else null. */
  runningDigest: hash.nullable(),
  /** Of a copy that is still being filled: less than its source had, and no fault. */
  isPartial: z.boolean(),
});

export type ReadBackReply = z.output<typeof reply>;

/** @throws ForeshardError FORESHARD_CORRUPT. */
export const parseReadBack = (body: Record<string, unknown>): ReadBackReply =>
  parseBody<ReadBackReply>(reply, `${READ_BACK_OPERATION} reply`, body);

type Store = Pick<PartitionStore, 'storeId' | 'meta' | 'statistics' | 'openSnapshot'>;

export class ReadBack {
  readonly #store: Store;
  #isReading = false;

  constructor(store: Store) {
    this.#store = store;
  }

  /**
   * One at a time: a scan rests two thirds of its time for the clients' sake, two of them would not.
   *
   * @throws ForeshardError FORESHARD_LIMIT while another is being read.
   */
  async answer(body: Record<string, unknown>): Promise<ControlReply> {
    const asked = parseBody<z.output<typeof request>>(request, READ_BACK_OPERATION, body);
    if (this.#isReading)
      throw new ForeshardError(
        'FORESHARD_LIMIT',
        'wait',
        'somebody else has a partition read back: try again',
      );
    this.#isReading = true;
    try {
      return { body: await this.#read(asked.partitionId, asked.digestSeed) };
    } finally {
      this.#isReading = false;
    }
  }

  async #read(partitionId: number, digestSeed: string): Promise<ReadBackReply> {
    const store = this.#store;
    // Nothing may come between these: all must speak of the state that the snapshot holds.
    const { role, epoch, staging, digestSeed: ownSeed } = store.meta(partitionId);
    const kept = { ...store.statistics(partitionId) };
    const snapshot = store.openSnapshot(partitionId);
    try {
      const scanned = await snapshot.digest(digestSeed);
      const { runningDigest } = snapshot;
      return {
        storeId: store.storeId,
        role,
        epoch,
        lsn: snapshot.lsn,
        scanned: {
          entryCount: scanned.entryCount,
          sizeBytes: scanned.sizeBytes,
          digest: hashOf(scanned),
        },
        kept: { entryCount: kept.entryCount, sizeBytes: kept.sizeBytes },
        runningDigest: runningDigest !== null && ownSeed === digestSeed ? hashOf(runningDigest) : null,
        isPartial: staging !== null && !staging.isComplete,
      };
    } finally {
      snapshot.close();
    }
  }
}

/** One word for thousands of lanes: a control message holds 64 KiB. */
const hashOf = ({ buckets }: Pick<Digest, 'buckets'>): string =>
  createHash('sha256').update(buckets.join('')).digest('hex');

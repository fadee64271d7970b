import { ForeshardError } from '../../../src/base/errors.ts';
import { DIGEST_FORMAT, type Lsn, type PartitionRole } from '../../../src/model/migration.ts';
import type { PartitionMeta } from '../../../src/ports/partition-store.ts';
import type { EntryHasher } from './entry-hasher.ts';
import type { Table } from './environment.ts';
import { type EncodedKey, encodedKey } from './physical-key.ts';
import { DIGEST_SUM_BYTES, RunningDigest } from './running-digest.ts';

/** The parts of a partition's meta that change with a migration's steps, not with every write. */
type SlowMeta = Omit<PartitionMeta, 'lsn' | 'digestSeed'>;

const INITIAL_META: SlowMeta = {
  role: 'NONE',
  epoch: 0,
  epochMax: 0,
  closedMigrationId: 0,
  migrationId: 0,
  fence: null,
  staging: null,
};

/** f64 each: lsn, entries, keys, bytes, whether changes are logged, lsn before the oldest log entry. */
const COUNTER_COUNT = 6;
const SEED_BYTES = 16;

/**
 * One partition of the store: the copy in memory that the write path reads and moves, and how it goes to the meta table.
 * This process is the store's only writer, so inside the write transaction memory and file say the same; when a
 * transaction is given up, `load` brings memory back to the file.
 */
export class PartitionState {
  readonly partitionId: number;
  role: PartitionRole = 'NONE';
  epoch = 0;
  lsn: Lsn = 0;
  entryCount = 0;
  keyCount = 0;
  sizeBytes = 0;
  isLogging = false;
  /** The log holds the entries with a greater lsn. */
  logStartLsn: Lsn = 0;
  digest: RunningDigest | null = null;
  /** No key of the partition expires before; a lower bound, so that idle partitions cost nothing. */
  nextExpiryMs = 0;
  isServingCopyReads = false;
  /** As in the meta, for the read path. */
  migrationId = 0;
  /** In the list of states that the running transaction has to write. */
  isTouched = false;
  #slow: SlowMeta = INITIAL_META;
  #isSlowChanged = false;
  readonly #hasher: EntryHasher;
  readonly #metaKey: EncodedKey;
  readonly #counterKey: EncodedKey;
  readonly #digestKey: EncodedKey;

  constructor(partitionId: number, hasher: EntryHasher) {
    this.partitionId = partitionId;
    this.#hasher = hasher;
    const key = (kind: string): EncodedKey =>
      encodedKey(Buffer.from([kind.charCodeAt(0), partitionId >> 8, partitionId]));
    this.#metaKey = key('m');
    this.#counterKey = key('c');
    this.#digestKey = key('d');
  }

  get meta(): PartitionMeta {
    return { ...this.#slow, lsn: this.lsn, digestSeed: this.digest?.seedHex ?? null };
  }

  /** All but `digestSeed`, which goes with the change log. */
  set meta(meta: PartitionMeta) {
    const { lsn, digestSeed: _, ...slow } = meta;
    this.#slow = slow;
    this.#isSlowChanged = true;
    this.lsn = lsn;
    this.epoch = slow.epoch;
    this.role = slow.role;
    this.migrationId = slow.migrationId;
  }

  load(table: Table): void {
    const slow = table.getBinary(this.#metaKey);
    this.#slow = slow ? decodeMeta(slow) : INITIAL_META;
    this.role = this.#slow.role;
    this.epoch = this.#slow.epoch;
    this.migrationId = this.#slow.migrationId;
    this.#isSlowChanged = false;
    this.isTouched = false;
    const counters = table.getBinary(this.#counterKey);
    const values = new Float64Array(COUNTER_COUNT);
    if (counters) new Uint8Array(values.buffer).set(counters);
    [this.lsn, this.entryCount, this.keyCount, this.sizeBytes] = values;
    this.isLogging = values[4] === 1;
    this.logStartLsn = values[5];
    this.digest = this.#loadDigest(table);
  }

  #loadDigest(table: Table): RunningDigest | null {
    const bytes = table.getBinary(this.#digestKey);
    if (!bytes) return null;
    const format = Math.max(1, bytes[SEED_BYTES] >> 1);
    if (format !== DIGEST_FORMAT)
      throw new ForeshardError(
        'FORESHARD_CONFIG',
        'fix-config',
        `partition ${this.partitionId} is in a migration whose digest has format ${format}, this version writes ${DIGEST_FORMAT}: ` +
          'let the version that began the migration end it',
      );
    const seedHex = Buffer.from(bytes.subarray(0, SEED_BYTES)).toString('latin1').trim();
    // A copy of its own, not `slice`: a Buffer's slice shares memory, and 64-bit views must be aligned.
    const sums = new BigUint64Array(new Uint8Array(bytes.subarray(SEED_BYTES + 1)).buffer);
    return new RunningDigest(this.#hasher, seedHex, { isComplete: (bytes[SEED_BYTES] & 1) === 1, sums });
  }

  /** Writes what the transaction has changed, in the same transaction. */
  save(table: Table): void {
    const counters = Float64Array.of(
      this.lsn,
      this.entryCount,
      this.keyCount,
      this.sizeBytes,
      this.isLogging ? 1 : 0,
      this.logStartLsn,
    );
    table.put(this.#counterKey, new Uint8Array(counters.buffer));
    if (this.#isSlowChanged) {
      table.put(this.#metaKey, encodeMeta(this.#slow));
      this.#isSlowChanged = false;
    }
    if (this.digest) table.put(this.#digestKey, this.#digestBytes(this.digest));
    this.isTouched = false;
  }

  #digestBytes(digest: RunningDigest): Uint8Array {
    const bytes = new Uint8Array(SEED_BYTES + 1 + DIGEST_SUM_BYTES);
    bytes.set(Buffer.from(digest.seedHex.padEnd(SEED_BYTES), 'latin1'));
    bytes[SEED_BYTES] = (DIGEST_FORMAT << 1) | (digest.isComplete ? 1 : 0);
    bytes.set(new Uint8Array(digest.sums.buffer, digest.sums.byteOffset, DIGEST_SUM_BYTES), SEED_BYTES + 1);
    return bytes;
  }

  dropDigest(table: Table): void {
    if (this.digest) table.remove(this.#digestKey);
    this.digest = null;
  }
}

/** JSON, with the one byte string in it as hex: metas are written at a migration's steps only, and people may read them. */
function encodeMeta(meta: SlowMeta): Uint8Array {
  const cursor = meta.staging?.cursor;
  return Buffer.from(
    JSON.stringify({
      ...meta,
      staging: meta.staging && {
        ...meta.staging,
        cursor: cursor ? Buffer.from(cursor).toString('hex') : null,
      },
    }),
  );
}

function decodeMeta(bytes: Uint8Array): SlowMeta {
  const meta = JSON.parse(Buffer.from(bytes).toString()) as SlowMeta & {
    staging: { cursor: string | null } | null;
  };
  if (!meta.staging) return meta;
  const { cursor } = meta.staging;
  return {
    ...meta,
    staging: { ...meta.staging, cursor: cursor ? Buffer.from(cursor, 'hex') : null },
  } as SlowMeta;
}

/**
 * A PartitionStore in memory, for simulations: every change is atomic and durable at once, as with a storage engine that
 * syncs inside its one write transaction. A disk outlives the stores that were opened on it.
 */
import { ForeshardError } from '../../src/base/errors.ts';
import type { Digest, Lsn } from '../../src/model/migration.ts';
import type {
  LogEntry,
  PartitionMeta,
  PartitionSnapshot,
  PartitionStore,
  PhysicalEntry,
} from '../../src/ports/partition-store.ts';
import type { EntryPage, ListEntriesOptions } from '../../src/ports/storage-engine.ts';

const BUCKET_COUNT = 4;

interface Sums {
  /** u32[bucket][lane] */
  readonly lanes: Uint32Array;
  entryCount: number;
  sizeBytes: number;
}

export interface DiskPartition {
  meta: PartitionMeta;
  /** By key as latin-1 text. */
  entries: Map<string, Uint8Array>;
  log: LogEntry[];
  isLogging: boolean;
  digestSeed: string | null;
  sums: Sums;
  isDigestComplete: boolean;
}

export interface MemoryDisk {
  readonly storeId: string;
  readonly partitions: Map<number, DiskPartition>;
  freeBytes: number;
}

export const newDisk = (storeId: string): MemoryDisk => ({ storeId, partitions: new Map(), freeBytes: 1e12 });

export const EMPTY_META: PartitionMeta = {
  role: 'NONE',
  epoch: 0,
  epochMax: 0,
  closedMigrationId: 0,
  migrationId: 0,
  lsn: 0,
  fence: null,
  staging: null,
  digestSeed: null,
};

const newSums = (): Sums => ({ lanes: new Uint32Array(BUCKET_COUNT * 2), entryCount: 0, sizeBytes: 0 });
const textOf = (key: Uint8Array): string => Buffer.from(key).toString('latin1');
const bytesOf = (key: string): Uint8Array => new Uint8Array(Buffer.from(key, 'latin1'));

const bucketOf = (key: string): number =>
  key.length === 0 ? 0 : key.charCodeAt(key.length - 1) % BUCKET_COUNT;

/** Two lanes of FNV-1a with different starts: enough to tell copies apart in a simulation. */
function addEntry(sums: Sums, seed: string, key: string, value: Uint8Array, sign: 1 | -1): void {
  let [a, b] = [0x811c9dc5, 0x01234567];
  const feed = (byte: number): void => {
    a = Math.imul(a ^ byte, 0x01000193);
    b = Math.imul(b ^ byte, 0x85ebca6b) + 1;
  };
  for (let i = 0; i < seed.length; i++) feed(seed.charCodeAt(i));
  for (let i = 0; i < key.length; i++) feed(key.charCodeAt(i));
  feed(256);
  for (const byte of value) feed(byte);
  const bucket = bucketOf(key);
  sums.lanes[bucket * 2] += sign * (a >>> 0);
  sums.lanes[bucket * 2 + 1] += sign * (b >>> 0);
  sums.entryCount += sign;
  sums.sizeBytes += sign * (key.length + value.length);
}

function toDigest(sums: Sums): Digest {
  const buckets = Array.from({ length: BUCKET_COUNT }, (_, bucket) =>
    [0, 1].map((lane) => (sums.lanes[bucket * 2 + lane] as number).toString(16).padStart(8, '0')).join(''),
  );
  return { entryCount: sums.entryCount, sizeBytes: sums.sizeBytes, buckets };
}

export interface MemoryStoreHooks {
  /** After each change of a partition's meta: invariants are checked here. */
  readonly onMeta?: (partitionId: number, before: PartitionMeta, after: PartitionMeta) => void;
  /** Before entries are removed for good. */
  readonly onRemove?: (partitionId: number, meta: PartitionMeta) => void;
}

export class MemoryPartitionStore implements PartitionStore {
  readonly disk: MemoryDisk;
  readonly #hooks: MemoryStoreHooks;
  readonly #copyReads = new Set<number>();

  constructor(disk: MemoryDisk, hooks: MemoryStoreHooks = {}) {
    this.disk = disk;
    this.#hooks = hooks;
  }

  get storeId(): string {
    return this.disk.storeId;
  }

  meta(partitionId: number): PartitionMeta {
    return this.partition(partitionId).meta;
  }

  async updateMeta(
    partitionId: number,
    change: (meta: PartitionMeta, runningDigest: () => Digest | null) => PartitionMeta,
  ): Promise<PartitionMeta> {
    const partition = this.partition(partitionId);
    const before = partition.meta;
    const after = change(before, () => this.runningDigest(partitionId).digest);
    partition.meta = { ...after, digestSeed: partition.digestSeed };
    const isMigrationNew =
      after.migrationId !== before.migrationId || after.closedMigrationId !== before.closedMigrationId;
    if (after.role !== before.role || isMigrationNew) this.#copyReads.delete(partitionId);
    this.#hooks.onMeta?.(partitionId, before, after);
    return after;
  }

  async startChangeLog(
    partitionId: number,
    options: { digestSeed: string; firstLsn?: Lsn },
  ): Promise<{ lsn: Lsn }> {
    const partition = this.partition(partitionId);
    if (partition.isLogging && partition.digestSeed === options.digestSeed)
      return { lsn: partition.meta.lsn };
    if (options.firstLsn !== undefined && options.firstLsn !== partition.meta.lsn) {
      if (partition.entries.size > 0) throw new ForeshardError('FORESHARD_CONFLICT', 'abort', 'not empty');
      partition.meta = { ...partition.meta, lsn: options.firstLsn };
    }
    partition.log = [];
    partition.isLogging = true;
    partition.digestSeed = options.digestSeed;
    partition.sums = newSums();
    partition.isDigestComplete = partition.entries.size === 0;
    partition.meta = { ...partition.meta, digestSeed: options.digestSeed };
    return { lsn: partition.meta.lsn };
  }

  async stopChangeLog(partitionId: number): Promise<void> {
    const partition = this.partition(partitionId);
    partition.log = [];
    partition.isLogging = false;
    partition.digestSeed = null;
    partition.meta = { ...partition.meta, digestSeed: null };
  }

  readChangeLog(partitionId: number, afterLsn: Lsn, bytesMax: number): readonly LogEntry[] {
    const { log, meta, isLogging } = this.partition(partitionId);
    const firstLsn = log[0]?.lsn ?? meta.lsn + 1;
    if (!isLogging || afterLsn + 1 < firstLsn)
      throw new ForeshardError(
        'FORESHARD_CORRUPT',
        'abort',
        `the log begins at ${firstLsn}, asked after ${afterLsn}`,
      );
    const entries: LogEntry[] = [];
    let sizeBytes = 0;
    for (const entry of log.slice(afterLsn + 1 - firstLsn)) {
      sizeBytes += entry.key.length + (entry.kind === 'put' ? entry.value.length : 0);
      if (entries.length > 0 && sizeBytes > bytesMax) break;
      entries.push(entry);
    }
    return entries;
  }

  async trimChangeLog(partitionId: number, upToLsn: Lsn): Promise<void> {
    const partition = this.partition(partitionId);
    partition.log = partition.log.filter((entry) => entry.lsn > upToLsn);
  }

  runningDigest(partitionId: number): { readonly lsn: Lsn; readonly digest: Digest | null } {
    const { meta, digestSeed, sums, isDigestComplete } = this.partition(partitionId);
    return { lsn: meta.lsn, digest: digestSeed !== null && isDigestComplete ? toDigest(sums) : null };
  }

  async adoptDigest(partitionId: number, snapshot: PartitionSnapshot, scanned: Digest): Promise<void> {
    const partition = this.partition(partitionId);
    if (partition.isDigestComplete || !(snapshot instanceof MemorySnapshot)) return;
    const then = snapshot.sums;
    scanned.buckets.forEach((lanes, bucket) => {
      for (const lane of [0, 1]) {
        const index = bucket * 2 + lane;
        partition.sums.lanes[index] +=
          Number.parseInt(lanes.slice(lane * 8, lane * 8 + 8), 16) - (then.lanes[index] as number);
      }
    });
    partition.sums.entryCount += scanned.entryCount - then.entryCount;
    partition.sums.sizeBytes += scanned.sizeBytes - then.sizeBytes;
    partition.isDigestComplete = true;
  }

  setCopyReads(partitionId: number, isServing: boolean): void {
    if (isServing) this.#copyReads.add(partitionId);
    else this.#copyReads.delete(partitionId);
  }

  openSnapshot(partitionId: number): PartitionSnapshot {
    return new MemorySnapshot(this.partition(partitionId));
  }

  async applySnapshot(
    partitionId: number,
    migrationId: number,
    entries: readonly PhysicalEntry[],
    cursor: Uint8Array | null,
  ): Promise<void> {
    const partition = this.partition(partitionId);
    const { meta } = partition;
    if (meta.role !== 'STAGING' || meta.staging?.migrationId !== migrationId) throw notACopy(meta);
    for (const { key, value } of entries) this.#set(partition, textOf(key), value);
    partition.meta = {
      ...meta,
      staging: { ...meta.staging, cursor: cursor ?? meta.staging.cursor, isComplete: cursor === null },
    };
  }

  async applyLog(partitionId: number, migrationId: number, entries: readonly LogEntry[]): Promise<Lsn> {
    const partition = this.partition(partitionId);
    const { meta } = partition;
    const isCopy = meta.role === 'FOLLOWER' || (meta.role === 'STAGING' && meta.staging?.isComplete === true);
    if (!isCopy || meta.migrationId !== migrationId) throw notACopy(meta);
    for (const entry of entries) {
      if (entry.lsn !== partition.meta.lsn + 1)
        throw new ForeshardError('FORESHARD_CORRUPT', 'retry', `entry ${partition.meta.lsn + 1} is missing`);
      this.change(partitionId, textOf(entry.key), entry.kind === 'put' ? entry.value : null);
    }
    return partition.meta.lsn;
  }

  async deleteBatch(partitionId: number, migrationId: number, entriesMax: number): Promise<boolean> {
    const partition = this.partition(partitionId);
    const { meta } = partition;
    const isAbandoned = meta.role === 'STAGING' && meta.closedMigrationId >= (meta.staging?.migrationId ?? 0);
    if (!isAbandoned && !(meta.role === 'RETIRED' && meta.migrationId === migrationId)) throw notACopy(meta);
    if (partition.entries.size > 0) this.#hooks.onRemove?.(partitionId, meta);
    for (const key of [...partition.entries.keys()].slice(0, entriesMax)) this.#set(partition, key, null);
    return partition.entries.size === 0;
  }

  statistics(partitionId: number): { readonly entryCount: number; readonly sizeBytes: number } {
    const { entries } = this.partition(partitionId);
    let sizeBytes = 0;
    for (const [key, value] of entries) sizeBytes += key.length + value.length;
    return { entryCount: entries.size, sizeBytes };
  }

  freeBytes(): number {
    return this.disk.freeBytes;
  }

  isServingCopyReads(partitionId: number): boolean {
    return this.#copyReads.has(partitionId);
  }

  /** One write, or with null one delete, under the next lsn. Who may do it is the caller's to check, in the same call. */
  change(partitionId: number, key: string, value: Uint8Array | null): Lsn {
    const partition = this.partition(partitionId);
    this.#set(partition, key, value);
    const lsn = partition.meta.lsn + 1;
    partition.meta = { ...partition.meta, lsn };
    if (partition.isLogging) {
      const bytes = bytesOf(key);
      partition.log.push(
        value ? { lsn, kind: 'put', key: bytes, value } : { lsn, kind: 'delete', key: bytes },
      );
    }
    return lsn;
  }

  get(partitionId: number, key: string): Uint8Array | undefined {
    return this.partition(partitionId).entries.get(key);
  }

  partition(partitionId: number): DiskPartition {
    let partition = this.disk.partitions.get(partitionId);
    if (!partition) {
      partition = {
        meta: EMPTY_META,
        entries: new Map(),
        log: [],
        isLogging: false,
        digestSeed: null,
        sums: newSums(),
        isDigestComplete: false,
      };
      this.disk.partitions.set(partitionId, partition);
    }
    return partition;
  }

  #set(partition: DiskPartition, key: string, value: Uint8Array | null): void {
    const old = partition.entries.get(key);
    if (partition.digestSeed !== null) {
      if (old) addEntry(partition.sums, partition.digestSeed, key, old, -1);
      if (value) addEntry(partition.sums, partition.digestSeed, key, value, 1);
    }
    if (value) partition.entries.set(key, value);
    else partition.entries.delete(key);
  }
}

const notACopy = (meta: PartitionMeta): ForeshardError =>
  new ForeshardError(
    'FORESHARD_STALE_EPOCH',
    'refresh-map',
    `${meta.role} of ${meta.migrationId} takes no entries`,
  );

class MemorySnapshot implements PartitionSnapshot {
  readonly lsn: Lsn;
  readonly runningDigest: Digest | null;
  readonly sums: Sums;
  readonly #entries: readonly [string, Uint8Array][];

  constructor({ meta, entries, sums, digestSeed, isDigestComplete }: DiskPartition) {
    this.lsn = meta.lsn;
    this.sums = { ...sums, lanes: sums.lanes.slice() };
    this.runningDigest = digestSeed !== null && isDigestComplete ? toDigest(sums) : null;
    this.#entries = [...entries].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  }

  read(cursor: Uint8Array | null, bytesMax: number): readonly PhysicalEntry[] {
    const after = cursor === null ? null : textOf(cursor);
    const entries: PhysicalEntry[] = [];
    let sizeBytes = 0;
    for (const [key, value] of this.#entries) {
      if (after !== null && key <= after) continue;
      sizeBytes += key.length + value.length;
      if (entries.length > 0 && sizeBytes > bytesMax) break;
      entries.push({ key: bytesOf(key), value });
    }
    return entries;
  }

  async digest(digestSeed: string): Promise<Digest> {
    const scanned = newSums();
    for (const [key, value] of this.#entries) addEntry(scanned, digestSeed, key, value, 1);
    return toDigest(scanned);
  }

  list(digestSeed: string, { lanes }: Omit<ListEntriesOptions, 'lsn'>): EntryPage {
    const listed = this.#entries.filter(([key]) => lanes.includes(bucketOf(key)));
    const hashOf = (key: string, value: Uint8Array): string => {
      const sums = newSums();
      addEntry(sums, digestSeed, key, value, 1);
      return toDigest(sums).buckets.join('');
    };
    const entries = listed.map(([key, value], position) => ({
      position,
      keyDigest: hashOf(key, new Uint8Array(0)),
      valueDigest: hashOf(key, value),
      expiryMs: 0,
      keyPrefix: key,
      keyHash: '',
    }));
    return { entries, nextPosition: null };
  }

  close(): void {}
}

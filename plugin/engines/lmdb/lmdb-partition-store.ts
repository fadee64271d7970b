import { assert } from '../../../src/base/assert.ts';
import type { Clock } from '../../../src/base/clock.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { Digest, Lsn } from '../../../src/model/migration.ts';
import { SLOT_COUNT, slotShift } from '../../../src/model/partition-map.ts';
import type {
  LogEntry,
  PartitionMeta,
  PartitionSnapshot,
  PartitionStore,
  PhysicalEntry,
} from '../../../src/ports/partition-store.ts';
import { logGap, readLogEntries, removeLogEntries } from './change-log.ts';
import type { EntryHasher } from './entry-hasher.ts';
import { decodeExpiryKey, EntryWriter, newExpiryKey } from './entry-writer.ts';
import type { LmdbEnvironment } from './environment.ts';
import { LmdbPartitionSnapshot } from './partition-snapshot.ts';
import { PartitionState } from './partition-state.ts';
import { type EncodedKey, encodedKey, keyAtPosition, physicalKeyFault } from './physical-key.ts';
import { RunningDigest, sumsOf } from './running-digest.ts';
import type { SpaceGuard } from './space-guard.ts';

export interface PartitionStoreOptions {
  readonly environment: LmdbEnvironment;
  readonly spaceGuard: SpaceGuard;
  readonly hasher: EntryHasher;
  readonly clock: Clock;
  readonly partitionCount: number;
}

/** The partitions of one LMDB environment; see the port for what each method promises. */
export class LmdbPartitionStore implements PartitionStore {
  readonly environment: LmdbEnvironment;
  readonly states: readonly PartitionState[];
  readonly writer: EntryWriter;
  /** Told after a partition's role or epoch changed, when the change is durable. */
  onMetaChanged: ((state: PartitionState) => void) | null = null;
  readonly #options: PartitionStoreOptions;
  readonly #slotShift: number;
  #touched: PartitionState[] = [];

  constructor(options: PartitionStoreOptions) {
    const { environment, hasher, partitionCount } = options;
    this.#options = options;
    this.#slotShift = slotShift(partitionCount);
    this.environment = environment;
    this.states = Array.from({ length: partitionCount }, (_, id) => new PartitionState(id, hasher));
    this.writer = new EntryWriter(environment, (state) => this.#touched.push(state));
    for (const state of this.states) {
      state.load(environment.meta);
      state.nextExpiryMs = this.#firstExpiryMs(state.partitionId);
    }
  }

  get storeId(): string {
    return this.environment.storeId;
  }

  /**
   * Runs `body` in the write transaction and saves the state of every partition it touched. When it returns, all is
   * durable; when it throws, neither the file nor the states have changed.
   *
   * @returns `body`'s result, and the partitions whose lsn or meta moved.
   */
  transact<Result>(body: () => Result): {
    readonly result: Result;
    readonly touched: readonly PartitionState[];
  } {
    try {
      const result = this.environment.write(() => {
        const value = body();
        for (const state of this.#touched) state.save(this.environment.meta);
        return value;
      });
      return { result, touched: this.#touched };
    } catch (error) {
      for (const state of this.#touched) state.load(this.environment.meta);
      throw error;
    } finally {
      this.#touched = [];
    }
  }

  meta(partitionId: number): PartitionMeta {
    return this.#state(partitionId).meta;
  }

  async updateMeta(
    partitionId: number,
    change: (meta: PartitionMeta, runningDigest: () => Digest | null) => PartitionMeta,
  ): Promise<PartitionMeta> {
    const state = this.#state(partitionId);
    const before = state.meta;
    const { result } = this.transact(() => {
      const after = change(before, () => this.runningDigest(partitionId).digest);
      if (after === before) return before;
      assert(after.epochMax >= before.epochMax, 'the highest epoch seen never decreases');
      assert(after.closedMigrationId >= before.closedMigrationId, 'a closed migration stays closed');
      assert(after.lsn >= before.lsn || state.entryCount === 0, 'an lsn never goes back under data');
      this.#touch(state);
      state.meta = after;
      return state.meta;
    });
    const isRoleNew = result.role !== before.role || result.epoch !== before.epoch;
    // An abandoned copy stays STAGING at its epoch while its entries are deleted: what it then says of a key is nothing.
    const isMigrationNew =
      result.migrationId !== before.migrationId || result.closedMigrationId !== before.closedMigrationId;
    if (isRoleNew || isMigrationNew) state.isServingCopyReads = false;
    if (isRoleNew) this.onMetaChanged?.(state);
    return result;
  }

  async startChangeLog(
    partitionId: number,
    options: { digestSeed: string; firstLsn?: Lsn },
  ): Promise<{ lsn: Lsn }> {
    const state = this.#state(partitionId);
    const isSameSeed = state.digest?.seedHex === options.digestSeed;
    if (state.isLogging && isSameSeed) return { lsn: state.lsn };
    await this.#dropLog(state);
    this.transact(() => {
      this.#touch(state);
      if (options.firstLsn !== undefined && options.firstLsn !== state.lsn) {
        if (state.entryCount > 0)
          throw new ForeshardError('FORESHARD_CONFLICT', 'abort', `partition ${partitionId} is not empty`);
        state.lsn = options.firstLsn;
      }
      if (!isSameSeed)
        state.digest = new RunningDigest(this.#options.hasher, options.digestSeed, {
          isComplete: state.entryCount === 0,
        });
      state.isLogging = true;
      state.logStartLsn = state.lsn;
    });
    return { lsn: state.lsn };
  }

  async stopChangeLog(partitionId: number): Promise<void> {
    const state = this.#state(partitionId);
    if (!state.isLogging && !state.digest) return;
    await this.#dropLog(state);
    this.transact(() => {
      this.#touch(state);
      state.dropDigest(this.environment.meta);
    });
  }

  readChangeLog(partitionId: number, afterLsn: Lsn, bytesMax: number): readonly LogEntry[] {
    const state = this.#state(partitionId);
    if (!state.isLogging || afterLsn < state.logStartLsn)
      throw new ForeshardError(
        'FORESHARD_CORRUPT',
        'abort',
        `partition ${partitionId} logs from ${state.isLogging ? state.logStartLsn : 'nowhere'}, asked after ${afterLsn}`,
      );
    const options = { afterLsn, lastLsn: state.lsn, bytesMax };
    return readLogEntries(this.environment.changeLog, partitionId, options);
  }

  async trimChangeLog(partitionId: number, upToLsn: Lsn): Promise<void> {
    const state = this.#state(partitionId);
    const trimToLsn = Math.min(upToLsn, state.lsn);
    if (!state.isLogging || trimToLsn <= state.logStartLsn) return;
    this.transact(() => {
      this.#touch(state);
      state.logStartLsn = trimToLsn;
    });
    await this.#removeLogEntries(partitionId, trimToLsn);
  }

  runningDigest(partitionId: number): { readonly lsn: Lsn; readonly digest: Digest | null } {
    const { lsn, digest, entryCount, sizeBytes } = this.#state(partitionId);
    return { lsn, digest: digest?.isComplete ? digest.toDigest(entryCount, sizeBytes) : null };
  }

  async adoptDigest(partitionId: number, snapshot: PartitionSnapshot, scanned: Digest): Promise<void> {
    const state = this.#state(partitionId);
    assert(snapshot instanceof LmdbPartitionSnapshot, 'a store adopts scans of its own snapshots');
    assert(snapshot.partitionId === partitionId, 'a snapshot belongs to one partition');
    const { digest } = state;
    if (digest?.isComplete) return;
    if (!digest || !snapshot.sums || snapshot.sums.seedHex !== digest.seedHex)
      throw new ForeshardError(
        'FORESHARD_CONFLICT',
        'retry',
        'the digest was begun anew after the snapshot was opened',
      );
    const thenSums = snapshot.sums.values;
    this.transact(() => {
      this.#touch(state);
      digest.complete(sumsOf(scanned), thenSums);
    });
  }

  setCopyReads(partitionId: number, isServing: boolean): void {
    this.#state(partitionId).isServingCopyReads = isServing;
  }

  openSnapshot(partitionId: number): PartitionSnapshot {
    const state = this.#state(partitionId);
    return new LmdbPartitionSnapshot({
      table: this.environment.data,
      transaction: this.environment.data.useReadTransaction(),
      state,
      range: this.rangeOf(partitionId),
      hasher: this.#options.hasher,
      clock: this.#options.clock,
    });
  }

  async applySnapshot(
    partitionId: number,
    migrationId: number,
    entries: readonly PhysicalEntry[],
    cursor: Uint8Array | null,
  ): Promise<void> {
    const state = this.#state(partitionId);
    this.#options.spaceGuard.assertRoom(sizeOf(entries));
    this.transact(() => {
      const meta = state.meta;
      if (meta.role !== 'STAGING' || meta.staging?.migrationId !== migrationId)
        throw this.#stale(partitionId, migrationId, meta);
      // A copy grows in the order of its keys: behind the cursor there is nothing, so nothing is looked for.
      const isNew = meta.staging.cursor !== null || state.entryCount === 0;
      let previous = meta.staging.cursor;
      for (const { key, value } of entries) {
        this.#assertOwnKey(partitionId, key);
        if (previous !== null && Buffer.compare(previous, key) >= 0) throw notAscending(partitionId);
        previous = key;
        this.writer.value.set(value, 0, value.length);
        this.writer.fill(state, encodedKey(key), { isNew });
      }
      this.#touch(state);
      // At the end of the snapshot the cursor stays at the last key: null would read as "from the start".
      const lastCursor = cursor ?? meta.staging.cursor;
      state.meta = { ...meta, staging: { ...meta.staging, cursor: lastCursor, isComplete: cursor === null } };
    });
  }

  async applyLog(partitionId: number, migrationId: number, entries: readonly LogEntry[]): Promise<Lsn> {
    const state = this.#state(partitionId);
    this.#options.spaceGuard.assertRoom(sizeOf(entries));
    this.transact(() => {
      const { meta } = state;
      const isCopy =
        meta.role === 'FOLLOWER' || (meta.role === 'STAGING' && meta.staging?.isComplete === true);
      if (!isCopy || meta.migrationId !== migrationId) throw this.#stale(partitionId, migrationId, meta);
      for (const entry of entries) {
        if (entry.lsn !== state.lsn + 1) throw logGap(partitionId, state.lsn + 1);
        this.#assertOwnKey(partitionId, entry.key);
        this.writer.apply(state, entry, encodedKey(entry.key));
      }
    });
    return state.lsn;
  }

  async deleteBatch(partitionId: number, migrationId: number, entriesMax: number): Promise<boolean> {
    const state = this.#state(partitionId);
    const { meta } = state;
    const isAbandoned = meta.role === 'STAGING' && meta.closedMigrationId >= (meta.staging?.migrationId ?? 0);
    const isRetired = meta.role === 'RETIRED' && (meta.migrationId === migrationId || meta.migrationId === 0);
    if (!isRetired && !(isAbandoned && migrationId <= meta.closedMigrationId))
      throw this.#stale(partitionId, migrationId, meta);
    const { start, end } = this.rangeOf(partitionId);
    // Keys first, then deletes: a cursor must not walk a tree that changes under it.
    const keys = [...this.environment.data.getKeys({ start, end, limit: entriesMax })];
    if (keys.length > 0)
      this.transact(() => {
        for (const key of keys) this.writer.drop(state, encodedKey(key));
      });
    if (keys.length === entriesMax) return false;
    assert(state.entryCount === 0 && state.sizeBytes === 0, 'an emptied partition counts nothing');
    await this.stopChangeLog(partitionId);
    return true;
  }

  statistics(partitionId: number): { readonly entryCount: number; readonly sizeBytes: number } {
    const { entryCount, sizeBytes } = this.#state(partitionId);
    return { entryCount, sizeBytes };
  }

  /** Physical bytes of all partitions. */
  usedBytes(): number {
    let sum = 0;
    for (const state of this.states) sum += state.sizeBytes;
    return sum;
  }

  freeBytes(): number {
    return this.environment.freeBytes();
  }

  /** The physical keys of a partition: start <= key < end. */
  rangeOf(partitionId: number): { readonly start: EncodedKey; readonly end: EncodedKey } {
    const slotCount = SLOT_COUNT / this.#options.partitionCount;
    return {
      start: keyAtPosition(partitionId * slotCount, 0),
      end: keyAtPosition((partitionId + 1) * slotCount, 0),
    };
  }

  partitionOfSlot(slot: number): number {
    return slot >> this.#slotShift;
  }

  /** Due keys of the expiry index, oldest first; and, where there are no more, the next that will be due. */
  dueKeys(partitionId: number, nowMs: number, keysMax: number): Uint8Array[] {
    const keys: Uint8Array[] = [];
    const start = newExpiryKey(partitionId, 0);
    const end = newExpiryKey(partitionId + 1, 0);
    const state = this.#state(partitionId);
    for (const indexKey of this.environment.expiryIndex.getKeys({ start, end, limit: keysMax + 1 })) {
      const { expiryMs, key } = decodeExpiryKey(indexKey);
      if (expiryMs > nowMs || keys.length === keysMax) {
        state.nextExpiryMs = expiryMs;
        return keys;
      }
      keys.push(key);
    }
    state.nextExpiryMs = Number.POSITIVE_INFINITY;
    return keys;
  }

  #firstExpiryMs(partitionId: number): number {
    const start = newExpiryKey(partitionId, 0);
    const end = newExpiryKey(partitionId + 1, 0);
    for (const key of this.environment.expiryIndex.getKeys({ start, end, limit: 1 }))
      return decodeExpiryKey(key).expiryMs;
    return Number.POSITIVE_INFINITY;
  }

  #state(partitionId: number): PartitionState {
    const state = this.states[partitionId];
    if (!state)
      throw new ForeshardError('FORESHARD_CORRUPT', 'report', `there is no partition ${partitionId}`);
    return state;
  }

  #touch(state: PartitionState): void {
    if (state.isTouched) return;
    state.isTouched = true;
    this.#touched.push(state);
  }

  async #dropLog(state: PartitionState): Promise<void> {
    if (state.isLogging)
      this.transact(() => {
        this.#touch(state);
        state.isLogging = false;
      });
    // Also what an earlier drop left behind when the process ended in the middle of it.
    await this.#removeLogEntries(state.partitionId, state.lsn);
  }

  #removeLogEntries(partitionId: number, upToLsn: Lsn): Promise<void> {
    const { changeLog } = this.environment;
    return removeLogEntries(changeLog, partitionId, upToLsn, (body) => this.transact(body));
  }

  #assertOwnKey(partitionId: number, key: Uint8Array): void {
    const slotCount = SLOT_COUNT / this.#options.partitionCount;
    const fault = physicalKeyFault(key, partitionId * slotCount, (partitionId + 1) * slotCount - 1);
    if (fault) throw new ForeshardError('FORESHARD_CORRUPT', 'abort', `partition ${partitionId}: ${fault}`);
  }

  #stale(partitionId: number, migrationId: number, meta: PartitionMeta): ForeshardError {
    return new ForeshardError(
      'FORESHARD_STALE_EPOCH',
      'refresh-map',
      `partition ${partitionId} is ${meta.role} of migration ${meta.migrationId}, not open for migration ${migrationId}`,
    );
  }
}

const notAscending = (partitionId: number): ForeshardError =>
  new ForeshardError(
    'FORESHARD_CORRUPT',
    'abort',
    `partition ${partitionId}: entries of a snapshot that do not follow on the cursor in the order of their keys`,
  );

function sizeOf(entries: readonly (PhysicalEntry | LogEntry)[]): number {
  let bytes = 0;
  for (const entry of entries) bytes += entry.key.length + ('value' in entry ? entry.value.length : 0);
  return bytes;
}

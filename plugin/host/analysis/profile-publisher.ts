import { Packr } from 'msgpackr';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { Logger } from '../../../src/base/logger.ts';
import { dimensionIndex, LOAD_DIMENSION_COUNT } from '../../../src/model/load-profile.ts';
import {
  type MetadataEntry,
  type MetadataStore,
  type MetadataWrite,
  TRANSACTION_BYTES_MAX,
  TRANSACTION_OPERATIONS_MAX,
} from '../../../src/ports/metadata-store.ts';
import { CONSOLIDATED_ID, type ProfileLedger, type WindowLoad } from './profile-ledger.ts';

/** Partitions in one metadata value: 1,024 rows of a 16-bit id and four doubles are 34 KiB, below the 64 KiB a value may have. */
const CHUNK_PARTITIONS = 1024;
const VALUE_BYTES_MAX = 65_536;

/** What is written as `profile/<window start>/<query node>/<chunk>`: only partitions that were used, as columns. */
interface ProfileChunk {
  readonly v: 1;
  readonly partitionCount: number;
  readonly capturedCount: number;
  readonly droppedCount: number;
  readonly partitionIds: Uint16Array;
  /** f64[dimension][row]. */
  readonly columns: Float64Array;
}

// Without moreTypes msgpackr turns typed arrays into something else without a word.
const packr = new Packr({ useRecords: false, moreTypes: true });

/**
 * Load profiles in the metadata store: what this query node has measured goes out, what the others have measured comes
 * in, what is older than the history is removed.
 */
export class ProfilePublisher {
  readonly #metadata: MetadataStore;
  readonly #ledger: ProfileLedger;
  readonly #prefix: string;
  readonly #logger: Logger;
  /** Store revision at which each key was last read, so that what is known is not decoded again. */
  readonly #seen = new Map<string, number>();

  constructor(options: {
    readonly metadata: MetadataStore;
    readonly ledger: ProfileLedger;
    /** Such as `/foreshard/v1/main/profile/`. */
    readonly prefix: string;
    readonly logger: Logger;
  }) {
    this.#metadata = options.metadata;
    this.#ledger = options.ledger;
    this.#prefix = options.prefix;
    this.#logger = options.logger;
  }

  /** Writes windows, in as few commits as the store's limits allow. Writing one again is harmless. */
  async publish(windows: readonly WindowLoad[]): Promise<void> {
    const writes: MetadataWrite[] = [];
    for (const window of windows) {
      for (const [chunk, value] of encodeWindow(window).entries())
        writes.push({ kind: 'put', key: this.#key(window, chunk), value });
    }
    await this.#commitAll(writes);
  }

  /**
   * Takes in what other query nodes have published (and, after a restart, this one) and removes what is too old.
   *
   * @param endMs the present: the history reaches back from here.
   */
  async refresh(endMs: number): Promise<void> {
    const { entries } = await this.#metadata.list(this.#prefix);
    const oldestMs = this.#ledger.oldestKeptMs(endMs);
    const outdated: MetadataWrite[] = [];
    const entriesOf = new Map<string, MetadataEntry[]>();
    for (const entry of entries) {
      const window = entry.key.slice(0, entry.key.lastIndexOf('/'));
      if (startMsOf(window, this.#prefix) < oldestMs) {
        outdated.push({ kind: 'delete', key: entry.key });
        this.#seen.delete(entry.key);
      } else entriesOf.set(window, [...(entriesOf.get(window) ?? []), entry]);
    }
    const idsOf = new Map<number, Set<number>>();
    for (const window of entriesOf.keys()) {
      const startMs = startMsOf(window, this.#prefix);
      idsOf.set(startMs, (idsOf.get(startMs) ?? new Set()).add(idOf(window)));
    }
    for (const [window, chunks] of entriesOf) {
      // A window is taken in as a whole: one new chunk makes all of them worth reading.
      if (chunks.every((entry) => this.#seen.get(entry.key) === entry.revision)) continue;
      this.#take(
        startMsOf(window, this.#prefix),
        idOf(window),
        chunks.flatMap((entry) => this.#decode(entry)),
      );
      for (const entry of chunks) this.#seen.set(entry.key, entry.revision);
    }
    for (const [startMs, ids] of idsOf) if (ids.has(CONSOLIDATED_ID)) this.#ledger.forgetParts(startMs, ids);
    this.#ledger.trim(endMs);
    await this.#commitAll(outdated);
  }

  #decode(entry: MetadataEntry): ProfileChunk[] {
    try {
      return [decodeChunk(entry.key, entry.value)];
    } catch (error) {
      // One bad value costs its rows, not the forecast.
      this.#logger.warn(
        { key: entry.key, fault: (error as Error).message },
        'a published profile cannot be read',
      );
      return [];
    }
  }

  #take(startMs: number, queryNodeId: number, chunks: readonly ProfileChunk[]): void {
    const { partitionCount } = this.#ledger;
    const usable = chunks.filter((chunk) => chunk.partitionCount === partitionCount);
    if (usable.length === 0) return;
    const values = new Float64Array(partitionCount * LOAD_DIMENSION_COUNT);
    for (const chunk of usable) addChunk(values, chunk);
    const [{ capturedCount, droppedCount }] = usable as [ProfileChunk];
    this.#ledger.add({ startMs, queryNodeId, values, capturedCount, droppedCount });
  }

  #key(window: WindowLoad, chunk: number): string {
    return `${this.#prefix}${window.startMs}/${window.queryNodeId}/${String(chunk).padStart(2, '0')}`;
  }

  async #commitAll(writes: readonly MetadataWrite[]): Promise<void> {
    let batch: MetadataWrite[] = [];
    let batchBytes = 0;
    for (const write of writes) {
      const bytes = write.key.length + (write.kind === 'put' ? write.value.length : 0);
      if (batch.length === TRANSACTION_OPERATIONS_MAX || batchBytes + bytes > TRANSACTION_BYTES_MAX * 0.9) {
        await this.#metadata.commit({ conditions: [], writes: batch });
        [batch, batchBytes] = [[], 0];
      }
      batch.push(write);
      batchBytes += bytes;
    }
    if (batch.length > 0) await this.#metadata.commit({ conditions: [], writes: batch });
  }
}

/** Adds what a chunk says to f64[partition][dimension]. */
export function addChunk(values: Float64Array, { partitionIds, columns }: ProfileChunk): void {
  const rowCount = partitionIds.length;
  for (let row = 0; row < rowCount; row++)
    for (let d = 0; d < LOAD_DIMENSION_COUNT; d++)
      values[(partitionIds[row] as number) * LOAD_DIMENSION_COUNT + d] += columns[
        d * rowCount + row
      ] as number;
}

/** One value for every CHUNK_PARTITIONS partitions, each below 64 KiB; at least one, since counts are news as well. */
export function encodeWindow(window: WindowLoad): Uint8Array[] {
  const partitionCount = window.values.length / LOAD_DIMENSION_COUNT;
  const chunks: Uint8Array[] = [];
  for (let first = 0; first < partitionCount; first += CHUNK_PARTITIONS) {
    const used: number[] = [];
    for (let p = first; p < Math.min(first + CHUNK_PARTITIONS, partitionCount); p++)
      if (isUsed(window.values, p)) used.push(p);
    const columns = new Float64Array(used.length * LOAD_DIMENSION_COUNT);
    used.forEach((p, row) => {
      for (let d = 0; d < LOAD_DIMENSION_COUNT; d++)
        columns[d * used.length + row] = window.values[p * LOAD_DIMENSION_COUNT + d] as number;
    });
    const chunk: ProfileChunk = {
      v: 1,
      partitionCount,
      capturedCount: window.capturedCount,
      droppedCount: window.droppedCount,
      partitionIds: Uint16Array.from(used),
      columns,
    };
    // A copy: the packr's own buffer is written to again.
    if (used.length > 0 || first === 0) chunks.push(Uint8Array.from(packr.pack(chunk)));
  }
  return chunks;
}

/** @throws ForeshardError FORESHARD_CORRUPT unless it is exactly what encodeWindow writes. */
export function decodeChunk(key: string, value: Uint8Array): ProfileChunk {
  if (value.length > VALUE_BYTES_MAX) throw corrupt(key, `${value.length} bytes`);
  let chunk: ProfileChunk;
  try {
    chunk = packr.unpack(value) as ProfileChunk;
  } catch (cause) {
    throw corrupt(key, (cause as Error).message, cause);
  }
  const isWhole =
    chunk?.v === 1 &&
    Number.isInteger(chunk.partitionCount) &&
    isCount(chunk.capturedCount) &&
    isCount(chunk.droppedCount) &&
    chunk.partitionIds instanceof Uint16Array &&
    chunk.columns instanceof Float64Array &&
    chunk.columns.length === chunk.partitionIds.length * LOAD_DIMENSION_COUNT &&
    chunk.partitionIds.every((id) => id < chunk.partitionCount) &&
    chunk.columns.every((load) => load >= 0 && Number.isFinite(load));
  if (!isWhole) throw corrupt(key, 'fields of the wrong kind');
  return chunk;
}

/** What a chunk says of queries, of the partitions that had any. @throws ForeshardError as decodeChunk. */
export function decodeWindowQueries(
  key: string,
  value: Uint8Array,
): { readonly partitionId: number; readonly queries: number }[] {
  const { partitionIds, columns } = decodeChunk(key, value);
  const offset = dimensionIndex('queries') * partitionIds.length;
  return Array.from(partitionIds, (partitionId, row) => ({
    partitionId,
    queries: columns[offset + row] as number,
  }));
}

const idOf = (window: string): number => Number(window.slice(window.lastIndexOf('/') + 1));

const startMsOf = (window: string, prefix: string): number =>
  Number(window.slice(prefix.length).split('/', 1)[0]);

const isCount = (value: unknown): boolean =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0;

function isUsed(values: Float64Array, partition: number): boolean {
  for (let d = 0; d < LOAD_DIMENSION_COUNT; d++)
    if ((values[partition * LOAD_DIMENSION_COUNT + d] as number) !== 0) return true;
  return false;
}

function corrupt(key: string, why: string, cause?: unknown): ForeshardError {
  return new ForeshardError('FORESHARD_CORRUPT', 'report', `profile at ${key}: ${why}`, { cause });
}

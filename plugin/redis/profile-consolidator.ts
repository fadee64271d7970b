import { LOAD_DIMENSION_COUNT } from '../../src/model/load-profile.ts';
import type {
  MetadataCondition,
  MetadataEntry,
  MetadataStore,
  MetadataWrite,
} from '../../src/ports/metadata-store.ts';
import { CONSOLIDATED_ID, PUBLISH_LATE_MS_MAX, type WindowLoad } from '../host/analysis/profile-ledger.ts';
import { addChunk, decodeChunk, encodeWindow } from '../host/analysis/profile-publisher.ts';
import { orNothing } from '../metadata/json-values.ts';
import { CAPTURE_ID_MIN } from './capture-ids.ts';

/** Nobody writes a window so long after its end; twice that, for clocks that differ. */
const SETTLED_MS = 2 * PUBLISH_LATE_MS_MAX;
/** Conditions and writes of one transaction: below the 128 that stores take. */
const OPERATIONS_MAX = 120;

export interface ConsolidatorOptions {
  readonly windowMs: number;
  readonly partitionCount: number;
  /** Such as `/foreshard/v1/main/profile/`. */
  readonly prefix: string;
}

interface Part {
  readonly id: number;
  readonly entries: readonly MetadataEntry[];
}

/**
 * Every captured process publishes windows of its own, and processes come and go: windows that nobody writes any more are added
 * up to one record each, in one transaction with the end of its parts. A year of hourly windows is one record an hour then,
 * whatever the number of processes was.
 */
export class ProfileConsolidator {
  readonly #options: ConsolidatorOptions;
  readonly #metadata: Pick<MetadataStore, 'list' | 'commit'>;

  constructor(options: ConsolidatorOptions, metadata: Pick<MetadataStore, 'list' | 'commit'>) {
    this.#options = options;
    this.#metadata = metadata;
  }

  /**
   * @param fence only the leader consolidates.
   * @returns how many parts were added up.
   */
  async consolidate(nowMs: number, fence: MetadataCondition): Promise<number> {
    const { windowMs, prefix } = this.#options;
    const { entries } = await this.#metadata.list(prefix);
    let count = 0;
    for (const [startMs, parts] of partsByWindow(entries, prefix)) {
      if (startMs + windowMs + SETTLED_MS > nowMs) continue;
      // What does not fit one transaction is left to the next turn, which reads the sum anew.
      const batch = this.#batchOf(parts);
      if (batch.length > 0 && (await this.#merge(startMs, batch, fence)))
        count += batch.filter(({ id }) => id !== CONSOLIDATED_ID).length;
    }
    return count;
  }

  /** As many parts as one transaction takes, the sum of earlier ones first; none where there is nothing to add up. */
  #batchOf(parts: readonly Part[]): readonly Part[] {
    const sum = parts.filter(({ id }) => id === CONSOLIDATED_ID);
    const captured = parts.filter(({ id }) => id >= CAPTURE_ID_MIN);
    // One alone, which is as short as its sum would be.
    if (captured.length + sum.length < 2) return [];
    const chunksMax = Math.ceil(this.#options.partitionCount / 1024);
    const batch = [...sum];
    // The fence, what is written, and a condition and a deletion for each value.
    let operations = 1 + chunksMax + 2 * chunksMax;
    for (const part of captured) {
      operations += 2 * part.entries.length;
      if (operations > OPERATIONS_MAX && batch.length > sum.length) break;
      batch.push(part);
    }
    return batch;
  }

  async #merge(startMs: number, parts: readonly Part[], fence: MetadataCondition): Promise<boolean> {
    const { partitionCount, prefix } = this.#options;
    const values = new Float64Array(partitionCount * LOAD_DIMENSION_COUNT);
    let [capturedCount, droppedCount] = [0, 0];
    for (const { entries } of parts) {
      const chunks = entries.map(({ key, value }) => orNothing(() => decodeChunk(key, value))[0]);
      // One that cannot be read, or is of another number of partitions, is left to whoever can.
      if (chunks.some((chunk) => chunk?.partitionCount !== partitionCount)) return false;
      for (const chunk of chunks) if (chunk !== undefined) addChunk(values, chunk);
      capturedCount += chunks[0]?.capturedCount ?? 0;
      droppedCount += chunks[0]?.droppedCount ?? 0;
    }
    const sum: WindowLoad = { startMs, queryNodeId: CONSOLIDATED_ID, values, capturedCount, droppedCount };
    const all = parts.flatMap(({ entries }) => entries);
    const puts = encodeWindow(sum).map((value, chunk): MetadataWrite => {
      const key = `${prefix}${startMs}/${CONSOLIDATED_ID}/${String(chunk).padStart(2, '0')}`;
      return { kind: 'put', key, value };
    });
    const written = new Set(puts.map(({ key }) => key));
    const { isCommitted } = await this.#metadata.commit({
      conditions: [fence, ...all.map(({ key, revision }) => ({ key, revisionIs: revision }))],
      writes: [
        ...puts,
        ...all
          .filter(({ key }) => !written.has(key))
          .map(({ key }): MetadataWrite => ({ kind: 'delete', key })),
      ],
    });
    return isCommitted;
  }
}

function partsByWindow(
  entries: readonly MetadataEntry[],
  prefix: string,
): ReadonlyMap<number, readonly Part[]> {
  const windows = new Map<number, Map<number, MetadataEntry[]>>();
  for (const entry of entries) {
    const [startMs, id] = entry.key.slice(prefix.length).split('/').map(Number) as [number, number];
    const parts = windows.get(startMs) ?? new Map<number, MetadataEntry[]>();
    windows.set(startMs, parts);
    parts.set(id, [...(parts.get(id) ?? []), entry]);
  }
  return new Map(
    [...windows].map(([startMs, parts]) => [
      startMs,
      [...parts].map(([id, of]): Part => ({ id, entries: of })),
    ]),
  );
}

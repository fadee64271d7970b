import { dimensionIndex } from '../../../src/model/load-profile.ts';
import type { MetadataEntry, MetadataStore } from '../../../src/ports/metadata-store.ts';
import { decodeChunk } from '../../host/analysis/profile-publisher.ts';
import { orNothing } from '../../metadata/json-values.ts';
import type { LoadColumns } from './heat-matrix.ts';

/** A window that has been over for longer than this is written by nobody any more, and is not read again. */
const SETTLED_MS = 30 * 60_000;
/** Windows that are asked for at once. */
const PARALLEL = 8;
const QUERIES = dimensionIndex('queries');

const DAY_MS = 86_400_000;
/** The least past that is worth a look: a week, or of long windows as many as a week of three-hour ones has. */
const PAST_MS = 7 * DAY_MS;
const PAST_WINDOWS = 56;
/** Kept beside what is shown, to move about in. */
const SPARE_MS = DAY_MS;
/** Each is a question to the metadata store when somebody first looks: eight days of five minutes. */
const WINDOWS_MAX = 2_304;
const MEMORY_BYTES_MAX = 64 * 2 ** 20;

/** How much of the past is kept, by the width of its windows: less than a week where that were too many of them. */
export function historyShape({
  windowMs,
  partitionCount,
}: {
  readonly windowMs: number;
  readonly partitionCount: number;
}): { readonly windowsMax: number; readonly pastMs: number } {
  const wantedMs = Math.max(PAST_MS, PAST_WINDOWS * windowMs);
  const windowsMax = Math.min(
    Math.ceil((wantedMs + SPARE_MS) / windowMs),
    WINDOWS_MAX,
    Math.floor(MEMORY_BYTES_MAX / (partitionCount * Float32Array.BYTES_PER_ELEMENT)),
  );
  return { windowsMax, pastMs: Math.min(wantedMs, windowsMax * windowMs) };
}

/**
 * Queries per partition and window of the recent past, from what query nodes publish: a window is read when somebody first
 * looks at it, and kept. 16,384 partitions and a week of hours are 11 MB.
 */
export class LoadHistory {
  readonly #metadata: Pick<MetadataStore, 'list'>;
  readonly #prefix: string;
  readonly #windowMs: number;
  readonly #partitionCount: number;
  readonly #windowsMax: number;
  readonly #windows = new Map<
    number,
    { readonly queries: Float32Array | null; readonly isSettled: boolean }
  >();

  constructor(options: {
    readonly metadata: Pick<MetadataStore, 'list'>;
    /** Such as `/foreshard/v1/main/profile/`. */
    readonly prefix: string;
    readonly windowMs: number;
    readonly partitionCount: number;
    readonly windowsMax: number;
  }) {
    this.#metadata = options.metadata;
    this.#prefix = options.prefix;
    this.#windowMs = options.windowMs;
    this.#partitionCount = options.partitionCount;
    this.#windowsMax = options.windowsMax;
  }

  /** The closed windows from `fromMs` on. */
  async load(fromMs: number, nowMs: number): Promise<LoadColumns> {
    const endMs = Math.floor(nowMs / this.#windowMs) * this.#windowMs;
    const oldestMs = endMs - this.#windowsMax * this.#windowMs;
    const startMs = Math.max(oldestMs, Math.floor(fromMs / this.#windowMs) * this.#windowMs);
    for (const kept of this.#windows.keys()) if (kept < oldestMs) this.#windows.delete(kept);
    const wanted: number[] = [];
    for (let atMs = startMs; atMs < endMs; atMs += this.#windowMs)
      if (this.#windows.get(atMs)?.isSettled !== true) wanted.push(atMs);
    while (wanted.length > 0)
      await Promise.all(wanted.splice(0, PARALLEL).map((atMs) => this.#readWindow(atMs, nowMs)));
    const windows = this.#windows;
    const windowMs = this.#windowMs;
    return {
      startMs,
      stepMs: windowMs,
      columnCount: Math.max(0, (endMs - startMs) / windowMs),
      partitionCount: this.#partitionCount,
      at: (partition, column) => windows.get(startMs + column * windowMs)?.queries?.[partition] ?? Number.NaN,
    };
  }

  async #readWindow(atMs: number, nowMs: number): Promise<void> {
    const { entries } = await this.#metadata.list(`${this.#prefix}${atMs}/`);
    const isSettled = nowMs - (atMs + this.#windowMs) > SETTLED_MS;
    // Nobody recorded anything: an outage, which is not the same as no load.
    this.#windows.set(atMs, { queries: entries.length === 0 ? null : this.#sum(entries), isSettled });
  }

  #sum(entries: readonly MetadataEntry[]): Float32Array {
    const queries = new Float32Array(this.#partitionCount);
    for (const { partitionCount, partitionIds, columns } of entries.flatMap(({ key, value }) =>
      orNothing(() => decodeChunk(key, value)),
    ))
      if (partitionCount === this.#partitionCount)
        partitionIds.forEach((partition, row) => {
          queries[partition] += columns[QUERIES * partitionIds.length + row] as number;
        });
    return queries;
  }
}

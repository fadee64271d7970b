import { LOAD_DIMENSION_COUNT } from '../../src/model/load-profile.ts';
import type { QueryRecord } from '../../src/model/query-log.ts';
import type { WindowBuilder } from './analysis.ts';
import type { WindowLoad } from './profile-ledger.ts';

/**
 * What a query costs a storage node. Latency would be the wrong measure: it holds the waiting, and so grows with the
 * load it is to explain. Measured shares of one thread: finding and answering a small key, and copying its bytes.
 */
const CPU_SECONDS_PER_QUERY = 10e-6;
const CPU_SECONDS_PER_BYTE = 1e-9;
interface OpenWindow {
  readonly values: Float64Array;
  capturedCount: number;
  droppedCount: number;
}

/** Adds records up, by the window of their own time: several windows are open while a hand-over of the clock is under way. */
export class WindowCounter implements WindowBuilder {
  readonly #windowMs: number;
  readonly #partitionCount: number;
  readonly #open = new Map<number, OpenWindow>();
  /** Start of the first window that has not been closed; null before anything was recorded or closed. */
  #nextMs: number | null = null;
  #newestMs = Number.NEGATIVE_INFINITY;
  #strayCount = 0;

  constructor(options: { readonly windowMs: number; readonly partitionCount: number }) {
    this.#windowMs = options.windowMs;
    this.#partitionCount = options.partitionCount;
  }

  /** Records of partitions that do not exist, which only a faulty caller can make. */
  get strayCount(): number {
    return this.#strayCount;
  }

  add(record: QueryRecord): void {
    const { partitionId } = record;
    if (!(partitionId < this.#partitionCount)) {
      this.#strayCount++;
      return;
    }
    const window = this.#windowAt(record.timeMs);
    const offset = partitionId * LOAD_DIMENSION_COUNT;
    const { values } = window;
    const { requestBytes, replyBytes } = record;
    values[offset] += 1;
    values[offset + 1] += CPU_SECONDS_PER_QUERY + CPU_SECONDS_PER_BYTE * (requestBytes + replyBytes);
    values[offset + 2] += replyBytes;
    if (record.isWrite) values[offset + 3] += requestBytes;
    window.capturedCount++;
  }

  addDropped(count: number): void {
    const newestMs = this.#open.size > 0 ? this.#newestMs : this.#nextMs;
    // A full ring holds records, so that there is always a window by the time its drops are heard of.
    if (newestMs !== null) this.#windowAt(newestMs).droppedCount += count;
  }

  closeUpTo(toMs: number): readonly Omit<WindowLoad, 'queryNodeId'>[] {
    const endMs = Math.floor(toMs / this.#windowMs) * this.#windowMs;
    // Of the time before the first record, or before the first question, nothing is known: no window.
    const first = this.#nextMs ?? endMs;
    const closed: Omit<WindowLoad, 'queryNodeId'>[] = [];
    for (let startMs = first; startMs + this.#windowMs <= endMs; startMs += this.#windowMs) {
      const window = this.#open.get(startMs) ?? this.#emptyWindow();
      this.#open.delete(startMs);
      closed.push({ startMs, ...window });
    }
    this.#nextMs = Math.max(first, endMs);
    return closed;
  }

  /** Forgets what is open: the clock has been moved to another time. */
  reset(): void {
    this.#open.clear();
    this.#nextMs = null;
    this.#newestMs = Number.NEGATIVE_INFINITY;
  }

  #windowAt(timeMs: number): OpenWindow {
    const own = Math.floor(timeMs / this.#windowMs) * this.#windowMs;
    // A record that comes after its window was closed still happened: it counts for the next.
    const startMs = this.#nextMs === null ? own : Math.max(own, this.#nextMs);
    let window = this.#open.get(startMs);
    if (window === undefined) {
      window = this.#emptyWindow();
      this.#open.set(startMs, window);
      this.#newestMs = Math.max(this.#newestMs, startMs);
      this.#nextMs = this.#nextMs === null ? startMs : Math.min(this.#nextMs, startMs);
    }
    return window;
  }

  #emptyWindow(): OpenWindow {
    return {
      values: new Float64Array(this.#partitionCount * LOAD_DIMENSION_COUNT),
      capturedCount: 0,
      droppedCount: 0,
    };
  }
}

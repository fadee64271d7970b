import type { QueryRecord } from '../model/query-log.ts';
import { OpenWindow, type PartitionLoad } from './open-window.ts';
import { WordTree } from './patterns/word-tree.ts';
import type { ProfileSegment } from './profile-segment.ts';

export interface ProfileSettings {
  /** Name of the query node, put before client numbers: those of two nodes have nothing to do with each other. */
  readonly source: string;
  readonly windowMs: number;
  readonly partitionCount: number;
  /** Distinct templates, and distinct clients, that are counted apart in one window; the rest is "other". */
  readonly templatesMax: number;
  readonly clientsMax: number;
  /** Entries of the sparse template x partition x client counts in one window; beyond it clients are not told apart. */
  readonly entriesMax: number;
  /** A window is closed so long after its end: records still in the ring belong to it. */
  readonly graceMs: number;
  readonly cpu: CpuModel;
}

/**
 * What a query costs a storage node in processor time. Latency is mostly waiting (for the group commit, for other
 * queries), so it does not count by default; only ratios between partitions matter for placement.
 */
export interface CpuModel {
  readonly usPerQuery: number;
  readonly usPerWrite: number;
  readonly usPerKibibyte: number;
  readonly usPerLatencyUs: number;
}

export const PROFILE_DEFAULTS: Omit<ProfileSettings, 'partitionCount' | 'source'> = {
  windowMs: 3_600_000,
  templatesMax: 1024,
  clientsMax: 256,
  // 64 Ki entries are about 2 MB while a window is open.
  entriesMax: 65_536,
  // Twice the longest drain interval one would choose.
  graceMs: 2000,
  // Rough figures of the embedded node: parse, look up, reply; a write also pays its share of a commit.
  cpu: { usPerQuery: 20, usPerWrite: 20, usPerKibibyte: 1, usPerLatencyUs: 0 },
};

/** Windows open at once: the present one, the one before it in its grace, and one for a clock that jumps. */
const OPEN_WINDOWS_MAX = 3;

/** A load that is known as sums, without single queries: history that is read in bulk. */
export interface LoadCounts extends PartitionLoad {
  readonly timeMs: number;
}

/** Adds up query records, window by window. Windows are aligned to the epoch: those of all query nodes agree. */
export class ProfileBuilder {
  readonly #settings: ProfileSettings;
  /** Outlives the windows: what are values in one window are values in the next. */
  readonly #words = new WordTree();
  /** Sorted by index. */
  #open: OpenWindow[] = [];
  #closed: ProfileSegment[] = [];
  /** Index of the first window that may still be opened. */
  #nextIndex = Number.NEGATIVE_INFINITY;
  #refusedCount = 0;
  #isListening = false;

  constructor(settings: ProfileSettings) {
    this.#settings = settings;
  }

  /** Records with a partition or a time that cannot be: counted, not used. */
  get refusedCount(): number {
    return this.#refusedCount;
  }

  add(record: QueryRecord): void {
    const { timeMs, partitionId, isWrite, requestBytes, replyBytes, latencyUs } = record;
    this.addLoad(timeMs, partitionId, isWrite, requestBytes, replyBytes, latencyUs);
    this.addPattern(record, 1);
  }

  /**
   * The load of one query alone, without who asked what: numbers instead of a record, for whoever has a great many.
   *
   * @param commandUs what its command costs the server, where that was measured; NaN: it is priced.
   */
  addLoad(
    timeMs: number,
    partitionId: number,
    isWrite: boolean,
    requestBytes: number,
    replyBytes: number,
    latencyUs: number,
    commandUs = Number.NaN,
  ): void {
    const { cpu } = this.#settings;
    const window = this.#windowOf(timeMs, partitionId);
    if (window === undefined) return;
    const cpuUs = Number.isNaN(commandUs)
      ? cpu.usPerQuery +
        (isWrite ? cpu.usPerWrite : 0) +
        (cpu.usPerKibibyte * (requestBytes + replyBytes)) / 1024 +
        cpu.usPerLatencyUs * latencyUs
      : commandUs;
    window.addLoad({
      partitionId,
      queries: 1,
      cpuSeconds: cpuUs * 1e-6,
      readBytes: replyBytes,
      writeBytes: isWrite ? requestBytes : 0,
    });
  }

  /** Who asked what of which partition, without its load. @param weight how many queries this one of a sample stands for. */
  addPattern(record: QueryRecord, weight: number): void {
    const index = Math.floor(record.timeMs / this.#settings.windowMs);
    const window = this.#open.find((one) => one.index === index) ?? this.#open[0];
    // Its load was not taken either.
    if (window === undefined || !this.#isPartition(record.partitionId)) return;
    window.addPattern(record, weight);
  }

  addCounts(counts: LoadCounts): void {
    this.#windowOf(counts.timeMs, counts.partitionId)?.addLoad(counts);
  }

  /** Queries that were offered but not recorded around `timeMs`: they lower the coverage of that window. */
  addDropped(count: number, timeMs: number): void {
    if (count === 0) return;
    const window = this.#windowOf(timeMs, 0);
    if (window !== undefined) window.droppedCount += count;
  }

  /**
   * Closes the windows whose grace is over and hands over, in order, what was closed since the last call.
   * A window in which nothing was asked is closed too: silence is a load of zero, an outage is a window without a segment.
   */
  closeUntil(nowMs: number): ProfileSegment[] {
    const { windowMs, graceMs } = this.#settings;
    // The window of this moment is open even if nobody asks anything: that is how a silent window comes to be closed.
    const presentIndex = Math.floor(nowMs / windowMs);
    const closedIndex = Math.floor((nowMs - graceMs) / windowMs);
    // Before the first call nobody was listening: what came before it is not silence.
    const firstIndex = this.#isListening ? Math.max(closedIndex, this.#nextIndex) : presentIndex;
    this.#isListening = true;
    for (let index = firstIndex; index <= presentIndex; index++) this.#openAt(index);
    while (this.#open[0] !== undefined && this.#open[0].index < closedIndex) this.#closeFirst();
    const segments = this.#closed;
    this.#closed = [];
    return segments;
  }

  /** The windows that are still being counted, as far as they have come: copies. */
  openSegments(): Pick<ProfileSegment, 'startMs' | 'values' | 'recordCount' | 'droppedCount'>[] {
    const { windowMs } = this.#settings;
    return this.#open.map(({ index, values, recordCount, droppedCount }) => ({
      startMs: index * windowMs,
      values: values.slice(),
      recordCount,
      droppedCount,
    }));
  }

  #windowOf(timeMs: number, partitionId: number): OpenWindow | undefined {
    if (!this.#isPartition(partitionId) || !Number.isFinite(timeMs)) {
      this.#refusedCount++;
      return undefined;
    }
    const index = Math.floor(timeMs / this.#settings.windowMs);
    if (index >= this.#nextIndex) return this.#openAt(index);
    // Its window was closed: the oldest open one takes it, so that no query is lost from the sums.
    const oldest = this.#open[0] ?? this.#openAt(this.#nextIndex);
    oldest.lateCount++;
    return oldest;
  }

  #isPartition(partitionId: number): boolean {
    return Number.isInteger(partitionId) && partitionId >= 0 && partitionId < this.#settings.partitionCount;
  }

  #openAt(index: number): OpenWindow {
    // The newest is nearly always the one.
    for (let i = this.#open.length - 1; i >= 0; i--) {
      const window = this.#open[i] as OpenWindow;
      if (window.index === index) return window;
    }
    const window = new OpenWindow(index, this.#settings, this.#words);
    this.#open.push(window);
    this.#open.sort((a, b) => a.index - b.index);
    while (this.#open.length > OPEN_WINDOWS_MAX) this.#closeFirst();
    return window;
  }

  #closeFirst(): void {
    const window = this.#open.shift() as OpenWindow;
    const { windowMs, partitionCount } = this.#settings;
    this.#nextIndex = Math.max(this.#nextIndex, window.index + 1);
    this.#closed.push({
      startMs: window.index * windowMs,
      windowMs,
      partitionCount,
      values: window.values,
      recordCount: window.recordCount,
      droppedCount: window.droppedCount,
      lateCount: window.lateCount,
      affinity: window.affinity(),
    });
  }
}

import { ForeshardError } from '../base/errors.ts';
import { type AffinityCounts, OTHER, packAffinityCounts } from '../model/affinity-matrix.ts';
import { LOAD_DIMENSION_COUNT, type LoadProfile } from '../model/load-profile.ts';
import type { QueryRecord } from '../model/query-log.ts';
import { TemplateTable } from './patterns/template-table.ts';
import { WordTree } from './patterns/word-tree.ts';

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

/** One closed window of one query node: plain data, typed arrays and strings, ready to be published. */
export interface ProfileSegment {
  readonly startMs: number;
  readonly windowMs: number;
  readonly partitionCount: number;
  /** f64[partition][dimension]. */
  readonly values: Float64Array;
  /** Queries recorded, and queries that were offered but not recorded. */
  readonly recordCount: number;
  readonly droppedCount: number;
  /** Records that came after their window was closed and were counted here instead. */
  readonly lateCount: number;
  readonly affinity: AffinityCounts;
}

/** A load that is known as sums, without single queries: history that is read in bulk. */
export interface LoadCounts {
  readonly timeMs: number;
  readonly partitionId: number;
  readonly queries: number;
  readonly cpuSeconds: number;
  readonly readBytes: number;
  readonly writeBytes: number;
}

interface OpenWindow {
  readonly index: number;
  readonly values: Float64Array;
  readonly entries: Map<number, number>;
  /** A window numbers its own templates and clients: those that come later never find a table full of the past. */
  readonly templates: TemplateTable;
  readonly clientNames: string[];
  readonly clientOf: Map<number, number>;
  recordCount: number;
  droppedCount: number;
  lateCount: number;
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

  /** The load of one query alone, without who asked what: numbers instead of a record, for whoever has a great many. */
  addLoad(
    timeMs: number,
    partitionId: number,
    isWrite: boolean,
    requestBytes: number,
    replyBytes: number,
    latencyUs: number,
  ): void {
    const { cpu } = this.#settings;
    const window = this.#windowOf(timeMs, partitionId);
    if (window === undefined) return;
    const cpuUs =
      cpu.usPerQuery +
      (isWrite ? cpu.usPerWrite : 0) +
      (cpu.usPerKibibyte * (requestBytes + replyBytes)) / 1024 +
      cpu.usPerLatencyUs * latencyUs;
    addLoad(window, {
      partitionId,
      queries: 1,
      cpuSeconds: cpuUs * 1e-6,
      readBytes: replyBytes,
      writeBytes: isWrite ? requestBytes : 0,
    });
    window.recordCount++;
  }

  /** Who asked what of which partition, without its load. @param weight how many queries this one of a sample stands for. */
  addPattern(record: QueryRecord, weight: number): void {
    const index = Math.floor(record.timeMs / this.#settings.windowMs);
    const window = this.#open.find((one) => one.index === index) ?? this.#open[0];
    // Its load was not taken either.
    if (window === undefined || !this.#isPartition(record.partitionId)) return;
    const template = window.templates.numberOf(record.command, record.keyPrefix);
    const client = this.#clientNumber(window, record.clientId);
    this.#count(window, { template, partition: record.partitionId, client }, weight);
  }

  addCounts(counts: LoadCounts): void {
    const window = this.#windowOf(counts.timeMs, counts.partitionId);
    if (window === undefined) return;
    addLoad(window, counts);
    window.recordCount += counts.queries;
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
    const window: OpenWindow = {
      index,
      values: new Float64Array(this.#settings.partitionCount * LOAD_DIMENSION_COUNT),
      entries: new Map(),
      templates: new TemplateTable(this.#settings.templatesMax, this.#words),
      clientNames: [OTHER],
      clientOf: new Map(),
      recordCount: 0,
      droppedCount: 0,
      lateCount: 0,
    };
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
      affinity: this.#affinityOf(window),
    });
  }

  #clientNumber({ clientNames, clientOf }: OpenWindow, clientId: number): number {
    const known = clientOf.get(clientId);
    if (known !== undefined) return known;
    if (clientNames.length > this.#settings.clientsMax) return 0;
    const number = clientNames.push(`${this.#settings.source}/${clientId}`) - 1;
    clientOf.set(clientId, number);
    return number;
  }

  #count(
    window: OpenWindow,
    { template, partition, client }: { template: number; partition: number; client: number },
    weight: number,
  ): void {
    const { partitionCount, clientsMax, entriesMax } = this.#settings;
    // 1,024 templates x 16,384 partitions x 257 clients are far below 2^53: one number is the key.
    const base = (template * partitionCount + partition) * (clientsMax + 1);
    const known = window.entries.get(base + client);
    if (known !== undefined || window.entries.size < entriesMax)
      window.entries.set(base + client, (known ?? 0) + weight);
    // Without its client an entry is one of at most templates x partitions; beyond twice the limit even that is dropped.
    else if (window.entries.has(base) || window.entries.size < 2 * entriesMax)
      window.entries.set(base, (window.entries.get(base) ?? 0) + weight);
  }

  #affinityOf(window: OpenWindow): AffinityCounts {
    const { partitionCount, clientsMax } = this.#settings;
    const entries = [...window.entries].map(([key, count]) => {
      const client = key % (clientsMax + 1);
      const pair = (key - client) / (clientsMax + 1);
      return {
        template: Math.floor(pair / partitionCount),
        partition: pair % partitionCount,
        client,
        count,
      };
    });
    const names = { templates: window.templates.names, clients: window.clientNames };
    return packAffinityCounts(entries, { partitionCount, ...names });
  }
}

function addLoad({ values }: OpenWindow, load: Omit<LoadCounts, 'timeMs'>): void {
  // In the order of LOAD_DIMENSIONS.
  const base = load.partitionId * LOAD_DIMENSION_COUNT;
  values[base] = (values[base] as number) + load.queries;
  values[base + 1] = (values[base + 1] as number) + load.cpuSeconds;
  values[base + 2] = (values[base + 2] as number) + load.readBytes;
  values[base + 3] = (values[base + 3] as number) + load.writeBytes;
}

/**
 * One profile out of the segments of several query nodes and windows, in any order.
 *
 * A window nobody sent is an outage (coverage 0). Two segments of one window are different query nodes and add up; a node
 * that sends the same window twice must not be passed twice.
 *
 * @param options.endMs end of the profile; by default that of the newest segment. Windows up to it nobody sent are outages.
 * @throws ForeshardError FORESHARD_NOT_READY without segments, FORESHARD_CORRUPT when they do not fit together.
 */
export function mergeSegments(
  segments: readonly ProfileSegment[],
  options: { readonly endMs?: number } = {},
): LoadProfile {
  const [first] = segments;
  if (first === undefined)
    throw new ForeshardError('FORESHARD_NOT_READY', 'wait', 'no load profile has been recorded yet');
  const { windowMs, partitionCount } = first;
  const stride = partitionCount * LOAD_DIMENSION_COUNT;
  let startMs = first.startMs;
  let endMs = options.endMs ?? Number.NEGATIVE_INFINITY;
  for (const segment of segments) {
    const doesFit =
      segment.windowMs === windowMs &&
      segment.partitionCount === partitionCount &&
      segment.values.length === stride &&
      (segment.startMs - first.startMs) % windowMs === 0;
    if (!doesFit)
      throw new ForeshardError(
        'FORESHARD_CORRUPT',
        're-read',
        `profile segment at ${segment.startMs}: ${segment.partitionCount} partitions and ${segment.windowMs} ms windows do ` +
          `not fit ${partitionCount} and ${windowMs} of the segment at ${first.startMs}`,
      );
    startMs = Math.min(startMs, segment.startMs);
    if (options.endMs === undefined) endMs = Math.max(endMs, segment.startMs + windowMs);
  }
  const windowCount = Math.max(0, Math.floor((endMs - startMs) / windowMs));
  const values = new Float64Array(windowCount * stride);
  const captured = new Float64Array(windowCount);
  const offered = new Float64Array(windowCount);
  const isSent = new Uint8Array(windowCount);
  for (const segment of segments) {
    const window = (segment.startMs - startMs) / windowMs;
    if (window >= windowCount) continue;
    isSent[window] = 1;
    captured[window] = (captured[window] as number) + segment.recordCount;
    offered[window] = (offered[window] as number) + segment.recordCount + segment.droppedCount;
    const base = window * stride;
    for (let i = 0; i < stride; i++)
      values[base + i] = (values[base + i] as number) + (segment.values[i] as number);
  }
  const coverage = captured.map((count, window) => {
    if (isSent[window] === 0) return 0;
    return offered[window] === 0 ? 1 : count / (offered[window] as number);
  });
  return { startMs, windowMs, windowCount, partitionCount, values, coverage };
}

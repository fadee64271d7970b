import { assert } from '../../../src/base/assert.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import { LOAD_DIMENSION_COUNT, type LoadProfile } from '../../../src/model/load-profile.ts';

/**
 * Under this id stand windows of captured processes that have been added up; their own records are gone then. Between the ids
 * of query nodes and those of processes.
 */
export const CONSOLIDATED_ID = 9_999;

/** A window that could not be published by then is given up: readers may have put its parts together by now. */
export const PUBLISH_LATE_MS_MAX = 15 * 60_000;

/** One closed window as one query node saw it. */
export interface WindowLoad {
  readonly startMs: number;
  readonly queryNodeId: number;
  /** f64[partition][dimension], units of LoadProfile.values. */
  readonly values: Float64Array;
  readonly capturedCount: number;
  readonly droppedCount: number;
}

/**
 * The closed windows of the history, of all query nodes, in one place: what a cycle forecasts from. A window that comes
 * twice (published, then read back) replaces itself, so that publishing may be repeated.
 */
export class ProfileLedger {
  readonly windowMs: number;
  readonly partitionCount: number;
  readonly #windowsMax: number;
  readonly #windows = new Map<number, Map<number, WindowLoad>>();

  constructor(options: {
    readonly windowMs: number;
    readonly partitionCount: number;
    readonly windowsMax: number;
  }) {
    this.windowMs = options.windowMs;
    this.partitionCount = options.partitionCount;
    this.#windowsMax = options.windowsMax;
  }

  /** @throws ForeshardError FORESHARD_CORRUPT for a window of another grid or partition count. */
  add(window: WindowLoad): void {
    if (window.startMs % this.windowMs !== 0)
      throw corrupt(`window ${window.startMs} is not on the grid of ${this.windowMs} ms`);
    if (window.values.length !== this.partitionCount * LOAD_DIMENSION_COUNT)
      throw corrupt(
        `window ${window.startMs} holds ${window.values.length} values, not ${this.partitionCount} x ${LOAD_DIMENSION_COUNT}`,
      );
    let nodes = this.#windows.get(window.startMs);
    if (nodes === undefined) {
      nodes = new Map();
      this.#windows.set(window.startMs, nodes);
    }
    nodes.set(window.queryNodeId, window);
  }

  /** Parts of a window that have been added up are in their sum: those above its id that are not told of any more. */
  forgetParts(startMs: number, presentIds: ReadonlySet<number>): void {
    const nodes = this.#windows.get(startMs);
    for (const id of nodes?.keys() ?? []) if (id > CONSOLIDATED_ID && !presentIds.has(id)) nodes?.delete(id);
  }

  /** What each query node, or feed, told of the window that starts then, by rising id. */
  windowAt(startMs: number): readonly WindowLoad[] {
    return [...(this.#windows.get(startMs) ?? [])].sort(([a], [b]) => a - b).map(([, window]) => window);
  }

  /** Windows that start before this are not part of the history any more. */
  oldestKeptMs(endMs: number): number {
    return this.#alignedEnd(endMs) - this.#windowsMax * this.windowMs;
  }

  /** Forgets what is too old. */
  trim(endMs: number): void {
    const oldestMs = this.oldestKeptMs(endMs);
    for (const startMs of this.#windows.keys()) if (startMs < oldestMs) this.#windows.delete(startMs);
  }

  get windowCount(): number {
    return this.#windows.size;
  }

  /**
   * The history as one profile. A window that nobody recorded, between others, is an outage: zeros with coverage 0.
   *
   * @param endMs the present. What lies after it, as the machine's time does after a replay's, is left out.
   * @throws ForeshardError FORESHARD_NOT_READY before the first window has closed.
   */
  toProfile(endMs: number): LoadProfile {
    const oldestMs = this.oldestKeptMs(endMs);
    const starts = [...this.#windows.keys()].filter(
      (startMs) => startMs >= oldestMs && startMs + this.windowMs <= endMs,
    );
    if (starts.length === 0)
      throw new ForeshardError('FORESHARD_NOT_READY', 'wait', 'no window of load has been closed yet');
    const startMs = Math.min(...starts);
    const windowCount = (Math.max(...starts) - startMs) / this.windowMs + 1;
    assert(windowCount <= this.#windowsMax, 'a profile is no longer than the history');
    const stride = this.partitionCount * LOAD_DIMENSION_COUNT;
    const values = new Float64Array(windowCount * stride);
    const coverage = new Float64Array(windowCount);
    for (const windowStartMs of starts) {
      const nodes = this.#windows.get(windowStartMs) as ReadonlyMap<number, WindowLoad>;
      const index = (windowStartMs - startMs) / this.windowMs;
      const offset = index * stride;
      let captured = 0;
      let offered = 0;
      // In the order of node ids, so that floating-point sums do not depend on who published first.
      for (const nodeId of [...nodes.keys()].sort((a, b) => a - b)) {
        const window = nodes.get(nodeId) as WindowLoad;
        for (let i = 0; i < stride; i++) values[offset + i] += window.values[i] as number;
        captured += window.capturedCount;
        offered += window.capturedCount + window.droppedCount;
      }
      // Nothing was asked of the database: that is a measurement, too.
      coverage[index] = offered === 0 ? 1 : captured / offered;
    }
    return {
      startMs,
      windowMs: this.windowMs,
      windowCount,
      partitionCount: this.partitionCount,
      values,
      coverage,
    };
  }

  #alignedEnd(endMs: number): number {
    return Math.floor(endMs / this.windowMs) * this.windowMs;
  }
}

function corrupt(message: string): ForeshardError {
  return new ForeshardError('FORESHARD_CORRUPT', 'report', message);
}

import { assert } from '../base/assert.ts';
import { ForeshardError } from '../base/errors.ts';
import type { Arena, TypedBlock } from '../kernels/arena.ts';
import {
  dimensionIndex,
  LOAD_DIMENSION_COUNT,
  LOAD_DIMENSIONS,
  LOAD_MAX,
  type LoadDimension,
  type LoadProfile,
} from '../model/load-profile.ts';
import { restoreInto } from './saved.ts';

/** Below this coverage the rest cannot be extrapolated: the window counts as an outage. */
export const COVERAGE_MIN = 0.2;

/** A day of hours: short enough to follow a change of the mix, long enough to cover its daily rhythm. */
const RATIO_HALF_LIFE_WINDOWS = 48;

export interface HistoryShape {
  readonly partitionCount: number;
  readonly windowMs: number;
  readonly startMs: number;
  readonly driver: LoadDimension;
  /** Windows kept for certain. */
  readonly windowsMax: number;
  readonly weekWindows: number;
  readonly dayWindows: number;
}

export interface SavedHistory {
  /** f64[partition][window], as long as history is. */
  readonly rows: Float64Array;
  readonly length: number;
  readonly dropped: number;
  readonly outages: Int32Array;
  readonly recent: Float64Array;
  readonly recentWeight: number;
}

/** Windows a row has room for: a week of slack, so that rows are moved to the front once a week and not once a window. */
export const historyStride = (shape: Pick<HistoryShape, 'windowsMax' | 'weekWindows'>): number =>
  shape.windowsMax + Math.max(168, Math.min(shape.weekWindows, shape.windowsMax));

/**
 * The log load of every partition, window by window, where the kernels can read it.
 *
 * Loads are log1p of the driver dimension, scaled up by coverage; an outage takes the value of a week, else a day, else
 * a window before, and is remembered, so that nothing is learnt or judged from it.
 */
export class History {
  readonly shape: HistoryShape;
  /** Windows a row has room for. */
  readonly stride: number;
  readonly #series: TypedBlock<Float64Array>;
  readonly #arena: Arena;
  #length = 0;
  /** Windows dropped from the front so far: row index + dropped = window since startMs. */
  #dropped = 0;
  #outages: boolean[] = [];
  /** f64[partition][dimension], fading. */
  readonly #recent: Float64Array;
  #recentWeight = 0;

  constructor(shape: HistoryShape, arena: Arena) {
    this.shape = shape;
    this.#arena = arena;
    this.stride = historyStride(shape);
    this.#series = arena.f64(shape.partitionCount * this.stride);
    this.#recent = new Float64Array(shape.partitionCount * LOAD_DIMENSION_COUNT);
  }

  get pointer(): number {
    return this.#series.pointer;
  }

  /** Windows in the rows now. */
  get length(): number {
    return this.#length;
  }

  get dropped(): number {
    return this.#dropped;
  }

  /** Wall clock of the end of the last window. */
  get endMs(): number {
    return this.shape.startMs + (this.#dropped + this.#length) * this.shape.windowMs;
  }

  logLoad(partition: number, window: number): number {
    return this.#series.view[partition * this.stride + window] as number;
  }

  isOutage(window: number): boolean {
    return this.#outages[window] as boolean;
  }

  outageCount(first: number, end: number): number {
    let count = 0;
    for (let w = first; w < end; w++) if (this.#outages[w]) count++;
    return count;
  }

  /**
   * Adds window `index` of a profile.
   *
   * @throws ForeshardError FORESHARD_CORRUPT on a value that is not in 0..LOAD_MAX; nothing is added then.
   */
  append(profile: LoadProfile, index: number): void {
    const { partitionCount } = this.shape;
    const coverage = profile.coverage[index] as number;
    const first = index * partitionCount * LOAD_DIMENSION_COUNT;
    const values = profile.values.subarray(first, first + partitionCount * LOAD_DIMENSION_COUNT);
    assertLoads(values, coverage, index);
    if (coverage < COVERAGE_MIN) {
      this.appendOutage();
      return;
    }
    this.#makeRoom();
    const driver = dimensionIndex(this.shape.driver);
    const fade = 0.5 ** (1 / RATIO_HALF_LIFE_WINDOWS);
    for (let p = 0; p < partitionCount; p++) {
      const offered = (values[p * LOAD_DIMENSION_COUNT + driver] as number) / coverage;
      this.#series.view[p * this.stride + this.#length] = Math.log1p(offered);
    }
    for (let i = 0; i < values.length; i++)
      this.#recent[i] = (this.#recent[i] as number) * fade + (values[i] as number) / coverage;
    this.#recentWeight = this.#recentWeight * fade + 1;
    this.#outages.push(false);
    this.#length++;
  }

  /** Multiplies the loads of a partition before window `end` of its row: what it would have been at another level. */
  rescale(partition: number, end: number, factor: number): void {
    const row = this.#series.view.subarray(partition * this.stride, partition * this.stride + end);
    for (let w = 0; w < row.length; w++) row[w] = rescaledLog(row[w] as number, factor);
  }

  /** Fills windows first..end-1 of a row, whose load was lost, with those of the week before. */
  fill(partition: number, { first, end }: { readonly first: number; readonly end: number }): void {
    const { weekWindows } = this.shape;
    assert(first >= weekWindows, 'there is a week before');
    const row = this.#series.view.subarray(partition * this.stride, partition * this.stride + this.#length);
    for (let w = first; w < end; w++) row[w] = row[w - weekWindows] as number;
  }

  appendOutage(): void {
    this.#makeRoom();
    const { weekWindows, dayWindows, partitionCount } = this.shape;
    const back = [weekWindows, dayWindows, 1].find((windows) => windows <= this.#length);
    for (let p = 0; p < partitionCount; p++) {
      const at = p * this.stride + this.#length;
      this.#series.view[at] = back === undefined ? 0 : (this.#series.view[at - back] as number);
    }
    this.#outages.push(true);
    this.#length++;
  }

  /**
   * How much of each dimension comes with one unit of the driver.
   *
   * @returns f64[partition][dimension] ratios; where a partition's driver was silent of late, `flat` holds the mean per
   *   window of the other dimensions instead.
   */
  ratios(): { readonly ratio: Float64Array; readonly flat: Float64Array } {
    const ratio = new Float64Array(this.#recent.length);
    const flat = new Float64Array(this.#recent.length);
    const driver = dimensionIndex(this.shape.driver);
    for (let p = 0; p < this.shape.partitionCount; p++) {
      const base = p * LOAD_DIMENSION_COUNT;
      const load = this.#recent[base + driver] as number;
      for (let d = 0; d < LOAD_DIMENSION_COUNT; d++) {
        const value = this.#recent[base + d] as number;
        if (d === driver) ratio[base + d] = 1;
        else if (load > 0) ratio[base + d] = value / load;
        else if (this.#recentWeight > 0) flat[base + d] = value / this.#recentWeight;
      }
    }
    return { ratio, flat };
  }

  save(): SavedHistory {
    const { partitionCount } = this.shape;
    const rows = new Float64Array(partitionCount * this.#length);
    for (let p = 0; p < partitionCount; p++)
      rows.set(this.#series.view.subarray(p * this.stride, p * this.stride + this.#length), p * this.#length);
    return {
      rows,
      length: this.#length,
      dropped: this.#dropped,
      outages: Int32Array.from(this.#outages, Number),
      recent: this.#recent.slice(),
      recentWeight: this.#recentWeight,
    };
  }

  /** @throws ForeshardError FORESHARD_CORRUPT when rows are missing or do not fit. */
  load(saved: SavedHistory): void {
    const { partitionCount } = this.shape;
    const { rows, length, outages } = saved;
    const isWhole = rows?.length === partitionCount * length && outages?.length === length;
    if (!isWhole || length > this.stride)
      throw new ForeshardError(
        'FORESHARD_CORRUPT',
        'restart',
        `forecast checkpoint: ${rows?.length} numbers and ${outages?.length} marks of outages are no ${length} windows of ` +
          `${partitionCount} partitions, of which ${this.stride} have room`,
      );
    for (let p = 0; p < partitionCount; p++)
      this.#series.view.set(rows.subarray(p * length, (p + 1) * length), p * this.stride);
    restoreInto(this.#recent, saved.recent, 'recent loads');
    this.#recentWeight = saved.recentWeight;
    this.#length = length;
    this.#dropped = saved.dropped;
    this.#outages = Array.from(outages, (mark) => mark === 1);
  }

  close(): void {
    this.#arena.free(this.#series);
  }

  /** Keeps the last `windowsMax` windows of each row once the slack is used up. */
  #makeRoom(): void {
    if (this.#length < this.stride) return;
    const surplus = this.#length - this.shape.windowsMax;
    assert(surplus > 0, 'a full row has windows to drop');
    const { view } = this.#series;
    for (let p = 0; p < this.shape.partitionCount; p++) {
      const row = p * this.stride;
      view.copyWithin(row, row + surplus, row + this.#length);
    }
    this.#outages = this.#outages.slice(surplus);
    this.#length -= surplus;
    this.#dropped += surplus;
  }
}

/** The log load of `factor` times a load. */
export const rescaledLog = (logLoad: number, factor: number): number =>
  Math.log1p(Math.expm1(logLoad) * factor);

function assertLoads(values: Float64Array, coverage: number, index: number): void {
  const corrupt = (what: string): ForeshardError =>
    new ForeshardError('FORESHARD_CORRUPT', 're-read', `load profile, window ${index}: ${what}`);
  if (!(coverage >= 0 && coverage <= 1)) throw corrupt(`coverage ${coverage} is not in 0..1`);
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (value >= 0 && value <= LOAD_MAX) continue;
    const partition = Math.floor(i / LOAD_DIMENSION_COUNT);
    throw corrupt(
      `${LOAD_DIMENSIONS[i % LOAD_DIMENSION_COUNT]} of partition ${partition} is ${value}, not in 0..${LOAD_MAX}`,
    );
  }
}

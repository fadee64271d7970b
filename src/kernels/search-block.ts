import type { Sliced } from '../base/slices.ts';
import type { Arena, Block } from './arena.ts';
import type { Pointer } from './exports.ts';
import { aligned } from './layout.ts';
import {
  type FieldKind,
  layOut,
  NEGATIVE_LOG_COUNT,
  negativeLogTable,
  OPERATOR_NUMBERS,
  OPERATOR_TABLE_COUNT,
  type SEARCH_FIELDS,
} from './search-layout.ts';

/** Arrays that fields of a control block point to. */
export interface SearchArray {
  readonly kind: ArrayKind;
  readonly count: number;
  readonly values?: ArrayLike<number>;
}
type ArrayKind = 'u8' | 'u16' | 'i32' | 'f32' | 'f64';
type ViewMaker = {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, offset: number, count: number): Settable;
};
type Settable = ArrayBufferView & { set(values: ArrayLike<number>, offset?: number): void };
const VIEWS: Record<ArrayKind, ViewMaker> = {
  u8: Uint8Array,
  u16: Uint16Array,
  i32: Int32Array,
  f32: Float32Array,
  f64: Float64Array,
};

/** Numbers written between two yields: a tenth of a millisecond, and where no page of the memory has been touched yet a few. */
const NUMBERS_OF_SLICE = 16_384;

/** Rises from which temperatures are calibrated. */
const SAMPLES_MAX = 512;

type SearchFields = typeof SEARCH_FIELDS & Record<string, FieldKind>;

/** The arrays of the loop itself, which every problem has. */
export function loopArrays(shape: {
  readonly itemCount: number;
  readonly operatorCount: number;
}): Record<string, SearchArray> {
  const { itemCount, operatorCount } = shape;
  return {
    negativeLog: { kind: 'f32', count: NEGATIVE_LOG_COUNT, values: negativeLogTable() },
    owner: { kind: 'i32', count: itemCount },
    bestOwner: { kind: 'i32', count: itemCount },
    journal: { kind: 'i32', count: 2 * itemCount },
    operatorTable: { kind: 'u8', count: OPERATOR_TABLE_COUNT },
    operators: { kind: 'f64', count: OPERATOR_NUMBERS * operatorCount },
    samples: { kind: 'f64', count: SAMPLES_MAX },
  };
}

/** Kernel memory of a control block of so many bytes with its arrays. */
export function searchBlockBytes(
  fields: Record<string, FieldKind>,
  arrays: Record<string, SearchArray>,
): number {
  let bytes = aligned(layOut(fields).bytes);
  for (const { kind, count } of Object.values(arrays))
    bytes += aligned(count * VIEWS[kind].BYTES_PER_ELEMENT);
  return bytes;
}

/**
 * A problem of the annealing loop in kernel memory: its control block and all arrays, in one piece of the arena. Free it.
 *
 * @typeParam Fields of the control block, in the order of the AssemblyScript class.
 */
export class SearchBlock<Fields extends SearchFields> {
  readonly pointer: Pointer;
  /** i32[item]: the present map, and the best one. */
  readonly owner: Int32Array;
  readonly bestOwner: Int32Array;
  /** f64[operator][5]: weight, credit, tries, price, fixed share. */
  readonly operators: Float64Array;
  readonly #offsets: Record<keyof Fields, number>;
  readonly #kinds: Fields;
  readonly #view: DataView;
  readonly #buffer: ArrayBufferLike;
  readonly #arena: Pick<Arena, 'free'>;
  readonly #values: { readonly view: Settable; readonly values: ArrayLike<number> }[] = [];
  #block: Block | undefined;

  readonly #arrays: Float64Array;

  /**
   * The arrays are cleared, and their values written, by {@link filling}, before anything runs or is written there.
   *
   * @param operators what a try of each takes, and the share of draws that is its own whatever is learnt; shares sum to 1.
   */
  constructor(
    arena: Pick<Arena, 'uncleared' | 'free'>,
    fields: Fields,
    arrays: Record<string, SearchArray>,
    operators: readonly { readonly price: number; readonly share: number }[],
  ) {
    const { offsets, bytes } = layOut(fields);
    const block = arena.uncleared(searchBlockBytes(fields, arrays));
    this.#arena = arena;
    this.#block = block;
    this.#offsets = offsets;
    this.#kinds = fields;
    this.#buffer = block.view.buffer;
    this.pointer = block.pointer;
    this.#view = new DataView(block.view.buffer, block.pointer, bytes);
    block.view.fill(0, 0, aligned(bytes));
    let next = block.pointer + aligned(bytes);
    this.#arrays = new Float64Array(this.#buffer, next, (block.pointer + block.sizeBytes - next) / 8);
    for (const [name, { kind, count, values }] of Object.entries(arrays)) {
      const view = new VIEWS[kind](this.#buffer, next, count);
      if (values !== undefined) this.#values.push({ view, values });
      this.set(name, next);
      next += aligned(view.byteLength);
    }
    this.owner = this.i32('owner', arrays.owner?.count ?? 0);
    this.bestOwner = this.i32('bestOwner', this.owner.length);
    this.operators = new Float64Array(
      this.#buffer,
      this.get('operators'),
      OPERATOR_NUMBERS * operators.length,
    );
    this.set('itemCount', this.owner.length);
    this.set('journalMax', this.owner.length);
    this.set('operatorCount', operators.length);
    this.set('sampleMax', SAMPLES_MAX);
    const numbers = operators.flatMap(({ price, share }) => [share, 0, 0, price, share]);
    this.#values.push({ view: this.operators, values: numbers });
  }

  /** Clears the arrays and writes the values of those that have some, which takes milliseconds for thousands of items. */
  *filling(): Sliced<void> {
    for (let at = 0; at < this.#arrays.length; at += NUMBERS_OF_SLICE) {
      this.#arrays.subarray(at, at + NUMBERS_OF_SLICE).fill(0);
      yield;
    }
    for (const { view, values } of this.#values.splice(0))
      for (let at = 0; at < values.length; at += NUMBERS_OF_SLICE) {
        view.set(partOf(values, at, at + NUMBERS_OF_SLICE), at);
        yield;
      }
  }

  free(): void {
    if (this.#block !== undefined) this.#arena.free(this.#block);
    this.#block = undefined;
  }

  get(field: keyof Fields): number {
    const at = this.#offsets[field];
    const kind = this.#kinds[field];
    if (kind === 'u32') return this.#view.getUint32(at, true);
    return kind === 'f32' ? this.#view.getFloat32(at, true) : this.#view.getFloat64(at, true);
  }

  set(field: keyof Fields, value: number): void {
    const at = this.#offsets[field];
    const kind = this.#kinds[field];
    if (kind === 'u32') this.#view.setUint32(at, value, true);
    else if (kind === 'f32') this.#view.setFloat32(at, value, true);
    else this.#view.setFloat64(at, value, true);
  }

  i32(field: keyof Fields, count: number): Int32Array {
    return new Int32Array(this.#buffer, this.get(field), count);
  }

  /** The rises sampled since the reset. */
  samples(): Float64Array {
    return new Float64Array(this.#buffer, this.get('samples'), this.get('sampleCount'));
  }
}

function partOf(values: ArrayLike<number>, from: number, to: number): ArrayLike<number> {
  if (from === 0 && to >= values.length) return values;
  // All that are long are typed, and nothing is copied twice.
  const typed = values as Float64Array;
  return typed.subarray === undefined
    ? Array.prototype.slice.call(values, from, to)
    : typed.subarray(from, to);
}

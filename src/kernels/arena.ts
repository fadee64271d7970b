import { assert } from '../base/assert.ts';
import { ForeshardError } from '../base/errors.ts';
import type { Pointer } from './exports.ts';
import { aligned, blockBytes } from './layout.ts';

/** A piece of the kernels' memory that somebody owns. */
export interface Block {
  readonly pointer: Pointer;
  readonly sizeBytes: number;
}

export interface TypedBlock<View> extends Block {
  /** Stays valid for the life of the memory, which never grows. After `free` it belongs to somebody else. */
  readonly view: View;
}

interface Span {
  pointer: number;
  sizeBytes: number;
}

/**
 * First-fit allocator over the one shared memory, above the kernels' own constants.
 *
 * It is the only owner of offsets: the kernels allocate nothing, because every instance on this memory would hand out
 * the same addresses. One arena per memory, on one thread; workers are given pointers.
 */
export class Arena {
  readonly #memory: WebAssembly.Memory;
  readonly #clear: (pointer: Pointer, sizeBytes: number) => void;
  /** Sorted by pointer, never adjacent: freeing merges neighbours. */
  readonly #free: Span[];
  readonly #used = new Map<Pointer, number>();

  /** @param clear zeroes bytes of it, as the kernels do; by default as JavaScript does, which takes many times longer. */
  constructor(
    memory: WebAssembly.Memory,
    heapBase: number,
    clear?: (pointer: Pointer, sizeBytes: number) => void,
  ) {
    this.#memory = memory;
    // Of shared memory V8 fills element by element: the larger they are, the sooner it is done.
    this.#clear =
      clear ??
      ((pointer, sizeBytes) => {
        new Float64Array(memory.buffer, pointer, sizeBytes / Float64Array.BYTES_PER_ELEMENT).fill(0);
      });
    const first = aligned(heapBase);
    this.#free = [{ pointer: first, sizeBytes: memory.buffer.byteLength - first }];
  }

  get usedBytes(): number {
    let total = 0;
    for (const sizeBytes of this.#used.values()) total += sizeBytes;
    return total;
  }

  get freeBytes(): number {
    return this.#free.reduce((total, span) => total + span.sizeBytes, 0);
  }

  /**
   * A zeroed block, aligned to 16 bytes.
   *
   * @throws ForeshardError FORESHARD_LIMIT when no gap is large enough.
   */
  alloc(sizeBytes: number): Block {
    const block = this.#take(sizeBytes);
    this.#clear(block.pointer, blockBytes(sizeBytes));
    return block;
  }

  /** A block with whatever its last owner has left in it, for those that clear it little by little: megabytes take milliseconds. */
  uncleared(sizeBytes: number): TypedBlock<Uint8Array> {
    const block = this.#take(sizeBytes);
    return { ...block, view: new Uint8Array(this.#memory.buffer, block.pointer, sizeBytes) };
  }

  #take(sizeBytes: number): Block {
    assert(Number.isSafeInteger(sizeBytes) && sizeBytes >= 0, 'a block has a size in bytes');
    const needed = blockBytes(sizeBytes);
    const index = this.#free.findIndex((span) => span.sizeBytes >= needed);
    const span = this.#free[index];
    if (span === undefined)
      throw new ForeshardError(
        'FORESHARD_LIMIT',
        'fix-config',
        `kernel memory is full: ${sizeBytes} bytes wanted, ${this.freeBytes} of ${this.#memory.buffer.byteLength} free ` +
          '(perhaps in pieces). Raise MEMORY_PAGES in src/kernels/instance.ts and initialMemory = maximumMemory in ' +
          'asconfig.json together, or forecast fewer partitions or a shorter history',
      );
    const pointer = span.pointer;
    if (span.sizeBytes === needed) this.#free.splice(index, 1);
    else {
      span.pointer += needed;
      span.sizeBytes -= needed;
    }
    this.#used.set(pointer, needed);
    return { pointer, sizeBytes };
  }

  free(block: Block): void {
    const sizeBytes = this.#used.get(block.pointer);
    assert(sizeBytes !== undefined, 'a block is freed once, by its owner');
    this.#used.delete(block.pointer);
    let index = this.#free.findIndex((span) => span.pointer > block.pointer);
    if (index < 0) index = this.#free.length;
    this.#free.splice(index, 0, { pointer: block.pointer, sizeBytes });
    this.#mergeWithNext(index);
    if (index > 0) this.#mergeWithNext(index - 1);
  }

  f64(count: number): TypedBlock<Float64Array> {
    const block = this.alloc(count * 8);
    return { ...block, view: new Float64Array(this.#memory.buffer, block.pointer, count) };
  }

  f32(count: number): TypedBlock<Float32Array> {
    const block = this.alloc(count * 4);
    return { ...block, view: new Float32Array(this.#memory.buffer, block.pointer, count) };
  }

  i32(count: number): TypedBlock<Int32Array> {
    const block = this.alloc(count * 4);
    return { ...block, view: new Int32Array(this.#memory.buffer, block.pointer, count) };
  }

  u32(count: number): TypedBlock<Uint32Array> {
    const block = this.alloc(count * 4);
    return { ...block, view: new Uint32Array(this.#memory.buffer, block.pointer, count) };
  }

  u8(count: number): TypedBlock<Uint8Array> {
    const block = this.alloc(count);
    return { ...block, view: new Uint8Array(this.#memory.buffer, block.pointer, count) };
  }

  #mergeWithNext(index: number): void {
    const span = this.#free[index];
    const next = this.#free[index + 1];
    if (span === undefined || next === undefined || span.pointer + span.sizeBytes !== next.pointer) return;
    span.sizeBytes += next.sizeBytes;
    this.#free.splice(index + 1, 1);
  }
}

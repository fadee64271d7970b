/** XXH3 of entries by the Wasm kernels (assembly/digest.ts says what is hashed of an entry), on memory of this thread's own. */
import { assert } from '../../../src/base/assert.ts';
import type { TypedBlock } from '../../../src/kernels/arena.ts';
import type { Pointer } from '../../../src/kernels/exports.ts';
import { type Kernels, loadKernels } from '../../../src/kernels/instance.ts';

/** u32 bytes of the value, u32 bytes of the key: before every entry. */
export const ENTRY_HEADER_BYTES = 8;
/** Holds nearly every entry; for a larger one the block is replaced. */
const ENTRY_BYTES_INITIAL = 64 << 10;
/** Up to here a loop is faster than making a view of the source to copy from. */
const LOOP_BYTES_MAX = 48;
/** Two u64 as four words, low before high. */
const HASH_WORDS = 4;

/** A 64-bit seed as two words: a bigint would be an allocation an entry. */
export interface SeedWords {
  readonly low: number;
  readonly high: number;
}

/** @param seedHex up to 16 hex digits. */
export function seedWordsOf(seedHex: string): SeedWords {
  assert(/^[0-9a-f]{1,16}$/.test(seedHex), 'a digest seed is up to 16 hex digits');
  const padded = seedHex.padStart(16, '0');
  return { high: Number.parseInt(padded.slice(0, 8), 16), low: Number.parseInt(padded.slice(8), 16) };
}

/** Hashes under one seed at a time; changing it costs some fifty nanoseconds. */
export class EntryHasher {
  readonly kernels: Kernels;
  /** u32[4]: the hash of the last entry. */
  readonly hash: Uint32Array;
  readonly #keyPointer: Pointer;
  readonly #seed: Uint32Array;
  #isPrepared = false;
  #entry: TypedBlock<Uint8Array>;
  #header: Uint32Array;

  private constructor(kernels: Kernels) {
    const { arena, exports, memory } = kernels;
    this.kernels = kernels;
    const key = arena.alloc(exports.xxh3KeyBytes());
    this.#keyPointer = key.pointer;
    this.#seed = new Uint32Array(memory.buffer, key.pointer, 2);
    this.hash = new Uint32Array(memory.buffer, key.pointer + exports.xxh3HashOffset(), HASH_WORDS);
    this.#entry = arena.u8(ENTRY_BYTES_INITIAL);
    this.#header = new Uint32Array(memory.buffer, this.#entry.pointer, 2);
  }

  /** @throws ForeshardError FORESHARD_CONFIG when the kernels were not built, or are older than their sources. */
  static load(): EntryHasher {
    return new EntryHasher(loadKernels());
  }

  /** Leaves the entry's hash in `hash`, until the next call. */
  hashEntry(
    seed: SeedWords,
    key: Uint8Array,
    keyLength: number,
    value: Uint8Array,
    valueLength: number,
  ): void {
    const length = ENTRY_HEADER_BYTES + valueLength + keyLength;
    if (length > this.#entry.sizeBytes) this.#grow(length);
    const { pointer, view } = this.#entry;
    this.#header[0] = valueLength;
    this.#header[1] = keyLength;
    copyBytes(view, ENTRY_HEADER_BYTES, value, valueLength);
    copyBytes(view, ENTRY_HEADER_BYTES + valueLength, key, keyLength);
    this.#useSeed(seed);
    this.kernels.exports.xxh3Hash128(this.#keyPointer, pointer, length);
  }

  /** Tells entries, or keys or values alone, apart: 32 hex digits. */
  fingerprint(seed: SeedWords, key: Uint8Array, value: Uint8Array): string {
    this.hashEntry(seed, key, key.length, value, value.length);
    return Array.from(this.hash, (word) => word.toString(16).padStart(8, '0')).join('');
  }

  #useSeed({ low, high }: SeedWords): void {
    if (this.#isPrepared && this.#seed[0] === low && this.#seed[1] === high) return;
    this.#seed[0] = low;
    this.#seed[1] = high;
    this.kernels.exports.xxh3Prepare(this.#keyPointer);
    this.#isPrepared = true;
  }

  #grow(length: number): void {
    const { arena, memory } = this.kernels;
    arena.free(this.#entry);
    this.#entry = arena.u8(2 ** Math.ceil(Math.log2(length)));
    this.#header = new Uint32Array(memory.buffer, this.#entry.pointer, 2);
  }
}

/**
 * Copies the first `length` bytes of a source. Its own `length` is not asked: on the buffer that lmdb reads into, that is a
 * property which lmdb sets, and `set` would copy all of it.
 */
export function copyBytes(target: Uint8Array, at: number, source: Uint8Array, length: number): void {
  if (length <= LOOP_BYTES_MAX) for (let i = 0; i < length; i++) target[at + i] = source[i];
  else target.set(source.subarray(0, length), at);
}

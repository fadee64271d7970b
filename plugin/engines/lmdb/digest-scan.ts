/** A digest by reading everything back: entries are laid out in a page of kernel memory, one call hashes the page. */
import type { Digest } from '../../../src/model/migration.ts';
import { copyBytes, ENTRY_HEADER_BYTES, type EntryHasher, seedWordsOf } from './entry-hasher.ts';
import { digestOfSums } from './running-digest.ts';

/** Hashed in some 20 us: short beside a slice of a scan, long beside the call. */
const PAGE_BYTES = 128 << 10;
const ENTRY_ALIGNMENT = 8;

/** Sums of the entries that were added; holds kernel memory until it is closed. */
export class DigestScan {
  readonly #hasher: EntryHasher;
  readonly #key;
  readonly #sums;
  #page;
  #header: Uint32Array;
  #endBytes = 0;

  constructor(hasher: EntryHasher, seedHex: string) {
    const { arena, exports, memory } = hasher.kernels;
    this.#hasher = hasher;
    this.#key = arena.alloc(exports.xxh3KeyBytes());
    const seed = new Uint32Array(memory.buffer, this.#key.pointer, 2);
    const { low, high } = seedWordsOf(seedHex);
    seed[0] = low;
    seed[1] = high;
    exports.xxh3Prepare(this.#key.pointer);
    // After the sums of the lanes: how many entries, and their bytes.
    this.#sums = arena.alloc((2 * exports.digestBucketCount() + 2) * 8);
    this.#page = arena.u8(PAGE_BYTES);
    this.#header = new Uint32Array(memory.buffer, this.#page.pointer, PAGE_BYTES / 4);
  }

  add(key: Uint8Array, value: Uint8Array): void {
    const length = ENTRY_HEADER_BYTES + value.length + key.length;
    let at = Math.ceil(this.#endBytes / ENTRY_ALIGNMENT) * ENTRY_ALIGNMENT;
    if (at + length > this.#page.sizeBytes) {
      this.#flush();
      at = 0;
      if (length > this.#page.sizeBytes) this.#grow(length);
    }
    this.#header[at / 4] = value.length;
    this.#header[at / 4 + 1] = key.length;
    const { view } = this.#page;
    copyBytes(view, at + ENTRY_HEADER_BYTES, value, value.length);
    copyBytes(view, at + ENTRY_HEADER_BYTES + value.length, key, key.length);
    this.#endBytes = at + length;
  }

  /** Of all that was added so far. */
  digest(): Digest {
    this.#flush();
    const { exports, memory } = this.#hasher.kernels;
    const laneCount = 2 * exports.digestBucketCount();
    const sums = new BigUint64Array(memory.buffer, this.#sums.pointer, laneCount + 2);
    return digestOfSums(sums.subarray(0, laneCount), Number(sums[laneCount]), Number(sums[laneCount + 1]));
  }

  close(): void {
    const { arena } = this.#hasher.kernels;
    for (const block of [this.#key, this.#sums, this.#page]) arena.free(block);
  }

  #flush(): void {
    const { exports } = this.#hasher.kernels;
    if (this.#endBytes > 0)
      exports.digestPage(this.#key.pointer, this.#page.pointer, this.#endBytes, this.#sums.pointer);
    this.#endBytes = 0;
  }

  #grow(length: number): void {
    const { arena, memory } = this.#hasher.kernels;
    arena.free(this.#page);
    this.#page = arena.u8(2 ** Math.ceil(Math.log2(length)));
    this.#header = new Uint32Array(memory.buffer, this.#page.pointer, this.#page.sizeBytes / 4);
  }
}

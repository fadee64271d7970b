import { seededRandom } from '../../src/base/random.ts';
import { loadKernels } from '../../src/kernels/instance.ts';
import type { NativeCase } from './case.ts';

/** Bytes that are hashed in one pass: in the cache, as a page of a scan is. */
const PAGE_BYTES = 128 << 10;
const KEY_BYTES = 24;
const HEADER_BYTES = 8;
const SEED = 20_010_101;

const aligned = (bytes: number): number => Math.ceil(bytes / 8) * 8;

/** A page of entries of `entryBytes` bytes of key and value each, as assembly/digest.ts reads it. */
export function fillPage(page: Uint8Array, entryBytes: number): { entryCount: number; endBytes: number } {
  const random = seededRandom(BigInt(entryBytes));
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  let [entryCount, endBytes] = [0, 0];
  for (let at = 0; at + HEADER_BYTES + entryBytes <= page.length; at = aligned(endBytes)) {
    view.setUint32(at, entryBytes - KEY_BYTES, true);
    view.setUint32(at + 4, KEY_BYTES, true);
    for (let i = HEADER_BYTES; i < HEADER_BYTES + entryBytes; i++) page[at + i] = random.nextBelow(256);
    endBytes = at + HEADER_BYTES + entryBytes;
    entryCount++;
  }
  return { entryCount, endBytes };
}

/** One page of a digest scan, over and over. */
export function digestCase(entryBytes: number, { isSmall }: { readonly isSmall: boolean }): NativeCase {
  const { arena, exports, memory } = loadKernels();
  const passes = isSmall ? 1 : 32;
  const page = arena.f64(PAGE_BYTES / 8);
  const bytes = new Uint8Array(memory.buffer, page.pointer, PAGE_BYTES);
  const { entryCount, endBytes } = fillPage(bytes, entryBytes);
  const key = arena.alloc(exports.xxh3KeyBytes());
  new BigUint64Array(memory.buffer, key.pointer, 1)[0] = BigInt(SEED);
  exports.xxh3Prepare(key.pointer);
  const laneCount = 2 * exports.digestBucketCount();
  const block = arena.alloc((laneCount + 2) * 8);
  const sums = new BigUint64Array(memory.buffer, block.pointer, laneCount + 2);
  return {
    name: `digest of entries of ${entryBytes} bytes`,
    source: 'xxh3.c',
    input: page.view,
    numbers: [endBytes, SEED, passes],
    amount: passes * entryCount,
    unit: 'entry',
    settings: { entryBytes, entryCount, keyBytes: KEY_BYTES },
    tolerance: 0,
    runKernel() {
      sums.fill(0n);
      for (let pass = 0; pass < passes; pass++)
        exports.digestPage(key.pointer, page.pointer, endBytes, block.pointer);
      let all = 0n;
      for (let lane = 0; lane < laneCount; lane += 2)
        all ^= (sums[lane] as bigint) ^ BigInt.asUintN(64, (sums[lane + 1] as bigint) << 1n);
      return Number(all >> 11n);
    },
  };
}

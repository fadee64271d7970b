import fc from 'fast-check';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import type { TypedBlock } from '../../../src/kernels/arena.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import { digestSums, type OracleEntry } from '../../oracles/digest.ts';
import { type Hash128, xxh3Hash128 } from '../../oracles/xxh3.ts';
import { testSeed } from '../../support/seed.ts';
import { sanityBuffer, XXH3_VECTORS } from './xxh3-vectors.ts';

const test = suite('digest kernels');
const RUNS = { seed: Number(testSeed('digest kernels') % 2n ** 31n) };
const { arena, exports, memory } = loadKernels();
const key = arena.u8(exports.xxh3KeyBytes());
const keyWords = new BigUint64Array(memory.buffer, key.pointer, key.sizeBytes >> 3);

function prepare(seed: bigint): void {
  keyWords[0] = seed;
  exports.xxh3Prepare(key.pointer);
}

const input: TypedBlock<Uint8Array> = arena.u8(8192);

/** @param offset where in memory the input begins: hashes do not depend on it. */
function kernelHash(bytes: Uint8Array, seed: bigint, offset = 0): Hash128 {
  prepare(seed);
  input.view.set(bytes, offset);
  exports.xxh3Hash128(key.pointer, input.pointer + offset, bytes.length);
  const at = exports.xxh3HashOffset() >> 3;
  return { low: keyWords[at] as bigint, high: keyWords[at + 1] as bigint };
}

test('hashes are those of the reference library, for each way through the algorithm', () => {
  const buffer = sanityBuffer(5000);
  for (const [length, seed, low, high] of XXH3_VECTORS) {
    const expected = { low: BigInt(`0x${low}`), high: BigInt(`0x${high}`) };
    check.equal(xxh3Hash128(buffer.subarray(0, length), seed), expected, `the twin at ${length} bytes`);
    check.equal(kernelHash(buffer.subarray(0, length), seed), expected, `the kernel at ${length} bytes`);
  }
});

test('the kernel hashes any bytes anywhere in memory as its twin does', () => {
  const length = fc.oneof(fc.nat(16), fc.integer({ min: 17, max: 240 }), fc.integer({ min: 241, max: 3000 }));
  const bytes = length.chain((n) => fc.uint8Array({ minLength: n, maxLength: n }));
  fc.assert(
    fc.property(bytes, fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), fc.nat(15), (data, seed, offset) => {
      check.equal(kernelHash(data, seed, offset), xxh3Hash128(data, seed));
    }),
    { ...RUNS, numRuns: 60 },
  );
});

const SUM_COUNT = exports.digestBucketCount() * 2;
const aligned = (bytes: number): number => Math.ceil(bytes / 8) * 8;

function sumsByKernel(pages: readonly (readonly OracleEntry[])[], seed: bigint): BigUint64Array {
  prepare(seed);
  const sums = arena.alloc((SUM_COUNT + 2) * 8);
  const view = new DataView(memory.buffer, input.pointer, input.sizeBytes);
  for (const page of pages) {
    let end = 0;
    for (const entry of page) {
      const at = aligned(end);
      view.setUint32(at, entry.value.length, true);
      view.setUint32(at + 4, entry.key.length, true);
      input.view.set(entry.value, at + 8);
      input.view.set(entry.key, at + 8 + entry.value.length);
      end = at + 8 + entry.value.length + entry.key.length;
    }
    exports.digestPage(key.pointer, input.pointer, end, sums.pointer);
  }
  const result = new BigUint64Array(memory.buffer, sums.pointer, SUM_COUNT + 2).slice();
  arena.free(sums);
  return result;
}

const entryArbitrary = fc.record({
  key: fc.uint8Array({ minLength: 8, maxLength: 60 }),
  value: fc.uint8Array({ maxLength: 300 }),
});

test('pages add up to the sums of their entries, in whatever order and however they are cut', () => {
  const entriesArbitrary = fc.array(entryArbitrary, { maxLength: 15 });
  fc.assert(
    fc.property(
      entriesArbitrary,
      fc.nat(15),
      fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
      (entries, cut, seed) => {
        const expected = digestSums(entries, seed);
        check.equal(sumsByKernel([entries], seed), expected);
        check.equal(sumsByKernel([entries.slice(cut).reverse(), entries.slice(0, cut)], seed), expected);
      },
    ),
    { ...RUNS, numRuns: 25 },
  );
});

test('a page that ends within an entry is refused', () => {
  const entry = { key: new Uint8Array(8), value: new Uint8Array(20) };
  sumsByKernel([[entry]], 1n);
  const sums = arena.alloc((SUM_COUNT + 2) * 8);
  check.throws(
    () => exports.digestPage(key.pointer, input.pointer, 35, sums.pointer),
    /entries fill their page/,
  );
  arena.free(sums);
});

test.run();

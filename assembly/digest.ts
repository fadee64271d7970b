// The sums of a partition's digest (src/model/migration.ts, Digest): 128-bit hashes of its entries, by bucket, mod 2^64 a lane.
//
// What is hashed of an entry, from a multiple of 8 on: u32 bytes of the value, u32 bytes of the key, value, key. The lengths
// keep the end of a value from being taken for the beginning of a key; the value comes first because it is the long one, and
// bytes are copied into shared memory word by word only from one aligned place to another (at 1 KB 50 ns against 300).
import { xxh3Hash128, XXH3_HASH_OFFSET } from "./xxh3";

const BUCKET_COUNT: usize = 256;
/** Of an entry's key: the byte that is its bucket, the first of the key's hash, so that a key and its fields share one. */
const BUCKET_KEY_BYTE: usize = 2;
const HEADER_BYTES: usize = 8;
const ENTRY_ALIGNMENT: usize = 8;

export function digestBucketCount(): i32 {
  return <i32>BUCKET_COUNT;
}

/**
 * Adds all entries of a page to the sums.
 * @param keyPtr key block of xxh3Prepare
 * @param pagePtr, pageBytes entries as they are hashed, each at the next multiple of 8 after the one before
 * @param sumsPtr u64[bucket][2] sums of the hashes' halves, then u64 entries, u64 bytes of keys and values
 */
export function digestPage(keyPtr: usize, pagePtr: usize, pageBytes: usize, sumsPtr: usize): void {
  assert(pagePtr % ENTRY_ALIGNMENT == 0 && sumsPtr % 16 == 0, "pages and sums are aligned");
  const end = pagePtr + pageBytes;
  const totals = sumsPtr + (BUCKET_COUNT << 4);
  let entryCount: u64 = 0;
  let sizeBytes: u64 = 0;
  let at = pagePtr;
  while (at < end) {
    const valueBytes = <usize>load<u32>(at), keyBytes = <usize>load<u32>(at, 4);
    const length = HEADER_BYTES + valueBytes + keyBytes;
    assert(keyBytes > BUCKET_KEY_BYTE && at + length <= end, "entries fill their page");
    xxh3Hash128(keyPtr, at, length);
    const sums = sumsPtr + (<usize>load<u8>(at + HEADER_BYTES + valueBytes + BUCKET_KEY_BYTE) << 4);
    v128.store(sums, i64x2.add(v128.load(sums), v128.load(keyPtr + XXH3_HASH_OFFSET)));
    entryCount++;
    sizeBytes += <u64>(valueBytes + keyBytes);
    at = (at + length + ENTRY_ALIGNMENT - 1) & ~(ENTRY_ALIGNMENT - 1);
  }
  store<u64>(totals, load<u64>(totals) + entryCount);
  store<u64>(totals, load<u64>(totals, 8) + sizeBytes, 8);
}

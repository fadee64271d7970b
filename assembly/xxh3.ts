// XXH3, the 128-bit variant under a seed, after its specification (xxHash, doc/xxhash_spec.md: "XXH3 Algorithm Description").
//
// A hash of n bytes goes one of six ways by n: 0, 1..3, 4..8, 9..16, 17..128, 129..240, and stripes of 64 bytes beyond. The
// seed is mixed into the secret; for 17..128 bytes and for the stripes that is done once a seed, in the key block:
//
//   u64 seed, u64 unused, u8[192] secret + seed and secret - seed in turn, u64[2] the last hash
//
// No state outlives a call but the hash it has left in the key block.

const PRIME32_1: u64 = 0x9E3779B1;
const PRIME32_2: u64 = 0x85EBCA77;
const PRIME32_3: u64 = 0xC2B2AE3D;
const PRIME64_1: u64 = 0x9E3779B185EBCA87;
const PRIME64_2: u64 = 0xC2B2AE3D27D4EB4F;
const PRIME64_3: u64 = 0x165667B19E3779F9;
const PRIME64_4: u64 = 0x85EBCA77C2B2AE63;
const PRIME64_5: u64 = 0x27D4EB2F165667C5;
const PRIME_MX1: u64 = 0x165667919E3779F9;
const PRIME_MX2: u64 = 0x9FB21C651E98DF25;

const SECRET_BYTES: usize = 192;
const STRIPE_BYTES: usize = 64;
/** Each stripe of a block takes its secret 8 bytes further on. */
const STRIPES_PER_BLOCK: usize = (SECRET_BYTES - STRIPE_BYTES) / 8;
const MIDDLE_BYTES_MAX: usize = 240;

// The key block.
const KEYED_SECRET: usize = 16;
export const XXH3_HASH_OFFSET: usize = KEYED_SECRET + SECRET_BYTES;
const XXH3_KEY_BYTES: i32 = <i32>(XXH3_HASH_OFFSET + 16);

/** The default secret of the specification. */
const SECRET: usize = memory.data<u8>([
  0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c,
  0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f,
  0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21,
  0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c,
  0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3,
  0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8,
  0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d,
  0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64,
  0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb,
  0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e,
  0x2b, 0x16, 0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce,
  0x45, 0xcb, 0x3a, 0x8f, 0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e,
]);

export function xxh3KeyBytes(): i32 {
  return XXH3_KEY_BYTES;
}

export function xxh3HashOffset(): usize {
  return XXH3_HASH_OFFSET;
}

/**
 * Makes a key block ready for its seed.
 * @param keyPtr u8[xxh3KeyBytes()], the seed as u64 at its start
 */
export function xxh3Prepare(keyPtr: usize): void {
  const seed = load<u64>(keyPtr);
  for (let at: usize = 0; at < SECRET_BYTES; at += 16) {
    store<u64>(keyPtr + KEYED_SECRET + at, load<u64>(SECRET + at) + seed);
    store<u64>(keyPtr + KEYED_SECRET + at + 8, load<u64>(SECRET + at + 8) - seed);
  }
}

/**
 * Hashes bytes under the seed of a key block.
 * @param keyPtr what xxh3Prepare made ready; the hash goes to its u64[2] at xxh3HashOffset(): low half, high half
 * @param inputPtr u8[length], anywhere
 */
export function xxh3Hash128(keyPtr: usize, inputPtr: usize, length: usize): void {
  if (length > MIDDLE_BYTES_MAX) hashLong(keyPtr, inputPtr, length);
  else if (length > 128) hashTo240(keyPtr, inputPtr, length);
  else if (length > 16) hashTo128(keyPtr, inputPtr, length);
  else hashTo16(keyPtr, inputPtr, length);
}

// @ts-ignore: decorator
@inline
function store128(keyPtr: usize, low: u64, high: u64): void {
  store<u64>(keyPtr, low, XXH3_HASH_OFFSET);
  store<u64>(keyPtr, high, XXH3_HASH_OFFSET + 8);
}

// @ts-ignore: decorator
@inline
function avalanche(x: u64): u64 {
  x ^= x >> 37;
  x *= PRIME_MX1;
  return x ^ (x >> 32);
}

// @ts-ignore: decorator
@inline
function avalancheXxh64(x: u64): u64 {
  x ^= x >> 33;
  x *= PRIME64_2;
  x ^= x >> 29;
  x *= PRIME64_3;
  return x ^ (x >> 32);
}

/** The high half of a 64 x 64 bit product, from four products of 32 bits. */
// @ts-ignore: decorator
@inline
function highProduct(a: u64, b: u64): u64 {
  const aLow = a & 0xFFFFFFFF, aHigh = a >> 32;
  const bLow = b & 0xFFFFFFFF, bHigh = b >> 32;
  const middle = aHigh * bLow;
  const cross = ((aLow * bLow) >> 32) + (middle & 0xFFFFFFFF) + aLow * bHigh;
  return (middle >> 32) + (cross >> 32) + aHigh * bHigh;
}

function hashTo16(keyPtr: usize, inputPtr: usize, length: usize): void {
  const seed = load<u64>(keyPtr);
  if (length > 8) {
    const first = load<u64>(inputPtr), last = load<u64>(inputPtr + length - 8);
    const one = ((load<u64>(SECRET + 32) ^ load<u64>(SECRET + 40)) - seed) ^ first ^ last;
    const two = ((load<u64>(SECRET + 48) ^ load<u64>(SECRET + 56)) + seed) ^ last;
    let low = one * PRIME64_1 + ((<u64>length - 1) << 54);
    let high = highProduct(one, PRIME64_1) + two + (two & 0xFFFFFFFF) * (PRIME32_2 - 1);
    low ^= bswap<u64>(high);
    high = highProduct(low, PRIME64_2) + high * PRIME64_2;
    low *= PRIME64_2;
    store128(keyPtr, avalanche(low), avalanche(high));
  } else if (length >= 4) {
    const first = <u64>load<u32>(inputPtr), last = <u64>load<u32>(inputPtr + length - 4);
    const modified = seed ^ (<u64>bswap<u32>(<u32>seed) << 32);
    const value = ((load<u64>(SECRET + 16) ^ load<u64>(SECRET + 24)) + modified) ^ (first | (last << 32));
    const factor = PRIME64_1 + ((<u64>length) << 2);
    let low = value * factor;
    const high = highProduct(value, factor) + (low << 1);
    low ^= high >> 3;
    low ^= low >> 35;
    low *= PRIME_MX2;
    low ^= low >> 28;
    store128(keyPtr, low, avalanche(high));
  } else if (length > 0) {
    const combined: u32 =
      <u32>load<u8>(inputPtr + length - 1) | (<u32>length << 8) | (<u32>load<u8>(inputPtr) << 16) |
      (<u32>load<u8>(inputPtr + (length >> 1)) << 24);
    const low = (<u64>(load<u32>(SECRET) ^ load<u32>(SECRET + 4)) + seed) ^ <u64>combined;
    const high = (<u64>(load<u32>(SECRET + 8) ^ load<u32>(SECRET + 12)) - seed) ^ <u64>rotl<u32>(bswap<u32>(combined), 13);
    store128(keyPtr, avalancheXxh64(low), avalancheXxh64(high));
  } else {
    const low = seed ^ load<u64>(SECRET + 64) ^ load<u64>(SECRET + 72);
    const high = seed ^ load<u64>(SECRET + 80) ^ load<u64>(SECRET + 88);
    store128(keyPtr, avalancheXxh64(low), avalancheXxh64(high));
  }
}

// @ts-ignore: decorator
@inline
function finish(keyPtr: usize, low: u64, high: u64, length: usize): void {
  const seed = load<u64>(keyPtr);
  const end = low * PRIME64_1 + high * PRIME64_4 + (<u64>length - seed) * PRIME64_2;
  store128(keyPtr, avalanche(low + high), 0 - avalanche(end));
}

/** Low half xor high half of the 128-bit products one[0] * one[1] and two[0] * two[1]: the scalar one, two at a time. */
// @ts-ignore: decorator
@inline
function foldedProducts(one: v128, two: v128): v128 {
  const aLow = v128.shuffle<i32>(one, two, 0, 4, 0, 4), aHigh = v128.shuffle<i32>(one, two, 1, 5, 1, 5);
  const bLow = v128.shuffle<i32>(one, two, 2, 6, 2, 6), bHigh = v128.shuffle<i32>(one, two, 3, 7, 3, 7);
  const low = i64x2.extmul_low_i32x4_u(aLow, bLow);
  const middle = i64x2.extmul_low_i32x4_u(aHigh, bLow);
  const mask = i64x2.splat(0xFFFFFFFF);
  const cross = i64x2.add(
    i64x2.add(i64x2.shr_u(low, 32), v128.and(middle, mask)), i64x2.extmul_low_i32x4_u(aLow, bHigh),
  );
  const upper = i64x2.add(
    i64x2.add(i64x2.shr_u(middle, 32), i64x2.shr_u(cross, 32)), i64x2.extmul_low_i32x4_u(aHigh, bHigh),
  );
  const lower = v128.or(i64x2.shl(cross, 32), v128.and(low, mask));
  return v128.xor(upper, lower);
}

/** mixTwoChunks of the specification: sums are (low, high). */
// @ts-ignore: decorator
@inline
function mixedTwo(sums: v128, onePtr: usize, twoPtr: usize, keyedPtr: usize): v128 {
  return mixedTwoKeyed(sums, onePtr, twoPtr, v128.load(keyedPtr), v128.load(keyedPtr, 16));
}

// @ts-ignore: decorator
@inline
function mixedTwoKeyed(sums: v128, onePtr: usize, twoPtr: usize, oneKey: v128, twoKey: v128): v128 {
  const one = v128.load(onePtr), two = v128.load(twoPtr);
  const products = foldedProducts(v128.xor(one, oneKey), v128.xor(two, twoKey));
  const words = i64x2.add(v128.shuffle<i64>(two, one, 0, 2), v128.shuffle<i64>(two, one, 1, 3));
  return v128.xor(i64x2.add(sums, products), words);
}

/** 17..128 bytes: chunks of 16 from both ends, the inmost first. */
function hashTo128(keyPtr: usize, inputPtr: usize, length: usize): void {
  const secret = keyPtr + KEYED_SECRET;
  let sums = i64x2(<u64>length * PRIME64_1, 0);
  const last = (length - 1) >> 5;
  let front = inputPtr + (last << 4);
  let back = inputPtr + length - 16 - (last << 4);
  let keyed = secret + (last << 5);
  for (;;) {
    sums = mixedTwo(sums, front, back, keyed);
    if (keyed == secret) break;
    front -= 16;
    back += 16;
    keyed -= 32;
  }
  finish(keyPtr, v128.extract_lane<u64>(sums, 0), v128.extract_lane<u64>(sums, 1), length);
}

function hashTo240(keyPtr: usize, inputPtr: usize, length: usize): void {
  const seed = load<u64>(keyPtr);
  const keyed = keyPtr + KEYED_SECRET;
  let sums = i64x2(<u64>length * PRIME64_1, 0);
  for (let at: usize = 0; at < 128; at += 32) sums = mixedTwo(sums, inputPtr + at, inputPtr + at + 16, keyed + at);
  sums = i64x2(avalanche(v128.extract_lane<u64>(sums, 0)), avalanche(v128.extract_lane<u64>(sums, 1)));
  // From here on the secret is taken from places where the keyed one has the seed's signs the other way round.
  let signed = i64x2(seed, 0 - seed);
  const end = length & ~31;
  for (let at: usize = 128; at < end; at += 32)
    sums = mixedTwoKeyed(
      sums, inputPtr + at, inputPtr + at + 16,
      i64x2.add(v128.load(SECRET + at - 125), signed), i64x2.add(v128.load(SECRET + at - 109), signed),
    );
  signed = i64x2(0 - seed, seed);
  const last = inputPtr + length - 16;
  sums = mixedTwoKeyed(
    sums, last, last - 16, i64x2.add(v128.load(SECRET + 103), signed), i64x2.add(v128.load(SECRET + 119), signed),
  );
  finish(keyPtr, v128.extract_lane<u64>(sums, 0), v128.extract_lane<u64>(sums, 1), length);
}

/** Adds to two lanes of the accumulators the products of each keyed word's halves, and of their neighbours' words. */
// @ts-ignore: decorator
@inline
function accumulated(sum: v128, data: v128, product: v128): v128 {
  return i64x2.add(i64x2.add(sum, v128.shuffle<i64>(data, data, 1, 0)), product);
}

/** (sum ^ sum >> 47 ^ secret) * PRIME32_1 by products of 32 bits: i64x2.mul is slow on x86. */
// @ts-ignore: decorator
@inline
function scrambled(sum: v128, secretPtr: usize): v128 {
  const value = v128.xor(v128.xor(sum, i64x2.shr_u(sum, 47)), v128.load(secretPtr));
  const prime = i32x4.splat(<i32>PRIME32_1);
  const low = i64x2.extmul_low_i32x4_u(v128.shuffle<i32>(value, value, 0, 2, 0, 2), prime);
  const high = i64x2.extmul_low_i32x4_u(v128.shuffle<i32>(value, value, 1, 3, 1, 3), prime);
  return i64x2.add(low, i64x2.shl(high, 32));
}

/** finalMerge of the specification for two accumulators, into both halves of the hash. */
// @ts-ignore: decorator
@inline
function merged(sum: v128, lowKeyPtr: usize, highKeyPtr: usize): v128 {
  return foldedProducts(v128.xor(sum, v128.load(lowKeyPtr)), v128.xor(sum, v128.load(highKeyPtr)));
}

function hashLong(keyPtr: usize, inputPtr: usize, length: usize): void {
  const secret = keyPtr + KEYED_SECRET;
  const blockEnd = secret + 8 * STRIPES_PER_BLOCK;
  const scramble = secret + SECRET_BYTES - STRIPE_BYTES;
  let s0 = i64x2(PRIME32_3, PRIME64_1);
  let s1 = i64x2(PRIME64_2, PRIME64_3);
  let s2 = i64x2(PRIME64_4, PRIME32_2);
  let s3 = i64x2(PRIME64_5, PRIME32_1);
  const last = inputPtr + length - STRIPE_BYTES;
  let at = inputPtr;
  let key = secret;
  for (;;) {
    // The last 64 bytes are a stripe of their own, with a secret of its own, whether or not they begin one.
    if (at >= last) {
      at = last;
      key = scramble - 7;
    }
    const d0 = v128.load(at), d1 = v128.load(at, 16), d2 = v128.load(at, 32), d3 = v128.load(at, 48);
    const k0 = v128.xor(d0, v128.load(key)), k1 = v128.xor(d1, v128.load(key, 16));
    const low01 = v128.shuffle<i32>(k0, k1, 0, 2, 4, 6), high01 = v128.shuffle<i32>(k0, k1, 1, 3, 5, 7);
    s0 = accumulated(s0, d0, i64x2.extmul_low_i32x4_u(low01, high01));
    s1 = accumulated(s1, d1, i64x2.extmul_high_i32x4_u(low01, high01));
    const k2 = v128.xor(d2, v128.load(key, 32)), k3 = v128.xor(d3, v128.load(key, 48));
    const low23 = v128.shuffle<i32>(k2, k3, 0, 2, 4, 6), high23 = v128.shuffle<i32>(k2, k3, 1, 3, 5, 7);
    s2 = accumulated(s2, d2, i64x2.extmul_low_i32x4_u(low23, high23));
    s3 = accumulated(s3, d3, i64x2.extmul_high_i32x4_u(low23, high23));
    if (at == last) break;
    at += STRIPE_BYTES;
    key += 8;
    if (key != blockEnd) continue;
    s0 = scrambled(s0, scramble);
    s1 = scrambled(s1, scramble + 16);
    s2 = scrambled(s2, scramble + 32);
    s3 = scrambled(s3, scramble + 48);
    key = secret;
  }
  const lowKey = secret + 11, highKey = scramble - 11;
  const start = i64x2(<u64>length * PRIME64_1, ~(<u64>length * PRIME64_2));
  const front = i64x2.add(merged(s0, lowKey, highKey), merged(s1, lowKey + 16, highKey + 16));
  const back = i64x2.add(merged(s2, lowKey + 32, highKey + 32), merged(s3, lowKey + 48, highKey + 48));
  const hash = i64x2.add(start, i64x2.add(front, back));
  store128(keyPtr, avalanche(v128.extract_lane<u64>(hash, 0)), avalanche(v128.extract_lane<u64>(hash, 1)));
}

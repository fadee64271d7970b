/**
 * XXH3, 128 bits under a seed, in BigInt: line by line after the specification (xxHash, doc/xxhash_spec.md), with nothing
 * done twice as fast as it says.
 */
const U64 = (1n << 64n) - 1n;
const U32 = (1n << 32n) - 1n;
const PRIME32_1 = 0x9e3779b1n;
const PRIME32_2 = 0x85ebca77n;
const PRIME32_3 = 0xc2b2ae3dn;
const PRIME64_1 = 0x9e3779b185ebca87n;
const PRIME64_2 = 0xc2b2ae3d27d4eb4fn;
const PRIME64_3 = 0x165667b19e3779f9n;
const PRIME64_4 = 0x85ebca77c2b2ae63n;
const PRIME64_5 = 0x27d4eb2f165667c5n;
const PRIME_MX1 = 0x165667919e3779f9n;
const PRIME_MX2 = 0x9fb21c651e98df25n;

const DEFAULT_SECRET = Buffer.from(
  'b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f' +
    'cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c' +
    '3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8' +
    'a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364' +
    'eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e' +
    '2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e',
  'hex',
);

export interface Hash128 {
  readonly low: bigint;
  readonly high: bigint;
}

const u64 = (x: bigint): bigint => BigInt.asUintN(64, x);
const word32 = (bytes: Buffer, at: number): bigint => BigInt(bytes.readUInt32LE(at));
const word64 = (bytes: Buffer, at: number): bigint => bytes.readBigUInt64LE(at);
const rotateLeft = (x: bigint, count: bigint, bits: bigint): bigint =>
  BigInt.asUintN(Number(bits), (x << count) | (x >> (bits - count)));
const swapBytes = (x: bigint, byteCount: number): bigint => {
  let swapped = 0n;
  for (let i = 0n; i < byteCount; i++) swapped = (swapped << 8n) | ((x >> (8n * i)) & 0xffn);
  return swapped;
};
const folded = (a: bigint, b: bigint): bigint => {
  const product = u64(a) * u64(b);
  return (product >> 64n) ^ (product & U64);
};

function avalanche(input: bigint): bigint {
  let x = u64(input);
  x ^= x >> 37n;
  x = u64(x * PRIME_MX1);
  return x ^ (x >> 32n);
}

function avalancheXxh64(input: bigint): bigint {
  let x = u64(input);
  x ^= x >> 33n;
  x = u64(x * PRIME64_2);
  x ^= x >> 29n;
  x = u64(x * PRIME64_3);
  return x ^ (x >> 32n);
}

export function xxh3Hash128(input: Uint8Array, seed: bigint): Hash128 {
  const bytes = Buffer.from(input);
  if (bytes.length > 240) return large(bytes, deriveSecret(seed));
  if (bytes.length > 16) return middle(bytes, seed);
  if (bytes.length > 8) return from9to16(bytes, seed);
  if (bytes.length >= 4) return from4to8(bytes, seed);
  if (bytes.length > 0) return from1to3(bytes, seed);
  const secret = (at: number): bigint => word64(DEFAULT_SECRET, at);
  return {
    low: avalancheXxh64(seed ^ secret(64) ^ secret(72)),
    high: avalancheXxh64(seed ^ secret(80) ^ secret(88)),
  };
}

function from1to3(bytes: Buffer, seed: bigint): Hash128 {
  const { length } = bytes;
  const combined =
    BigInt(bytes[length - 1] as number) |
    (BigInt(length) << 8n) |
    (BigInt(bytes[0] as number) << 16n) |
    (BigInt(bytes[length >> 1] as number) << 24n);
  const secret = (at: number): bigint => word32(DEFAULT_SECRET, at);
  const low = u64((secret(0) ^ secret(4)) + seed) ^ combined;
  const high = u64((secret(8) ^ secret(12)) - seed) ^ rotateLeft(swapBytes(combined, 4), 13n, 32n);
  return { low: avalancheXxh64(low), high: avalancheXxh64(high) };
}

function from4to8(bytes: Buffer, seed: bigint): Hash128 {
  const modifiedSeed = seed ^ (swapBytes(seed & U32, 4) << 32n);
  const combined = word32(bytes, 0) | (word32(bytes, bytes.length - 4) << 32n);
  const value = u64((word64(DEFAULT_SECRET, 16) ^ word64(DEFAULT_SECRET, 24)) + modifiedSeed) ^ combined;
  const product = value * u64(PRIME64_1 + (BigInt(bytes.length) << 2n));
  let low = product & U64;
  const high = u64((product >> 64n) + (low << 1n));
  low ^= high >> 3n;
  low ^= low >> 35n;
  low = u64(low * PRIME_MX2);
  low ^= low >> 28n;
  return { low, high: avalanche(high) };
}

function from9to16(bytes: Buffer, seed: bigint): Hash128 {
  const secret = (at: number): bigint => word64(DEFAULT_SECRET, at);
  const [first, last] = [word64(bytes, 0), word64(bytes, bytes.length - 8)];
  const one = u64((secret(32) ^ secret(40)) - seed) ^ first ^ last;
  const two = u64((secret(48) ^ secret(56)) + seed) ^ last;
  const product = one * PRIME64_1;
  let low = u64((product & U64) + (BigInt(bytes.length - 1) << 54n));
  const high = u64((product >> 64n) + ((two >> 32n) << 32n) + (two & U32) * PRIME32_2);
  low ^= swapBytes(high, 8);
  const second = low * PRIME64_2;
  return { low: avalanche(second & U64), high: avalanche((second >> 64n) + high * PRIME64_2) };
}

function middle(bytes: Buffer, seed: bigint): Hash128 {
  const { length } = bytes;
  const sums = [u64(BigInt(length) * PRIME64_1), 0n] as [bigint, bigint];
  const mixStep = (at: number, secretAt: number, stepSeed: bigint): bigint =>
    folded(
      word64(bytes, at) ^ u64(word64(DEFAULT_SECRET, secretAt) + stepSeed),
      word64(bytes, at + 8) ^ u64(word64(DEFAULT_SECRET, secretAt + 8) - stepSeed),
    );
  const mixTwo = (one: number, two: number, secretAt: number, stepSeed = seed): void => {
    sums[0] = u64(sums[0] + mixStep(one, secretAt, stepSeed));
    sums[1] = u64(sums[1] + mixStep(two, secretAt + 16, stepSeed));
    sums[0] ^= u64(word64(bytes, two) + word64(bytes, two + 8));
    sums[1] ^= u64(word64(bytes, one) + word64(bytes, one + 8));
  };
  if (length <= 128)
    for (let i = (length - 1) >> 5; i >= 0; i--) mixTwo(i * 16, length - i * 16 - 16, i * 32);
  else {
    for (let i = 0; i < 4; i++) mixTwo(i * 32, i * 32 + 16, i * 32);
    sums[0] = avalanche(sums[0]);
    sums[1] = avalanche(sums[1]);
    for (let i = 4; i < length >> 5; i++) mixTwo(i * 32, i * 32 + 16, (i - 4) * 32 + 3);
    mixTwo(length - 16, length - 32, 103, u64(-seed));
  }
  const high = sums[0] * PRIME64_1 + sums[1] * PRIME64_4 + u64(BigInt(length) - seed) * PRIME64_2;
  return { low: avalanche(sums[0] + sums[1]), high: u64(-avalanche(high)) };
}

function deriveSecret(seed: bigint): Buffer {
  const secret = Buffer.from(DEFAULT_SECRET);
  for (let at = 0; at < secret.length; at += 16) {
    secret.writeBigUInt64LE(u64(word64(secret, at) + seed), at);
    secret.writeBigUInt64LE(u64(word64(secret, at + 8) - seed), at + 8);
  }
  return secret;
}

function large(bytes: Buffer, secret: Buffer): Hash128 {
  const sums = [PRIME32_3, PRIME64_1, PRIME64_2, PRIME64_3, PRIME64_4, PRIME32_2, PRIME64_5, PRIME32_1];
  const accumulate = (at: number, secretAt: number): void => {
    for (let i = 0; i < 8; i++) {
      const word = word64(bytes, at + 8 * i);
      const value = word ^ word64(secret, secretAt + 8 * i);
      sums[i ^ 1] = u64((sums[i ^ 1] as bigint) + word);
      sums[i] = u64((sums[i] as bigint) + (value & U32) * (value >> 32n));
    }
  };
  const stripesPerBlock = (secret.length - 64) / 8;
  const blockBytes = 64 * stripesPerBlock;
  let at = 0;
  for (; bytes.length - at > blockBytes; at += blockBytes) {
    for (let n = 0; n < stripesPerBlock; n++) accumulate(at + n * 64, n * 8);
    for (let i = 0; i < 8; i++) {
      let sum = sums[i] as bigint;
      sum ^= sum >> 47n;
      sum ^= word64(secret, secret.length - 64 + 8 * i);
      sums[i] = u64(sum * PRIME32_1);
    }
  }
  const fullStripes = Math.floor((bytes.length - at - 1) / 64);
  for (let n = 0; n < fullStripes; n++) accumulate(at + n * 64, n * 8);
  accumulate(bytes.length - 64, secret.length - 71);
  const merge = (start: bigint, secretAt: number): bigint => {
    let result = start;
    for (let i = 0; i < 4; i++)
      result += folded(
        (sums[2 * i] as bigint) ^ word64(secret, secretAt + 16 * i),
        (sums[2 * i + 1] as bigint) ^ word64(secret, secretAt + 16 * i + 8),
      );
    return avalanche(result);
  };
  const length = BigInt(bytes.length);
  return {
    low: merge(u64(length * PRIME64_1), 11),
    high: merge(U64 ^ u64(length * PRIME64_2), secret.length - 75),
  };
}

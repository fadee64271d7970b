/** Bytes of a long key that are hashed at either end: keys that long differ there, and the query path must not pay for all. */
const HEAD_BYTES = 40;
const TAIL_BYTES = 24;

/** Odd, near 2^32 divided by the golden ratio: spreads low bits over the word (Knuth, TAOCP 3, 6.4). */
const MULTIPLIER = 0x9e3779b1;

/**
 * 32 bits of a key, never 0, four bytes a step, no allocation.
 *
 * Keys of up to 64 bytes are hashed whole, longer ones by their length, first 40 and last 24 bytes. The same on every machine.
 * It tells keys apart; it does not hide them: whoever can guess a key can compute its hash.
 */
export function hashOfKey(bytes: Uint8Array, offset: number, length: number): number {
  let hash = Math.imul(length + 1, MULTIPLIER);
  if (length <= HEAD_BYTES + TAIL_BYTES) hash = mixed(hash, bytes, offset, length);
  else {
    hash = mixed(hash, bytes, offset, HEAD_BYTES);
    hash = mixed(hash, bytes, offset + length - TAIL_BYTES, TAIL_BYTES);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  hash ^= hash >>> 16;
  return hash === 0 ? 1 : hash;
}

function mixed(start: number, bytes: Uint8Array, offset: number, length: number): number {
  let hash = start;
  let i = offset;
  const end = offset + length;
  const wholeEnd = offset + (length & ~3);
  for (; i < wholeEnd; i += 4) {
    const word =
      (bytes[i] as number) |
      ((bytes[i + 1] as number) << 8) |
      ((bytes[i + 2] as number) << 16) |
      ((bytes[i + 3] as number) << 24);
    hash = Math.imul(hash ^ word, MULTIPLIER);
    hash ^= hash >>> 15;
  }
  for (; i < end; i++) hash = Math.imul(hash ^ (bytes[i] as number), MULTIPLIER);
  return hash;
}

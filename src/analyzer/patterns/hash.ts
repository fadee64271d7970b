/**
 * FNV-1a, 64 bits, over UTF-8: names a template in a way that is the same in every process and version.
 *
 * Two 32-bit halves: a template's id is made of every new text, and BigInt costs 50 times as much. Not for texts an enemy
 * chooses: two of them may be made to have one id, and would then count as one.
 *
 * @returns 16 hex digits.
 * @see Fowler, Noll, Vo & Eastlake, "The FNV non-cryptographic hash algorithm", draft-eastlake-fnv
 */
export function hash64Hex(text: string): string {
  let high = 0xcbf29ce4;
  let low = 0x84222325;
  for (const byte of new TextEncoder().encode(text)) {
    low = (low ^ byte) >>> 0;
    // The prime is 2^40 + 0x1b3: h * prime = h * 0x1b3 + (low half of h) << 40, modulo 2^64.
    const product = low * 0x1b3;
    high = (high * 0x1b3 + Math.floor(product / 0x1_0000_0000) + ((low << 8) >>> 0)) % 0x1_0000_0000;
    low = product % 0x1_0000_0000;
  }
  return high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0');
}

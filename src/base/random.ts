/** Chance as a component. Fork it by label, so that a new consumer does not shift another's sequence. */
export interface Random {
  /** The seed that replays this sequence. */
  readonly seed: bigint;
  /** Uniform in [0, 1), 53 bits. */
  nextFloat(): number;
  /** Uniform integer in [0, bound), bound in 1..2^32. */
  nextBelow(bound: number): number;
  /** 64 random bits. */
  nextU64(): bigint;
  /** An independent sequence that depends only on this seed and the label, not on how much was drawn. */
  fork(label: string): Random;
}

const MASK = (1n << 64n) - 1n;

/** SplitMix64's output function: a bijection that spreads every bit. */
function mix(x: bigint): bigint {
  x = (x + 0x9e3779b97f4a7c15n) & MASK;
  x = ((x ^ (x >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK;
  x = ((x ^ (x >> 27n)) * 0x94d049bb133111ebn) & MASK;
  return x ^ (x >> 31n);
}

/**
 * xoshiro128** seeded through SplitMix64.
 *
 * @see Blackman & Vigna, "Scrambled linear pseudorandom number generators", 2021
 */
export function seededRandom(seed: bigint): Random {
  const low = mix(seed & MASK);
  const high = mix((seed ^ low) & MASK);
  let a = Number(low & 0xffffffffn) | 0;
  let b = Number(low >> 32n) | 0;
  let c = Number(high & 0xffffffffn) | 0;
  let d = Number(high >> 32n) | 1; // an all-zero state would stay zero

  function nextU32(): number {
    const product = Math.imul(b, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = (d << 11) | (d >>> 21);
    return result;
  }

  return {
    seed,
    nextFloat: () => ((nextU32() >>> 5) * 67108864 + (nextU32() >>> 6)) / 9007199254740992,
    nextBelow(bound) {
      if (!(Number.isInteger(bound) && bound >= 1 && bound <= 4294967296))
        throw new RangeError(`bound must be an integer in 1..2^32, got ${bound}`);
      // Rejection keeps it unbiased; fewer than two draws are expected.
      const limit = 4294967296 - (4294967296 % bound);
      for (;;) {
        const draw = nextU32();
        if (draw < limit) return draw % bound;
      }
    },
    nextU64: () => (BigInt(nextU32()) << 32n) | BigInt(nextU32()),
    fork(label) {
      let state = mix(seed ^ 0x666f726bn);
      for (let i = 0; i < label.length; i++) state = mix(state ^ BigInt(label.charCodeAt(i)));
      return seededRandom(state);
    },
  };
}

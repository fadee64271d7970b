const STAR = 0x2a;
const QUESTION = 0x3f;
const OPEN = 0x5b;
const CLOSE = 0x5d;
const CARET = 0x5e;
const DASH = 0x2d;
const BACKSLASH = 0x5c;

/** Pieces of a pattern: a byte 0..255 stands for itself, these for what they are, and SET + i for the i-th set. */
const ANY_RUN = 256;
const ANY_BYTE = 257;
const SET = 258;
const SET_BYTES = 256;

/**
 * Redis's glob over bytes: `*`, `?`, `[a-z]`, `[^a-z]` and backslash, read once. Redis 7's own function recurses on every
 * star; this one goes back to the last star only, which finds the same matches in at most pieces x text steps, each of which
 * takes the same time: a set is a table of all bytes.
 */
export class GlobPattern {
  /** Steps of all matches so far: what they have cost, about 2 ns each. */
  stepCount = 0;
  readonly #pieces: Int32Array;
  /** 256 bytes a set: 1 where it has the byte. */
  readonly #sets: Uint8Array;

  constructor(pattern: Uint8Array) {
    const pieces: number[] = [];
    const sets: Uint8Array[] = [];
    for (let p = 0; p < pattern.length; ) {
      const byte = pattern[p++];
      if (byte === STAR) {
        if (pieces.at(-1) !== ANY_RUN) pieces.push(ANY_RUN);
      } else if (byte === QUESTION) pieces.push(ANY_BYTE);
      else if (byte === OPEN) {
        const members = new Uint8Array(SET_BYTES);
        p = readSet(pattern, p, members);
        pieces.push(SET + sets.push(members) - 1);
      } else if (byte === BACKSLASH && p < pattern.length) pieces.push(pattern[p++]);
      else pieces.push(byte);
    }
    this.#pieces = Int32Array.from(pieces);
    this.#sets = new Uint8Array(sets.length * SET_BYTES);
    for (let i = 0; i < sets.length; i++) this.#sets.set(sets[i], i * SET_BYTES);
  }

  matches(text: Uint8Array, textStart = 0, textEnd = text.length): boolean {
    const pieces = this.#pieces;
    let p = 0;
    let t = textStart;
    let starP = -1;
    let starT = 0;
    let steps = 0;
    for (; t < textEnd; steps++) {
      if (p < pieces.length && pieces[p] === ANY_RUN) {
        starP = p++;
        starT = t;
      } else if (p < pieces.length && this.#isMatch(pieces[p], text[t])) {
        p++;
        t++;
      } else if (starP !== -1) {
        p = starP + 1;
        t = ++starT;
      } else break;
    }
    this.stepCount += steps;
    if (t < textEnd) return false;
    while (p < pieces.length && pieces[p] === ANY_RUN) p++;
    return p === pieces.length;
  }

  #isMatch(piece: number, byte: number): boolean {
    if (piece >= SET) return this.#sets[(piece - SET) * SET_BYTES + byte] === 1;
    return piece === byte || piece === ANY_BYTE;
  }
}

/** @returns where the pattern goes on behind the set that begins at `start`; one that is not closed ends with the pattern, as in Redis. */
function readSet(pattern: Uint8Array, start: number, members: Uint8Array): number {
  let p = start;
  const isNegated = pattern[p] === CARET;
  if (isNegated) p++;
  for (; p < pattern.length && pattern[p] !== CLOSE; p++) {
    if (pattern[p] === BACKSLASH && p + 1 < pattern.length) members[pattern[++p]] = 1;
    else if (pattern[p + 1] === DASH && p + 2 < pattern.length) {
      const low = Math.min(pattern[p], pattern[p + 2]);
      members.fill(1, low, Math.max(pattern[p], pattern[p + 2]) + 1);
      p += 2;
    } else members[pattern[p]] = 1;
  }
  if (isNegated) for (let byte = 0; byte < SET_BYTES; byte++) members[byte] ^= 1;
  return p < pattern.length ? p + 1 : p;
}

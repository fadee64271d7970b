/** Mutations that need no grammar; those of trees and of text are for the formats that are such. */
import type { Random } from '../../src/base/random.ts';

/** What an input may have: more says nothing new, and takes longer. */
export const INPUT_BYTES_MAX = 256 * 1024;

export const pick = <T>(list: readonly T[], random: Random): T => list[random.nextBelow(list.length)] as T;

export const oneIn = (count: number, random: Random): boolean => random.nextBelow(count) === 0;

const INTERESTING = [
  0, 1, 0x7f, 0x80, 0xff, 0x0a, 0x0d, 0x22, 0x24, 0x2a, 0x5c, 0x7b, 0x91, 0xc1, 0xc7, 0xdf,
];

/** Flips, cuts, copies and inserts bytes, one to four times. */
export function mutateBytes(input: Buffer, random: Random): Buffer {
  let bytes: Buffer = Buffer.from(input);
  for (let left = 1 + random.nextBelow(4); left > 0; left--) bytes = mutateOnce(bytes, random);
  return bytes.subarray(0, INPUT_BYTES_MAX);
}

function mutateOnce(bytes: Buffer, random: Random): Buffer {
  const at = random.nextBelow(bytes.length + 1);
  const end = at + random.nextBelow(Math.min(64, bytes.length - at) + 1);
  switch (random.nextBelow(7)) {
    case 0:
      if (at < bytes.length) bytes[at] ^= 1 << random.nextBelow(8);
      return bytes;
    case 1:
      if (at < bytes.length) bytes[at] = pick(INTERESTING, random);
      return bytes;
    case 2:
      return bytes.subarray(0, at);
    case 3:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
    case 4:
      return repeated(bytes, { at, end, count: 1 + random.nextBelow(oneIn(20, random) ? 2_000 : 4) });
    case 5: {
      const inserted = Buffer.from(
        Array.from({ length: 1 + random.nextBelow(8) }, () => random.nextBelow(256)),
      );
      return Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at)]);
    }
    default: {
      const other = random.nextBelow(bytes.length + 1);
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(other)]);
    }
  }
}

function repeated(bytes: Buffer, { at, end, count }: { at: number; end: number; count: number }): Buffer {
  const piece = bytes.subarray(at, end);
  const room = Math.max(0, INPUT_BYTES_MAX - bytes.length);
  const times = Math.min(count, Math.floor(room / Math.max(1, piece.length)));
  return Buffer.concat([
    bytes.subarray(0, end),
    ...Array.from({ length: times }, () => piece),
    bytes.subarray(end),
  ]);
}

/** The input with one of its pieces repeated until it is large: for what grows faster than its input. */
export function enlarge(input: Buffer, random: Random): Buffer {
  if (input.length === 0) return Buffer.alloc(64 * 1024, pick(INTERESTING, random));
  const at = random.nextBelow(input.length);
  const end = Math.min(input.length, at + 1 + random.nextBelow(48));
  return repeated(input, {
    at,
    end,
    count: Math.ceil((32 * 1024 + random.nextBelow(96 * 1024)) / (end - at)),
  });
}

const WORDS = [
  '',
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'a'.repeat(300),
  '\u0000',
  '\ud800',
  'ü\n"\\',
  '-1',
  '1e999',
  '../../etc/passwd',
  '$x',
  '2026-02-30T25:61:61Z',
];
const LEAVES: readonly unknown[] = [
  null,
  true,
  0,
  -0,
  -1,
  0.5,
  1e308,
  -1e308,
  2 ** 31,
  2 ** 53,
  2 ** 53 + 2,
  5e-324,
  ...WORDS,
  [],
  {},
  [[[]]],
];

type Tree = Record<string, unknown>;

/** One change somewhere in a tree of JSON: a value, a key, a level more, a thousand siblings. */
export function mutateTree(root: unknown, random: Random): unknown {
  const copy: { root: unknown } = { root: structuredClone(root) };
  let holder: Tree = copy;
  let key = 'root';
  // Down a random path: every level is as likely to be changed as the one below.
  for (;;) {
    const below = holder[key];
    if (typeof below !== 'object' || below === null || oneIn(4, random)) break;
    const keys = Object.keys(below);
    if (keys.length === 0) break;
    holder = below as Tree;
    key = pick(keys, random);
  }
  const value = holder[key];
  switch (random.nextBelow(8)) {
    case 0:
      if (holder !== copy) delete holder[key];
      break;
    case 1:
      define(holder, pick(WORDS, random), value);
      break;
    case 2:
      holder[key] = Array.from({ length: random.nextBelow(copiesMax(value)) }, () => value);
      break;
    case 3: {
      let nested = value;
      for (let depth = random.nextBelow(oneIn(10, random) ? 3_000 : 5); depth >= 0; depth--)
        nested = [nested];
      holder[key] = nested;
      break;
    }
    case 4:
      if (typeof value === 'number') holder[key] = value * pick([-1, 0.5, 1_000, 1e6, 1e-6], random);
      else if (typeof value === 'string')
        holder[key] = mutateBytes(Buffer.from(value), random).toString('utf8');
      break;
    default:
      holder[key] = pick(LEAVES, random);
  }
  return copy.root;
}

/** Mutated again and again, a thousand copies of a thousand copies would be more than any machine holds. */
function copiesMax(value: unknown): number {
  const bytes = JSON.stringify(value)?.length ?? 1;
  return 1 + Math.min(1_000, Math.floor(INPUT_BYTES_MAX / bytes));
}

/** As JSON.parse would: a key `__proto__` is a key. */
function define(holder: Tree, key: string, value: unknown): void {
  Object.defineProperty(holder, key, { value, enumerable: true, configurable: true, writable: true });
}

/** JSON changed as a tree where it is JSON, now and then as bytes. */
export function mutateJson(input: Buffer, random: Random): Buffer {
  if (oneIn(4, random)) return mutateBytes(input, random);
  let tree: unknown;
  try {
    tree = JSON.parse(input.toString('utf8'));
  } catch {
    return mutateBytes(input, random);
  }
  for (let left = random.nextBelow(3); left >= 0; left--) tree = mutateTree(tree, random);
  try {
    return Buffer.from(JSON.stringify(tree) ?? 'null').subarray(0, INPUT_BYTES_MAX);
  } catch {
    return mutateBytes(input, random); // too deep to write
  }
}

/**
 * The one table of commands: the query node routes by it, the storage node dispatches by its indexes, COMMAND prints it.
 * Indexes travel in data frames and in the capture ring: append, never reorder.
 */

import { RIGHT_ADMIN, RIGHT_READ, RIGHT_WRITE, type Rights } from '../security/client-access.ts';

/** How a command spreads over partitions. */
export type CommandSpread =
  | 'connection' // answered by the query node itself
  | 'single' // one key, the first argument
  | 'split' // many keys: one request for each partition, replies gathered
  | 'all' // one request to every partition
  | 'scan' // walks the partitions by cursor
  | 'partition'; // internal: query node to storage node, no client may send it

export interface CommandSpec {
  readonly name: string;
  readonly index: number;
  /** As in Redis: counts the name; negative means at least. */
  readonly arity: number;
  readonly isWrite: boolean;
  readonly isFast: boolean;
  readonly spread: CommandSpread;
  /** Positions as in Redis, counting the name as 0: 0 where there is no key; lastKey -1 is the last argument. */
  readonly firstKey: number;
  readonly lastKey: number;
  readonly keyStep: number;
  /** Words of COMMAND's flag array. */
  readonly flags: readonly string[];
  /** What a client's token must allow, RIGHT_… bits; 0: whatever it allows. What an option or a subcommand needs beside: node/query/command-rights.ts. */
  readonly rights: Rights;
}

type Row = readonly [
  name: string,
  arity: number,
  flags: string,
  spread: CommandSpread,
  /** `r`ead, `w`rite, `a`dmin: as Redis's key specifications say, a write whose reply tells what was there is a read, too. */
  rights: '' | 'r' | 'w' | 'rw' | 'a',
  keys?: readonly [number, number, number],
];

const RIGHT_OF = { r: RIGHT_READ, w: RIGHT_WRITE, a: RIGHT_ADMIN } as const;

const ONE_KEY = [1, 1, 1] as const;
const ALL_KEYS = [1, -1, 1] as const;

const ROWS: readonly Row[] = [
  ['PING', -1, 'fast', 'connection', ''],
  ['HELLO', -1, 'fast noscript loading stale no_auth', 'connection', ''],
  ['AUTH', -2, 'fast noscript loading stale no_auth', 'connection', ''],
  ['CLIENT', -2, 'noscript loading stale', 'connection', ''],
  ['COMMAND', -1, 'loading stale', 'connection', ''],
  ['SELECT', 2, 'fast loading stale', 'connection', ''],
  ['QUIT', -1, 'fast noscript loading stale no_auth', 'connection', ''],
  ['INFO', -1, 'loading stale', 'connection', ''],
  ['ECHO', 2, 'fast loading stale', 'connection', ''],
  ['CONFIG', -2, 'admin noscript loading stale', 'connection', 'a'],
  ['RESET', 1, 'fast noscript loading stale no_auth', 'connection', ''],
  ['DBSIZE', 1, 'readonly fast', 'all', 'r'],
  ['GET', 2, 'readonly fast', 'single', 'r', ONE_KEY],
  ['SET', -3, 'write denyoom', 'single', 'w', ONE_KEY],
  ['GETDEL', 2, 'write fast', 'single', 'rw', ONE_KEY],
  ['MGET', -2, 'readonly fast', 'split', 'r', ALL_KEYS],
  ['MSET', -3, 'write denyoom', 'split', 'w', [1, -1, 2]],
  ['DEL', -2, 'write', 'split', 'w', ALL_KEYS],
  ['UNLINK', -2, 'write fast', 'split', 'w', ALL_KEYS],
  ['EXISTS', -2, 'readonly fast', 'split', 'r', ALL_KEYS],
  ['TYPE', 2, 'readonly fast', 'single', 'r', ONE_KEY],
  ['INCR', 2, 'write denyoom fast', 'single', 'rw', ONE_KEY],
  ['INCRBY', 3, 'write denyoom fast', 'single', 'rw', ONE_KEY],
  ['DECR', 2, 'write denyoom fast', 'single', 'rw', ONE_KEY],
  ['DECRBY', 3, 'write denyoom fast', 'single', 'rw', ONE_KEY],
  ['APPEND', 3, 'write denyoom fast', 'single', 'w', ONE_KEY],
  ['STRLEN', 2, 'readonly fast', 'single', 'r', ONE_KEY],
  ['EXPIRE', -3, 'write fast', 'single', 'w', ONE_KEY],
  ['PEXPIRE', -3, 'write fast', 'single', 'w', ONE_KEY],
  ['TTL', 2, 'readonly fast', 'single', 'r', ONE_KEY],
  ['PTTL', 2, 'readonly fast', 'single', 'r', ONE_KEY],
  ['PERSIST', 2, 'write fast', 'single', 'w', ONE_KEY],
  ['HSET', -4, 'write denyoom fast', 'single', 'w', ONE_KEY],
  ['HGET', 3, 'readonly fast', 'single', 'r', ONE_KEY],
  ['HMGET', -3, 'readonly fast', 'single', 'r', ONE_KEY],
  ['HGETALL', 2, 'readonly', 'single', 'r', ONE_KEY],
  ['HDEL', -3, 'write fast', 'single', 'w', ONE_KEY],
  ['HINCRBY', 4, 'write denyoom fast', 'single', 'rw', ONE_KEY],
  ['HLEN', 2, 'readonly fast', 'single', 'r', ONE_KEY],
  ['HEXISTS', 3, 'readonly fast', 'single', 'r', ONE_KEY],
  ['SCAN', -2, 'readonly', 'scan', 'r'],
  // Internal. SCANPART cursor COUNT n [MATCH pattern] [TYPE type] -> [cursor to go on in this partition or "0", [key…]];
  // KEYCOUNT -> integer, the live keys of the partition.
  ['SCANPART', -4, 'readonly', 'partition', 'r'],
  ['KEYCOUNT', 1, 'readonly', 'partition', 'r'],
];

function buildSpec(row: Row, index: number): CommandSpec {
  const [name, arity, flagWords, spread, rights, keys] = row;
  const flags = flagWords.split(' ');
  const [firstKey, lastKey, keyStep] = keys ?? [0, 0, 0];
  return {
    name,
    index,
    arity,
    isWrite: flags.includes('write'),
    isFast: flags.includes('fast'),
    spread,
    firstKey,
    lastKey,
    keyStep,
    flags,
    rights: [...rights].reduce((bits, letter) => bits | RIGHT_OF[letter as keyof typeof RIGHT_OF], 0),
  };
}

/** Every command, by index. */
export const COMMANDS: readonly CommandSpec[] = ROWS.map(buildSpec);

const BY_NAME: ReadonlyMap<string, CommandSpec> = new Map(COMMANDS.map((spec) => [spec.name, spec]));

/** @param name in upper case. */
export function commandByName(name: string): CommandSpec | undefined {
  return BY_NAME.get(name);
}

/** The index of a command that is known to exist: for code that switches over indexes. */
export function commandIndexOf(name: string): number {
  const spec = BY_NAME.get(name);
  if (spec === undefined) throw new RangeError(`no command ${name} in the table`);
  return spec.index;
}

/** True when `argumentCount`, without the name, fits the command's arity. */
export function isArityRight(spec: CommandSpec, argumentCount: number): boolean {
  return spec.arity >= 0 ? argumentCount + 1 === spec.arity : argumentCount + 1 >= -spec.arity;
}

// Sparse enough that nearly every name sits in its first slot; a power of two, so that the remainder is a mask.
const NAME_TABLE_SIZE = 1024;
const NAME_LENGTH_MAX = COMMANDS.reduce((longest, spec) => Math.max(longest, spec.name.length), 0);

const nameHash = (hash: number, byte: number): number => (Math.imul(hash, 31) + (byte & 0xdf)) | 0;
const NAME_BYTES: readonly Uint8Array[] = COMMANDS.map((spec) => Buffer.from(spec.name, 'latin1'));
const NAME_TABLE: Int16Array = buildNameTable();

function buildNameTable(): Int16Array {
  const table = new Int16Array(NAME_TABLE_SIZE).fill(-1);
  for (const spec of COMMANDS) {
    let hash = spec.name.length;
    for (const byte of NAME_BYTES[spec.index]) hash = nameHash(hash, byte);
    let slot = hash & (NAME_TABLE_SIZE - 1);
    while (table[slot] !== -1) slot = (slot + 1) & (NAME_TABLE_SIZE - 1);
    table[slot] = spec.index;
  }
  return table;
}

/**
 * Finds a command by the bytes of its name, in any case, without making a string: the first step of every query.
 *
 * @returns its index, or -1.
 */
export function findCommand(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length > NAME_LENGTH_MAX) return -1;
  let hash = length;
  for (let i = start; i < end; i++) hash = nameHash(hash, bytes[i]);
  for (let slot = hash & (NAME_TABLE_SIZE - 1); ; slot = (slot + 1) & (NAME_TABLE_SIZE - 1)) {
    const index = NAME_TABLE[slot];
    if (index === -1) return -1;
    const name = NAME_BYTES[index];
    if (name.length !== length) continue;
    let i = 0;
    // Names are letters only: clearing bit 5 folds the case, and no other byte folds onto an upper-case letter but its lower case.
    while (i < length && (bytes[start + i] & 0xdf) === name[i]) i++;
    if (i === length) return index;
  }
}

import {
  firstRedisKey,
  isRedisWrite,
  KEY_AFTER_COUNT,
  KEY_AFTER_SECOND_COUNT,
  KEY_AFTER_STREAMS,
  KEYED_COMMANDS,
  NO_KEY,
  streamsFrom,
} from '../logs/redis-commands.ts';
import { type Argument, isSendable } from './arguments.ts';

/** A command as the capture of a client knows it. */
export interface RedisCommand {
  readonly name: string;
  /** Its code in the capture ring, which has 8 bits for it. */
  readonly index: number;
  readonly isWrite: boolean;
  /** It may wait at the server for other clients: how long it took says nothing about the server. */
  readonly isBlocking: boolean;
  /** Of its first key, as `firstRedisKey` tells it. */
  readonly firstKey: number;
  readonly isKeyless: boolean;
  /** MULTI, EXEC and DISCARD. */
  readonly isTransactional: boolean;
}

/** Writes whose one key is their first argument: those by which the query types of an application are named. */
const SINGLE_KEY_WRITES =
  'SET SETEX PSETEX SETNX GETSET GETDEL GETEX APPEND SETRANGE SETBIT BITFIELD INCR INCRBY INCRBYFLOAT DECR DECRBY EXPIRE ' +
  'PEXPIRE EXPIREAT PEXPIREAT PERSIST RESTORE SORT HSET HMSET HSETNX HDEL HINCRBY HINCRBYFLOAT HEXPIRE HPEXPIRE HGETDEL ' +
  'HGETEX HSETEX LPUSH RPUSH LPUSHX RPUSHX LPOP RPOP LSET LREM LTRIM LINSERT SADD SREM SPOP ZADD ZREM ZINCRBY ZPOPMIN ' +
  'ZPOPMAX ZREMRANGEBYRANK ZREMRANGEBYSCORE ZREMRANGEBYLEX XADD XDEL XTRIM XACK XCLAIM XAUTOCLAIM XSETID GEOADD GEORADIUS ' +
  'GEORADIUSBYMEMBER PFADD SPUBLISH JSON.SET JSON.DEL JSON.MERGE JSON.NUMINCRBY JSON.ARRAPPEND';
/** Of modules, beside what `isRedisWrite` knows. */
const MODULE_READS = 'JSON.GET JSON.MGET JSON.TYPE JSON.ARRLEN JSON.OBJKEYS';

/** What is not in the table: its key is its first argument, and it is taken for a write. */
const OTHER_NAME = 'OTHER';

/** They are answered on another road than commands are, and go to a slot only for its channel. */
const SUBSCRIPTIONS = /^S(UN)?SUBSCRIBE$/;
const BLOCKING = /^(BLPOP|BRPOP|BRPOPLPUSH|BLMOVE|BLMPOP|BZPOPMIN|BZPOPMAX|BZMPOP|XREAD|XREADGROUP|WAIT)$/;

/** By the code in the ring. Both threads of a capture build it from the same text, so that codes need not travel. */
export const REDIS_COMMANDS: readonly RedisCommand[] = [
  OTHER_NAME,
  ...KEYED_COMMANDS.filter((name) => !SUBSCRIPTIONS.test(name)),
  ...SINGLE_KEY_WRITES.split(' '),
  ...MODULE_READS.split(' '),
].map((name, index) => ({
  name,
  index,
  isWrite: isRedisWrite(name) && !MODULE_READS.includes(name),
  isBlocking: BLOCKING.test(name),
  firstKey: firstRedisKey(name),
  isKeyless: false,
  isTransactional: false,
}));

const [OTHER] = REDIS_COMMANDS as readonly [RedisCommand];

const KEYLESS: RedisCommand = { ...OTHER, firstKey: NO_KEY, isKeyless: true };
const TRANSACTIONAL: RedisCommand = { ...KEYLESS, isTransactional: true };

/** Names as the libraries spell them, in lower case (ioredis) and upper case (node-redis), so that none is converted. */
const BY_NAME: ReadonlyMap<string, RedisCommand> = new Map(
  [
    ...REDIS_COMMANDS.slice(1).map((command) => [command.name, command] as const),
    ...['PING', 'PUBLISH'].map((name) => [name, KEYLESS] as const),
    ...['MULTI', 'EXEC', 'DISCARD'].map((name) => [name, TRANSACTIONAL] as const),
  ].flatMap(([name, command]) => [
    [name, command],
    [name.toLowerCase(), command],
  ]),
);

/** @param name in any case, as text or bytes. What is neither names no command, and belongs to no slot. */
export function redisCommand(name: unknown): RedisCommand {
  return BY_NAME.get(name as string) ?? unusualCommand(name);
}

/** Not on the common road: keyless ones, mixed case, modules. */
function unusualCommand(found: unknown): RedisCommand {
  if (!isSendable(found)) return KEYLESS;
  const name = (typeof found === 'string' ? found : Buffer.from(found).toString('latin1')).toUpperCase();
  const known = BY_NAME.get(name);
  if (known !== undefined) return known;
  const isKeyless = firstRedisKey(name) === NO_KEY || SUBSCRIPTIONS.test(name) || name.startsWith('FT.');
  return isKeyless ? KEYLESS : OTHER;
}

/**
 * The first key of a command, by which its slot is told; undefined where it has none.
 *
 * @param offset of the first argument after the name: 0 where the name is not among them.
 */
export function firstKeyOf(
  { firstKey }: RedisCommand,
  args: readonly Argument[],
  offset: 0 | 1,
): Argument | undefined {
  if (firstKey >= 0) return args[firstKey + offset];
  switch (firstKey) {
    case KEY_AFTER_COUNT:
      return Number(args[offset]) > 0 ? args[offset + 1] : undefined;
    case KEY_AFTER_SECOND_COUNT:
      return Number(args[offset + 1]) > 0 ? args[offset + 2] : undefined;
    case KEY_AFTER_STREAMS:
      return args[streamsFrom(args, offset)];
    default:
      return undefined;
  }
}

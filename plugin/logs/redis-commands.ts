/** Which arguments of a Redis command are keys, and whether it writes: for logs of servers with more commands than our node. */

type KeyPositions =
  | 'none'
  | 'first' // one key, the first argument
  | 'all'
  | 'pairs' // key value key value …
  | 'two' // the first two
  | 'second'
  | 'from-second'
  | 'but-last' // the last is a timeout
  | 'counted' // numkeys, then keys
  | 'counted-second' // something, numkeys, then keys
  | 'target-counted' // a key, numkeys, then keys
  | 'streams'; // the first half of what follows STREAMS

/** Commands whose first argument alone is a key are in no row: that is what an unknown command gets. */
const POSITIONS: Readonly<Record<Exclude<KeyPositions, 'first'>, string>> = {
  none:
    'PING ECHO AUTH HELLO SELECT SWAPDB QUIT RESET CLIENT COMMAND CONFIG INFO TIME DBSIZE FLUSHALL FLUSHDB KEYS SCAN ' +
    'RANDOMKEY MULTI EXEC DISCARD UNWATCH WAIT WAITAOF SCRIPT FUNCTION CLUSTER READONLY READWRITE ASKING REPLCONF PSYNC ' +
    'SYNC REPLICAOF SLAVEOF ROLE FAILOVER MONITOR SLOWLOG LATENCY DEBUG MODULE ACL SAVE BGSAVE BGREWRITEAOF LASTSAVE ' +
    'SHUTDOWN LOLWUT PUBLISH SUBSCRIBE UNSUBSCRIBE PSUBSCRIBE PUNSUBSCRIBE PUBSUB SENTINEL MIGRATE',
  all: 'MGET DEL UNLINK EXISTS TOUCH WATCH SUNION SINTER SDIFF SUNIONSTORE SINTERSTORE SDIFFSTORE PFCOUNT PFMERGE SSUBSCRIBE SUNSUBSCRIBE',
  pairs: 'MSET MSETNX',
  two: 'RENAME RENAMENX COPY SMOVE RPOPLPUSH BRPOPLPUSH LMOVE BLMOVE LCS GEOSEARCHSTORE ZRANGESTORE',
  second: 'OBJECT MEMORY XGROUP XINFO',
  'from-second': 'BITOP',
  'but-last': 'BLPOP BRPOP BZPOPMIN BZPOPMAX',
  counted: 'ZUNION ZINTER ZDIFF SINTERCARD ZINTERCARD LMPOP ZMPOP',
  'counted-second': 'EVAL EVALSHA EVAL_RO EVALSHA_RO FCALL FCALL_RO BLMPOP BZMPOP',
  'target-counted': 'ZUNIONSTORE ZINTERSTORE ZDIFFSTORE',
  streams: 'XREAD XREADGROUP',
};

const READS = new Set(
  (
    'GET MGET EXISTS TYPE STRLEN TTL PTTL EXPIRETIME PEXPIRETIME GETRANGE SUBSTR GETBIT BITCOUNT BITPOS BITFIELD_RO LCS ' +
    'HGET HMGET HGETALL HLEN HEXISTS HKEYS HVALS HSTRLEN HRANDFIELD HSCAN HTTL HPTTL HEXPIRETIME HPEXPIRETIME LRANGE LLEN ' +
    'LINDEX LPOS SMEMBERS SCARD SISMEMBER SMISMEMBER SRANDMEMBER SSCAN SUNION SINTER SDIFF SINTERCARD ZCARD ZCOUNT ' +
    'ZLEXCOUNT ZRANGE ZRANGEBYSCORE ZRANGEBYLEX ZREVRANGE ZREVRANGEBYSCORE ZREVRANGEBYLEX ZRANK ZREVRANK ZSCORE ZMSCORE ' +
    'ZRANDMEMBER ZSCAN ZUNION ZINTER ZDIFF ZINTERCARD XRANGE XREVRANGE XLEN XREAD XINFO XPENDING GEODIST GEOHASH GEOPOS ' +
    'GEOSEARCH GEORADIUS_RO GEORADIUSBYMEMBER_RO PFCOUNT DUMP OBJECT MEMORY SORT_RO EVAL_RO EVALSHA_RO FCALL_RO TOUCH WATCH'
  ).split(' '),
);

const POSITIONS_OF: ReadonlyMap<string, KeyPositions> = new Map(
  Object.entries(POSITIONS).flatMap(([positions, names]) =>
    names.split(' ').map((name): [string, KeyPositions] => [name, positions as KeyPositions]),
  ),
);

/** Commands without keys that change data all the same. */
const KEYLESS_WRITES = /^(FLUSHALL|FLUSHDB|SWAPDB|MIGRATE)$/;

/** @param name in upper case. */
export function isRedisWrite(name: string): boolean {
  return POSITIONS_OF.get(name) === 'none' ? KEYLESS_WRITES.test(name) : !READS.has(name);
}

/** True where the keys cannot be told from the first argument alone. */
export const needsAllArguments = (name: string): boolean => POSITIONS_OF.has(name);

/**
 * The keys among a command's arguments.
 *
 * @param name in upper case.
 * @param args without the name.
 */
export function redisKeys(name: string, args: readonly string[]): readonly string[] {
  switch (POSITIONS_OF.get(name) ?? 'first') {
    case 'none':
      return [];
    case 'first':
      return args.slice(0, 1);
    case 'all':
      return args;
    case 'pairs':
      return args.filter((_, i) => i % 2 === 0);
    case 'two':
      return args.slice(0, 2);
    case 'second':
      return args.slice(1, 2);
    case 'from-second':
      return args.slice(1);
    case 'but-last':
      return args.slice(0, -1);
    case 'counted':
      return counted(args, 0);
    case 'counted-second':
      return counted(args, 1);
    case 'target-counted':
      return [...args.slice(0, 1), ...counted(args, 1)];
    case 'streams': {
      const streams = args.slice(streamsFrom(args, 0));
      return streams.slice(0, streams.length >> 1);
    }
  }
}

/**
 * Where the first key of a command stands among its arguments, without the name: an index of 0 or more, or one of these.
 * For whoever sees every command of a program and must not copy its arguments.
 */
export const NO_KEY = -1;
/** After the count in argument 0 or 1; there is none where the count is 0. */
export const KEY_AFTER_COUNT = -2;
export const KEY_AFTER_SECOND_COUNT = -3;
/** After the word STREAMS. */
export const KEY_AFTER_STREAMS = -4;

const FIRST_KEY: Readonly<Record<KeyPositions, number>> = {
  none: NO_KEY,
  first: 0,
  all: 0,
  pairs: 0,
  two: 0,
  second: 1,
  'from-second': 1,
  'but-last': 0,
  counted: KEY_AFTER_COUNT,
  'counted-second': KEY_AFTER_SECOND_COUNT,
  'target-counted': 0,
  streams: KEY_AFTER_STREAMS,
};

/** Words that stand between XREAD or XREADGROUP and STREAMS, by how many arguments each takes: these may be called "streams". */
const STREAM_OPTIONS: ReadonlyMap<string, number> = new Map([
  ['GROUP', 2],
  ['COUNT', 1],
  ['BLOCK', 1],
  ['CLAIM', 1],
]);

/** Where the keys of XREAD and XREADGROUP begin, after the word STREAMS; the number of arguments where it is not there. */
export function streamsFrom(args: readonly (string | Uint8Array)[], from: number): number {
  for (let i = from; i < args.length; i++) {
    const word = String(args[i]).toUpperCase();
    if (word === 'STREAMS') return i + 1;
    i += STREAM_OPTIONS.get(word) ?? 0;
  }
  return args.length;
}

/** @param name in upper case. */
export const firstRedisKey = (name: string): number => FIRST_KEY[POSITIONS_OF.get(name) ?? 'first'];

/** Names of commands with keys, in a fixed order: those that read, then those whose keys are not simply the first argument. */
export const KEYED_COMMANDS: readonly string[] = [
  ...READS,
  ...[...POSITIONS_OF].filter(([name, keys]) => keys !== 'none' && !READS.has(name)).map(([name]) => name),
];

function counted(args: readonly string[], at: number): readonly string[] {
  const count = Number(args[at]);
  return Number.isInteger(count) && count > 0 ? args.slice(at + 1, at + 1 + count) : [];
}

import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { FORMATS } from '../../../plugin/logs/detect.ts';
import { isRecord, type LogFormatName, type LogRecord } from '../../../plugin/logs/log-record.ts';
import { queryKindOf } from '../../../plugin/logs/query-kind.ts';
import { isRedisWrite, redisKeys } from '../../../plugin/logs/redis-commands.ts';
import { TimeZone } from '../../../plugin/logs/time-zone.ts';
import { TimestampReader } from '../../../plugin/logs/timestamp.ts';

const test = suite('log formats');

function parserOf(name: LogFormatName) {
  const format = FORMATS.find((one) => one.name === name);
  return (format as NonNullable<typeof format>).newParser(new TimestampReader(new TimeZone('UTC'), false));
}

function recordOf(name: LogFormatName, line: string, header?: string): LogRecord {
  const parser = parserOf(name);
  if (header !== undefined) parser.parse(header);
  const outcome = parser.parse(line);
  check.ok(isRecord(outcome), `${line}: ${JSON.stringify(outcome)}`);
  return outcome as LogRecord;
}

/** What a line that is no record is called. */
function rejectionOf(name: LogFormatName, line: string, header?: string): string {
  const parser = parserOf(name);
  if (header !== undefined) parser.parse(header);
  const outcome = parser.parse(line);
  check.not.ok(isRecord(outcome), line);
  return isRecord(outcome) ? '' : `${outcome.kind}: ${outcome.reason}`;
}

test('MONITOR: the example of the manual, clients of all kinds, escapes', () => {
  check.equal(recordOf('monitor', '1339518083.107412 [0 127.0.0.1:60866] "get" "user:1"'), {
    timeMs: 1_339_518_083_107,
    client: '127.0.0.1',
    kind: 'command',
    query: 'GET',
    keys: ['user:1'],
    isWrite: false,
    latencyMs: undefined,
    bytes: undefined,
  });
  const clientOf = (line: string): string => recordOf('monitor', line).client;
  check.is(clientOf('1.0 [0 [::1]:60866] "ping"'), '[::1]');
  check.is(clientOf('1.0 [0 unix:/tmp/redis.sock] "ping"'), 'unix:/tmp/redis.sock');
  check.is(clientOf('1.0 (db 0) "ping"'), '');
  check.is(clientOf('1.0 "ping"'), '');
  const keysOf = (line: string) => recordOf('monitor', `1.5 [3 a:1] ${line}`).keys;
  check.equal(keysOf('"set" "a\\"b\\\\" "v"'), ['a"b\\']);
  check.equal(keysOf('"set" "\\xff\\x00\\n\\t" "v"'), ['\xff\x00\n\t']);
  check.equal(keysOf('"mset" "a" "1" "b" "2"'), ['a', 'b']);
  check.equal(keysOf('"keys" "*"'), []);
  check.equal(keysOf('"set" "" "v"'), ['']);
});

test('MONITOR: what redis-server 7 really prints', () => {
  const log = String.raw`1795374263.343790 [0 127.0.0.1:46866] "set" "user:{7}:cart" "secret value"
1795374263.405139 [0 127.0.0.1:46894] "SET" "bin\xff\x00\"q\\" "v"
1795374263.425039 [0 unix:/tmp/r.sock] "get" "x"
1795374263.446078 [0 [::1]:32990] "get" "ipv6"
1795374263.465170 [0 127.0.0.1:46906] "eval" "redis.call('set',KEYS[1],'1')" "1" "lk"
1795374263.520359 [0 127.0.0.1:46924] "xread" "COUNT" "1" "STREAMS" "st" "st2" "0" "0"
1795374263.544728 [0 127.0.0.1:46938] "auth" "(redacted)"
1795374263.627603 [0 127.0.0.1:46960] "SET" "new\nline" ""`;
  const found = log.split('\n').map((line) => recordOf('monitor', line));
  check.equal(
    found.map(({ query, keys }) => [query, ...keys]),
    [
      ['SET', 'user:{7}:cart'],
      ['SET', 'bin\xff\0"q\\'],
      ['GET', 'x'],
      ['GET', 'ipv6'],
      ['EVAL', 'lk'],
      ['XREAD', 'st', 'st2'],
      ['AUTH'],
      ['SET', 'new\nline'],
    ],
  );
});

test('MONITOR: values are not kept, and what a script runs is counted with its call', () => {
  const record = recordOf('monitor', '1.0 [0 a:1] "set" "k" "secret"');
  check.not.match(JSON.stringify(record), 'secret');
  check.match(rejectionOf('monitor', '1.0 [0 lua] "get" "k"'), /^skipped: command run by a script/);
  check.match(rejectionOf('monitor', 'OK'), /^skipped: reply/);
  for (const line of ['1.0 [0 a:1] "set" "k', '1.0 [0 a:1] "mget" "a" b', '1.0 [0 a:1] ""'])
    check.match(rejectionOf('monitor', line), /^bad: a word in quotes is not closed/);
  for (const line of ['', 'hello', '1.0 [0 a:1]', 'x.0 [0 a:1] "get"'])
    check.match(rejectionOf('monitor', line), /^bad: not a MONITOR line/);
});

test('Redis commands: keys where the manual has them, and who writes', () => {
  const cases: readonly [string, string, string][] = [
    ['GET', 'a', 'a'],
    ['HSET', 'h f v', 'h'],
    ['DEL', 'a b c', 'a b c'],
    ['MSETNX', 'a 1 b 2', 'a b'],
    ['RENAME', 'a b', 'a b'],
    ['BLPOP', 'a b 5', 'a b'],
    ['BITOP', 'AND d a b', 'd a b'],
    ['OBJECT', 'ENCODING k', 'k'],
    ['ZUNION', '2 a b WITHSCORES', 'a b'],
    ['ZUNIONSTORE', 'd 2 a b WEIGHTS 1 2', 'd a b'],
    ['EVAL', 'return 2 a b x', 'a b'],
    ['EVAL', 'return 0', ''],
    ['EVAL', 'return nonsense', ''],
    ['XREADGROUP', 'GROUP g c STREAMS a b > >', 'a b'],
    ['PING', 'x', ''],
    ['JSON.GET', 'doc $', 'doc'],
  ];
  for (const [name, args, keys] of cases)
    check.is(redisKeys(name, args.split(' ')).join(' '), keys, `${name} ${args}`);
  for (const name of ['GET', 'ZRANGE', 'PING', 'EVAL_RO', 'SCAN']) check.is(isRedisWrite(name), false, name);
  for (const name of ['SET', 'ZADD', 'FLUSHALL', 'EVAL', 'BITOP']) check.is(isRedisWrite(name), true, name);
});

test('JSON Lines: all fields, and only the needed ones', () => {
  const line =
    '{"time":"2024-01-15T10:00:00Z","client":"web","query":"hget","key":"k","latencyMs":1.5,"bytes":9,"write":true,"more":{}}';
  check.equal(recordOf('jsonl', line), {
    timeMs: Date.UTC(2024, 0, 15, 10),
    client: 'web',
    kind: 'command',
    query: 'HGET',
    keys: ['k'],
    isWrite: true,
    latencyMs: 1.5,
    bytes: 9,
  });
  const least = recordOf('jsonl', '{"time":1700000000000,"query":"cheap flights to rome"}');
  check.equal([least.kind, least.client, least.keys, least.isWrite], ['search', '', [], false]);
  check.equal(recordOf('jsonl', '{"time":1,"query":"mget","keys":["a",2]}').keys, ['a', '2']);
  check.equal(recordOf('jsonl', '{"time":1,"key":"ü"}').keys, ['\xc3\xbc']);
  check.is(recordOf('jsonl', '{"time":1,"query":"DELETE FROM t"}').isWrite, true);
  check.is(recordOf('jsonl', '{"time":1,"query":"POST /x"}').isWrite, true);
});

test('JSON Lines: a wrong field is named with what it holds', () => {
  const cases: readonly [string, RegExp][] = [
    ['nonsense', /not a JSON object/],
    ['[1]', /not a JSON object/],
    ['null', /not a JSON object/],
    ['{"query":"x"}', /time is missing/],
    ['{"time":"soon","query":"x"}', /time "soon" is neither/],
    ['{"time":1e18,"query":"x"}', /time "1000000000000000000" is neither/],
    ['{"time":1}', /neither a query nor a key/],
    ['{"time":1,"query":7}', /query is not a text/],
    ['{"time":1,"keys":[{}]}', /keys is not a list/],
    ['{"time":1,"key":"a","latencyMs":-1}', /latencyMs "-1" is not a number >= 0/],
    ['{"time":1,"key":"a","bytes":"many"}', /bytes "many" is not/],
    ['{"time":1,"key":"a","write":"maybe"}', /write "maybe" is neither/],
  ];
  for (const [line, expected] of cases) check.match(rejectionOf('jsonl', line), expected);
});

test('CSV: a header in any order, quoted queries, lists of keys', () => {
  const header = 'Key;query;time;extra;WRITE';
  const record = recordOf('csv', '"a;b";"SELECT ""x""\nFROM t";2024-01-15 10:00:00;;no', header);
  check.equal(
    [record.keys, record.query, record.timeMs, record.isWrite],
    [['a;b'], 'SELECT "x"\nFROM t', Date.UTC(2024, 0, 15, 10), false],
  );
  check.equal(recordOf('csv', '1,a b,x', 'time,keys,query').keys, ['a', 'b']);
  check.equal(recordOf('csv', '1,"[""a b"",""c""]",x', 'time,keys,query').keys, ['a b', 'c']);
  check.match(rejectionOf('csv', '1,2', 'time,key,query'), /2 columns, the header has 3/);
  check.match(rejectionOf('csv', '1,"2', 'time,key'), /quotes do not match/);
  check.match(rejectionOf('csv', '1,"[oops",x', 'time,keys,query'), /keys is not a list/);
  check.throws(
    () => parserOf('csv').parse('series,time,value'),
    /line 1 is not a header of a query log in CSV/,
  );
});

test('access logs: Common, Combined, with a virtual host, and what is no request', () => {
  const common = '127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif?x=1 HTTP/1.0" 200 2326';
  check.equal(recordOf('http', common), {
    timeMs: Date.UTC(2000, 9, 10, 20, 55, 36),
    client: '127.0.0.1',
    kind: 'http',
    query: 'GET /apache_pb.gif?x=1',
    keys: ['/apache_pb.gif'],
    isWrite: false,
    latencyMs: undefined,
    bytes: 2_326,
  });
  const combined =
    '::1 - - [29/Feb/2024:23:59:60 +0000] "POST /a b\\"c HTTP/2.0" 201 - "http://x/" "Mozilla/5.0 (\\"x\\")" 0.002';
  const record = recordOf('http', combined);
  check.equal(
    [record.client, record.query, record.isWrite, record.bytes],
    ['::1', 'POST /a b\\"c', true, undefined],
  );
  check.is(recordOf('http', `shop.example:443 ${common}`).client, '127.0.0.1');
  check.is(
    recordOf('http', '1.2.3.4 - John Smith [10/Oct/2000:13:55:36 +0000] "GET /old" 200 1').query,
    'GET /old',
  );
  for (const request of ['-', '', '\\x16\\x03\\x01', 'quit'])
    check.match(
      rejectionOf('http', `1.2.3.4 - - [10/Oct/2000:13:55:36 +0000] "${request}" 400 0`),
      /^skipped: no HTTP request/,
    );
  check.match(rejectionOf('http', common.replace('10/Oct', '31/Feb')), /time in brackets does not exist/);
  check.match(rejectionOf('http', common.replace('Oct', 'Xyz')), /time in brackets does not exist/);
  check.match(rejectionOf('http', common.slice(0, 50)), /not a line of an HTTP access log/);
});

/** A line of csvlog with as many columns as a version of PostgreSQL writes. */
function csvlog(message: string, { version = 16, time = '2024-01-15 10:00:00.123 UTC' } = {}): string {
  const quoted = `"${message.replaceAll('"', '""')}"`;
  const columns = [
    time,
    '"app"',
    '"shop"',
    '4711',
    '"10.0.0.7:5432"',
    '65a4.1267',
    '3',
    '"SELECT"',
    '2024-01-15 09:00:00 UTC',
    '5/12',
    '0',
    'LOG',
    '00000',
    quoted,
    '',
    '',
    '',
    '',
    '',
    '',
    '',
    '',
    '"psql"',
  ];
  if (version >= 13) columns.push('"client backend"');
  if (version >= 14) columns.push('', '-123456789');
  return columns.join(',');
}

test('PostgreSQL csvlog: statements with and without a duration, of all versions', () => {
  for (const version of [12, 13, 14, 15, 16, 17])
    check.equal(
      recordOf('postgres', csvlog('duration: 1.250 ms  statement: SELECT "a"\nFROM t', { version })),
      {
        timeMs: Date.UTC(2024, 0, 15, 10, 0, 0, 123),
        client: 'app@10.0.0.7',
        kind: 'sql',
        query: 'SELECT "a"\nFROM t',
        keys: [],
        isWrite: false,
        latencyMs: 1.25,
        bytes: undefined,
      },
    );
  const queryOf = (message: string): string => recordOf('postgres', csvlog(message)).query;
  check.is(queryOf('statement: UPDATE t SET a = 1'), 'UPDATE t SET a = 1');
  check.is(queryOf('execute <unnamed>: SELECT $1'), 'SELECT $1');
  check.is(queryOf('duration: 0.1 ms  execute S_1/C_2: SELECT a::int'), 'SELECT a::int');
  check.is(recordOf('postgres', csvlog('statement: UPDATE t SET a = 1')).isWrite, true);
});

test('PostgreSQL csvlog: zones, and what is no statement', () => {
  const timeOf = (time: string): number => recordOf('postgres', csvlog('statement: X', { time })).timeMs;
  check.is(timeOf('2024-07-15 10:00:00.000 CEST'), Date.UTC(2024, 6, 15, 8));
  check.is(timeOf('2024-07-15 10:00:00.000 -03'), Date.UTC(2024, 6, 15, 13));
  check.match(
    rejectionOf('postgres', csvlog('statement: X', { time: '2024-07-15 10:00:00.000 XYZT' })),
    /not a time in a known zone: --time-zone/,
  );
  for (const message of [
    'checkpoint starting: time',
    'duration: 2 ms',
    'duration: 2 ms  parse <unnamed>: SELECT 1',
    'duration: 2 ms  bind S_1: SELECT 1',
    'connection received',
  ])
    check.match(rejectionOf('postgres', csvlog(message)), /^skipped: /, message);
  check.match(
    rejectionOf('postgres', '2024-01-15 10:00:00.123 UTC,a,b'),
    /^bad: 3 columns, a csvlog has at least 23/,
  );
  check.match(rejectionOf('postgres', '2024-01-15 10:00:00.123 UTC,"a'), /^bad: quotes do not match/);
});

test('what a query is written in, where the log does not say', () => {
  const cases: readonly [string, number, string][] = [
    ['GET /a/b', 1, 'http'],
    ['GET', 1, 'command'],
    ['SELECT', 1, 'command'],
    ['  -- first\n /* then */ (select 1)', 0, 'sql'],
    ['/* /* */ insert into t', 0, 'sql'],
    ['update', 0, 'sql'],
    ['set-top box', 0, 'search'],
    ['cheap flights', 0, 'search'],
    ['', 1, 'command'],
  ];
  for (const [query, keyCount, kind] of cases) check.is(queryKindOf(query, keyCount), kind, query);
});

test('texts made to keep a parser busy take no longer than others', () => {
  const long = 1_000_000;
  const lines: readonly [LogFormatName, string][] = [
    ['monitor', `1.0 [0 a:1] "get" "${'\\"'.repeat(long / 2)}`],
    ['monitor', `1.0 [0 ${'] '.repeat(long / 2)}`],
    ['http', `1.2.3.4 - ${' ['.repeat(long / 2)}`],
    ['http', `1.2.3.4 - - [10/Oct/2000:13:55:36 +0000] "GET ${' '.repeat(long)}x" 200 1`],
    ['postgres', csvlog(`statement: ${'/**/'.repeat(long / 4)}`)],
    ['postgres', csvlog(`duration: ${'1'.repeat(long)}`)],
    ['jsonl', '['.repeat(long)],
    ['jsonl', `{"time":1,"query":"${'('.repeat(long)}"}`],
  ];
  for (const [name, line] of lines) {
    const before = process.cpuUsage();
    parserOf(name).parse(line);
    const { user, system } = process.cpuUsage(before);
    check.ok(user + system < 1e6, `${name} ${line.slice(0, 40)}: ${user + system} µs`);
  }
});

test.run();

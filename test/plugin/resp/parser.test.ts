import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  PARSE_NEED_MORE,
  PARSE_OVERSIZED,
  PARSE_PROTOCOL_ERROR,
  PARSE_REQUEST,
  RequestParser,
} from '../../../plugin/resp/parser.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('plugin/resp/parser');

const encode = (...words: (string | Buffer)[]): Buffer =>
  Buffer.concat([
    Buffer.from(`*${words.length}\r\n`),
    ...words.flatMap((word) => [
      Buffer.from(`$${Buffer.byteLength(word)}\r\n`),
      Buffer.from(word),
      Buffer.from('\r\n'),
    ]),
  ]);

/** Everything a parser says about chunks: requests as lists of words, errors as `-text`. It stops at a protocol error. */
function parseAll(
  chunks: readonly Buffer[],
  options: { valueBytesMax?: number; isAuthenticated?: boolean } = {},
): unknown[] {
  const parser = new RequestParser(options.valueBytesMax ?? 8 << 20);
  parser.isAuthenticated = options.isAuthenticated ?? true;
  const found: unknown[] = [];
  for (const chunk of chunks) {
    parser.feed(chunk);
    for (;;) {
      const result = parser.next();
      if (result === PARSE_NEED_MORE) break;
      if (result === PARSE_REQUEST)
        found.push(
          Array.from({ length: parser.argumentCount }, (_, i) =>
            parser.source.toString('latin1', parser.starts[i], parser.ends[i]),
          ),
        );
      else {
        found.push(`-${parser.error}`);
        if (result === PARSE_PROTOCOL_ERROR) return found;
        assert.is(result, PARSE_OVERSIZED);
      }
    }
  }
  return found;
}

const MIXED = Buffer.concat([
  encode('SET', 'key', 'va\r\nlue'),
  Buffer.from("PING\r\n\r\n  get \"a b\\x41\\n\" 'it\\'s'\n"),
  encode('GET', ''),
  Buffer.from('*0\r\n*-1\r\n'),
  encode(...Array.from({ length: 40 }, (_, i) => `argument${i}`)),
  encode('SET', 'big', 'x'.repeat(300)),
  encode('AFTER'),
]);
const MIXED_FOUND = [
  ['SET', 'key', 'va\r\nlue'],
  ['PING'],
  ['get', 'a bA\n', "it's"],
  ['GET', ''],
  Array.from({ length: 40 }, (_, i) => `argument${i}`),
  ['SET', 'big', 'x'.repeat(300)],
  ['AFTER'],
];

test('a stream means the same however it is cut in two', () => {
  for (let cut = 0; cut <= MIXED.length; cut++)
    assert.equal(parseAll([MIXED.subarray(0, cut), MIXED.subarray(cut)]), MIXED_FOUND, `cut at ${cut}`);
});

test('a stream means the same in pieces of any one size, and of random sizes', () => {
  const pieces = (sizeOf: () => number): Buffer[] => {
    const chunks: Buffer[] = [];
    for (let i = 0; i < MIXED.length; ) {
      const size = sizeOf();
      chunks.push(Buffer.from(MIXED.subarray(i, i + size)));
      i += size;
    }
    return chunks;
  };
  for (let size = 1; size < 60; size++)
    assert.equal(parseAll(pieces(() => size)), MIXED_FOUND, `size ${size}`);
  const random = seededRandom(testSeed('parser'));
  for (let round = 0; round < 300; round++)
    assert.equal(parseAll(pieces(() => 1 + random.nextBelow(50))), MIXED_FOUND, `round ${round}`);
});

test('a malformed stream is a protocol error with the words of Redis', () => {
  const errorOf = (text: string): unknown => parseAll([Buffer.from(text, 'latin1')]).at(-1);
  assert.is(errorOf('*1\r\n!3\r\n'), "-ERR Protocol error: expected '$', got '!'");
  assert.is(errorOf('*abc\r\n'), '-ERR Protocol error: invalid multibulk length');
  assert.is(errorOf('*99999999\r\n'), '-ERR Protocol error: invalid multibulk length');
  assert.is(errorOf('*1\r\n$-1\r\n'), '-ERR Protocol error: invalid bulk length');
  assert.is(errorOf('*1\r\n$99999999999\r\n'), '-ERR Protocol error: invalid bulk length');
  assert.is(errorOf('*1\r\n$\r\n'), '-ERR Protocol error: invalid bulk length');
  assert.is(errorOf('*1\n$4\n'), '-ERR Protocol error: invalid multibulk length');
  assert.is(errorOf('get "unclosed\r\n'), '-ERR Protocol error: unbalanced quotes in request');
  assert.is(errorOf('x'.repeat(70_000)), '-ERR Protocol error: too big inline request');
});

test('requests before the malformed one are still answered', () => {
  assert.equal(parseAll([Buffer.concat([encode('PING'), Buffer.from('*1\r\n:1\r\n')])]), [
    ['PING'],
    "-ERR Protocol error: expected '$', got ':'",
  ]);
});

test('before authentication only small requests are taken', () => {
  const options = { isAuthenticated: false };
  assert.equal(parseAll([encode('AUTH', 'x')], options), [['AUTH', 'x']]);
  assert.equal(parseAll([encode(...'a'.repeat(11))], options), [
    '-ERR Protocol error: unauthenticated multibulk length',
  ]);
  assert.equal(parseAll([encode('x'.repeat(20_000))], options), [
    '-ERR Protocol error: unauthenticated bulk length',
  ]);
  const budget = '-ERR Protocol error: unauthenticated request too big';
  const half = encode('AUTH', 'x'.repeat(2_500));
  assert.is(parseAll([half, half], options).at(-1), budget);
  assert.equal(parseAll([Buffer.from('x'.repeat(4_097))], options), [budget], 'a line without an end');
  assert.equal(parseAll([Buffer.from(`PING${' '.repeat(5_000)}\r\n`)], options), [budget]);
  assert.equal(parseAll([Buffer.from('\r\n'.repeat(3_000))], options), [budget], 'lines that say nothing');
});

test('an oversized value is skipped without being kept, and the next request is understood', () => {
  const stream = Buffer.concat([encode('SET', 'k', 'x'.repeat(5000), 'EX', '5'), encode('PING')]);
  const expected = ['-ERR a value of 5000 bytes; the limit is 1000 (setting node.valueBytesMax)', ['PING']];
  for (const size of [1, 7, 100, 4999, 10_000]) {
    const chunks: Buffer[] = [];
    for (let i = 0; i < stream.length; i += size) chunks.push(Buffer.from(stream.subarray(i, i + size)));
    assert.equal(parseAll(chunks, { valueBytesMax: 1000 }), expected, `size ${size}`);
  }
});

test('a large value in small chunks costs linear time', () => {
  const size = 8 << 20;
  const stream = encode('SET', 'k', Buffer.alloc(size, 'v'));
  const chunks: Buffer[] = [];
  for (let i = 0; i < stream.length; i += 1460) chunks.push(stream.subarray(i, i + 1460));
  const started = process.cpuUsage();
  assert.is((parseAll(chunks)[0] as string[])[2].length, size);
  // Linear takes about 20 ms; copying the whole again with every chunk would take some 10 s.
  assert.is(process.cpuUsage(started).user < 2_000_000, true);
});

test('random bytes and mutated streams never throw', () => {
  const random = seededRandom(testSeed('parser-fuzz'));
  for (let round = 0; round < 2000; round++) {
    const bytes = Buffer.from(MIXED);
    for (let i = random.nextBelow(5); i >= 0; i--)
      bytes[random.nextBelow(bytes.length)] = random.nextBelow(256);
    const cut = random.nextBelow(bytes.length);
    parseAll([bytes.subarray(0, cut), bytes.subarray(cut)]);
  }
});

test.run();

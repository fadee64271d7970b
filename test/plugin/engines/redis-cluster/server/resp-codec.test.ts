import fc from 'fast-check';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import {
  RedisRefusal,
  type RedisReply,
} from '../../../../../plugin/engines/redis-cluster/server/redis-node.ts';
import {
  encodeCommands,
  ReplyReader,
} from '../../../../../plugin/engines/redis-cluster/server/resp-codec.ts';
import { testSeed } from '../../../../support/seed.ts';

const test = suite('redis-cluster: RESP2');

/** As a server writes a reply. */
function written(reply: RedisReply): Buffer {
  if (reply === null) return Buffer.from('$-1\r\n');
  if (typeof reply === 'number') return Buffer.from(`:${reply}\r\n`);
  if (reply instanceof RedisRefusal) return Buffer.from(`-${reply.message}\r\n`);
  if (Buffer.isBuffer(reply))
    return Buffer.concat([Buffer.from(`$${reply.length}\r\n`), reply, Buffer.from('\r\n')]);
  return Buffer.concat([Buffer.from(`*${reply.length}\r\n`), ...reply.map(written)]);
}

/** With refusals and bytes as text that says which they are. */
const shown = (reply: RedisReply): unknown => {
  if (reply instanceof RedisRefusal) return `refusal ${reply.message}`;
  if (Buffer.isBuffer(reply)) return `bytes ${reply.toString('latin1')}`;
  return Array.isArray(reply) ? reply.map(shown) : reply;
};

const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array));
const leaf: fc.Arbitrary<RedisReply> = fc.oneof(
  bytes,
  fc.integer(),
  fc.constant(null),
  fc.stringMatching(/^[A-Z]{3,8} [a-z ]{0,20}$/).map((text) => new RedisRefusal(text)),
);
const reply: fc.Arbitrary<RedisReply> = fc.letrec<{ value: RedisReply }>((tie) => ({
  value: fc.oneof({ maxDepth: 3 }, leaf, fc.array(tie('value'), { maxLength: 5 })),
})).value;

test('replies are the same in whatever pieces they come', () => {
  fc.assert(
    fc.property(
      fc.array(reply, { minLength: 1, maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 5 }),
      (replies, sizes) => {
        const stream = Buffer.concat(replies.map(written));
        const read: RedisReply[] = [];
        const reader = new ReplyReader((one) => read.push(one));
        for (let at = 0, turn = 0; at < stream.length; turn++) {
          const size = sizes[turn % sizes.length] as number;
          reader.read(stream.subarray(at, at + size));
          at += size;
        }
        check.equal(read.map(shown), replies.map(shown));
      },
    ),
    { seed: Number(testSeed('resp codec')), numRuns: 300 },
  );
});

test('a null array is null, an empty one is not; simple strings are bytes', () => {
  const read: RedisReply[] = [];
  new ReplyReader((one) => read.push(one)).read(Buffer.from('*-1\r\n*0\r\n+OK\r\n:-12\r\n'));
  check.equal(read.map(shown), [null, [], 'bytes OK', -12]);
});

test('what is no RESP2 is told, not guessed at', () => {
  const reader = new ReplyReader(() => undefined);
  check.throws(
    () => reader.read(Buffer.from('HTTP/1.1 400 Bad Request\r\n')),
    /no reply begins with byte 72/,
  );
});

test('commands keep their bytes: keys of any kind, words beyond ASCII as UTF-8, lengths in bytes', () => {
  const key = Buffer.from([0, 13, 10, 255]);
  const encoded = Buffer.from(
    encodeCommands([
      ['GET', key],
      ['AUTH', 'grün', 7],
    ]),
    'latin1',
  );
  const expected = [
    Buffer.from('*2\r\n$3\r\nGET\r\n$4\r\n'),
    key,
    Buffer.from('\r\n*3\r\n$4\r\nAUTH\r\n$5\r\ngrün\r\n$1\r\n7\r\n'),
  ];
  check.equal(encoded, Buffer.concat(expected));
});

test.run();

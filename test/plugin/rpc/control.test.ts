import { Packr } from 'msgpackr';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  assertPlainMessage,
  decodeControlPayload,
  decodeMessage,
  encodeControlPayload,
  encodeMessage,
  errorFromMessage,
  errorToMessage,
} from '../../../plugin/rpc/control.ts';
import { CONTROL_BULK_BYTES_MAX, CONTROL_MESSAGE_BYTES_MAX } from '../../../plugin/rpc/frames.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('plugin/rpc/control');
const refusedFor = (why: RegExp) => (error: unknown) =>
  error instanceof ForeshardError && error.code === 'FORESHARD_CORRUPT' && why.test(error.message);

test('what a control message can hold comes back unharmed', () => {
  const message = {
    text: 'grün',
    empty: '',
    none: null,
    yes: true,
    small: 5,
    negative: -70_000,
    large: 2 ** 46 + 1,
    fraction: 0.1,
    list: [1, 'two', [3], { four: 4 }],
    bytes: Buffer.from([1, 2, 3]),
    longList: Array.from({ length: 300 }, (_, i) => i),
  };
  const decoded = decodeMessage(encodeMessage(message, CONTROL_MESSAGE_BYTES_MAX));
  assert.equal([...(decoded.bytes as Uint8Array)], [1, 2, 3]);
  assert.equal({ ...decoded, bytes: null }, { ...message, bytes: null });
});

test('extension types of msgpackr are refused: errors, sets, regular expressions, records, dates', () => {
  const generous = new Packr({ useRecords: true, moreTypes: true, structuredClone: true });
  for (const value of [new Error('x'), new Set([1]), /x/, { a: 1, b: 2 }, new Date(1e12), [undefined]])
    assert.throws(() => assertPlainMessage(generous.pack(value)), refusedFor(/not plain data/));
  const errorExtension = Buffer.from([
    0xc7,
    0x0b,
    0x65,
    0x93,
    0xa5,
    ...Buffer.from('Error'),
    0xa1,
    0x78,
    0xc0,
    0xc0,
  ]);
  assert.throws(() => decodeMessage(errorExtension), refusedFor(/not plain data/));
});

test('depth, item count, keys and left-over bytes are limited', () => {
  const nested = (depth: number): Buffer => Buffer.concat([Buffer.alloc(depth, 0x91), Buffer.from([0xc0])]);
  assertPlainMessage(nested(16));
  assert.throws(() => assertPlainMessage(nested(17)), refusedFor(/deeper/));
  assert.throws(() => assertPlainMessage(nested(5000)), refusedFor(/deeper/));
  const emptyMaps = Buffer.concat([Buffer.from([0xdd, 0, 0, 0xff, 0xff]), Buffer.alloc(0xffff, 0x80)]);
  assert.throws(() => assertPlainMessage(emptyMaps), refusedFor(/items/));
  assert.throws(() => assertPlainMessage(Buffer.from([0xdd, 0xff, 0xff, 0xff, 0xff])), refusedFor(/items/));
  for (const tag of [0x80, 0x90]) {
    const fewer = Buffer.concat([Buffer.from([0xdd, 0, 0, 0xbf, 0xff]), Buffer.alloc(0xbfff, tag)]);
    assert.throws(() => assertPlainMessage(fewer), refusedFor(/in memory/), 'much of little');
  }
  assert.throws(() => assertPlainMessage(Buffer.from([0x81, 0x01, 0x01])), refusedFor(/key/));
  assert.throws(
    () => assertPlainMessage(Buffer.from([0x81, 0xa1, 0x61, 0x01, 0x00])),
    refusedFor(/left over/),
  );
  assert.throws(
    () => assertPlainMessage(Buffer.from([0xdb, 0xff, 0xff, 0xff, 0xff])),
    refusedFor(/ends inside/),
  );
  assert.throws(() => decodeMessage(Buffer.from([0x91, 0x01])), refusedFor(/not a map/));
});

test('a key named __proto__ does not reach the prototype', () => {
  const bytes = Buffer.concat([
    Buffer.from([0x81, 0xa9]),
    Buffer.from('__proto__'),
    Buffer.from([0x81, 0xa1, 0x78, 0x01]),
  ]);
  const decoded = decodeMessage(bytes);
  assert.is((decoded as { x?: number }).x, undefined);
  assert.is(({} as { x?: number }).x, undefined);
});

test('the bulk travels beside the message, and lengths that lie are refused', () => {
  const payload = encodeControlPayload({ cursor: 1 }, Buffer.from('raw bytes'));
  const { message, bulk } = decodeControlPayload(payload);
  assert.equal(message, { cursor: 1 });
  assert.is(bulk.toString(), 'raw bytes');
  payload.writeUInt32LE(payload.length - 3, 0);
  assert.throws(() => decodeControlPayload(payload), refusedFor(/length/));
  assert.throws(() => decodeControlPayload(Buffer.from([1, 0])), refusedFor(/length/));
});

test('too large a message of our own is refused with the remedy, before it is sent', () => {
  const isLimit = (error: unknown): boolean =>
    error instanceof ForeshardError && error.code === 'FORESHARD_LIMIT';
  assert.throws(() => encodeControlPayload({ text: 'x'.repeat(70_000) }), isLimit);
  assert.throws(() => encodeControlPayload({}, Buffer.alloc(CONTROL_BULK_BYTES_MAX + 1)), isLimit);
  assert.throws(() => encodeControlPayload({ when: new Date() }), isLimit);
});

test('a ForeshardError keeps code and remedy on its way; anything else becomes one', () => {
  const there = errorFromMessage(errorToMessage(new ForeshardError('FORESHARD_BEHIND', 'wait', 'closed')));
  assert.is(there.code, 'FORESHARD_BEHIND');
  assert.is(there.remedy, 'wait');
  assert.is(there.message, 'closed');
  assert.match(errorFromMessage(errorToMessage(new TypeError('oops'))).message, 'oops');
});

test('mutated messages decode or are refused; nothing else is thrown', () => {
  const random = seededRandom(testSeed('control'));
  const original = encodeMessage({ a: [1, 2, { b: 'text', c: 2 ** 40 }], bytes: Buffer.alloc(20) }, 4096);
  for (let round = 0; round < 5000; round++) {
    const bytes = Buffer.from(original.subarray(0, 1 + random.nextBelow(original.length)));
    for (let i = random.nextBelow(4); i >= 0; i--)
      bytes[random.nextBelow(bytes.length)] = random.nextBelow(256);
    try {
      decodeMessage(bytes);
    } catch (error) {
      assert.instance(error, ForeshardError, `round ${round}: ${(error as Error).stack}`);
    }
  }
});

test.run();

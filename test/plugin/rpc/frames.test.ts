import * as zlib from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { crc32 } from '../../../plugin/rpc/crc32.ts';
import {
  DATA_PAYLOAD_BYTES_MAX,
  encodeFrame,
  FRAME_CONTROL_REQUEST,
  FRAME_DATA_REQUEST,
  FRAME_HEADER_BYTES,
  FRAME_HELLO,
  FrameDecoder,
  HANDSHAKE_LIMITS,
  SERVER_LIMITS,
} from '../../../plugin/rpc/frames.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('plugin/rpc/frames');

interface Received {
  readonly type: number;
  readonly correlation: number;
  readonly text: string;
}

function decoderInto(received: Received[]): FrameDecoder {
  return new FrameDecoder(SERVER_LIMITS, (type, _flags, correlation, payload) =>
    received.push({ type, correlation, text: payload.toString('latin1') }),
  );
}

const isCorrupt = (error: unknown): boolean =>
  error instanceof ForeshardError && error.code === 'FORESHARD_CORRUPT';

test('the checksum is that of the standard, whatever the alignment', () => {
  assert.is(crc32(Buffer.from('123456789'), 0, 9), 0xcbf43926);
  assert.is(crc32(Buffer.alloc(0), 0, 0), 0);
  const native = (zlib as unknown as { crc32?: (bytes: Uint8Array) => number }).crc32;
  if (native === undefined) return;
  const random = seededRandom(testSeed('crc'));
  const bytes = Buffer.from(Array.from({ length: 300 }, () => random.nextBelow(256)));
  for (let start = 0; start < 20; start++)
    for (let end = start; end < bytes.length; end += 13)
      assert.is(crc32(bytes, start, end), native(bytes.subarray(start, end)));
});

test('frames survive any cutting of the stream', () => {
  const frames = [
    encodeFrame(Buffer.from('hello world'), { type: FRAME_CONTROL_REQUEST, correlation: 7 }),
    encodeFrame(Buffer.alloc(0), { type: FRAME_DATA_REQUEST }),
    encodeFrame(Buffer.alloc(500, 'x'), { type: FRAME_DATA_REQUEST, correlation: 0xffffffff }),
  ];
  const stream = Buffer.concat(frames);
  for (let cut = 1; cut < 120; cut++) {
    const received: Received[] = [];
    const decoder = decoderInto(received);
    for (let i = 0; i < stream.length; i += cut) decoder.push(stream.subarray(i, i + cut));
    assert.is(received.length, 3);
    assert.equal(received[0], { type: FRAME_CONTROL_REQUEST, correlation: 7, text: 'hello world' });
    assert.is(received[1].text, '');
    assert.equal(received[2], { type: FRAME_DATA_REQUEST, correlation: 0xffffffff, text: 'x'.repeat(500) });
  }
});

test('every single flipped bit is found', () => {
  const frame = encodeFrame(Buffer.from('payload of a frame'), { type: FRAME_DATA_REQUEST });
  for (let bit = 0; bit < frame.length * 8; bit++) {
    const broken = Buffer.from(frame);
    broken[bit >> 3] ^= 1 << (bit & 7);
    const received: Received[] = [];
    assert.throws(() => decoderInto(received).push(broken), isCorrupt, `bit ${bit}`);
    assert.is(received.length, 0);
  }
});

test('a length beyond its limit is refused before anything is allocated', () => {
  const header = encodeFrame(Buffer.alloc(0), { type: FRAME_DATA_REQUEST });
  header.writeUInt32LE(DATA_PAYLOAD_BYTES_MAX + 1, 0);
  header.writeUInt32LE(crc32(header, 0, 20), 20);
  const before = process.memoryUsage().arrayBuffers;
  assert.throws(() => decoderInto([]).push(header), isCorrupt);
  assert.is(process.memoryUsage().arrayBuffers - before < 1_000_000, true);
});

test('before the handshake only a small hello is welcome', () => {
  const newDecoder = (): FrameDecoder => new FrameDecoder(HANDSHAKE_LIMITS, () => {});
  newDecoder().push(encodeFrame(Buffer.alloc(4096), { type: FRAME_HELLO }));
  assert.throws(() => newDecoder().push(encodeFrame(Buffer.alloc(4097), { type: FRAME_HELLO })), isCorrupt);
  assert.throws(
    () => newDecoder().push(encodeFrame(Buffer.alloc(1), { type: FRAME_DATA_REQUEST })),
    isCorrupt,
  );
});

test('random bytes end as a refusal, never as a frame or a crash', () => {
  const random = seededRandom(testSeed('frames'));
  for (let round = 0; round < 500; round++) {
    const received: Received[] = [];
    const noise = Buffer.from(
      Array.from({ length: FRAME_HEADER_BYTES + random.nextBelow(60) }, () => random.nextBelow(256)),
    );
    assert.throws(() => decoderInto(received).push(noise), isCorrupt);
    assert.is(received.length, 0);
  }
});

test.run();

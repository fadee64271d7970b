import { Packr } from 'msgpackr';
import {
  decodeEntries,
  encodeEntries,
  isMigrationOperation,
  parseBody,
  REQUESTS,
} from '../../../plugin/engines/migration-agent/migration-messages.ts';
import {
  decodeControlPayload,
  decodeMessage,
  encodeControlPayload,
  errorFromMessage,
} from '../../../plugin/rpc/control.ts';
import { DataReplyReader, DataRequestReader } from '../../../plugin/rpc/data.ts';
import {
  encodeFrame,
  FRAME_CONTROL_REPLY,
  FRAME_CONTROL_REQUEST,
  FRAME_DATA_REPLY,
  FRAME_DATA_REQUEST,
  FRAME_HEADER_BYTES,
  FRAME_HELLO,
  FrameDecoder,
  type FrameLimits,
  HELLO_BYTES_MAX,
} from '../../../plugin/rpc/frames.ts';
import { encodeHello, parseHello } from '../../../plugin/rpc/hello.ts';
import type { Random } from '../../../src/base/random.ts';
import { mutateBytes, mutateTree, oneIn, pick } from '../mutate.ts';
import type { FuzzTarget, Outcome } from '../target.ts';

const PAYLOAD_BYTES_MAX = 1 << 20;
/** All types at once: what each end takes is what it hands over to these readers. */
const LIMITS: FrameLimits = {
  1: HELLO_BYTES_MAX,
  2: PAYLOAD_BYTES_MAX,
  3: PAYLOAD_BYTES_MAX,
  4: PAYLOAD_BYTES_MAX,
  5: PAYLOAD_BYTES_MAX,
};
const TYPES = [FRAME_HELLO, FRAME_DATA_REQUEST, FRAME_DATA_REPLY, FRAME_CONTROL_REQUEST, FRAME_CONTROL_REPLY];
const OPERATIONS = Object.keys(REQUESTS);
/** Everything that our own side never sends: records, extensions, classes. */
const generous = new Packr({ useRecords: true, moreTypes: true, structuredClone: true });

const HOSTILE: readonly Buffer[] = [
  Buffer.from([0xc7, 0x0b, 0x65, 0x93, 0xa5, 0x45, 0x72, 0x72, 0x6f, 0x72, 0xa1, 0x78, 0xc0, 0xc0]),
  Buffer.from([0xdd, 0xff, 0xff, 0xff, 0xff]),
  Buffer.from([0xdf, 0x7f, 0xff, 0xff, 0xff]),
  Buffer.from([0xdb, 0xff, 0xff, 0xff, 0xff]),
  Buffer.from([0xd4, 0x72, 0x40]),
  Buffer.from([0x81, 0xa9, ...Buffer.from('__proto__'), 0x81, 0xa1, 0x78, 0x01]),
  Buffer.alloc(5_000, 0x91),
  Buffer.alloc(5_000, 0x81),
  Buffer.concat([Buffer.from([0xdd, 0, 0, 0xc0, 0]), Buffer.alloc(0xc000, 0x80)]),
];

/** What peers send: frames, and what stands in them down to the schema of a migration's verbs. */
export class FramesTarget implements FuzzTarget {
  readonly name = 'frames';

  generate(random: Random): Buffer {
    const frames = Array.from({ length: 1 + random.nextBelow(3) }, () => {
      const type = pick(TYPES, random);
      return encodeFrame(payloadOf(type, random), {
        type,
        correlation: random.nextBelow(5),
        flags: random.nextBelow(2),
      });
    });
    return Buffer.concat(frames);
  }

  /** Mostly inside a payload whose checksums are then made right again: otherwise nothing beyond them is ever reached. */
  mutate(input: Buffer, random: Random): Buffer {
    const payloadBytes = input.length < FRAME_HEADER_BYTES ? -1 : input.readUInt32LE(0);
    if (oneIn(6, random) || payloadBytes < 0 || payloadBytes > input.length - FRAME_HEADER_BYTES)
      return mutateBytes(input, random);
    const end = FRAME_HEADER_BYTES + payloadBytes;
    const type = input[5] as number;
    const payload = mutatePayload(type, input.subarray(FRAME_HEADER_BYTES, end), random);
    return Buffer.concat([encodeFrame(payload, { type }), input.subarray(end)]);
  }

  run(input: Buffer): Outcome {
    const seen: unknown[] = [];
    const kinds: string[] = [];
    const decoder = new FrameDecoder(LIMITS, (type, flags, _correlation, payload) => {
      const value = read(type, flags, payload);
      seen.push(value);
      kinds.push(`${type} ${kindOf(value)}`);
    });
    const chunkBytes = 1 + (input.length % 97) * 11;
    for (let at = 0; at < input.length; at += chunkBytes) decoder.push(input.subarray(at, at + chunkBytes));
    return { kind: kinds.join('|'), value: seen };
  }
}

const kindOf = (value: unknown): string =>
  typeof value === 'object' && value !== null ? Object.keys(value).slice(0, 8).join() : typeof value;

function payloadOf(type: number, random: Random): Buffer {
  if (type === FRAME_HELLO)
    return encodeHello({
      clusterId: 'main',
      nodeId: random.nextBelow(4),
      role: pick(['query', 'storage'], random),
    });
  if (type === FRAME_CONTROL_REQUEST) return requestOf(random);
  if (type === FRAME_CONTROL_REPLY)
    return encodeControlPayload(
      oneIn(2, random)
        ? { code: 'FORESHARD_BEHIND', remedy: 'wait', message: 'm' }
        : { lsn: random.nextBelow(100), isEnd: false, loopLagMs: 1 },
      entriesOf(random),
    );
  return dataOf(type, random);
}

function requestOf(random: Random): Buffer {
  if (oneIn(4, random)) {
    const message = oneIn(2, random)
      ? pick(HOSTILE, random)
      : generous.pack({ operation: 'x', body: new Set([1, new Error('e')]) });
    const length = Buffer.alloc(4);
    length.writeUInt32LE(message.length);
    return Buffer.concat([length, message, Buffer.alloc(random.nextBelow(9))]);
  }
  const body = {
    partitionId: random.nextBelow(20),
    migrationId: random.nextBelow(3),
    epoch: 1,
    sourceNodeId: 0,
    targetNodeId: 1,
    snapshotId: 's',
    fromLsn: 0,
    cursor: null,
    bytesMax: 1024,
  };
  return encodeControlPayload({ operation: pick(OPERATIONS, random), body }, entriesOf(random));
}

const entriesOf = (random: Random): Buffer =>
  encodeEntries(
    Array.from({ length: random.nextBelow(4) }, (_, i) => ({
      key: Buffer.from(`k${i}`),
      value: Buffer.alloc(random.nextBelow(30), 1),
    })),
  );

/** One request or reply with a field of arguments, by docs/protocol.md. */
function dataOf(type: number, random: Random): Buffer {
  const words = Array.from({ length: random.nextBelow(4) }, () => Buffer.alloc(random.nextBelow(20), 0x61));
  const body = Buffer.concat(words.flatMap((word) => [lengthOf(word), word]));
  if (type === FRAME_DATA_REPLY) {
    const header = Buffer.alloc(24);
    header.writeUInt32LE(body.length, 12);
    return Buffer.concat([header, body]);
  }
  const header = Buffer.alloc(28);
  header[6] = random.nextBelow(60);
  header.writeUInt32LE(body.length, 12);
  header.writeUInt16LE(words.length, 24);
  return Buffer.concat([header, body]);
}

function lengthOf(word: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(word.length);
  return length;
}

/** A control message as a tree where it is one, everything else as bytes. */
function mutatePayload(type: number, payload: Buffer, random: Random): Buffer {
  if (type < FRAME_CONTROL_REQUEST || oneIn(2, random)) return mutateBytes(payload, random);
  try {
    const { message, bulk } = decodeControlPayload(payload);
    const changed = generous.pack(mutateTree(message, random));
    return Buffer.concat([lengthOf(changed), changed, bulk]);
  } catch {
    return mutateBytes(payload, random);
  }
}

function read(type: number, flags: number, payload: Buffer): unknown {
  if (type === FRAME_HELLO)
    return (flags & 1) === 0 ? parseHello(payload) : errorFromMessage(decodeMessage(payload));
  if (type === FRAME_DATA_REQUEST) return readRequests(payload);
  if (type === FRAME_DATA_REPLY) return readReplies(payload);
  const { message, bulk } = decodeControlPayload(payload);
  // What reaches a handler is plain: it can be printed.
  JSON.stringify(message);
  if (type === FRAME_CONTROL_REPLY) {
    if ((flags & 1) !== 0) return errorFromMessage(message);
    return [message, decodeEntries(bulk)];
  }
  const { operation, body } = message;
  if (typeof operation !== 'string' || !isMigrationOperation(operation)) return message;
  return parseBody(REQUESTS[operation] as never, operation, body);
}

function readRequests(payload: Buffer): unknown {
  const reader = new DataRequestReader();
  const found: string[] = [];
  reader.open(payload);
  while (reader.next()) {
    for (let i = 0; i < reader.argumentCount; i++)
      if (!(reader.starts[i] <= reader.ends[i] && reader.ends[i] <= payload.length))
        throw new Error(`argument ${i} is bytes ${reader.starts[i]}..${reader.ends[i]} of ${payload.length}`);
    found.push(`${reader.commandIndex}`);
  }
  return found;
}

function readReplies(payload: Buffer): unknown {
  const reader = new DataReplyReader();
  const found: number[] = [];
  reader.open(payload);
  while (reader.next()) {
    if (reader.replyEnd > payload.length)
      throw new Error(`a reply ends at ${reader.replyEnd} of ${payload.length}`);
    found.push(reader.status);
  }
  return found;
}

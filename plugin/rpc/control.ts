import { Packr } from 'msgpackr';
import { type ErrorCode, ForeshardError, type Remedy } from '../../src/base/errors.ts';
import { CONTROL_BULK_BYTES_MAX, CONTROL_MESSAGE_BYTES_MAX, corrupt } from './frames.ts';

/**
 * Control messages are MessagePack, but msgpackr alone is too trusting with strangers' bytes: whatever the options, it decodes
 * records, Error, RegExp and Set extensions, any depth, and megabytes of empty maps. So every message is first walked over
 * here, without recursion and without allocating, and only plain trees of limited size reach the decoder.
 */
const CONTROL_DEPTH_MAX = 16;
const CONTROL_ITEMS_MAX = 50_000;
/**
 * What a decoded message may weigh in the heap: so many times its bytes, beside a sum that every message may. An empty map is
 * one byte on the wire and 56 in V8; 50,000 of them would be forty times the message.
 */
const CONTROL_HEAP_PER_BYTE_MAX = 8;
const CONTROL_HEAP_FIXED = 64 * 1024;
// What V8 takes, with compressed pointers off: an object with four slots in it, then one more for each property and, from
// some number on, its place in a dictionary; an array and its elements; a string or a number that is no small integer.
const MAP_BYTES = 56;
const PAIR_BYTES = 24;
const ARRAY_BYTES = 32;
const ELEMENT_BYTES = 8;
const LEAF_BYTES = 16;

const packr = new Packr({
  useRecords: false,
  moreTypes: false,
  structuredClone: false,
  encodeUndefinedAsNil: true,
  int64AsType: 'number',
});

/**
 * Walks one MessagePack value that must fill the bytes exactly.
 *
 * @throws ForeshardError FORESHARD_CORRUPT on extension types, depth, item or heap limits, keys that are not strings, bytes missing or left over.
 */
export function assertPlainMessage(bytes: Uint8Array): void {
  const remaining = new Int32Array(CONTROL_DEPTH_MAX + 1);
  const isMap = new Uint8Array(CONTROL_DEPTH_MAX + 1);
  let depth = 0;
  let items = 0;
  let offset = 0;
  let heapBytes = 0;
  const heapBytesMax = CONTROL_HEAP_FIXED + CONTROL_HEAP_PER_BYTE_MAX * bytes.length;
  remaining[0] = 1;

  const readLength = (width: number): number => {
    if (offset + width > bytes.length) throw corrupt('a control message ends inside a length');
    let value = 0;
    for (let i = 0; i < width; i++) value = value * 256 + bytes[offset + i];
    offset += width;
    return value;
  };

  for (;;) {
    while (depth > 0 && remaining[depth] === 0) depth--;
    if (remaining[depth] === 0) break;
    const isKey = isMap[depth] === 1 && (remaining[depth] & 1) === 0;
    remaining[depth]--;
    if (++items > CONTROL_ITEMS_MAX)
      throw corrupt(`a control message of more than ${CONTROL_ITEMS_MAX} items`);
    if (offset >= bytes.length) throw corrupt('a control message ends too early');
    const tag = bytes[offset++];
    let skip = 0;
    let children = -1;
    let opensMap = false;
    let isString = false;
    if (tag <= 0x7f || tag >= 0xe0) skip = 0;
    else if (tag <= 0x8f) {
      children = tag & 0x0f;
      opensMap = true;
    } else if (tag <= 0x9f) children = tag & 0x0f;
    else if (tag <= 0xbf) {
      skip = tag & 0x1f;
      isString = true;
    } else if (tag === 0xc0 || tag === 0xc2 || tag === 0xc3) skip = 0;
    else if (tag >= 0xc4 && tag <= 0xc6) skip = readLength(1 << (tag - 0xc4));
    else if (tag === 0xca) skip = 4;
    else if (tag === 0xcb) skip = 8;
    else if (tag >= 0xcc && tag <= 0xcf) skip = 1 << (tag - 0xcc);
    else if (tag >= 0xd0 && tag <= 0xd3) skip = 1 << (tag - 0xd0);
    else if (tag >= 0xd9 && tag <= 0xdb) {
      skip = readLength(1 << (tag - 0xd9));
      isString = true;
    } else if (tag === 0xdc || tag === 0xdd) children = readLength(tag === 0xdc ? 2 : 4);
    else if (tag === 0xde || tag === 0xdf) {
      children = readLength(tag === 0xde ? 2 : 4);
      opensMap = true;
    } else
      throw corrupt(`a control message with MessagePack type 0x${tag.toString(16)}, which is not plain data`);
    if (isKey && !isString) throw corrupt('a control message with a map key that is not a string');
    if (children >= 0) {
      const count = opensMap ? children * 2 : children;
      if (count > CONTROL_ITEMS_MAX - items)
        throw corrupt(`a control message of more than ${CONTROL_ITEMS_MAX} items`);
      if (depth === CONTROL_DEPTH_MAX) throw corrupt(`a control message deeper than ${CONTROL_DEPTH_MAX}`);
      heapBytes += opensMap ? MAP_BYTES + PAIR_BYTES * children : ARRAY_BYTES + ELEMENT_BYTES * children;
      if (heapBytes > heapBytesMax)
        throw corrupt(
          `a control message of ${bytes.length} bytes that would be more than ${heapBytesMax} in memory`,
        );
      depth++;
      remaining[depth] = count;
      isMap[depth] = opensMap ? 1 : 0;
    } else {
      if (skip > bytes.length - offset) throw corrupt('a control message ends inside a value');
      offset += skip;
      if (skip > 0 && !isKey) heapBytes += LEAF_BYTES + skip;
    }
  }
  if (offset !== bytes.length)
    throw corrupt(`a control message with ${bytes.length - offset} bytes left over`);
}

/** @throws ForeshardError FORESHARD_LIMIT when what *we* want to send is not plain, or too large: split it, or use the bulk. */
export function encodeMessage(message: Record<string, unknown>, bytesMax: number): Buffer {
  const bytes = packr.pack(message);
  if (bytes.length > bytesMax)
    throw new ForeshardError(
      'FORESHARD_LIMIT',
      'report',
      `a control message of ${bytes.length} bytes, the limit is ${bytesMax}: raw bytes belong into the bulk`,
    );
  try {
    assertPlainMessage(bytes);
  } catch (error) {
    throw new ForeshardError('FORESHARD_LIMIT', 'report', `cannot send: ${(error as Error).message}`, {
      cause: error,
    });
  }
  return bytes;
}

/** @throws ForeshardError FORESHARD_CORRUPT unless a plain map within the limits. */
export function decodeMessage(bytes: Buffer): Record<string, unknown> {
  assertPlainMessage(bytes);
  // A copy: msgpackr may hand out views of its input, which would pin the whole chunk.
  const message: unknown = packr.unpack(Buffer.from(bytes));
  if (
    typeof message !== 'object' ||
    message === null ||
    Array.isArray(message) ||
    ArrayBuffer.isView(message)
  )
    throw corrupt('a control message that is not a map');
  return message as Record<string, unknown>;
}

/** Payload of a control frame: u32 message length, message, bulk. */
export function encodeControlPayload(message: Record<string, unknown>, bulk?: Uint8Array): Buffer {
  const encoded = encodeMessage(message, CONTROL_MESSAGE_BYTES_MAX);
  const bulkBytes = bulk?.length ?? 0;
  if (bulkBytes > CONTROL_BULK_BYTES_MAX)
    throw new ForeshardError(
      'FORESHARD_LIMIT',
      'report',
      `a bulk of ${bulkBytes} bytes, the limit is ${CONTROL_BULK_BYTES_MAX}`,
    );
  const payload = Buffer.allocUnsafe(4 + encoded.length + bulkBytes);
  payload.writeUInt32LE(encoded.length, 0);
  payload.set(encoded, 4);
  if (bulk !== undefined) payload.set(bulk, 4 + encoded.length);
  return payload;
}

export interface ControlPayload {
  readonly message: Record<string, unknown>;
  /** Shares memory with the frame. Empty where none was sent. */
  readonly bulk: Buffer;
}

export function decodeControlPayload(payload: Buffer): ControlPayload {
  if (payload.length < 4) throw corrupt('a control frame without a message length');
  const messageBytes = payload.readUInt32LE(0);
  if (messageBytes > CONTROL_MESSAGE_BYTES_MAX || messageBytes > payload.length - 4)
    throw corrupt(`a control message length of ${messageBytes} in a frame of ${payload.length} bytes`);
  return {
    message: decodeMessage(payload.subarray(4, 4 + messageBytes)),
    bulk: payload.subarray(4 + messageBytes),
  };
}

const ERROR_TEXT_MAX = 2000;

/** What travels of an error. Anything but a ForeshardError is our own bug over there, and says so. */
export function errorToMessage(error: unknown): Record<string, unknown> {
  const text = (error instanceof Error ? error.message : String(error)).slice(0, ERROR_TEXT_MAX);
  if (error instanceof ForeshardError) return { code: error.code, remedy: error.remedy, message: text };
  return { code: 'FORESHARD_UNAVAILABLE', remedy: 'report', message: `internal error of the peer: ${text}` };
}

export function errorFromMessage(message: Record<string, unknown>): ForeshardError {
  const code = typeof message.code === 'string' ? message.code : 'FORESHARD_UNAVAILABLE';
  const remedy = typeof message.remedy === 'string' ? message.remedy : 'report';
  return new ForeshardError(
    code as ErrorCode,
    remedy as Remedy,
    String(message.message ?? 'the peer gave no reason'),
  );
}

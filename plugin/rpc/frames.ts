import { ForeshardError } from '../../src/base/errors.ts';
import { crc32 } from './crc32.ts';

/** The frame of docs/protocol.md: 24 bytes of header, then the payload. */
export const FRAME_HEADER_BYTES = 24;
export const FRAME_VERSION = 1;

export const FRAME_HELLO = 1;
export const FRAME_DATA_REQUEST = 2;
export const FRAME_DATA_REPLY = 3;
export const FRAME_CONTROL_REQUEST = 4;
export const FRAME_CONTROL_REPLY = 5;
const FRAME_TYPE_COUNT = 6;

/** The reply, or the answer to a hello, is an error: {code, remedy, message}. */
export const FRAME_FLAG_ERROR = 1;

export const HELLO_BYTES_MAX = 4096;
export const CONTROL_MESSAGE_BYTES_MAX = 64 * 1024;
export const CONTROL_BULK_BYTES_MAX = 4 * 1024 * 1024;
/** u32 message length, message, bulk. */
const CONTROL_PAYLOAD_BYTES_MAX = 4 + CONTROL_MESSAGE_BYTES_MAX + CONTROL_BULK_BYTES_MAX;
export const DATA_PAYLOAD_BYTES_MAX = 16 * 1024 * 1024;

/** Most payload bytes each type may have; 0 where the type is not welcome (yet). */
export type FrameLimits = Readonly<Record<1 | 2 | 3 | 4 | 5, number>>;

const NOTHING = { 1: 0, 2: 0, 3: 0, 4: 0, 5: 0 } as const;
/** Before the handshake nothing but a hello. */
export const HANDSHAKE_LIMITS: FrameLimits = { ...NOTHING, [FRAME_HELLO]: HELLO_BYTES_MAX };
/** What a server takes after the handshake. */
export const SERVER_LIMITS: FrameLimits = {
  ...NOTHING,
  [FRAME_DATA_REQUEST]: DATA_PAYLOAD_BYTES_MAX,
  [FRAME_CONTROL_REQUEST]: CONTROL_PAYLOAD_BYTES_MAX,
};
/** What a client takes after the handshake. */
export const CLIENT_LIMITS: FrameLimits = {
  ...NOTHING,
  [FRAME_DATA_REPLY]: DATA_PAYLOAD_BYTES_MAX,
  [FRAME_CONTROL_REPLY]: CONTROL_PAYLOAD_BYTES_MAX,
};

export function corrupt(message: string): ForeshardError {
  return new ForeshardError('FORESHARD_CORRUPT', 'retry', message);
}

/** Fills in the header before a payload that already stands at `start + FRAME_HEADER_BYTES`. */
export function sealFrame(
  buffer: Buffer,
  start: number,
  payloadBytes: number,
  header: { readonly type: number; readonly flags?: number; readonly correlation?: number },
): void {
  const payloadStart = start + FRAME_HEADER_BYTES;
  buffer.writeUInt32LE(payloadBytes, start);
  buffer[start + 4] = FRAME_VERSION;
  buffer[start + 5] = header.type;
  buffer.writeUInt16LE(header.flags ?? 0, start + 6);
  buffer.writeUInt32LE(header.correlation ?? 0, start + 8);
  buffer.writeUInt32LE(0, start + 12);
  buffer.writeUInt32LE(crc32(buffer, payloadStart, payloadStart + payloadBytes), start + 16);
  buffer.writeUInt32LE(crc32(buffer, start, start + 20), start + 20);
}

/** One whole frame around a payload made elsewhere: hello and control, where a copy does not matter. */
export function encodeFrame(
  payload: Uint8Array,
  header: { readonly type: number; readonly flags?: number; readonly correlation?: number },
): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payload.length);
  frame.set(payload, FRAME_HEADER_BYTES);
  sealFrame(frame, 0, payload.length, header);
  return frame;
}

/** Where a stream of frames stands: between two, or within the header or the payload of one. */
export type FrameStage = 'between' | 'header' | 'payload';

/** @param payload shares memory with a chunk; valid for as long as it is referenced. */
export type OnFrame = (type: number, flags: number, correlation: number, payload: Buffer) => void;

/**
 * Cuts a byte stream into frames. A frame that lies within one chunk is handed on without a copy; one that spans chunks is
 * collected in a buffer of its exact size, made only after header checksum and limit were found right.
 */
export class FrameDecoder {
  /** Changed by the owner once the handshake is done. */
  limits: FrameLimits;
  readonly #onFrame: OnFrame;
  readonly #header = Buffer.alloc(FRAME_HEADER_BYTES);
  #headerBytes = 0;
  /** The payload being collected, null between frames. */
  #payload: Buffer | null = null;
  #payloadBytes = 0;
  #isStopped = false;

  constructor(limits: FrameLimits, onFrame: OnFrame) {
    this.limits = limits;
    this.#onFrame = onFrame;
  }

  get stage(): FrameStage {
    if (this.#payload !== null) return 'payload';
    return this.#headerBytes === 0 ? 'between' : 'header';
  }

  /** The owner has closed: hand over nothing more, not even frames of the chunk at hand. */
  stop(): void {
    this.#isStopped = true;
    this.#payload = null;
  }

  /** @throws ForeshardError FORESHARD_CORRUPT when a check fails: close the connection, the stream has lost its place. */
  push(chunk: Buffer): void {
    let offset = 0;
    while (offset < chunk.length && !this.#isStopped) {
      if (this.#payload !== null) offset = this.#collectPayload(chunk, offset);
      else if (this.#headerBytes === 0 && chunk.length - offset >= FRAME_HEADER_BYTES)
        offset = this.#openFrame(chunk, offset, chunk, offset + FRAME_HEADER_BYTES);
      else offset = this.#collectHeader(chunk, offset);
    }
  }

  #collectHeader(chunk: Buffer, offset: number): number {
    const taken = Math.min(FRAME_HEADER_BYTES - this.#headerBytes, chunk.length - offset);
    chunk.copy(this.#header, this.#headerBytes, offset, offset + taken);
    this.#headerBytes += taken;
    if (this.#headerBytes < FRAME_HEADER_BYTES) return offset + taken;
    this.#headerBytes = 0;
    return this.#openFrame(this.#header, 0, chunk, offset + taken);
  }

  /** Checks the header, then hands over or begins to collect what follows it at `offset`. */
  #openFrame(header: Buffer, headerStart: number, chunk: Buffer, offset: number): number {
    const payloadBytes = header.readUInt32LE(headerStart);
    const type = header[headerStart + 5];
    if (crc32(header, headerStart, headerStart + 20) !== header.readUInt32LE(headerStart + 20))
      throw corrupt('the checksum of a frame header does not match');
    if (header[headerStart + 4] !== FRAME_VERSION)
      throw corrupt(`a frame of version ${header[headerStart + 4]}, this node speaks ${FRAME_VERSION}`);
    if (type < 1 || type >= FRAME_TYPE_COUNT) throw corrupt(`a frame of unknown type ${type}`);
    const limit = this.limits[type as keyof FrameLimits];
    if (limit === 0) throw corrupt(`a frame of type ${type} is not expected here`);
    if (payloadBytes > limit)
      throw corrupt(`a frame of type ${type} with ${payloadBytes} bytes, the limit is ${limit}`);
    if (chunk.length - offset >= payloadBytes) {
      this.#deliver(header, headerStart, chunk.subarray(offset, offset + payloadBytes));
      return offset + payloadBytes;
    }
    if (header !== this.#header) header.copy(this.#header, 0, headerStart, headerStart + FRAME_HEADER_BYTES);
    this.#payload = Buffer.allocUnsafeSlow(payloadBytes);
    this.#payloadBytes = 0;
    return this.#collectPayload(chunk, offset);
  }

  #collectPayload(chunk: Buffer, offset: number): number {
    const payload = this.#payload as Buffer;
    const taken = Math.min(payload.length - this.#payloadBytes, chunk.length - offset);
    chunk.copy(payload, this.#payloadBytes, offset, offset + taken);
    this.#payloadBytes += taken;
    if (this.#payloadBytes === payload.length) {
      this.#payload = null;
      this.#deliver(this.#header, 0, payload);
    }
    return offset + taken;
  }

  #deliver(header: Buffer, headerStart: number, payload: Buffer): void {
    if (crc32(payload, 0, payload.length) !== header.readUInt32LE(headerStart + 16))
      throw corrupt('the checksum of a frame payload does not match');
    this.#onFrame(
      header[headerStart + 5],
      header.readUInt16LE(headerStart + 6),
      header.readUInt32LE(headerStart + 8),
      payload,
    );
  }
}

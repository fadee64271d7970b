import { assert } from '../../src/base/assert.ts';
import { copyBytes, RespWriter } from '../resp/writer.ts';
import {
  corrupt,
  DATA_PAYLOAD_BYTES_MAX,
  FRAME_DATA_REPLY,
  FRAME_DATA_REQUEST,
  FRAME_HEADER_BYTES,
  sealFrame,
} from './frames.ts';

/** Data requests and replies of docs/protocol.md, many to a frame, read and written in place. */
export const REQUEST_HEADER_BYTES = 28;
const REPLY_HEADER_BYTES = 24;

export const REQUEST_FLAG_RESP3 = 1;
export const REQUEST_FLAG_COPY = 2;

export const STATUS_OK = 0;
export const STATUS_NOT_OWNER = 1;
export const STATUS_BEHIND = 3;
export const STATUS_UNAVAILABLE = 4;

/** Room for requests of one frame; one that is larger gets a buffer of its own size. */
const SLAB_BYTES = 64 * 1024;
/** A frame this large is closed, so that the peer can begin on it. */
const FRAME_BYTES_SOFT_MAX = 256 * 1024;
/** Of one entry: what a data frame may hold. */
const ENTRY_BYTES_MAX = DATA_PAYLOAD_BYTES_MAX;

/**
 * A cursor over the requests of one payload. One object serves every frame: nothing is allocated a request.
 *
 * ```ts
 * reader.open(payload);
 * while (reader.next()) dispatch(reader.commandIndex, reader.payload, reader.starts, reader.ends, reader.argumentCount);
 * ```
 */
export class DataRequestReader {
  payload: Buffer = Buffer.alloc(0);
  requestId = 0;
  partitionId = 0;
  commandIndex = 0;
  isResp3 = false;
  /** A copy may answer, if it has applied `minLsn`. */
  isCopyRead = false;
  epoch = 0;
  minLsn = 0;
  /** Of a read at a copy: which migration's, see `migrationMark`. */
  migrationMark = 0;
  argumentCount = 0;
  /** Argument i is bytes starts[i]..ends[i] of `payload`; entries from argumentCount on are old. */
  starts = new Int32Array(16);
  ends = new Int32Array(16);
  #view = new DataView(this.payload.buffer);
  #offset = 0;

  open(payload: Buffer): void {
    this.payload = payload;
    this.#view = new DataView(payload.buffer, payload.byteOffset, payload.length);
    this.#offset = 0;
  }

  /** Where the next request begins: before and after `next`, so that a request can be kept as it came. */
  get offset(): number {
    return this.#offset;
  }

  /** @throws ForeshardError FORESHARD_CORRUPT when lengths do not add up: the server closes the connection. */
  next(): boolean {
    const view = this.#view;
    const start = this.#offset;
    if (start === view.byteLength) return false;
    if (view.byteLength - start < REQUEST_HEADER_BYTES)
      throw corrupt('a data request ends inside its header');
    this.requestId = view.getUint32(start, true);
    this.partitionId = view.getUint16(start + 4, true);
    this.commandIndex = view.getUint8(start + 6);
    const flags = view.getUint8(start + 7);
    this.isResp3 = (flags & REQUEST_FLAG_RESP3) !== 0;
    this.isCopyRead = (flags & REQUEST_FLAG_COPY) !== 0;
    this.epoch = view.getUint32(start + 8, true);
    const argumentBytes = view.getUint32(start + 12, true);
    this.minLsn = view.getFloat64(start + 16, true);
    const count = view.getUint16(start + 24, true);
    this.migrationMark = view.getUint16(start + 26, true);
    let offset = start + REQUEST_HEADER_BYTES;
    const end = offset + argumentBytes;
    if (end > view.byteLength) throw corrupt('a data request is longer than its frame');
    if (count > this.starts.length) this.#growArguments(count);
    for (let i = 0; i < count; i++) {
      if (end - offset < 4) throw corrupt('a data request ends inside an argument length');
      const size = view.getUint32(offset, true);
      offset += 4;
      if (size > end - offset) throw corrupt('an argument is longer than its data request');
      this.starts[i] = offset;
      offset += size;
      this.ends[i] = offset;
    }
    if (offset !== end) throw corrupt('a data request has bytes left over');
    this.argumentCount = count;
    this.#offset = end;
    return true;
  }

  #growArguments(count: number): void {
    this.starts = new Int32Array(count * 2);
    this.ends = new Int32Array(count * 2);
  }
}

/**
 * Appends entries to data frames in a slab that later frames go on using, so that a small batch costs no allocation.
 * Sealed bytes are never touched again: they may be referenced for as long as somebody needs them.
 */
class FrameBatch extends RespWriter {
  readonly #type: number;
  readonly #onPending: () => void;
  #frameStart = 0;
  #sealed: Buffer[] = [];
  #sealedBytes = 0;
  #isPending = false;
  view: DataView;
  protected entryStart = 0;

  /** @param onPending called once when the first entry comes after a take: the moment to schedule a flush. */
  constructor(type: number, onPending: () => void) {
    super(0);
    this.#type = type;
    this.#onPending = onPending;
    this.view = new DataView(this.buffer.buffer);
    this.#openSlab(SLAB_BYTES);
  }

  #openSlab(bytes: number): void {
    this.buffer = Buffer.allocUnsafeSlow(bytes);
    this.view = new DataView(this.buffer.buffer, this.buffer.byteOffset, this.buffer.length);
    this.#frameStart = 0;
    this.length = FRAME_HEADER_BYTES;
  }

  protected openEntry(bytesMin: number): void {
    this.entryStart = this.length;
    this.reserve(bytesMin);
  }

  protected closeEntry(): void {
    if (!this.#isPending) {
      this.#isPending = true;
      this.#onPending();
    }
    if (this.length - this.#frameStart >= FRAME_BYTES_SOFT_MAX) this.#seal(this.length);
  }

  /** On overflow the frame is sealed before the open entry, and the entry moves to a new slab. */
  override reserve(bytes: number): void {
    if (this.length + bytes <= this.buffer.length) return;
    const { buffer, entryStart, length } = this;
    const entryBytes = length - entryStart;
    this.#seal(entryStart);
    this.#openSlab(
      Math.max(SLAB_BYTES, FRAME_HEADER_BYTES + (entryBytes + bytes) * (entryBytes > 0 ? 2 : 1)),
    );
    this.entryStart = this.length;
    buffer.copy(this.buffer, this.length, entryStart, length);
    this.length += entryBytes;
  }

  #seal(end: number): void {
    const payloadBytes = end - this.#frameStart - FRAME_HEADER_BYTES;
    if (payloadBytes <= 0) return;
    assert(payloadBytes <= DATA_PAYLOAD_BYTES_MAX, 'a data frame stays within its limit');
    sealFrame(this.buffer, this.#frameStart, payloadBytes, { type: this.#type });
    this.#sealed.push(this.buffer.subarray(this.#frameStart, end));
    this.#sealedBytes += end - this.#frameStart;
    this.#frameStart = end;
    this.length = end + FRAME_HEADER_BYTES;
    if (this.length > this.buffer.length) this.#openSlab(SLAB_BYTES);
  }

  /** Bytes written since the last take. */
  get untakenBytes(): number {
    return this.#sealedBytes + this.length - this.#frameStart;
  }

  /** The frames since the last take, ready to be written. */
  takeFrames(): Buffer[] {
    if (!this.#isPending) return [];
    this.#seal(this.length);
    const frames = this.#sealed;
    this.#sealed = [];
    this.#sealedBytes = 0;
    this.#isPending = false;
    return frames;
  }
}

/** As much of a migration's id as a request has room for: enough to tell one from those just before and after it. */
export const migrationMark = (migrationId: number): number => migrationId & 0xffff;

export interface CopyRequest {
  readonly requestId: number;
  readonly isResp3: boolean;
  readonly epoch: number;
  readonly minLsn: number;
  readonly migrationId: number;
}

/** Writes requests. After `end`, bytes `requestStart..length` of `buffer` are the request, for sending it again elsewhere. */
export class DataRequestBatch extends FrameBatch {
  constructor(onPending: () => void) {
    super(FRAME_DATA_REQUEST, onPending);
  }

  get requestStart(): number {
    return this.entryStart;
  }

  /** @param argumentBytes sum of 4 + length over all arguments that follow; REQUEST_HEADER_BYTES + argumentBytes <= ENTRY_BYTES_MAX. */
  begin(
    requestId: number,
    partitionId: number,
    commandIndex: number,
    flags: number,
    epoch: number,
    minLsn: number,
    argumentCount: number,
    argumentBytes: number,
    mark = 0,
  ): void {
    this.openEntry(REQUEST_HEADER_BYTES + argumentBytes);
    const { view, length } = this;
    view.setUint32(length, requestId, true);
    view.setUint16(length + 4, partitionId, true);
    view.setUint8(length + 6, commandIndex);
    view.setUint8(length + 7, flags);
    view.setUint32(length + 8, epoch, true);
    view.setUint32(length + 12, argumentBytes, true);
    view.setFloat64(length + 16, minLsn, true);
    view.setUint16(length + 24, argumentCount, true);
    view.setUint16(length + 26, mark, true);
    this.length = length + REQUEST_HEADER_BYTES;
  }

  argument(bytes: Uint8Array, start: number, end: number): void {
    this.view.setUint32(this.length, end - start, true);
    copyBytes(this.buffer, this.length + 4, bytes, start, end);
    this.length += 4 + end - start;
  }

  end(): void {
    this.closeEntry();
  }

  /** Sends a request to a copy, under an id of its own: its answer may come after the owner's. */
  sendToCopy(
    source: Buffer,
    start: number,
    end: number,
    { requestId, isResp3, epoch, minLsn, migrationId }: CopyRequest,
  ): void {
    const flags = REQUEST_FLAG_COPY | (isResp3 ? REQUEST_FLAG_RESP3 : 0);
    this.openEntry(end - start);
    const { view, length } = this;
    copyBytes(this.buffer, length, source, start, end);
    view.setUint32(length, requestId, true);
    view.setUint8(length + 7, flags);
    view.setUint32(length + 8, epoch, true);
    view.setFloat64(length + 16, minLsn, true);
    view.setUint16(length + 26, migrationMark(migrationId), true);
    this.length = length + end - start;
    this.closeEntry();
  }

  /** Sends a request again, byte for byte but for what depends on where it goes. */
  resend(source: Buffer, start: number, end: number, flags: number, epoch: number, minLsn: number): void {
    this.openEntry(end - start);
    const { view, length } = this;
    copyBytes(this.buffer, length, source, start, end);
    view.setUint8(length + 7, flags);
    view.setUint32(length + 8, epoch, true);
    view.setFloat64(length + 16, minLsn, true);
    this.length = length + end - start;
    this.closeEntry();
  }
}

/** Writes replies: `begin`, any RESP, `end`. */
export class DataReplyBatch extends FrameBatch {
  constructor(onPending: () => void) {
    super(FRAME_DATA_REPLY, onPending);
  }

  begin(requestId: number, status: number, epoch: number, lsn: number): void {
    this.openEntry(REPLY_HEADER_BYTES);
    const { view, length } = this;
    view.setUint32(length, requestId, true);
    view.setUint32(length + 4, status, true); // status and three reserved bytes
    view.setUint32(length + 8, epoch, true);
    view.setUint32(length + 12, 0, true);
    view.setFloat64(length + 16, lsn, true);
    this.length = length + REPLY_HEADER_BYTES;
  }

  /** Forgets what was written of the open reply, to write an error in its place. */
  rewind(): void {
    this.length = this.entryStart + REPLY_HEADER_BYTES;
  }

  /** Says the lsn of the open reply anew: a write knows it only when it is done. */
  setLsn(lsn: number): void {
    this.view.setFloat64(this.entryStart + 16, lsn, true);
  }

  end(): void {
    if (this.length - this.entryStart > ENTRY_BYTES_MAX) {
      this.length = this.entryStart + REPLY_HEADER_BYTES;
      this.error(
        `ERR the reply is larger than ${ENTRY_BYTES_MAX - REPLY_HEADER_BYTES} bytes; ask for less at a time`,
      );
    }
    this.view.setUint32(this.entryStart + 12, this.length - this.entryStart - REPLY_HEADER_BYTES, true);
    this.closeEntry();
  }
}

/** A cursor over the replies of one payload. */
export class DataReplyReader {
  payload: Buffer = Buffer.alloc(0);
  requestId = 0;
  status = 0;
  epoch = 0;
  lsn = 0;
  /** The RESP reply is bytes replyStart..replyEnd of `payload`. */
  replyStart = 0;
  replyEnd = 0;
  #view = new DataView(this.payload.buffer);

  open(payload: Buffer): void {
    this.payload = payload;
    this.#view = new DataView(payload.buffer, payload.byteOffset, payload.length);
    this.replyEnd = 0;
  }

  /** @throws ForeshardError FORESHARD_CORRUPT when lengths do not add up. */
  next(): boolean {
    const view = this.#view;
    const start = this.replyEnd;
    if (start === view.byteLength) return false;
    if (view.byteLength - start < REPLY_HEADER_BYTES) throw corrupt('a data reply ends inside its header');
    this.requestId = view.getUint32(start, true);
    this.status = view.getUint8(start + 4);
    this.epoch = view.getUint32(start + 8, true);
    const replyBytes = view.getUint32(start + 12, true);
    this.lsn = view.getFloat64(start + 16, true);
    this.replyStart = start + REPLY_HEADER_BYTES;
    if (replyBytes > view.byteLength - this.replyStart)
      throw corrupt('a data reply is longer than its frame');
    this.replyEnd = this.replyStart + replyBytes;
    return true;
  }
}

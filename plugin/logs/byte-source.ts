import { createReadStream, statSync } from 'node:fs';
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { Decompress } from 'fzstd';
import { ForeshardError } from '../../src/base/errors.ts';

export type Compression = 'none' | 'gzip' | 'zstd';

/** Large enough that the loop over chunks costs nothing, small enough that a few of them are nothing. */
const CHUNK_BYTES = 256 * 1024;
/** fzstd calls itself for every frame of a chunk; a chunk of this size cannot hold enough of them to overflow the stack. */
const ZSTD_CHUNK_BYTES = 16 * 1024;
/** What the zstd tool itself takes without being asked. */
const ZSTD_WINDOW_BYTES_MAX = 128 * 1024 * 1024;
const MAGIC_BYTES = 6;

/** Packed formats that are recognised only to say what to do. */
const FOREIGN_MAGIC: readonly (readonly [hex: string, name: string])[] = [
  ['425a68', 'bzip2: unpack it with bunzip2 first, or pipe it: bzcat FILE | foreshard … -'],
  ['fd377a585a', 'xz: unpack it with unxz first, or pipe it: xzcat FILE | foreshard … -'],
  ['04224d18', 'lz4: unpack it first, or pipe it: lz4 -dc FILE | foreshard … -'],
  ['504b0304', 'a zip archive: unpack it first'],
  ['50415231', 'Parquet: write it as CSV first'],
];

/** The bytes of a file or stream, unpacked, and what of it has been read so far. */
export class ByteSource {
  readonly name: string;
  /** Size of the file; null where there is none to ask. */
  readonly bytesTotal: number | null;
  readonly #input: AsyncIterable<Uint8Array>;
  #bytesRead = 0;
  #compression: Compression = 'none';

  /** @throws ForeshardError FORESHARD_CONFIG where the file is not there or is none. */
  constructor(from: string | AsyncIterable<Uint8Array>, name = typeof from === 'string' ? from : 'input') {
    this.name = name;
    if (typeof from === 'string') {
      this.bytesTotal = sizeOf(from);
      this.#input = createReadStream(from, { highWaterMark: CHUNK_BYTES });
    } else {
      this.bytesTotal = null;
      this.#input = from;
    }
  }

  /** As the file has them, packed or not. */
  get bytesRead(): number {
    return this.#bytesRead;
  }

  /** Known once the first chunk has come. */
  get compression(): Compression {
    return this.#compression;
  }

  /** Unpacked chunks; the next is made when it is asked for. @throws ForeshardError FORESHARD_CORRUPT, FORESHARD_UNAVAILABLE. */
  async *chunks(): AsyncGenerator<Buffer> {
    const input = this.#counted();
    const { head, isEnd } = await readHead(input);
    this.#compression = compressionOf(head, this.name);
    const whole = startingWith(head, isEnd ? null : input);
    try {
      if (this.#compression === 'gzip') yield* gunzip(whole);
      else if (this.#compression === 'zstd') yield* unzstd(whole);
      else yield* whole;
    } catch (error) {
      throw this.#explained(error);
    } finally {
      // Somebody who stops early may do so before the rest was asked for at all.
      await input.return(undefined);
    }
  }

  async *#counted(): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of this.#input) {
        this.#bytesRead += chunk.length;
        yield Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
      }
    } catch (error) {
      const { message } = error as Error;
      throw new ForeshardError('FORESHARD_UNAVAILABLE', 'retry', `${this.name}: cannot be read: ${message}`, {
        cause: error,
      });
    }
  }

  #explained(error: unknown): ForeshardError {
    if (error instanceof ForeshardError) return error;
    const { message } = error as Error;
    return new ForeshardError(
      'FORESHARD_CORRUPT',
      're-read',
      `${this.name}: cannot be unpacked (${this.#compression}) near byte ${this.#bytesRead}: ${message}: it is cut off or damaged: copy it again, or unpack what can be with the format's own tool`,
      { cause: error },
    );
  }
}

/**
 * Of a file that is about to be read; null for a pipe or a device.
 *
 * @throws ForeshardError FORESHARD_CONFIG for what is not there, or is a folder.
 */
export function sizeOf(path: string): number | null {
  const refuse = (what: string): ForeshardError =>
    new ForeshardError('FORESHARD_CONFIG', 'fix-config', `${path}: ${what}`);
  try {
    const stat = statSync(path);
    if (stat.isDirectory()) throw refuse('is a folder: name a file');
    // Of a pipe or a device the size says nothing.
    return stat.isFile() ? stat.size : null;
  } catch (error) {
    if (error instanceof ForeshardError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    throw refuse(code === 'ENOENT' ? 'there is no such file' : `cannot be opened: ${message}`);
  }
}

async function readHead(input: AsyncGenerator<Buffer>): Promise<{ head: Buffer; isEnd: boolean }> {
  let head: Buffer = Buffer.alloc(0);
  while (head.length < MAGIC_BYTES) {
    const { done, value } = await input.next();
    if (done) return { head, isEnd: true };
    head = head.length === 0 ? value : Buffer.concat([head, value]);
  }
  return { head, isEnd: false };
}

async function* startingWith(head: Buffer, rest: AsyncGenerator<Buffer> | null): AsyncGenerator<Buffer> {
  yield head;
  if (rest !== null) yield* rest;
}

function compressionOf(head: Buffer, name: string): Compression {
  const hex = head.toString('hex', 0, MAGIC_BYTES);
  if (hex.startsWith('1f8b')) return 'gzip';
  // A frame, or a frame to skip: 184D2A5x, little-endian.
  if (hex.startsWith('28b52ffd') || /^5.2a4d18/.test(hex)) return 'zstd';
  const foreign = FOREIGN_MAGIC.find(([magic]) => hex.startsWith(magic));
  if (foreign !== undefined)
    throw new ForeshardError('FORESHARD_CORRUPT', 're-read', `${name}: is packed as ${foreign[1]}`);
  if (hex.startsWith('fffe') || hex.startsWith('feff'))
    throw new ForeshardError(
      'FORESHARD_CORRUPT',
      're-read',
      `${name}: is UTF-16: convert it to UTF-8 first, with iconv`,
    );
  return 'none';
}

async function* gunzip(input: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  // Members one after the other, as log rotation concatenates them, are one stream.
  const gunzipped = pipeline(Readable.from(input), createGunzip({ chunkSize: CHUNK_BYTES }), () => {
    // A fault of either end surfaces where the result is read.
  });
  for await (const chunk of gunzipped) yield chunk as Buffer;
}

async function* unzstd(input: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let unpacked: Buffer[] = [];
  const decompress = new Decompress((chunk) => {
    // Every block is in memory of its own, so it is handed on as it is.
    if (chunk.length > 0) unpacked.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length));
  });
  let isFirst = true;
  for await (const chunk of input) {
    if (isFirst) assertZstdWindow(chunk);
    isFirst = false;
    for (let at = 0; at < chunk.length; at += ZSTD_CHUNK_BYTES) {
      decompress.push(chunk.subarray(at, at + ZSTD_CHUNK_BYTES));
      yield* unpacked;
      unpacked = [];
    }
  }
  decompress.push(new Uint8Array(0), true);
  yield* unpacked;
}

/**
 * The decompressor holds one window; `zstd --long` may ask for 2 GiB of it.
 *
 * @see RFC 8878, 3.1.1.1.2 (window descriptor)
 */
function assertZstdWindow(frame: Buffer): void {
  const isSingleSegment = ((frame[4] ?? 0) & 0x20) !== 0;
  if (frame.readUInt32LE(0) !== 0xfd2fb528 || isSingleSegment) return;
  const descriptor = frame[5] ?? 0;
  const base = 2 ** (10 + (descriptor >> 3));
  const windowBytes = base + (base / 8) * (descriptor & 7);
  if (windowBytes > ZSTD_WINDOW_BYTES_MAX)
    throw new ForeshardError(
      'FORESHARD_LIMIT',
      'fix-config',
      `zstd: the file needs a window of ${windowBytes} bytes, at most ${ZSTD_WINDOW_BYTES_MAX} are given: pipe it: zstdcat --long=31 FILE | foreshard … -`,
    );
}

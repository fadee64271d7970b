import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { ByteSource } from '../../../plugin/logs/byte-source.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';
import { ZSTD_SAMPLE, zstdFrame, zstdRepeated, zstdSkippable } from '../../support/zstd.ts';

const test = suite('byte source');
const TEXT = Buffer.from('line of text\n'.repeat(20_000));

/** In pieces of odd sizes, as a network hands them over. */
async function* inPieces(bytes: Buffer, pieceBytes: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
}

async function unpacked(source: ByteSource): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of source.chunks()) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

async function failureOf(work: () => Promise<unknown> | unknown): Promise<ForeshardError> {
  try {
    await work();
  } catch (error) {
    check.instance(error, ForeshardError);
    return error as ForeshardError;
  }
  throw new Error('it must fail');
}

test('packing is found by the first bytes, whatever the pieces and the name are', async () => {
  const packed = [
    { compression: 'none', bytes: TEXT },
    { compression: 'gzip', bytes: gzipSync(TEXT) },
    {
      compression: 'gzip',
      bytes: Buffer.concat([gzipSync(TEXT.subarray(0, 999)), gzipSync(TEXT.subarray(999))]),
    },
    { compression: 'zstd', bytes: zstdFrame(TEXT) },
    {
      compression: 'zstd',
      bytes: Buffer.concat([
        zstdSkippable(Buffer.from('pzstd writes such')),
        zstdFrame(TEXT.subarray(0, 70_000)),
        zstdFrame(TEXT.subarray(70_000)),
      ]),
    },
  ];
  for (const { compression, bytes } of packed)
    for (const pieceBytes of [1_000, 65_537, bytes.length]) {
      const source = new ByteSource(inPieces(bytes, pieceBytes));
      check.ok((await unpacked(source)).equals(TEXT), `${compression} in pieces of ${pieceBytes}`);
      check.is(source.compression, compression);
      check.is(source.bytesRead, bytes.length);
    }
});

test('a frame that the zstd tool has packed is unpacked, byte by byte as well', async () => {
  for (const pieceBytes of [1, 700, 100_000]) {
    const lines = (await unpacked(new ByteSource(inPieces(ZSTD_SAMPLE, pieceBytes)))).toString().split('\n');
    check.is(lines.length, 301);
    check.is(lines[299], '{"time":1700000074750,"client":"app-5","query":"GET","key":"user:781"}');
  }
});

test('what is shorter than any magic is handed over as it is', async () => {
  for (const text of ['', 'a', 'ab\n'])
    check.is((await unpacked(new ByteSource(inPieces(Buffer.from(text), 1)))).toString(), text);
});

test('a file knows its size; one that is missing, or a folder, is refused at once', async () => {
  await withTemporaryFolder(async (folder) => {
    const path = join(folder, 'odd name.txt');
    writeFileSync(path, gzipSync(TEXT));
    const source = new ByteSource(path);
    check.is(source.bytesTotal, gzipSync(TEXT).length);
    check.ok((await unpacked(source)).equals(TEXT));
    const missing = await failureOf(() => new ByteSource(join(folder, 'nowhere')));
    check.is(missing.code, 'FORESHARD_CONFIG');
    check.match(missing.message, /nowhere: there is no such file/);
    mkdirSync(join(folder, 'd'));
    check.match((await failureOf(() => new ByteSource(join(folder, 'd')))).message, /is a folder/);
  });
});

test('packed bytes that are cut off or damaged are an error that says so', async () => {
  const damaged = Buffer.from(gzipSync(TEXT));
  damaged.fill(0x55, 200, 260);
  const cases = [
    gzipSync(TEXT).subarray(0, 300),
    damaged,
    zstdFrame(TEXT).subarray(0, 100_000),
    ZSTD_SAMPLE.subarray(0, 600),
    ZSTD_SAMPLE.subarray(0, ZSTD_SAMPLE.length - 2),
    Buffer.concat([zstdFrame(TEXT), Buffer.from('no frame at all, but long enough')]),
    zstdRepeated(0x41, 2 ** 21 - 1),
  ];
  for (const [index, bytes] of cases.entries()) {
    const { code, message } = await failureOf(() =>
      unpacked(new ByteSource(inPieces(bytes, 4_096), 'q.log')),
    );
    check.is(code, 'FORESHARD_CORRUPT', `case ${index}`);
    check.match(message, /q\.log: cannot be unpacked \((gzip|zstd)\) near byte \d+: .*cut off or damaged/s);
  }
});

test('other packings, UTF-16 and zstd with a huge window are named, with what to do', async () => {
  const cases: readonly [Buffer, RegExp][] = [
    [Buffer.from('BZh91AY&SY...'), /bzip2.*bzcat/],
    [Buffer.from('fd377a585a0000', 'hex'), /xz: unpack/],
    [Buffer.from('PAR1abcdefg'), /Parquet/],
    [Buffer.from('\ufefftime,client', 'utf16le'), /UTF-16.*iconv/],
    [zstdFrame(TEXT, { windowLog: 28 }), /window of 268435456 bytes.*zstdcat/],
  ];
  for (const [bytes, expected] of cases)
    check.match((await failureOf(() => unpacked(new ByteSource(inPieces(bytes, 1_000))))).message, expected);
});

test('a source that fails while it is read is unavailable, and names the cause', async () => {
  async function* failing(): AsyncGenerator<Buffer> {
    yield TEXT;
    throw new Error('EIO: i/o error');
  }
  const { code, message } = await failureOf(() => unpacked(new ByteSource(failing(), 'q.log')));
  check.is(code, 'FORESHARD_UNAVAILABLE');
  check.match(message, 'q.log: cannot be read: EIO: i/o error');
});

test.run();

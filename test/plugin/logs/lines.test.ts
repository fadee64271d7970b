import fc from 'fast-check';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { delimiterOf, splitFields } from '../../../plugin/logs/csv-fields.ts';
import { LineSplitter } from '../../../plugin/logs/lines.ts';
import { QuotedLines } from '../../../plugin/logs/quoted-lines.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('lines');
const seed = Number(testSeed('lines') % 2_147_483_647n);

function linesOf(chunks: readonly Buffer[], lineBytesMax = 1_000): (string | number)[][] {
  const found: (string | number)[][] = [];
  const splitter = new LineSplitter({ lineBytesMax, encoding: 'utf8' });
  const sink = {
    onLine: (text: string, line: number) => found.push([line, text]),
    onTooLong: (line: number, byteCount: number) => found.push([line, byteCount]),
  };
  for (const chunk of chunks) splitter.push(chunk, sink);
  splitter.end(sink);
  return found;
}

test('lines are the same however the bytes are cut into chunks', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: 'grapheme' }).map((text) => text.replace(/[\r\n]/g, ' '))),
      fc.constantFrom('\n', '\r\n'),
      fc.integer({ min: 1, max: 9 }),
      (texts, end, pieceBytes) => {
        const bytes = Buffer.from(texts.map((text) => text + end).join(''));
        const pieces: Buffer[] = [];
        for (let at = 0; at < bytes.length; at += pieceBytes)
          pieces.push(bytes.subarray(at, at + pieceBytes));
        check.equal(
          linesOf(pieces),
          texts.map((text, i) => [i + 1, text]),
        );
      },
    ),
    { seed, numRuns: 200 },
  );
});

test('a line beyond the limit is told with its size, and the next one is read', () => {
  const pieces = ['ab\n', 'x'.repeat(60), 'x'.repeat(60), 'x\nnext\n', 'y'.repeat(101)].map((text) =>
    Buffer.from(text),
  );
  check.equal(linesOf(pieces, 100), [
    [1, 'ab'],
    [2, 121],
    [3, 'next'],
    [4, 101],
  ]);
});

test('the size of a line is its own, wherever its chunks begin and end', () => {
  const pieces = [`ab\n${'x'.repeat(99)}`, `\n${'y'.repeat(60)}`, `${'y'.repeat(45)}\n`].map((text) =>
    Buffer.from(text),
  );
  check.equal(linesOf(pieces, 100), [
    [1, 'ab'],
    [2, 'x'.repeat(99)],
    [3, 105],
  ]);
});

test('the last line needs no end of line', () => {
  check.equal(linesOf([Buffer.from('a\nb')]), [
    [1, 'a'],
    [2, 'b'],
  ]);
  check.equal(linesOf([Buffer.from('a\n')]), [[1, 'a']]);
});

function recordsOf(lines: readonly string[], isStart?: (line: string) => boolean): [number, string][] {
  const found: [number, string][] = [];
  const quotedLines = new QuotedLines(
    { onLine: (text, line) => found.push([line, text]), onTooLong: (line) => found.push([line, 'too long']) },
    { recordBytesMax: 100, isStart },
  );
  for (const [i, text] of lines.entries()) quotedLines.onLine(text, i + 1);
  quotedLines.end();
  return found;
}

test('a quoted field may go over lines; its record has the number of the first', () => {
  check.equal(recordsOf(['a,b', 'c,"one', 'two ""2""', 'three",d', 'e,f']), [
    [1, 'a,b'],
    [2, 'c,"one\ntwo ""2""\nthree",d'],
    [5, 'e,f'],
  ]);
});

test('a quote that is never closed costs its own line only', () => {
  const rest = Array.from({ length: 30 }, (_, i) => `${i},fine`);
  const found = recordsOf(['1,"broken', ...rest]);
  check.equal(
    found.map(([, text]) => text),
    ['1,"broken', ...rest],
  );
  check.equal(recordsOf(['1,"broken', 'x,y']), [
    [1, '1,"broken'],
    [2, 'x,y'],
  ]);
});

test('a line that can only begin a record ends what is open', () => {
  const found = recordsOf(['#1,"broken', '#2,"fine', 'still fine"', '#3,x'], (line) => line.startsWith('#'));
  check.equal(found, [
    [1, '#1,"broken'],
    [2, '#2,"fine\nstill fine"'],
    [4, '#3,x'],
  ]);
});

test('fields that were written by the rules are read back', () => {
  const field = fc.string({ unit: fc.constantFrom('a', ',', '"', '\n', ' ', 'ü', ';') });
  fc.assert(
    fc.property(fc.array(field, { minLength: 1 }), (fields) => {
      const record = fields
        .map((text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text))
        .join(',');
      check.equal(splitFields(record, ','), fields);
    }),
    { seed, numRuns: 300 },
  );
});

test('quotes that do not match are told from fields', () => {
  for (const record of ['"a', 'a,"b', '"a"b,c', '"a""', ',"'])
    check.is(splitFields(record, ','), null, record);
  check.equal(splitFields('a"b,c', ','), ['a"b', 'c']);
  check.equal(splitFields('', ','), ['']);
});

test('the delimiter is the one that divides the header', () => {
  check.is(delimiterOf('time,client,query'), ',');
  check.is(delimiterOf('time;client;query'), ';');
  check.is(delimiterOf('time\tclient\t"a,b"'), '\t');
  check.is(delimiterOf('time'), ',');
});

test.run();

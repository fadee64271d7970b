import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { WindowSeries } from '../../../../src/analyzer/patterns/window-series.ts';

const test = suite('window series');

test('a busy window goes on counting where a float of 32 bits would stand still', () => {
  const series = new WindowSeries({ windowMs: 1_000, windowsMax: 2 });
  const count = 2 ** 24 + 3;
  for (let i = 0; i < count; i++) series.add(0, 500);
  check.equal([...series.sumOf([0])], [count]);
});

test('the last windows are kept, and those in which nothing came are silent, whatever stood in their places', () => {
  const series = new WindowSeries({ windowMs: 1_000, windowsMax: 4 });
  check.equal(series.span, { startMs: 0, windowCount: 0 });
  for (const second of [5, 5, 6, 7]) series.add(0, second * 1_000 + 999);
  check.equal(series.span, { startMs: 5_000, windowCount: 3 });
  check.equal([...series.sumOf([0])], [2, 1, 1]);
  series.add(0, 10_000);
  check.equal(series.span, { startMs: 7_000, windowCount: 4 });
  check.equal([...series.sumOf([0])], [1, 0, 0, 1]);
  series.add(0, 6_999);
  check.equal([...series.sumOf([0])], [1, 0, 0, 1], 'too old');
  series.add(0, 8_000);
  check.equal([...series.sumOf([0])], [1, 1, 0, 1], 'late, and still kept');
});

test('rows that are told to be one are added up, others go on under their new number', () => {
  const series = new WindowSeries({ windowMs: 1_000, windowsMax: 3 });
  for (const [row, second] of [
    [1, 0],
    [2, 0],
    [2, 1],
    [5, 1],
    [9, 2],
  ] as const)
    series.add(row, second * 1_000);
  series.moveRows((row) => (row === 2 ? 1 : row === 5 ? 6 : row));
  check.equal([...series.sumOf([1])], [2, 1, 0]);
  check.equal([...series.sumOf([6])], [0, 1, 0]);
  check.equal([...series.sumOf([2, 5])], [0, 0, 0]);
  check.equal([...series.sumOf([1, 6, 9])], [2, 2, 1]);
  series.add(7, 2_000);
  check.equal([...series.sumOf([7])], [0, 0, 1], 'a new row has nothing of one that was given up');
});

test.run();

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

test.run();

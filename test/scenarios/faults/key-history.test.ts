/** The judge of the fault suite must itself tell right from wrong: each thing it is there to find is shown to it here. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { LatencyHistogram } from '../../../bench/latency-histogram.ts';
import { CounterHistory, KeyHistory } from './key-history.ts';

const test = suite('what the fault suite judges by');

/** A key whose writes 1..n were acknowledged. */
function written(count: number): KeyHistory {
  const history = new KeyHistory('k');
  for (let i = 0; i < count; i++) history.endWrite(history.beginWrite(false), 'acknowledged');
  return history;
}

test('an acknowledged write that is gone at the end is found, whether an older value or nothing stands there', () => {
  check.is(written(3).checkFinal('3'), null);
  check.match(written(3).checkFinal('2') as string, /holds 2, the last acknowledged write is 3/);
  check.match(written(3).checkFinal(null) as string, /holds null/);
  check.match(written(3).checkFinal('4') as string, /holds 4/);
});

test('a refused write has not happened: its value is a violation even as the newest one', () => {
  const history = written(1);
  history.endWrite(history.beginWrite(false), 'refused');
  check.is(history.checkFinal('1'), null);
  check.match(history.checkFinal('2') as string, /holds 2/);
});

test('a write of unknown outcome may have happened or not, and blurs the key', () => {
  const history = written(1);
  history.endWrite(history.beginWrite(false), 'unknown');
  check.is(history.checkFinal('1'), null);
  check.is(history.checkFinal('2'), null);
  check.ok(history.isBlurred);
});

test('a delete is a state like any other: nothing there is right after it and wrong before', () => {
  const history = written(1);
  check.match(history.checkFinal(null) as string, /holds null/);
  history.endWrite(history.beginWrite(true), 'acknowledged');
  check.is(history.checkFinal(null), null);
  check.match(history.checkFinal('1') as string, /holds 1/);
});

test('a session that read or wrote a state reads nothing older; another session may', () => {
  const history = written(2);
  check.match(history.endRead('1') as string, /read 1, but state 2/);
  const beside = written(2);
  beside.beginSession();
  check.is(beside.endRead('1'), null);
  check.is(beside.endRead('2'), null);
  check.match(beside.endRead('1') as string, /read 1, but state 2/, 'monotonic');
});

test('a read of what nobody wrote is a violation', () => {
  check.match(written(1).endRead('7') as string, /read 7/);
});

test('a counter that was incremented twice for one request, or lost one, shows at the next answer', () => {
  const counter = new CounterHistory('c');
  check.is(counter.acknowledged(1), null);
  check.match(counter.acknowledged(3) as string, /answered 3, 2 increments/);
  const lost = new CounterHistory('c');
  lost.acknowledged(1);
  check.match(lost.acknowledged(1) as string, /answered 1, 2 increments/);
  check.is(lost.checkFinal(2), null);
  lost.unknown();
  check.is(lost.checkFinal(3), null);
  check.match(lost.checkFinal(4) as string, /holds 4/);
});

test('a quantile is never below the exact one, and at most a thirty-second above', () => {
  const histogram = new LatencyHistogram();
  const values = Array.from({ length: 1_000 }, (_, i) => 0.1 * 1.01 ** i);
  for (const value of values) histogram.add(value);
  for (const share of [0.5, 0.9, 0.99, 1]) {
    const exact = values[Math.ceil(share * values.length) - 1] as number;
    const estimate = histogram.quantileMs(share);
    check.ok(estimate >= exact && estimate <= exact * (1 + 1 / 32), `${share}: ${estimate} of ${exact}`);
  }
});

test.run();

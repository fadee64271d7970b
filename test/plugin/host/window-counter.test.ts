import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { WindowCounter } from '../../../plugin/host/window-counter.ts';
import { dimensionIndex, LOAD_DIMENSION_COUNT } from '../../../src/model/load-profile.ts';
import type { QueryRecord } from '../../../src/model/query-log.ts';

const test = suite('window counter');

const record = (timeMs: number, partitionId: number, over: Partial<QueryRecord> = {}): QueryRecord => ({
  timeMs,
  command: 'GET',
  keyPrefix: '',
  partitionId,
  nodeId: 0,
  clientId: 1,
  latencyUs: 100,
  requestBytes: 30,
  replyBytes: 70,
  isWrite: false,
  outcome: 'ok',
  ...over,
});
const at = (
  values: Float64Array,
  partition: number,
  dimension: Parameters<typeof dimensionIndex>[0],
): number => values[partition * LOAD_DIMENSION_COUNT + dimensionIndex(dimension)] as number;
const counter = () => new WindowCounter({ windowMs: 1_000, partitionCount: 4 });

test('records are added up by window, partition and dimension', () => {
  const windows = counter();
  windows.add(record(10_100, 2));
  windows.add(record(10_900, 2, { command: 'SET', isWrite: true, requestBytes: 500, replyBytes: 5 }));
  windows.add(record(11_000, 3));
  const [first, second, ...rest] = windows.closeUpTo(12_000);
  check.is(rest.length, 0);
  check.is(first?.startMs, 10_000);
  check.is(first?.capturedCount, 2);
  const values = first?.values as Float64Array;
  check.is(at(values, 2, 'queries'), 2);
  check.is(at(values, 2, 'readBytes'), 75);
  check.is(at(values, 2, 'writeBytes'), 500);
  check.ok(at(values, 2, 'cpuSeconds') > 0);
  check.is(at(values, 3, 'queries'), 0);
  check.is(second?.startMs, 11_000);
  check.is(second?.capturedCount, 1);
});

test('a window is handed over only when it has ended, and once', () => {
  const windows = counter();
  windows.add(record(10_100, 0));
  check.is(windows.closeUpTo(10_999).length, 0);
  check.is(windows.closeUpTo(11_000).length, 1);
  check.is(windows.closeUpTo(11_500).length, 0);
});

test('quiet windows are measurements of zero, but nothing is known of the time before the start', () => {
  const windows = counter();
  check.is(windows.closeUpTo(50_300).length, 0);
  check.equal(
    windows.closeUpTo(53_000).map(({ startMs, capturedCount }) => [startMs, capturedCount]),
    [
      [50_000, 0],
      [51_000, 0],
      [52_000, 0],
    ],
  );
});

test('the next window’s records may come before this one is closed', () => {
  const windows = counter();
  windows.add(record(10_500, 0));
  windows.add(record(11_500, 1));
  windows.add(record(10_600, 0));
  const [first] = windows.closeUpTo(11_000);
  check.is(first?.capturedCount, 2);
  check.is(windows.closeUpTo(12_000)[0]?.capturedCount, 1);
});

test('a record that comes after its window was closed counts for the next', () => {
  const windows = counter();
  windows.add(record(10_500, 0));
  windows.closeUpTo(11_000);
  windows.add(record(10_900, 0));
  check.is(windows.closeUpTo(12_000)[0]?.capturedCount, 1);
});

test('drops count for the newest open window', () => {
  const windows = counter();
  windows.add(record(10_500, 0));
  windows.addDropped(7);
  const [window] = windows.closeUpTo(11_000);
  check.is(window?.droppedCount, 7);
});

test('after a reset nothing of before is left', () => {
  const windows = counter();
  windows.add(record(900_000_000, 0));
  windows.reset();
  windows.closeUpTo(10_000);
  windows.add(record(10_500, 0));
  check.equal(
    windows.closeUpTo(11_000).map(({ startMs }) => startMs),
    [10_000],
  );
});

test('a partition that does not exist is counted as a stray, not written', () => {
  const windows = counter();
  windows.add(record(10_500, 4));
  check.is(windows.strayCount, 1);
});

test.run();

import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { isWithin, parseMoveWindows } from '../../../../src/affinity/timetable/windows.ts';
import { ForeshardError } from '../../../../src/base/errors.ts';

const test = suite('affinity/timetable windows');
/** 2001-01-01 was a Monday. */
const at = (day: number, hour: number): number => Date.UTC(2001, 0, 1 + day, hour);

test('without windows moves may run at any time', () => {
  check.ok(isWithin(parseMoveWindows([]), at(0, 0), at(7, 0)));
});

test('a window over midnight belongs to the day on which it begins', () => {
  const windows = parseMoveWindows(['mon-fri 22:00-06:00']);
  check.ok(isWithin(windows, at(0, 22), at(1, 6)));
  check.ok(isWithin(windows, at(5, 0), at(5, 6)), 'Friday night into Saturday');
  check.not.ok(isWithin(windows, at(0, 5), at(0, 6)), 'Sunday night is not among them');
  check.not.ok(isWithin(windows, at(0, 21), at(0, 23)), 'only in part');
  check.not.ok(isWithin(windows, at(5, 22), at(5, 23)));
});

test('windows add up, and days go over the end of the week', () => {
  const windows = parseMoveWindows(['sat-mon 00:00-24:00', 'Wed 10:00-12:00']);
  check.ok(isWithin(windows, at(5, 0), at(8, 0)));
  check.ok(isWithin(windows, at(2, 10), at(2, 12)));
  check.not.ok(isWithin(windows, at(1, 0), at(1, 1)));
});

test('windows begin and end on the minute', () => {
  const windows = parseMoveWindows(['mon 10:15-11:45']);
  const minutes = (hour: number, minute: number): number => at(0, hour) + minute * 60_000;
  check.ok(isWithin(windows, minutes(10, 15), minutes(11, 45)));
  check.not.ok(isWithin(windows, minutes(10, 14), minutes(10, 16)));
  check.not.ok(isWithin(windows, minutes(11, 44), minutes(11, 46)));
});

test('what is no window is named', () => {
  for (const window of [
    'mon',
    'mon 25:00-26:00',
    'mon 10:00-10:00',
    'mon-tue-wed 01:00-02:00',
    'day 01:00-02:00',
    7,
  ])
    check.throws(
      () => parseMoveWindows([window]),
      (error: unknown) =>
        error instanceof ForeshardError &&
        error.code === 'FORESHARD_CONFIG' &&
        error.message.includes(JSON.stringify(window)),
    );
});

test.run();

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { type LoadedCalendar, loadCalendar } from '../../../plugin/calendar/load-calendar.ts';
import { calendarLines } from '../../../plugin/operator/calendar-lines.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';

const test = suite('calendar');
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const at = (text: string): number => Date.parse(text);

const load = (name: string, text: string): Promise<LoadedCalendar> =>
  withTemporaryFolder(async (folder) => {
    const file = join(folder, name);
    writeFileSync(file, text);
    return loadCalendar(file);
  });

/** Occurrences of a year as "name start hours". */
const inYear = ({ calendar }: LoadedCalendar, year: number): string[] =>
  calendar
    .occurrences(at(`${year}-01-01T00:00Z`), at(`${year + 1}-01-01T00:00Z`))
    .map(
      ({ name, startMs, endMs }) =>
        `${name} ${new Date(startMs).toISOString().slice(0, 16)} ${(endMs - startMs) / HOUR_MS}`,
    );

const ics = (...lines: readonly string[]): string =>
  ['BEGIN:VCALENDAR', 'VERSION:2.0', ...lines, 'END:VCALENDAR', ''].join('\r\n');
const vevent = (...lines: readonly string[]): string[] => ['BEGIN:VEVENT', ...lines, 'END:VEVENT'];

test('a whole day lies in the time zone of its calendar, summer and winter', async () => {
  const text = ics(
    'X-WR-TIMEZONE:Europe/Berlin',
    ...vevent('UID:1', 'SUMMARY:Christmas', 'DTSTART;VALUE=DATE:20251225', 'RRULE:FREQ=YEARLY'),
    ...vevent('UID:2', 'SUMMARY:Fair', 'DTSTART;VALUE=DATE:20260701', 'DTEND;VALUE=DATE:20260703'),
  );
  check.equal(inYear(await load('a.ics', text), 2026), [
    'Fair 2026-06-30T22:00 48',
    'Christmas 2026-12-24T23:00 24',
  ]);
  const yaml =
    'timezone: Europe/Berlin\nevents:\n  - name: Christmas\n    start: 2025-12-25\n    repeat: yearly\n';
  check.equal(inYear(await load('a.yaml', yaml), 2026), ['Christmas 2026-12-24T23:00 24']);
});

test('what comes at nine o’clock comes at nine before and after the clocks change', async () => {
  const text = ics(
    ...vevent(
      'UID:1',
      'SUMMARY:Sale',
      'DTSTART;TZID=America/New_York:20260303T090000',
      'DTEND;TZID=America/New_York:20260303T110000',
      'RRULE:FREQ=WEEKLY;COUNT=3',
    ),
  );
  const expected = ['Sale 2026-03-03T14:00 2', 'Sale 2026-03-10T13:00 2', 'Sale 2026-03-17T13:00 2'];
  check.equal(inYear(await load('a.ics', text), 2026), expected);
  const yaml =
    'timezone: America/New_York\nevents:\n- {name: Sale, start: 2026-03-03 09:00, end: 2026-03-03 11:00, repeat: FREQ=WEEKLY;COUNT=3}\n';
  check.equal(inYear(await load('a.yml', yaml), 2026), expected);
});

test('a time that the clocks skip or show twice is some moment, and one only', async () => {
  const yaml = [
    'timezone: Europe/Berlin',
    'events:',
    '- {name: Skipped, start: 2026-03-29 02:30, end: 2026-03-29 04:00}',
    '- {name: Twice, start: 2026-10-25 02:30, end: 2026-10-25 04:00}',
  ].join('\n');
  check.equal(inYear(await load('a.yaml', yaml), 2026), [
    'Skipped 2026-03-29T01:30 0.5',
    'Twice 2026-10-25T00:30 2.5',
  ]);
});

test('exceptions, moved and cancelled occurrences are followed', async () => {
  const text = ics(
    ...vevent(
      'UID:1',
      'SUMMARY:Batch',
      'DTSTART:20260101T000000Z',
      'DURATION:PT6H',
      'RRULE:FREQ=DAILY;COUNT=5',
      'EXDATE:20260102T000000Z',
      'CATEGORIES:batch,other',
      'X-FORESHARD-UPLIFT:2.5',
    ),
    ...vevent(
      'UID:1',
      'SUMMARY:Batch',
      'RECURRENCE-ID:20260103T000000Z',
      'DTSTART:20260103T120000Z',
      'DTEND:20260103T130000Z',
    ),
    ...vevent(
      'UID:1',
      'SUMMARY:Batch',
      'RECURRENCE-ID:20260104T000000Z',
      'DTSTART:20260104T000000Z',
      'DTEND:20260104T060000Z',
      'STATUS:CANCELLED',
    ),
    ...vevent('UID:2', 'SUMMARY:Off', 'DTSTART:20260110T000000Z', 'DURATION:PT1H', 'STATUS:CANCELLED'),
  );
  const loaded = await load('a.ics', text);
  check.equal(inYear(loaded, 2026), [
    'Batch 2026-01-01T00:00 6',
    'Batch 2026-01-03T12:00 1',
    'Batch 2026-01-05T00:00 6',
  ]);
  const [first] = loaded.calendar.occurrences(0, at('2027-01-01T00:00Z'));
  check.is(first?.kind, 'batch');
  check.is(first?.uplift, 2.5);
  const yaml =
    'events:\n- {name: B, start: 2026-01-01T00:00Z, end: 2026-01-01T06:00Z, repeat: FREQ=DAILY;COUNT=3, except: [2026-01-02], kind: batch, uplift: 2.5}\n';
  const fromYaml = await load('a.yaml', yaml);
  check.equal(inYear(fromYaml, 2026), ['B 2026-01-01T00:00 6', 'B 2026-01-03T00:00 6']);
  check.is(fromYaml.calendar.occurrences(0, at('2027-01-01T00:00Z'))[0]?.uplift, 2.5);
});

/** Weekly at nine in Berlin, three times over the change of the clocks; `more` goes into the event, `others` beside it. */
const weekly = async (more: readonly string[], ...others: readonly string[]): Promise<string[]> =>
  inYear(
    await load(
      'a.ics',
      ics(
        ...vevent(
          'UID:1',
          'SUMMARY:W',
          'DTSTART;TZID=Europe/Berlin:20260323T090000',
          'DTEND;TZID=Europe/Berlin:20260323T100000',
          'RRULE:FREQ=WEEKLY;COUNT=3',
          ...more,
        ),
        ...others,
      ),
    ),
    2026,
  );
const [FIRST, SECOND, THIRD] = ['W 2026-03-23T08:00 1', 'W 2026-03-30T07:00 1', 'W 2026-04-06T07:00 1'];

test('every time is in the zone that it names itself; exceptions are found by the instant', async () => {
  check.equal(await weekly([]), [FIRST, SECOND, THIRD]);
  check.equal(await weekly(['EXDATE:20260330T070000Z']), [FIRST, THIRD]);
  check.equal(await weekly(['EXDATE;TZID=America/New_York:20260330T030000']), [FIRST, THIRD]);
  check.equal(await weekly(['EXDATE;VALUE=DATE:20260330']), [FIRST, THIRD]);
  const moved = (...lines: readonly string[]) => weekly([], ...vevent('UID:1', 'SUMMARY:W', ...lines));
  check.equal(
    await moved('RECURRENCE-ID:20260330T070000Z', 'DTSTART:20260331T120000Z', 'DTEND:20260331T130000Z'),
    [FIRST, 'W 2026-03-31T12:00 1', THIRD],
  );
  check.equal(
    await moved(
      'RECURRENCE-ID;TZID=Europe/Berlin:20260330T090000',
      'DTSTART;TZID=America/New_York:20260331T120000',
      'DTEND;TZID=Asia/Tokyo:20260401T020000',
    ),
    [FIRST, 'W 2026-03-31T16:00 1', THIRD],
  );
  check.equal(
    await moved(
      'RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Berlin:20260330T090000',
      'DTSTART;TZID=Europe/Berlin:20260330T110000',
      'DTEND;TZID=Europe/Berlin:20260330T130000',
    ),
    [FIRST, 'W 2026-03-30T09:00 2', 'W 2026-04-06T09:00 2'],
  );
  // An invitation to one occurrence of an event that is not in the file.
  check.equal(
    await weekly(
      [],
      ...vevent(
        'UID:2',
        'SUMMARY:Guest',
        'RECURRENCE-ID:20260501T070000Z',
        'DTSTART:20260501T080000Z',
        'DURATION:PT1H',
      ),
    ),
    [FIRST, SECOND, THIRD, 'Guest 2026-05-01T08:00 1'],
  );
});

test('an end in another zone, in UTC, or as a duration is when it says', async () => {
  const one = async (...lines: readonly string[]) =>
    inYear(await load('a.ics', ics(...vevent('SUMMARY:E', ...lines))), 2026);
  check.equal(await one('DTSTART;TZID=Europe/Berlin:20260601T080000', 'DTEND:20260601T080000Z'), [
    'E 2026-06-01T06:00 2',
  ]);
  check.equal(
    await one('DTSTART;TZID=Europe/Berlin:20260601T080000', 'DTEND;TZID=America/New_York:20260601T040000'),
    ['E 2026-06-01T06:00 2'],
  );
  // Of the day on which clocks are put forward.
  check.equal(await one('DTSTART;TZID=Europe/Berlin:20260329T000000', 'DURATION:PT24H'), [
    'E 2026-03-28T23:00 24',
  ]);
  check.equal(await one('DTSTART;TZID=Europe/Berlin:20260329T000000', 'DURATION:P1D'), [
    'E 2026-03-28T23:00 23',
  ]);
});

test('further dates come beside the first, and an end of the rule in UTC is an instant', async () => {
  const from = async (...lines: readonly string[]) =>
    inYear(await load('a.ics', ics(...vevent('SUMMARY:E', ...lines))), 2026);
  check.equal(
    await from(
      'DTSTART;TZID=Europe/Berlin:20260318T090000',
      'DURATION:PT1H',
      'RDATE;TZID=America/New_York:20260501T090000,20260601T090000',
    ),
    ['E 2026-03-18T08:00 1', 'E 2026-05-01T13:00 1', 'E 2026-06-01T13:00 1'],
  );
  // Eight in the evening of the third is one o'clock of the fourth in UTC.
  check.is(
    (
      await from(
        'DTSTART;TZID=America/New_York:20260101T200000',
        'DURATION:PT1H',
        'RRULE:FREQ=DAILY;UNTIL=20260104T010000Z',
      )
    ).length,
    3,
  );
});

test('a 29 February comes in leap years only', async () => {
  const text = 'events:\n- {name: Leap, start: 2020-02-29, repeat: FREQ=YEARLY;COUNT=3}\n';
  const loaded = await load('a.yaml', text);
  const years = [2020, 2021, 2024, 2025, 2028, 2032].map((year) => inYear(loaded, year));
  check.equal(years, [
    ['Leap 2020-02-29T00:00 24'],
    [],
    ['Leap 2024-02-29T00:00 24'],
    [],
    ['Leap 2028-02-29T00:00 24'],
    [],
  ]);
});

test('what has no length, and what never comes, is told', async () => {
  const moment = ics(
    ...vevent('SUMMARY:Deploy', 'DTSTART:20260101T000000Z'),
    ...vevent('SUMMARY:A', 'DTSTART;VALUE=DATE:20260101'),
  );
  const loaded = await load('a.ics', moment);
  check.is(loaded.eventCount, 1);
  check.match(loaded.remarks[0] as string, /a\.ics:3: event "Deploy": ends when it begins/);
  const never = await load(
    'a.yaml',
    'events:\n- {name: N, start: 2026-01-01, repeat: FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30}\n',
  );
  check.equal(inYear(never, 2026), []);
  check.match(never.remarks[0] as string, /event "N": nothing comes of it/);
});

test('a zone that the file defines itself is taken from there', async () => {
  const text = ics(
    'BEGIN:VTIMEZONE',
    'TZID:Our Time',
    'BEGIN:STANDARD',
    'DTSTART:19700101T000000',
    'TZOFFSETFROM:+0300',
    'TZOFFSETTO:+0300',
    'END:STANDARD',
    'END:VTIMEZONE',
    ...vevent('UID:1', 'SUMMARY:X', 'DTSTART;TZID=Our Time:20260101T120000', 'DURATION:PT1H'),
  );
  check.equal(inYear(await load('a.ics', text), 2026), ['X 2026-01-01T09:00 1']);
});

test('asking again, or for an earlier time, gives the same occurrences', async () => {
  const { calendar } = await load('a.yaml', 'events:\n- {name: Day, start: 2020-01-01, repeat: daily}\n');
  const week = (from: string) => calendar.occurrences(at(from), at(from) + 7 * DAY_MS).length;
  check.equal([week('2026-06-01T00:00Z'), week('2021-06-01T00:00Z'), week('2026-06-01T00:00Z')], [7, 7, 7]);
});

test('an event of more than a week is told and not used', async () => {
  const loaded = await load('a.yaml', 'events:\n- {name: Summer, start: 2026-06-01, end: 2026-09-01}\n');
  check.is(loaded.eventCount, 0);
  check.match(loaded.remarks[0] as string, /a\.yaml:2: event "Summer": longer than seven days/);
});

test('a start that is not on its rule is remarked on, with the day on which the event first comes', async () => {
  const event = (start: string) =>
    `events:\n- {name: Pay, start: ${start} 06:00, end: ${start} 09:00, repeat: FREQ=MONTHLY;BYDAY=-1FR}\n`;
  check.equal((await load('a.yaml', event('2026-01-30'))).remarks, []);
  const { remarks } = await load('a.yaml', event('2026-01-15'));
  check.is(remarks.length, 1);
  check.match(
    remarks[0] as string,
    /a\.yaml:2: event "Pay": its start is not a day of its rule, it first comes 2026-01-30 06:00: is either wrong\?/,
  );
});

test('the next occurrences of each name are listed for whoever checks a calendar', async () => {
  const loaded = await load(
    'a.yaml',
    'events:\n- {name: Sale, start: 2026-01-01, repeat: weekly}\n- {name: Over, start: 2020-01-01}\n',
  );
  check.equal(
    [...calendarLines(loaded, at('2026-03-01T00:00Z'))],
    [
      'next, in UTC:',
      '  Sale: 2026-03-05 00:00 to 2026-03-06 00:00, 2026-03-12 00:00 to 2026-03-13 00:00, 2026-03-19 00:00 to 2026-03-20 00:00',
    ],
  );
});

const MISTAKES: readonly (readonly [name: string, text: string, message: RegExp])[] = [
  ['a.txt', '', /a calendar ends in \.ics, \.yaml or \.yml/],
  ['a.ics', '', /no BEGIN:VCALENDAR/],
  ['a.ics', ics('rubbish'), /a\.ics:3: cannot be read as iCalendar: .*rubbish/],
  ['a.ics', ics(...vevent('SUMMARY:A')), /a\.ics:3: event "A": no DTSTART/],
  ['a.ics', ics(...vevent('DTSTART;VALUE=DATE:20260101')), /a\.ics:3: event 1: no SUMMARY/],
  [
    'a.ics',
    ics(...vevent('SUMMARY:A', 'DTSTART:20261399T990000')),
    /event "A": DTSTART 2026-13-99T99:00:00 is no date/,
  ],
  ['a.ics', ics(...vevent('SUMMARY:A', 'DTSTART:20260101')), /a\.ics.*2026-01-01T/],
  [
    'a.ics',
    ics(...vevent('SUMMARY:A', 'DTSTART;TZID=Nowhere/At_All:20260101T000000', 'DURATION:PT1H')),
    /event "A": unknown time zone "Nowhere\/At_All": use an IANA name/,
  ],
  [
    'a.ics',
    ics(...vevent('SUMMARY:A', 'DTSTART:20260101T000000Z', 'DTEND:20250101T000000Z')),
    /event "A": ends before it begins/,
  ],
  [
    'a.ics',
    ics(...vevent('SUMMARY:A', 'DTSTART:20260101T000000Z', 'DURATION:PT1S', 'RRULE:FREQ=SECONDLY')),
    /event "A": RRULE: FREQ=SECONDLY is more often than daily/,
  ],
  [
    'a.ics',
    ics(...vevent('SUMMARY:A', 'DTSTART;VALUE=DATE:20260101', 'RRULE:FREQ=WEEKLY;', ' INTERVAL=0')),
    /a\.ics:6: RRULE: INTERVAL=0 must be from 1 to 1000/,
  ],
  [
    'a.ics',
    ics(...vevent('SUMMARY:A', 'DTSTART;VALUE=DATE:20260101', 'X-FORESHARD-UPLIFT:-3')),
    /X-FORESHARD-UPLIFT -3: it must be a factor above 0/,
  ],
  [
    'a.ics',
    ics(
      ...vevent(
        'SUMMARY:A',
        'DTSTART:20260101T000000Z',
        'DURATION:PT1H',
        'RDATE;VALUE=PERIOD:20260501T090000Z/PT1H',
      ),
    ),
    /a\.ics:3: event "A": RDATE;VALUE=PERIOD is not read: write RDATE with/,
  ],
  [
    'a.yaml',
    'events:\n- {name: A, start: 2026-01-30, repeat: FREQ=MONTHLY;BYDAY=-1FR, except: [2026-12-25, 2026-12-26]}\n',
    /event "A": `except` 2026-12-26: it does not come then/,
  ],
  [
    'a.yaml',
    'events:\n- {name: A, start: 1700-01-01, repeat: daily}\n',
    /event "A": more than 100000 occurrences/,
  ],
  ['a.yaml', '', /a\.yaml:1: must hold `events:`/],
  ['a.yaml', 'events: [', /a\.yaml:1: cannot be read as YAML/],
  ['a.yaml', 'events:\n  Sale: 1\n', /a\.yaml:2: `events` must be a list/],
  [
    'a.yaml',
    'events: []\nzone: UTC\n',
    /a\.yaml:2: unknown key "zone": remove it \(known: timezone, events\)/,
  ],
  ['a.yaml', 'events:\n- name: A\n  begin: 2026-01-01\n', /a\.yaml:3: unknown key "begin" of event "A"/],
  [
    'a.yaml',
    'events:\n- {name: A, start: 2026-01-01, repeat: FREQ=MONTHLY;BYMONTHDAY=1,15}\n',
    /unknown key "15" of event "A": put a rule with commas in quotes/,
  ],
  ['a.yaml', 'events:\n- start: 2026-01-01\n', /a\.yaml:2: event 1: no `name`/],
  ['a.yaml', 'events:\n- name: A\n', /event "A": no `start`/],
  ['a.yaml', 'events:\n- {name: A, start: 2026-02-30}\n', /event "A": `start` "2026-02-30" is no date/],
  ['a.yaml', 'events:\n- {name: A, start: tomorrow}\n', /`start` "tomorrow" is no date: write 2026-11-27/],
  ['a.yaml', 'events:\n- {name: A, start: 2026-01-01 09:00}\n', /no `end`/],
  ['a.yaml', 'events:\n- {name: A, start: 2026-01-01, end: 2026-01-01}\n', /`end` is not after `start`/],
  ['a.yaml', 'events:\n- {name: A, start: 2026-01-01, end: 2026-01-02 09:00}\n', /must both be days/],
  [
    'a.yaml',
    'events:\n- {name: A, start: 2026-01-01, repeat: often}\n',
    /`repeat` "often": .*write daily, weekly/,
  ],
  ['a.yaml', 'events:\n- {name: A, start: 2026-01-01, repeat: FREQ=MINUTELY}\n', /more often than daily/],
  ...(
    [
      ['FREQ=DAILY;BYDAY=1MO', /a numbered day such as BYDAY=1FR does not go with FREQ=DAILY/],
      ['FREQ=WEEKLY;BYWEEKNO=20', /BYWEEKNO does not go with FREQ=WEEKLY: write FREQ=YEARLY/],
      ['FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30', /BYMONTHDAY does not go with FREQ=DAILY/],
      ['FREQ=DAILY;BYDAY=FR;INTERVAL=7', /BYDAY does not go with every so many days: write FREQ=WEEKLY/],
      ['FREQ=DAILY;INTERVAL=99999999', /INTERVAL must be from 1 to 1000/],
      ['FREQ=DAILY;INTERVAL=0', /INTERVAL=0 must be from 1 to 1000/],
      ['FREQ=DAILY;COUNT=0', /COUNT must be 1 or more/],
      ['FREQ=MONTHLY;BYDAY=6FR', /event "A": its rule cannot be followed/],
    ] as const
  ).map(
    ([rule, message]) =>
      ['a.yaml', `events:\n- {name: A, start: 2026-01-01, repeat: ${rule}}\n`, message] as const,
  ),
  [
    'a.yaml',
    'events:\n- {name: A, start: 2026-01-01, uplift: lots}\n',
    /`uplift` "lots": it must be a factor/,
  ],
  ['a.yaml', 'timezone: Mars/Base\nevents: []\n', /a\.yaml:1: unknown time zone "Mars\/Base"/],
];
for (const [name, text, message] of MISTAKES)
  test(`told by place and remedy: ${message.source}`, async () => {
    try {
      await load(name, text);
    } catch (error) {
      check.instance(error, ForeshardError);
      check.is((error as ForeshardError).code, 'FORESHARD_CONFIG');
      check.match((error as ForeshardError).message, message);
      return;
    }
    check.unreachable('the calendar was accepted');
  });

test('a file that is not there, or is a folder, is told', async () => {
  await withTemporaryFolder(async (folder) => {
    check.throws(() => loadCalendar(join(folder, 'none.ics')), /no such file: check forecast\.calendar/);
    check.throws(() => loadCalendar(join(folder, 'x.yaml')), /no such file/);
  });
});

test.run();

import fc from 'fast-check';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { TimeZone } from '../../../plugin/logs/time-zone.ts';
import { TimestampReader } from '../../../plugin/logs/timestamp.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('timestamps');
const seed = Number(testSeed('timestamps') % 2_147_483_647n);
const reader = (zone = 'UTC', isGiven = zone !== 'UTC') => new TimestampReader(new TimeZone(zone), isGiven);
const iso = (ms: number): string => (Number.isNaN(ms) ? 'NaN' : new Date(ms).toISOString());

test('ISO 8601 in the ways that databases write it', () => {
  const cases: readonly [string, string][] = [
    ['2024-01-15T10:23:45.123Z', '2024-01-15T10:23:45.123Z'],
    ['2024-01-15 10:23:45', '2024-01-15T10:23:45.000Z'],
    ['2024-01-15 10:23:45,999999', '2024-01-15T10:23:45.999Z'],
    ['2024-01-15T10:23', '2024-01-15T10:23:00.000Z'],
    ['2024-01-15', '2024-01-15T00:00:00.000Z'],
    ['2024-01-15T10:23:45+02:00', '2024-01-15T08:23:45.000Z'],
    ['2024-01-15 10:23:45.5 -0330', '2024-01-15T13:53:45.500Z'],
    ['2024-01-15 10:23:45+01', '2024-01-15T09:23:45.000Z'],
    ['2024-01-15 10:23:45.123 UTC', '2024-01-15T10:23:45.123Z'],
    ['2024-07-15 10:23:45.123 CEST', '2024-07-15T08:23:45.123Z'],
    ['2024-01-15 24:00:00', '2024-01-16T00:00:00.000Z'],
    ['2016-12-31T23:59:60Z', '2017-01-01T00:00:00.000Z'],
  ];
  for (const [text, expected] of cases) check.is(iso(reader().iso(text)), expected, text);
});

test('what is no time is not taken for one, the second time either', () => {
  const texts = [
    '',
    'yesterday',
    '2024-13-01',
    '2024-02-30T00:00:00Z',
    '2024-02-30T00:00:00Z',
    '2024-01-15T25:00',
    '2024-01-15T10:60',
    '15/01/2024',
    '2024-01-15 10:23:45 XYZ',
  ];
  const one = reader();
  for (const text of texts) check.ok(Number.isNaN(one.iso(text)), text);
});

test('numbers are epoch milliseconds, in digits as well', () => {
  check.is(reader().epochOrIso(1_700_000_000_123), 1_700_000_000_123);
  check.is(reader().epochOrIso(' 1700000000123 '), 1_700_000_000_123);
  check.is(iso(reader().epochOrIso('2023-11-14T22:13:20Z')), '2023-11-14T22:13:20.000Z');
  for (const value of [
    Number.NaN,
    Number.POSITIVE_INFINITY,
    1.7e18,
    null,
    undefined,
    true,
    {},
    '1700000000123000000',
  ])
    check.ok(Number.isNaN(reader().epochOrIso(value)), String(value));
});

test('any instant comes back from what a clock in any zone shows, but for the hour that comes twice', () => {
  const zones = [
    'UTC',
    'Europe/Berlin',
    'America/New_York',
    'Asia/Kolkata',
    'Australia/Lord_Howe',
    'Pacific/Auckland',
  ];
  fc.assert(
    fc.property(
      fc.constantFrom(...zones),
      fc.integer({ min: Date.UTC(2001, 0, 1) / 1_000, max: Date.UTC(2030, 0, 1) / 1_000 }),
      (zone, second) => {
        const instant = second * 1_000;
        const shown = new Date(instant).toLocaleString('sv-SE', { timeZone: zone });
        // Told by what came before, as in a log: here the line just before it.
        const times = reader(zone);
        times.instant(instant - 1_000, 'Z');
        check.is(iso(times.iso(shown)), iso(instant), `${zone} ${shown}`);
      },
    ),
    { seed, numRuns: 300 },
  );
});

test('in autumn the hour that comes twice is read in order: first pass, then second', () => {
  const times = reader('Europe/Berlin');
  const shown = ['01:59:00', '02:00:00', '02:59:00', '02:00:00', '02:30:00', '02:59:00', '03:00:00'];
  const found = shown.map((clock) => iso(times.iso(`2024-10-27 ${clock}`)).slice(11, 16));
  check.equal(found, ['23:59', '00:00', '00:59', '01:00', '01:30', '01:59', '02:00']);
});

test('in spring a time that does not exist is the one of a clock that was not put forward', () => {
  const times = reader('Europe/Berlin');
  const found = ['01:59:59', '02:30:00', '03:00:00'].map((clock) =>
    iso(times.iso(`2024-03-31 ${clock}`)).slice(11, 19),
  );
  check.equal(found, ['00:59:59', '01:30:00', '01:00:00']);
});

test('an abbreviation with several meanings is settled by the zone that is named', () => {
  const text = '2024-01-15 10:00:00 CST';
  check.is(iso(reader().iso(text)), '2024-01-15T16:00:00.000Z');
  check.is(iso(reader('Asia/Shanghai').iso(text)), '2024-01-15T02:00:00.000Z');
  check.is(iso(reader('America/Chicago').iso(text)), '2024-01-15T16:00:00.000Z');
  check.is(iso(reader('America/Sao_Paulo').iso('2024-01-15 10:00:00 XYZ')), '2024-01-15T13:00:00.000Z');
});

test('a zone that nobody knows is named', () => {
  check.throws(
    () => new TimeZone('Mars/Olympus'),
    /--time-zone: found "Mars\/Olympus", it must be a name such as/,
  );
});

test.run();

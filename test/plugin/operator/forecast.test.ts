import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import type { GridSeries } from '../../../plugin/logs/series/regular-grid.ts';
import { fillMissing } from '../../../plugin/operator/forecast/filled-series.ts';
import { parseLevels } from '../../../plugin/operator/forecast/flags.ts';
import { forecastSeries, type SeriesForecast } from '../../../plugin/operator/forecast/forecast-series.ts';
import { groupSeries } from '../../../plugin/operator/forecast/series-groups.ts';
import { sparkline } from '../../../plugin/operator/forecast/sparkline.ts';
import { FORECAST_DEFAULTS } from '../../../src/analyzer/settings.ts';
import { seededRandom } from '../../../src/base/random.ts';
import type { Calendar, CalendarEvent } from '../../../src/model/calendar.ts';
import { foreshardArguments } from '../../support/repository.ts';
import { testSeed } from '../../support/seed.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';

const test = suite('foreshard forecast');
const seed = Number(testSeed('foreshard forecast') % 2_147_483_647n);
const HOUR_MS = 3_600_000;

/** A day that rises and falls, in hours. */
const daily = (hour: number): number => 100 + Math.round(80 * Math.sin((hour / 24) * 2 * Math.PI));
const series = (id: string, values: readonly number[]): GridSeries => ({
  id,
  startMs: 0,
  windowMs: HOUR_MS,
  values: Float64Array.from(values),
  notes: [],
});
const days = (count: number, loadAt = daily): number[] =>
  Array.from({ length: count * 24 }, (_, hour) => loadAt(hour));
const OPTIONS = { levels: [80, 95], settings: FORECAST_DEFAULTS };
const forecast = async (all: readonly GridSeries[], horizonSteps = 24) =>
  (await forecastSeries(all, { ...OPTIONS, horizonSteps })).series;

/** What every forecast must hold, however bad the series. */
function assertWhole(one: SeriesForecast, horizonSteps: number): void {
  const columns = [one.lower['95'], one.lower['80'], one.point, one.upper['80'], one.upper['95']];
  for (const column of columns) check.is(column?.length, horizonSteps, one.id);
  for (let step = 0; step < horizonSteps; step++) {
    const values = columns.map((column) => column?.[step] as number);
    check.ok(values.every(Number.isFinite), `${one.id} step ${step}: ${values}`);
    check.ok((values[0] as number) >= 0, `${one.id} step ${step}: ${values}`);
    check.equal(
      [...values].sort((a, b) => a - b),
      values,
      `${one.id} step ${step}: bounds cross`,
    );
  }
}

test('the command line prints series, point, bounds, model and skill as JSON; --horizon and --level are obeyed', async () => {
  await withTemporaryFolder((folder) => {
    const rows = days(10).map((value, hour) => `a,${new Date(hour * HOUR_MS).toISOString()},${value}`);
    const file = join(folder, 'load.csv.gz');
    writeFileSync(file, gzipSync(`series,time,value\n${rows.join('\n')}\n`));
    const run = (args: readonly string[]) => {
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        foreshardArguments('forecast', ...args),
        { cwd: folder, encoding: 'utf8', timeout: 60_000 },
      );
      return { status, stdout, stderr };
    };
    const { status, stdout, stderr } = run([file, '--horizon', '12', '--level', '90,50', '--json']);
    check.is(status, 0, stderr);
    check.is(stderr, '');
    const printed = JSON.parse(stdout);
    check.equal(Object.keys(printed), ['series']);
    const [one] = printed.series;
    check.equal(Object.keys(one), [
      'id',
      'point',
      'lower',
      'upper',
      'model',
      'skill',
      'degraded',
      'notes',
      'startTime',
      'stepSeconds',
    ]);
    check.equal(Object.keys(one.lower), ['50', '90']);
    check.is(one.point.length, 12);
    check.is(one.id, 'a');
    check.ok(Math.abs(one.point[6] - daily(6)) < 20, `step 6 is ${one.point[6]}, ${daily(6)} is expected`);

    writeFileSync(join(folder, 'bad.csv'), 'series,time,value\na,2024-01-01T00:00:00Z,-1\n');
    const bad = run([join(folder, 'bad.csv'), '--json']);
    check.is(bad.status, 1);
    check.is(bad.stdout, '');
    check.match(bad.stderr, /^foreshard: .*bad\.csv: series "a", row 2: value -1 is below 0/);
    check.is(run([file, '--level', '30']).status, 2);
    check.is(run([join(folder, 'nowhere.csv')]).status, 2);
    if (!existsSync('/dev/full')) return;
    const full = openSync('/dev/full', 'w');
    try {
      const unwritten = spawnSync(process.execPath, foreshardArguments('config', 'schema'), {
        encoding: 'utf8',
        stdio: ['ignore', full, 'pipe'],
      });
      check.equal([unwritten.status, unwritten.stderr], [1, 'foreshard: standard output: no space left\n']);
    } finally {
      closeSync(full);
    }
  });
});

test('a daily cycle goes on, in the order of the file, whatever lengths the series have', async () => {
  const all = [
    series('long', days(40)),
    series('short', days(8)),
    series(
      'three times',
      days(39, (hour) => 3 * daily(hour)),
    ),
  ];
  const found = await forecast(all);
  check.equal(
    found.map(({ id }) => id),
    ['long', 'short', 'three times'],
  );
  for (const [i, one] of found.entries()) {
    assertWhole(one, 24);
    const factor = i === 2 ? 3 : 1;
    for (let step = 0; step < 24; step++)
      check.ok(
        Math.abs((one.point[step] as number) - factor * daily(step)) < factor * 15,
        `${one.id} step ${step}`,
      );
  }
  check.is(found[0]?.degraded, false);
});

test('a skill against a last week that was right to a hair is not told as one', async () => {
  const random = seededRandom(testSeed('foreshard forecast'));
  const week = Array.from({ length: 168 }, () => 100 * random.nextFloat());
  const values = Array.from(
    { length: 400 },
    (_, hour) => week[hour % 168]! * (1 + 1e-4 * random.nextFloat()),
  );
  const [one] = await forecast([series('week', values)], 48);
  check.is(one?.skill, null);
  check.is(one?.degraded, true);
  check.match(one?.notes.join() ?? '', /errors were more than 10 times those of last week/);
});

test('an event that has come before is put into the forecast, and told; one that nobody knows is told as well', async () => {
  const SALE_DAYS = [10, 24, 38, 52];
  const withSales = (factor: number) =>
    days(50, (hour) => factor * daily(hour) * (SALE_DAYS.includes(Math.floor(hour / 24)) ? 3 : 1));
  const event = (name: string, day: number): CalendarEvent => ({
    name,
    kind: '',
    uplift: null,
    startMs: day * 24 * HOUR_MS,
    endMs: (day + 1) * 24 * HOUR_MS,
  });
  const all = [
    ...SALE_DAYS.slice(0, -1).map((day) => event('Sale', day)),
    event('Launch', 51),
    event('Sale', 52),
  ];
  const calendar: Calendar = {
    occurrences: (fromMs, toMs) => all.filter(({ startMs, endMs }) => startMs < toMs && endMs > fromMs),
  };
  // The second ends a day earlier: its steps are those of other days.
  const grids = [series('a', withSales(1)), series('b', withSales(2).slice(0, -24))];
  const found = await forecastSeries(grids, { ...OPTIONS, horizonSteps: 96, calendar });
  for (const [i, { point, id }] of found.series.entries()) {
    const ratio = (day: number): number => {
      const first = (day - (i === 0 ? 50 : 49)) * 24;
      const mean = point.slice(first, first + 24).reduce((sum, value) => sum + value / 24, 0);
      return mean / (i === 0 ? 100 : 200);
    };
    check.ok(ratio(52) > 2.4 && ratio(52) < 3.6, `${id}: ${ratio(52)} times on the day of the sale`);
    check.ok(ratio(51) > 0.8 && ratio(51) < 1.25, `${id}: ${ratio(51)} times on the day before`);
  }
  check.equal(
    found.events.map(({ name, occurrenceCount, factor }) => [name, occurrenceCount, factor === null]),
    [
      ['Launch', 0, true],
      ['Sale', 3, false],
      ['Launch', 0, true],
      ['Sale', 3, false],
    ],
  );
});

test('a calendar for a file without times is refused; --top keeps the highest peaks, in their order', async () => {
  await withTemporaryFolder((folder) => {
    const run = (args: readonly string[]) =>
      spawnSync(process.execPath, foreshardArguments('forecast', ...args), {
        cwd: folder,
        encoding: 'utf8',
        timeout: 60_000,
      });
    writeFileSync(join(folder, 'wide.csv'), 'V1,V2,V3,V4\nlow,1,2,3\nhigh,7,8,9\nmiddle,4,5,6\n');
    writeFileSync(join(folder, 'c.yaml'), 'events:\n- {name: A, start: 2026-01-01}\n');
    const refused = run(['wide.csv', '--calendar', 'c.yaml']);
    check.is(refused.status, 2);
    check.match(refused.stderr, /--calendar: wide\.csv: series without times .* use the long layout/);
    const { stdout } = run(['wide.csv', '--top', '2', '--json']);
    check.equal(
      JSON.parse(stdout).series.map(({ id }: { id: string }) => id),
      ['high', 'middle'],
    );
    check.is(JSON.parse(stdout).series[0].startTime, null);
    // Sorted by their peaks, of which the 20 highest are for reading.
    const rows = Array.from(
      { length: 23 },
      (_, id) => `s${id},2026-03-01T22:00Z,1\ns${id},2026-03-01T23:00Z,${id + 1}\n`,
    );
    writeFileSync(join(folder, 'timed.csv'), `series,time,value\n${rows.join('')}`);
    const table = run(['timed.csv']).stdout;
    check.match(table, /^s22 .* peak 23 at 2026-03-02T00:00Z/m);
    check.match(table, /and 3 more: --top N or --json/);
    const { startTime, stepSeconds } = JSON.parse(run(['timed.csv', '--json']).stdout).series[22];
    check.equal([startTime, stepSeconds], ['2026-03-02T00:00:00.000Z', 3600]);
  });
});

/** Four weeks of one value, and then so many windows of another. */
const wakes = (before: number, after: number, count: number): GridSeries =>
  series(
    `${before} to ${after} for ${count}`,
    Array.from({ length: 4 * 168 }, (_, hour) => (hour < 4 * 168 - count ? before : after)),
  );

test('a level that has lasted, a usual peak and a night without load mark nothing', async () => {
  const nights = (hour: number): number => (hour % 24 < 8 ? 0 : 5_000);
  for (const values of [
    wakes(1, 10_000, 48),
    wakes(100, 1_000, 9),
    series(
      'nights',
      Array.from({ length: 24 * 14 + 4 }, (_, hour) => nights(hour)),
    ),
    series(
      'mornings',
      Array.from({ length: 24 * 14 + 12 }, (_, hour) => nights(hour)),
    ),
  ]) {
    const found = await forecast([values], 24);
    check.is(found[0]?.degraded, false, values.id);
  }
});

test('series that teach little get a forecast that is marked, with bounds as wide as that', async () => {
  const cases: readonly [GridSeries, RegExp][] = [
    [series('one', [7]), /1 value of history: the last one goes on/],
    [series('two', [7, 9]), /2 values of history/],
    [
      wakes(1, 10_000, 1),
      /its last value is over 50 times all of the week before: .* bounds may hold neither/,
    ],
    [wakes(0, 10_000, 9), /its last 9 values are over 50 times/],
    [wakes(10_000, 3, 30), /its last 30 values are less than a 50th of all of the week before/],
    [series('three', [7, 9, 8]), /3 windows of history, below 72 bounds are guesses/],
    [series('short', days(1)), /horizon of 48 windows is longer than the history of 24/],
    [
      series(
        'holes',
        days(10).map((value, hour) => (hour % 3 === 0 ? value : Number.NaN)),
      ),
      /of 2\d\d windows without a value, 2 in a row \(2h\)/,
    ],
  ];
  for (const [one, expected] of cases) {
    const [found] = (await forecast([one], 48)) as readonly [SeriesForecast];
    assertWhole(found, 48);
    check.is(found.degraded, true, one.id);
    check.ok(
      found.notes.some((note) => expected.test(note)),
      `${one.id}: ${found.notes}`,
    );
  }
});

test('constant, silent and jumping series, a month without values, a spike and the largest numbers: finite and never below 0', async () => {
  const gap = [...days(15), ...new Array<number>(720).fill(Number.NaN), ...days(15)];
  const random = seededRandom(2n);
  const spike = new Array<number>(400).fill(1).with(200, 1e6);
  const all = [
    series('constant', new Array<number>(400).fill(7)),
    series('silent', new Array<number>(400).fill(0)),
    series('gap', gap),
    series('spike', spike),
    series(
      'now and then',
      Array.from({ length: 400 }, () => Number(random.nextBelow(50) === 0)),
    ),
    series('spike at the end', new Array<number>(400).fill(1).with(399, 1e6)),
    series(
      'jumping',
      Array.from({ length: 400 }, (_, i) => (i % 2) * 1e9),
    ),
    series('largest', new Array<number>(400).fill(1e100)),
    series(
      'smallest',
      days(15, (hour) => daily(hour) * 1e-300),
    ),
  ];
  // Each by itself as well: in company one series' errors cover up what another lacks.
  for (const one of all) assertWhole((await forecast([one]))[0] as SeriesForecast, 24);
  const found = await forecast(all);
  for (const one of found) assertWhole(one, 24);
  const of = (id: string) => found.find((one) => one.id === id) as SeriesForecast;
  check.ok(Math.abs((of('constant').point[0] as number) - 7) < 0.1);
  check.ok((of('silent').upper['95']?.[0] as number) < 1, 'silence is no reason for alarm');
  check.ok((of('spike').point[12] as number) < 10, 'one spike long ago is not a level');
  check.match(of('gap').notes.join(), /720 of 1440 windows without a value, 720 in a row \(30d\)/);
  check.match(of('silent').notes.join(), /all values are 0/);
});

test('small fractions have bounds of their own size', async () => {
  const [found] = (await forecast([
    series(
      'rate',
      days(20, (hour) => daily(hour) / 1e6),
    ),
  ])) as readonly [SeriesForecast];
  check.ok((found.upper['95']?.[6] as number) < 1e-3, `the upper bound is ${found.upper['95']?.[6]}`);
});

test('any series at all is forecast without NaN', async () => {
  const value = fc.oneof(
    fc.constantFrom(0, 1, 1e-300, 1e6, 1e100, Number.NaN),
    fc.double({ min: 0, max: 1e5, noNaN: true }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(value, { minLength: 1, maxLength: 60 }), async (values) => {
      if (values.every(Number.isNaN)) return;
      const [found] = (await forecast([series('any', values)], 5)) as readonly [SeriesForecast];
      assertWhole(found, 5);
    }),
    { seed, numRuns: 15 },
  );
});

const TOGETHER = { seriesMax: () => 512, isByTime: false };
test('groups have one window and nearly one length, are cut on the left, and hold every series once', () => {
  const lengthsOf = (all: GridSeries[]) =>
    groupSeries(all, TOGETHER).map(({ members, windowCount }) => [
      members.map(({ series: { id } }) => id).join(),
      windowCount,
    ]);
  const counting = (id: string, count: number) =>
    series(
      id,
      Array.from({ length: count }, (_, i) => i),
    );
  check.equal(
    lengthsOf([
      counting('a', 100),
      counting('b', 50),
      counting('c', 95),
      { ...counting('d', 100), windowMs: 60_000 },
    ]),
    [
      ['d', 100],
      ['a,c', 95],
      ['b', 50],
    ],
  );
  const [group] = groupSeries([counting('a', 100), counting('c', 95)], TOGETHER);
  check.is(group?.members[0]?.values[0], 5);
  const many = groupSeries(
    Array.from({ length: 1_200 }, (_, i) => series(String(i), [1, 2, 3])),
    TOGETHER,
  );
  check.is(
    many.reduce((sum, { members }) => sum + members.length, 0),
    1_200,
  );
  check.ok(many.every(({ members }) => members.length <= 512));
});

test('a missing window is filled with the week before, else the day, else the window', () => {
  const hours = Array.from({ length: 200 }, (_, i) => i);
  const withHoles = Float64Array.from(hours, (i) => ([5, 30, 180, 181].includes(i) ? Number.NaN : i));
  const { values, missingCount, longestGap } = fillMissing(withHoles, HOUR_MS);
  check.equal([values[5], values[30], values[180], values[181]], [4, 6, 12, 13]);
  check.is(missingCount, 4);
  check.is(longestGap, 2);
  check.equal([...fillMissing(Float64Array.of(Number.NaN, 3), HOUR_MS).values], [3, 3]);
});

test('levels are percents, in any order, once each', () => {
  check.equal(parseLevels('95,80,95'), [80, 95]);
  for (const text of ['', '80,', 'a', '100', '0.8'])
    check.throws(() => parseLevels(text), /--level: found .*50 to 99/);
});

test('a sparkline spans from 0 to the highest value', () => {
  check.is(sparkline([0, 7], 10, 7), '▁█');
  check.is(sparkline([0, 0, 7, 7], 2, 7), '▁█');
  check.is(sparkline([], 10, 7), '');
});

test.run();

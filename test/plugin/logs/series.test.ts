import fc from 'fast-check';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { readSeries } from '../../../plugin/logs/series/read-series.ts';
import { type GridOptions, onRegularGrid } from '../../../plugin/logs/series/regular-grid.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('series files');
const seed = Number(testSeed('series files') % 2_147_483_647n);
const HOUR_MS = 3_600_000;
const START_MS = Date.UTC(2024, 0, 1);

async function* once(content: string | Buffer): AsyncGenerator<Buffer> {
  yield Buffer.from(content as string);
}
const read = (content: string | Buffer) => readSeries(once(content), { name: 'f.csv' });

async function refusal(content: string | Buffer): Promise<string> {
  try {
    await read(content);
  } catch (error) {
    check.instance(error, ForeshardError);
    return (error as Error).message;
  }
  throw new Error('it must be refused');
}

const gridOf = async (rows: readonly string[], options: Partial<GridOptions> = {}) => {
  const [series] = await read(`series,time,value\n${rows.join('\n')}\n`);
  return onRegularGrid(series as NonNullable<typeof series>, { windowsMax: 1_000, ...options });
};
const refusalOfGrid = async (rows: readonly string[]): Promise<string> => {
  try {
    await gridOf(rows);
  } catch (error) {
    check.instance(error, ForeshardError);
    return (error as Error).message;
  }
  throw new Error('it must be refused');
};
const at = (hours: number): string => new Date(START_MS + hours * HOUR_MS).toISOString();

test('the long layout: columns in any order, series mixed, missing values as people write them', async () => {
  const series = await read(
    `Value;note;TIME;series\n1;x;${at(0)};a\nNA;;${at(0)};b\n2.5;;${START_MS + HOUR_MS};a\n;;${at(1)};b\n3;;${at(2)};"b"\n`,
  );
  check.equal(
    series.map(({ id, values, timesMs, rows }) => [id, [...values], [...(timesMs ?? [])], [...(rows ?? [])]]),
    [
      ['a', [1, 2.5], [START_MS, START_MS + HOUR_MS], [2, 4]],
      ['b', [Number.NaN, Number.NaN, 3], [0, 1, 2].map((h) => START_MS + h * HOUR_MS), [3, 5, 6]],
    ],
  );
});

test('one series needs no column for its name', async () => {
  const [series] = await read(`time,value\n${at(0)},1\n`);
  check.is(series?.id, 'value');
});

test('the wide layout of M4: an id, then values; shorter series end in empty cells', async () => {
  const series = await read('"V1","V2","V3","V4"\n"H1",1,2,\n"H2",4,,6\n');
  check.equal(
    series.map(({ id, values, timesMs }) => [id, [...values], timesMs]),
    [
      ['H1', [1, 2], null],
      ['H2', [4, Number.NaN, 6], null],
    ],
  );
});

test('what cannot be forecast is refused with series, row and remedy', async () => {
  const head = 'series,time,value';
  const cases: readonly [string | Buffer, RegExp][] = [
    ['', /f\.csv: the file is empty/],
    [`${head}\n`, /a header and no row/],
    ['foo,bar\n1,2\n', /row 1 is not the header.*"foo,bar", expected "series,time,value"/],
    [Buffer.from([1, 0, 2, 0, 255, 254]), /binary file/],
    [`${head}\na,${at(0)},-3\n`, /series "a", row 2: value -3 is below 0: .*add a constant/],
    [`${head}\na,${at(0)},1\na,${at(1)},1e999\n`, /series "a", row 3: value "1e999" is not a finite number/],
    [`${head}\na,${at(0)},1\na,${at(1)},1e101\n`, /series "a", row 3: value 1e101 is above 1e\+100/],
    [`${head}\na,${at(0)},"1,5"\n`, /series "a", row 2: value "1,5" is not a finite number/],
    [
      `${head}\na,${at(0)},0x10\n`,
      /series "a", row 2: value "0x10" is not a finite number in decimal notation/,
    ],
    [`${head}\na,soon,1\n`, /series "a", row 2: time "soon" is neither ISO 8601 nor epoch milliseconds/],
    [`${head}\n,${at(0)},1\n`, /row 2 names no series/],
    [`${head}\na,${at(0)}\n`, /row 2 has 2 columns, the header has 3/],
    [`${head}\n"a,${at(0)},1\n`, /row 2: quotes do not match/],
    ['V1,V2\nH1,1\nH1,2\n', /series "H1" stands in rows 2 and 3/],
    ['V1,V2\nH1,-1\n', /series "H1", row 2: value -1 is below 0/],
    [`x${'y'.repeat(17 * 2 ** 20)}`, /row 1 has 17825793 bytes, at most 16777216/],
  ];
  for (const [content, expected] of cases) check.match(await refusal(content), expected);
});

const BERLIN = { name: 'f.csv', timeZone: 'Europe/Berlin' };
const AUTUMN_MS = Date.UTC(2024, 9, 26, 22);
/** What clocks in Berlin show in ten windows over the end of summer time. */
const autumn = (windowMs: number): string[] =>
  Array.from({ length: 6 * (HOUR_MS / windowMs) }, (_, i) => {
    const instant = AUTUMN_MS + i * windowMs;
    const summer = instant < Date.UTC(2024, 9, 27, 1) ? 2 : 1;
    return new Date(instant + summer * HOUR_MS).toISOString().slice(0, 16).replace('T', ' ');
  });

test('the hour that clocks show twice is two hours of every series, in whichever direction rows go', async () => {
  for (const windowMs of [HOUR_MS, HOUR_MS / 4]) {
    const clock = autumn(windowMs);
    const expected = clock.map((_, i) => AUTUMN_MS + i * windowMs);
    const rows = clock.flatMap((time, i) => [`a,${time},${i}`, `b,${time},${i}`]);
    for (const series of await readSeries(once(`series,time,value\n${rows.join('\n')}\n`), BERLIN))
      check.equal([...(series.timesMs ?? [])], expected, series.id);
    const [back] = await readSeries(once(`series,time,value\n${rows.reverse().join('\n')}\n`), BERLIN);
    check.equal([...(back?.timesMs ?? [])].reverse(), expected);
  }
});

test('two values of one time, and a series without any, are told by file, series and rows', async () => {
  const twice = autumn(HOUR_MS).map((time, i) => `a,${time},${i}`);
  check.is(
    await refusalOfGrid(twice),
    [
      'f.csv: series "a", rows 4 and 5: two values for 2024-10-27T02:00:00.000Z: remove one, take them together with',
      '--aggregate sum or mean, or, if clocks were changed then, name the zone that the times are really of with --time-zone',
    ].join(' '),
  );
  check.match(await refusalOfGrid([`a,${at(0)},NA`]), /^f\.csv: series "a", row 2: there is no value/);
});

test('a row of the far future does not take the history away: it is refused by name; a nearer one is noted', async () => {
  const rows = Array.from({ length: 50 }, (_, hour) => `a,${at(hour)},${hour}`);
  const stray = [...rows.slice(0, 20), 'a,2106-02-07T06:00:00Z,1', ...rows.slice(20)];
  check.match(
    await refusalOfGrid(stray),
    /f\.csv: series "a", row 22: 2106-02-07T06:00:00\.000Z is \d+d after what comes before it, .*mend its time, or remove the row/,
  );
  const near = await gridOf([...rows, `a,${at(200)},1`]);
  check.is(near.values.length, 201);
  check.match(near.notes.join(), /row 52: .* is 6d after what comes before it: is its time right/);
  check.equal((await gridOf([...rows, `a,${at(70)},1`])).notes, []);
});

test('more values than fit in memory are refused, not held', async () => {
  const rows = Array.from({ length: 20 }, (_, i) => `a,${at(i)},1`).join('\n');
  try {
    await readSeries(once(`series,time,value\n${rows}\n`), { valuesMax: 10 });
    check.unreachable();
  } catch (error) {
    check.is((error as ForeshardError).code, 'FORESHARD_LIMIT');
  }
});

test('whatever the bytes are, a file is read or refused, never worse', async () => {
  const piece = fc.constantFrom(
    'series,time,value\n',
    'V1,V2,V3\n',
    'a,',
    `${at(0)},`,
    '1\n',
    '"',
    '\n',
    'NaN',
    '-1',
    '\0',
    ';',
    '\r',
  );
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.array(piece, { maxLength: 30 }).map((parts) => Buffer.from(parts.join(''))),
        fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
      ),
      async (bytes) => {
        try {
          for (const series of await read(bytes)) onRegularGrid(series, { windowsMax: 100 });
        } catch (error) {
          check.instance(error, ForeshardError, String((error as Error).stack));
        }
      },
    ),
    { seed, numRuns: 300 },
  );
});

test('a regular series keeps its spacing, and a hole in it stays a hole', async () => {
  const { windowMs, startMs, values, notes } = await gridOf(
    [0, 1, 2, 5].map((hour) => `a,${at(hour)},${hour + 1}`),
  );
  check.is(windowMs, HOUR_MS);
  check.is(startMs, START_MS);
  check.equal([...values], [1, 2, 3, Number.NaN, Number.NaN, 6]);
  check.equal(notes, []);
});

test('clocks that jitter are regular; rows out of order are sorted, repeated ones left out, and it is said', async () => {
  const { values, notes } = await gridOf([
    `a,${at(0.02)},1`,
    `a,${at(2)},3`,
    `a,${at(0.99)},2`,
    `a,${at(2)},3`,
    `a,${at(3.05)},4`,
  ]);
  check.equal([...values], [1, 2, 3, 4]);
  check.equal(notes, ['1 rows came before earlier ones and were sorted', '1 repeated rows were left out']);
});

test('two values for one time are an error with both rows, unless they are to be taken together', async () => {
  const rows = [`a,${at(0)},1`, `a,${at(1)},2`, `a,${at(1)},4`, `a,${at(2)},3`];
  try {
    await gridOf(rows);
    check.unreachable();
  } catch (error) {
    check.match(
      (error as Error).message,
      /series "a", rows 3 and 4: two values for 2024-01-01T01:00:00\.000Z: .*--aggregate/,
    );
  }
  check.equal([...(await gridOf(rows, { aggregate: 'sum' })).values], [1, 6, 3]);
  check.equal([...(await gridOf(rows, { aggregate: 'mean' })).values], [1, 3, 3]);
});

test('irregular times are averaged in windows of a round width, and it is said', async () => {
  const { windowMs, values, notes } = await gridOf(
    [0, 0.5, 0.7, 1.3, 1.9, 2.1].map((hour) => `a,${at(hour)},${hour * 10}`),
  );
  check.is(windowMs, HOUR_MS / 2);
  check.equal([...values], [0, 6, 13, 19, 21]);
  check.match(notes[0] as string, /times are not regular.* mean per window of 30m/);
});

test('a sampler that sleeps a minute and takes a little more has windows of a minute', async () => {
  const { windowMs, values } = await gridOf(
    Array.from({ length: 600 }, (_, i) => `a,${START_MS + i * 60_100 + (i % 2) * 100},5`),
  );
  check.is(windowMs, 60_000);
  check.ok(values.filter((value) => value === 5).length > 595);
});

test('a given window adds counts up; a window without any row had none', async () => {
  const rows = [0.1, 0.2, 1.1, 3.5].map((hour) => `a,${at(hour)},1`);
  const { values } = await gridOf(rows, { windowMs: HOUR_MS, aggregate: 'sum' });
  check.equal([...values], [2, 1, 0, 1]);
});

test('a spike is kept, and told with its row', async () => {
  const rows = Array.from({ length: 400 }, (_, i) => `a,${at(i)},${i === 200 ? 1e6 : 1 + (i % 2)}`);
  const { values, notes } = await gridOf(rows);
  check.is(values[200], 1e6);
  check.match(
    notes.join(),
    /^1 of its values are over 100 times .*\(2\), such as 1000000 in row 202: are they right/,
  );
  check.equal((await gridOf(rows.with(200, `a,${at(200)},150`))).notes, []);
});

test('a gap of years costs no memory: the newest windows are kept', async () => {
  const { values, notes } = await gridOf([0, 1, 100_000, 100_001, 100_002].map((hour) => `a,${at(hour)},1`));
  check.equal([...values], [1, 1, 1]);
  check.equal(notes, ['only its newest 1000 windows are used']);
});

test('a series without any value is refused by name', async () => {
  try {
    await gridOf([`a,${at(0)},`, `a,${at(1)},NaN`]);
    check.unreachable();
  } catch (error) {
    check.match((error as Error).message, /series "a", row 2: there is no value in it/);
  }
});

test.run();

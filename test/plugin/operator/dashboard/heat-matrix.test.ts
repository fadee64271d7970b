import fc from 'fast-check';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { encodeWindow } from '../../../../plugin/host/analysis/profile-publisher.ts';
import { encodeForecast, readForecast } from '../../../../plugin/host/records/forecast-record.ts';
import {
  heatMatrix,
  type LoadColumns,
  NOTHING_RECORDED,
} from '../../../../plugin/operator/dashboard/heat-matrix.ts';
import { historyShape, LoadHistory } from '../../../../plugin/operator/dashboard/load-history.ts';
import { LOAD_DIMENSION_COUNT } from '../../../../src/model/load-profile.ts';
import type { MetadataStore } from '../../../../src/ports/metadata-store.ts';
import { PlainMetadata } from '../../../support/plain-metadata.ts';
import { testSeed } from '../../../support/seed.ts';

const test = suite('dashboard: load as a picture');
const HOUR_MS = 3_600_000;

const columns = (startMs: number, rows: readonly (readonly number[])[]): LoadColumns => ({
  startMs,
  stepMs: HOUR_MS,
  columnCount: rows[0]?.length ?? 0,
  partitionCount: rows.length,
  at: (partition, column) => rows[partition]?.[column] as number,
});

/** Queries behind a level. */
const queriesOf = (level: number, most: number): number => Math.expm1((level / 254) * Math.log1p(most));

test('each cell is what was measured, then what is forecast, to 3 %; a gap is no zero', () => {
  const measured = columns(10 * HOUR_MS, [
    [5, Number.NaN],
    [0, 1_000],
  ]);
  const forecast = columns(11 * HOUR_MS, [
    [7, 8],
    [9, 10],
  ]);
  const view = { fromMs: 9 * HOUR_MS, toMs: 13 * HOUR_MS, first: 0, last: 1, rowsMax: 512 };
  const { levels, columnCount, rowCount, queriesMax, startMs } = heatMatrix([measured, forecast], view);
  check.equal([columnCount, rowCount, queriesMax, startMs], [4, 2, 1_000, 9 * HOUR_MS]);
  const cells = [...levels].map((level) =>
    level === NOTHING_RECORDED ? null : Math.round(queriesOf(level, queriesMax)),
  );
  // Nobody looked before 10:00; at 11:00 partition 0 was not recorded, and what was forecast of it is no measurement.
  check.equal(cells, [null, 5, null, 8, null, 0, 1_000, 10]);
});

test('where partitions share a row the hottest shows, whatever the shape', () => {
  const seed = Number(testSeed('heat-matrix') % 2n ** 31n);
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 70 }),
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 1, max: 40 }),
      fc.nat(),
      (partitionCount, columnCount, rowsMax, salt) => {
        const rows = Array.from({ length: partitionCount }, (_, p) =>
          Array.from({ length: columnCount }, (_, c) => ((p * 31 + c * 17 + salt) * 2_654_435_761) % 1_000),
        );
        const view = { fromMs: 0, toMs: columnCount * HOUR_MS, first: 0, last: partitionCount - 1, rowsMax };
        const heat = heatMatrix([columns(0, rows)], view);
        check.ok(heat.rowCount <= rowsMax);
        for (let row = 0; row < heat.rowCount; row++)
          for (let c = 0; c < columnCount; c++) {
            const first = row * heat.partitionsPerRow;
            const hottest = Math.max(
              ...rows.slice(first, first + heat.partitionsPerRow).map((of) => of[c] as number),
            );
            const shown = queriesOf(heat.levels[row * columnCount + c] as number, heat.queriesMax);
            check.ok(Math.abs(shown - hottest) <= 0.03 * hottest + 0.02, `${shown} for ${hottest}`);
          }
      },
    ),
    { seed, numRuns: 60 },
  );
});

test('where a picture has fewer columns than there are windows, windows share one, and the hottest shows', () => {
  const QUARTER_MS = HOUR_MS / 4;
  const windowCount = 1_344;
  const load = (window: number): number => (window % 100 === 7 ? 500 : window % 10);
  const part: LoadColumns = {
    ...{ startMs: 0, stepMs: QUARTER_MS, columnCount: windowCount, partitionCount: 1 },
    at: (_, window) => load(window),
  };
  // Two weeks of quarters of an hour, from the middle of one.
  const view = { fromMs: 400_000, toMs: windowCount * QUARTER_MS, first: 0, last: 0, rowsMax: 512 };
  const { levels, stepMs, startMs, columnCount, queriesMax } = heatMatrix([part], view);
  check.equal([stepMs, startMs, columnCount, queriesMax], [2 * QUARTER_MS, 0, windowCount / 2, 500]);
  for (let column = 0; column < columnCount; column++) {
    const hottest = Math.max(load(2 * column), load(2 * column + 1));
    const shown = queriesOf(levels[column] as number, queriesMax);
    check.ok(Math.abs(shown - hottest) <= 0.03 * hottest + 0.02, `${column}: ${shown} for ${hottest}`);
  }
  const long = heatMatrix([part], { ...view, fromMs: 0, toMs: 1e15 });
  check.ok(long.levels.length <= 524_288, 'however long a time is asked for');
});

test('how much of the past is kept and shown follows from the width of a window', () => {
  const DAY_MS = 24 * HOUR_MS;
  check.equal(historyShape({ windowMs: HOUR_MS, partitionCount: 16_384 }), {
    windowsMax: 8 * 24,
    pastMs: 7 * DAY_MS,
  });
  check.is(historyShape({ windowMs: HOUR_MS / 4, partitionCount: 16_384 }).pastMs, 7 * DAY_MS);
  // Not a week of seconds: neither their memory nor so many questions to the metadata store.
  const seconds = historyShape({ windowMs: 1_000, partitionCount: 256 });
  check.equal(seconds, { windowsMax: 2_304, pastMs: 2_304_000 });
  check.ok(
    historyShape({ windowMs: 300_000, partitionCount: 16_384 }).windowsMax * 16_384 * 4 <= 64 * 2 ** 20,
  );
  check.is(historyShape({ windowMs: DAY_MS, partitionCount: 256 }).pastMs, 56 * DAY_MS);
});

test('a forecast of 16,384 partitions is published in values that etcd takes, and read back to 3 %', async () => {
  const [partitionCount, horizonSteps] = [16_384, 168];
  const mean = new Float64Array(partitionCount * horizonSteps * LOAD_DIMENSION_COUNT);
  for (let i = 0; i < mean.length; i += LOAD_DIMENSION_COUNT) mean[i] = ((i * 2_654_435_761) % 5_000) / 10;
  const store = new PlainMetadata();
  const chunks = encodeForecast({ startMs: 5, stepMs: HOUR_MS, horizonSteps, partitionCount, mean });
  check.ok(Math.max(...chunks.map(({ length }) => length)) < 1_000_000);
  const read = () => readForecast(store as unknown as MetadataStore, '/f/');
  check.is(await read(), undefined);
  for (const [i, value] of chunks.entries()) {
    store.put(`/f/0${i}`, value);
    if (i < chunks.length - 1) check.is(await read(), undefined, 'half a forecast is none');
  }
  const forecast = await read();
  check.is(forecast?.partitionCount, partitionCount);
  for (const [p, step] of [
    [0, 0],
    [16_383, 167],
    [9_000, 55],
  ] as const) {
    const expected = mean[(step * partitionCount + p) * LOAD_DIMENSION_COUNT] as number;
    const found = forecast?.queries[p * horizonSteps + step] as number;
    check.ok(Math.abs(found - expected) <= 0.03 * expected + 0.02, `${found} for ${expected}`);
  }
});

test('measured load is summed over query nodes, windows that are over are read once, one that nobody wrote is a gap', async () => {
  const store = new PlainMetadata();
  const listed: string[] = [];
  const list = store.list.bind(store);
  store.list = (prefix) => {
    listed.push(prefix);
    return list(prefix);
  };
  const write = (hour: number, queryNodeId: number, queries: number): void => {
    const values = new Float64Array(2 * LOAD_DIMENSION_COUNT);
    values[LOAD_DIMENSION_COUNT] = queries;
    const counts = { capturedCount: 1, droppedCount: 0 };
    const [value] = encodeWindow({ startMs: hour * HOUR_MS, queryNodeId, values, ...counts }) as [Uint8Array];
    store.put(`/p/${hour * HOUR_MS}/${queryNodeId}/00`, value);
  };
  write(100, 1, 5);
  write(100, 2, 7);
  write(102, 1, 3);
  store.put(`/p/${102 * HOUR_MS}/2/00`, new Uint8Array([1, 2, 3]));
  const history = new LoadHistory({
    metadata: store as unknown as MetadataStore,
    prefix: '/p/',
    windowMs: HOUR_MS,
    partitionCount: 2,
    windowsMax: 10,
  });
  const read = async (nowMs: number) => {
    const { startMs, columnCount, at } = await history.load(100 * HOUR_MS, nowMs);
    check.is(startMs, 100 * HOUR_MS);
    return Array.from({ length: columnCount }, (_, c) => at(1, c));
  };
  check.equal(await read(103 * HOUR_MS + 1), [12, Number.NaN, 3]);
  // The last window may still get what a slow query node has.
  write(102, 2, 4);
  listed.length = 0;
  check.equal(await read(103 * HOUR_MS + 2), [12, Number.NaN, 7]);
  check.equal(listed, [`/p/${102 * HOUR_MS}/`]);
});

test.run();

import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { CapturedLoad } from '../../../../../plugin/engines/redis-cluster/load/captured-load.ts';
import { ProfileLedger } from '../../../../../plugin/host/analysis/profile-ledger.ts';
import type { CapturedProcess } from '../../../../../plugin/redis/pulse-record.ts';
import { LOAD_DIMENSION_COUNT } from '../../../../../src/model/load-profile.ts';

const test = suite('redis-cluster: load of this moment by captured applications');
const WINDOW_MS = 3_600_000;
const START_MS = 100 * WINDOW_MS;
const PARTITIONS = 4;

/** Processes that publish their open window every 15 s and a pulse every second; looks every 10 s. */
function start() {
  const ledger = new ProfileLedger({ windowMs: WINDOW_MS, partitionCount: PARTITIONS, windowsMax: 10 });
  const load = new CapturedLoad(ledger);
  const totals = new Map<number, { count: number; windows: Map<number, Float64Array> }>();
  let nowMs = START_MS;

  /** @param perSecond queries of each partition, by process. */
  function second(perSecond: ReadonlyMap<number, readonly number[]>): void {
    for (const [id, queries] of perSecond) {
      const own = totals.get(id) ?? { count: 0, windows: new Map() };
      totals.set(id, own);
      const startMs = Math.floor(nowMs / WINDOW_MS) * WINDOW_MS;
      const values = own.windows.get(startMs) ?? new Float64Array(PARTITIONS * LOAD_DIMENSION_COUNT);
      own.windows.set(startMs, values);
      queries.forEach((count, p) => {
        values[p * LOAD_DIMENSION_COUNT]! += count;
        values[p * LOAD_DIMENSION_COUNT + 2]! += 10 * count;
        own.count += count;
      });
    }
    nowMs += 1_000;
    // Also what is over is published once more.
    if (nowMs % 15_000 === 0)
      for (const [queryNodeId, { windows }] of totals)
        for (const [startMs, values] of windows) {
          const capturedCount = values.reduce(
            (sum, own, i) => sum + (i % LOAD_DIMENSION_COUNT === 0 ? own : 0),
            0,
          );
          ledger.add({ startMs, queryNodeId, values: values.slice(), capturedCount, droppedCount: 0 });
        }
  }

  const pulses = (): CapturedProcess[] =>
    [...totals].map(
      ([captureId, { count }]) => ({ captureId, atMs: nowMs, capturedCount: count }) as CapturedProcess,
    );

  return {
    pass(seconds: number, perSecond: ReadonlyMap<number, readonly number[]>): (number[] | null)[] {
      const looks: (number[] | null)[] = [];
      for (let i = 0; i < seconds; i++) {
        second(perSecond);
        if (nowMs % 10_000 !== 0) continue;
        const look = load.look(nowMs, pulses());
        looks.push(
          look && Array.from({ length: PARTITIONS }, (_, p) => look[p * LOAD_DIMENSION_COUNT] as number),
        );
      }
      return looks;
    },
    /** The pulse of the look before once more, or one of before that. */
    again: (agoMs: number) =>
      load.look(
        nowMs,
        pulses().map((own) => ({ ...own, atMs: own.atMs - agoMs })),
      )?.[0],
    forget: (id: number) => totals.delete(id),
  };
}

const near = (found: number[] | null | undefined, expected: readonly number[]): void =>
  expected.forEach((own, p) => {
    check.ok(Math.abs((found?.[p] ?? Number.NaN) - own) < 1e-6, `${found}, not ${expected}`);
  });

test('rates of all processes add up, and a change is seen within the next publication and look', () => {
  const { pass } = start();
  const quiet = new Map([
    [20_001, [10, 10, 0, 0]],
    [20_002, [0, 0, 5, 0]],
  ]);
  const looks = pass(60, quiet);
  check.is(looks[0], null, 'of a process that has just been seen nothing is known');
  near(looks.at(-1), [10, 10, 5, 0]);
  const hot = new Map([...quiet, [20_002, [0, 0, 5, 45]]]);
  const after = pass(60, hot);
  check.is(Math.round((after[0] ?? []).reduce((sum, own) => sum + own, 0)), 70, 'how much, at the next look');
  near(after[2], [10, 10, 5, 45]);
  near(after.at(-1), [10, 10, 5, 45]);
});

test('a new window goes on where the last one ended', () => {
  const { pass } = start();
  pass(3_570, new Map([[20_001, [10, 0, 0, 0]]]));
  for (const look of pass(120, new Map([[20_001, [10, 0, 0, 0]]]))) near(look, [10, 0, 0, 0]);
});

test('a pulse that is no newer than the one before leaves the rate as it was', () => {
  for (const agoMs of [0, 500]) {
    const { pass, again } = start();
    pass(60, new Map([[20_001, [10, 0, 0, 0]]]));
    check.is(Math.round(again(agoMs) ?? Number.NaN), 10, `${agoMs} ms ago`);
  }
});

test('who asks nothing, or has gone, burdens nobody', () => {
  const { pass, forget } = start();
  pass(
    60,
    new Map([
      [20_001, [10, 0, 0, 0]],
      [20_002, [0, 10, 0, 0]],
    ]),
  );
  near(pass(30, new Map([[20_001, [10, 0, 0, 0]]])).at(-1), [10, 0, 0, 0]);
  forget(20_001);
  near(pass(10, new Map([[20_002, [0, 10, 0, 0]]])).at(-1), [0, 10, 0, 0]);
});

test.run();

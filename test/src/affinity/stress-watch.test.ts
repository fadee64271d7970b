import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { StressWatch, type StressWatchSettings } from '../../../src/affinity/relief/stress-watch.ts';
import { DEFAULT_AFFINITY_SETTINGS } from '../../../src/affinity/settings.ts';
import { LOAD_DIMENSION_COUNT } from '../../../src/model/load-profile.ts';

const test = suite('affinity/stress watch');
const LOOK_MS = 30_000;
const AFTER_MS = 120_000;
const SETTINGS: StressWatchSettings = {
  reliefAfterMs: AFTER_MS,
  dimensions: ['queries'],
  relief: DEFAULT_AFFINITY_SETTINGS.relief,
};
const CLUSTER = {
  ownerOf: Int32Array.of(0, 0, 1),
  capacityOf: [0, 1].map(() => new Float64Array(LOAD_DIMENSION_COUNT).fill(100)),
};
const BOTH = new Set([0, 1]);

/** Looks every half minute at a load that changes whenever it likes; partition 1, on node 0, is the one that does. */
function watching(loadAt: (ms: number) => number, silent: (ms: number) => boolean = () => false) {
  const watch = new StressWatch();
  const dueMs: number[] = [];
  for (let atMs = LOOK_MS; atMs <= 20 * LOOK_MS; atMs += LOOK_MS) {
    let sum = 0;
    for (let ms = atMs - LOOK_MS; ms < atMs; ms += 1_000) sum += loadAt(ms);
    const perSecond = new Float64Array(3 * LOAD_DIMENSION_COUNT);
    [20, sum / 30, 20].forEach((own, p) => {
      perSecond[p * LOAD_DIMENSION_COUNT] = own;
    });
    const nodeIds = silent(atMs) ? new Set([1]) : BOTH;
    watch.note({ atMs, durationMs: LOOK_MS, perSecond, nodeIds }, CLUSTER, SETTINGS);
    if (watch.due(SETTINGS).length > 0) dueMs.push(atMs);
  }
  return { watch, dueMs };
}

test('a node is due within reliefAfterMs and one look of the moment it got hot, whenever that is', () => {
  for (let shockMs = 60_000; shockMs < 120_000; shockMs += 1_000) {
    const { dueMs } = watching((ms) => (ms >= shockMs ? 70 : 30));
    const first = dueMs[0] as number;
    check.ok(first - shockMs <= AFTER_MS + LOOK_MS, `hot at ${shockMs}, due at ${first}`);
    check.ok(first - shockMs >= AFTER_MS - LOOK_MS, `hot at ${shockMs}, due at ${first}: too soon`);
  }
});

test('a spike that is over before is nobody’s business, however high', () => {
  for (let shockMs = 60_000; shockMs < 120_000; shockMs += 1_000)
    for (const height of [65, 400]) {
      const { dueMs } = watching((ms) =>
        ms >= shockMs && ms < shockMs + AFTER_MS - 2 * LOOK_MS ? height : 30,
      );
      check.equal(dueMs, [], `hot at ${shockMs}, ${height}`);
    }
});

test('what hovers between the end of the zone and the margin below is what it was', () => {
  // 0.79: not stressed by itself, and no rest for who is.
  check.equal(watching(() => 59).dueMs, []);
  const dips = watching((ms) => (ms < 90_000 || ms >= 120_000 ? 65 : 59));
  check.is(dips.dueMs[0], AFTER_MS, 'a dip to 79 % is no rest');
  const rests = watching((ms) => (ms < 90_000 || ms >= 120_000 ? 65 : 55));
  check.is(rests.dueMs[0], 120_000 + AFTER_MS, 'one to 75 % is');
});

test('a node that hovers after it was stressed is not due: the mean has to be above, too', () => {
  check.equal(watching((ms) => (ms < 30_000 ? 61 : 58.5)).dueMs, []);
});

test('a node that does not tell keeps its stress for a while, and its partitions are not taken for idle', () => {
  const away = watching(
    () => 70,
    (ms) => ms === 90_000,
  );
  check.is(away.dueMs[0], AFTER_MS);
  const mean = away.watch.meanPerSecond();
  check.equal([mean[0], Math.round(mean[LOAD_DIMENSION_COUNT] as number)], [20, 70]);
  check.equal([...away.watch.unknown(SETTINGS).nodeIds], []);
  const silent = watching(
    () => 70,
    (ms) => ms > 16 * LOOK_MS,
  );
  const { partitionIds, nodeIds } = silent.watch.unknown(SETTINGS);
  check.equal([[...partitionIds], [...nodeIds]], [[0, 1], [0]]);
  const lately = watching(
    () => 70,
    (ms) => ms > 17 * LOOK_MS,
  ).watch.unknown(SETTINGS);
  check.equal([lately.partitionIds.size, lately.nodeIds.size], [0, 0], 'the mean says something of it still');
  const gone = watching(
    () => 70,
    (ms) => ms > 30_000 && ms <= 30_000 + 2 * AFTER_MS,
  );
  check.is(gone.dueMs[0], 30_000 + 3 * AFTER_MS, 'it has to be seen for as long again');
});

test('after a gap in which nobody looked it begins anew', () => {
  const watch = new StressWatch();
  const note = (atMs: number): number => {
    const perSecond = new Float64Array(3 * LOAD_DIMENSION_COUNT).fill(90);
    watch.note({ atMs, durationMs: LOOK_MS, perSecond, nodeIds: BOTH }, CLUSTER, SETTINGS);
    return watch.due(SETTINGS).length;
  };
  check.equal([30_000, 60_000, 90_000].map(note), [0, 0, 0]);
  check.equal([400_000, 430_000, 460_000, 490_000].map(note), [0, 0, 0, 2]);
  watch.reset();
  check.is(note(520_000), 0);
});

test('a long look counts for as much more as it is longer', () => {
  const watch = new StressWatch();
  for (const [atMs, durationMs, own] of [
    [30_000, 30_000, 30],
    [120_000, 90_000, 70],
  ] as const) {
    const perSecond = new Float64Array(3 * LOAD_DIMENSION_COUNT).fill(own);
    watch.note({ atMs, durationMs, perSecond, nodeIds: BOTH }, CLUSTER, SETTINGS);
  }
  check.is(watch.meanPerSecond()[0], 60);
});

test('it says who, of what and for how long, the most stressed first', () => {
  const { watch } = watching(() => 75);
  const [first] = watch.due(SETTINGS);
  check.is(first?.nodeId, 0);
  check.is(first?.dimension, 'queries');
  check.ok(Math.abs((first?.utilisation ?? 0) - 0.95) < 1e-9);
  check.is(first?.forMs, 20 * LOOK_MS);
});

test.run();

import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { findOutages } from '../../../../src/analyzer/seasons/find-outages.ts';
import { findShifts } from '../../../../src/analyzer/seasons/find-shifts.ts';
import { changePoints, sumsOf } from '../../../../src/analyzer/seasons/segmentation.ts';
import { ForeshardError } from '../../../../src/base/errors.ts';
import { type Random, seededRandom } from '../../../../src/base/random.ts';
import { testSeed } from '../../../support/seed.ts';
import { normal, redNoise, sumOf, wave, whiteNoise } from '../../../support/series.ts';

const test = suite('find-shifts');
const seed = testSeed('find-shifts');
const day = [{ period: 24 }];
const steps = (length: number, ...at: readonly (readonly [window: number, size: number])[]): Float64Array =>
  Float64Array.from({ length }, (_, t) =>
    at.reduce((sum, [window, size]) => sum + (t >= window ? size : 0), 0),
  );
const quiet = (random: Random, length: number): Float64Array =>
  whiteNoise(random, length).map((x) => 0.3 * x);

test('a doubling and a return to normal are found through the daily cycle, to the hour or so', () => {
  const random = seededRandom(seed).fork('doubling');
  const values = sumOf(
    wave(1008, 24, 1.5),
    quiet(random, 1008),
    steps(1008, [400, Math.LN2], [640, -Math.LN2]),
  );
  const shifts = findShifts(values, { seasons: day });
  check.is(shifts.length, 2);
  const [up, down] = shifts as [(typeof shifts)[0], (typeof shifts)[0]];
  check.ok(
    Math.abs(up.window - 400) <= 2 && Math.abs(down.window - 640) <= 2,
    `${up.window}, ${down.window}`,
  );
  check.ok(Math.abs(up.size - Math.LN2) < 0.1 && Math.abs(down.size + Math.LN2) < 0.1);
  check.ok(up.confidence > 0.99 && up.confidence <= 1);
});

test('a shift that came with the last day but one is found', () => {
  const random = seededRandom(seed).fork('late');
  const values = sumOf(wave(720, 24, 1), quiet(random, 720), steps(720, [680, 1]));
  const [shift] = findShifts(values, { seasons: day });
  check.ok(Math.abs((shift?.window ?? 0) - 680) <= 2);
});

test('spikes, a burst of some hours and a masked outage are no shifts', () => {
  const random = seededRandom(seed).fork('burst');
  const values = sumOf(wave(720, 24, 1), quiet(random, 720));
  const damaged = values.map((x, t) =>
    t % 113 === 0 ? x + 9 : t >= 300 && t < 308 ? x + 5 : t >= 500 && t < 560 ? 0 : x,
  );
  const mask = values.map((_, t) => (t >= 500 && t < 560 ? 1 : 0));
  check.equal(findShifts(damaged, { seasons: day, mask }), []);
});

for (const [name, make] of [
  ['white noise', (random) => whiteNoise(random, 720)],
  ['persistent noise', (random) => redNoise(random, 720, 0.8)],
  ['a random walk', (random) => redNoise(random, 720, 1)],
] as readonly (readonly [string, (random: Random) => Float64Array])[])
  test(`${name} has a shift in at most 3 of 100 series`, () => {
    const random = seededRandom(seed).fork(name);
    let found = 0;
    for (let i = 0; i < 100; i++) if (findShifts(make(random)).length > 0) found++;
    check.ok(found <= 3, `${found} of 100`);
  });

test('windows of a day: a level of a day is no level, and a series of many is done with soon', () => {
  const random = seededRandom(seed).fork('days');
  let found = 0;
  for (let i = 0; i < 50; i++) if (findShifts(whiteNoise(random, 365), { segmentMin: 1 }).length > 0) found++;
  check.ok(found <= 2, `${found} of 50`);
  const values = sumOf(whiteNoise(random, 365), steps(365, [200, 4]));
  check.ok(findShifts(values, { segmentMin: 1 }).some(({ window }) => Math.abs(window - 200) <= 2));
});

test('the segmentation is the cheapest one there is', () => {
  const random = seededRandom(seed).fork('pelt');
  for (let run = 0; run < 20; run++) {
    const n = 14 + random.nextBelow(6);
    const values = Float64Array.from({ length: n }, (_, t) => normal(random) + (t > n / 2 ? 2 : 0));
    const cost = (edges: readonly number[]): number => {
      let total = 0;
      for (let i = 0; i + 1 < edges.length; i++) {
        const part = [...values.slice(edges[i], edges[i + 1])];
        const mean = part.reduce((sum, value) => sum + value, 0) / part.length;
        total += 2 + part.reduce((sum, value) => sum + (value - mean) ** 2, 0);
      }
      return total;
    };
    // Every set of boundaries with stretches of at least 2.
    let least = Number.POSITIVE_INFINITY;
    for (let set = 0; set < 2 ** (n - 1); set++) {
      const inner = Array.from({ length: n - 1 }, (_, i) => i + 1).filter((at) => (set >> (at - 1)) & 1);
      const edges = [0, ...inner, n];
      if (edges.every((edge, i) => i === 0 || edge - (edges[i - 1] as number) >= 2))
        least = Math.min(least, cost(edges));
    }
    const weights = new Float64Array(n).fill(1);
    const found = changePoints(sumsOf(values, weights), { penalty: 2, segmentMin: 2 });
    check.ok(Math.abs(cost([0, ...found, n]) - least) < 1e-9, `run ${run}`);
  }
});

test('series that are short, constant or unknown have no shifts, and a mask must fit', () => {
  check.equal(findShifts(new Float64Array(0)), []);
  check.equal(findShifts(new Float64Array(50).fill(1)), []);
  check.equal(findShifts(new Float64Array(500).fill(1)), []);
  check.equal(findShifts(new Float64Array(500).fill(Number.NaN)), []);
  check.throws(
    () => findShifts(new Float64Array(500), { mask: [true] }),
    (error: unknown) =>
      error instanceof ForeshardError && /mask has 1 windows, the series 500/.test(error.message),
  );
});

const outageWindows = (loads: Float64Array): number[] =>
  [...findOutages(loads.map(Math.log1p), { seasons: day })].flatMap((isOut, t) => (isOut ? [t] : []));
/** Loads around 300 at noon and 100 at midnight. */
const busy = (random: Random, length: number): Float64Array =>
  sumOf(wave(length, 24, 100), new Float64Array(length).fill(200)).map(
    (x) => x * Math.exp(0.1 * normal(random)),
  );

test('silence where every day had plenty is an outage, with the windows that it cuts', () => {
  const random = seededRandom(seed).fork('silence');
  const loads = busy(random, 480).map((x, t) => (t === 200 ? 0.2 * x : t > 200 && t < 206 ? 0 : x));
  check.equal(outageWindows(loads), [200, 201, 202, 203, 204, 205]);
});

test('a quiet hour, a sparse partition, silent nights and a partition emptied for good are no outages', () => {
  const random = seededRandom(seed).fork('no silence');
  const loads = busy(random, 480);
  check.equal(outageWindows(loads.map((x, t) => (t === 200 ? 0.1 * x : x))), []);
  check.equal(outageWindows(loads.map(() => (random.nextFloat() < 0.3 ? 0 : 4))), []);
  check.equal(outageWindows(loads.map((x, t) => (t % 24 < 6 ? 0 : x))), []);
  check.equal(outageWindows(loads.map((x) => (random.nextFloat() < 0.4 ? 0 : x))), []);
  check.equal(outageWindows(loads.map((x, t) => (t > 400 ? 0 : x))), []);
});

test.run();

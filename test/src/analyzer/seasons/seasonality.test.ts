import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { findSeasons } from '../../../../src/analyzer/seasons/find-seasons.ts';
import { clusterSeasonality, seasonalityOf } from '../../../../src/analyzer/seasons/seasonality.ts';
import { type Random, seededRandom } from '../../../../src/base/random.ts';
import { testSeed } from '../../../support/seed.ts';
import { normal, sumOf, wave, whiteNoise } from '../../../support/series.ts';

const test = suite('seasonality');
const seed = testSeed('seasonality');
const LENGTH = 1008;

/** Log loads of a partition with a day, that doubles at window 600 and is not measured from 300 to 309. */
function partition(random: Random, level: number): Float64Array {
  return Float64Array.from({ length: LENGTH }, (_, t) => {
    if (t >= 300 && t < 310) return 0;
    const usual = level * (1 + 0.5 * Math.sin((2 * Math.PI * t) / 24)) * (t < 600 ? 1 : 2);
    return Math.log1p(usual * Math.exp(0.1 * normal(random)));
  });
}

test('a season, an outage and a doubling of one partition are told apart', () => {
  const { seasons, shifts, outages } = seasonalityOf(partition(seededRandom(seed), 500), { dayWindows: 24 });
  check.equal(
    seasons.map(({ period }) => period),
    [24],
  );
  check.equal(outages, [{ window: 300, windowCount: 10 }]);
  check.is(shifts.length, 1);
  check.ok(Math.abs((shifts[0]?.window ?? 0) - 600) <= 2);
  check.ok(Math.abs((shifts[0]?.size ?? 0) - Math.LN2) < 0.1);
});

test('a cluster is told by what its partitions share and by their sum', () => {
  const random = seededRandom(seed).fork('cluster');
  const rows = Array.from({ length: 8 }, (_, i) => partition(random, 100 * (i + 1)));
  const { seasons, total } = clusterSeasonality(rows, { dayWindows: 24 });
  check.equal(
    seasons.map(({ period }) => period),
    [24],
  );
  check.equal(total.outages, [{ window: 300, windowCount: 10 }]);
  check.is(total.shifts.length, 1);
});

test('a day and a week that are expected are found where they are too weak to be found unasked', () => {
  const random = seededRandom(seed).fork('weak');
  let [asked, unasked] = [0, 0];
  for (let i = 0; i < 60; i++) {
    const values = sumOf(wave(480, 24, 0.45), whiteNoise(random, 480));
    if (findSeasons(values).some(({ period }) => period === 24)) unasked++;
    if (findSeasons(values, { expected: [24, 168] }).some(({ period }) => period === 24)) asked++;
  }
  check.ok(asked >= unasked + 4, `${asked} of 60 asked, ${unasked} unasked`);
});

test('whatever the values and their scale, what is found is finite and in range', () => {
  const random = seededRandom(seed).fork('odd');
  const shapes: readonly ((t: number) => number)[] = [
    () => random.nextFloat(),
    () => (random.nextFloat() < 0.02 ? 1 : 0),
    (t) => t,
    (t) => (t % 7 === 0 ? 1 : 0),
    (t) => (t < 90 ? 0 : 1),
    (t) => (t === 5 ? 1 : 0),
  ];
  for (const shape of shapes)
    for (const scale of [1, 1e-300, 1e300, 1e-9, 1e155])
      for (const holes of [0, 0.05, 0.9]) {
        const values = Float64Array.from({ length: 40 + random.nextBelow(200) }, (_, t) => {
          if (random.nextFloat() < holes)
            return random.nextFloat() < 0.5 ? Number.NaN : Number.POSITIVE_INFINITY;
          return shape(t) * scale;
        });
        const { seasons, shifts, outages } = seasonalityOf(values, { dayWindows: 24 });
        for (const { period, strength, pValue } of seasons) {
          check.ok(Number.isInteger(period) && period >= 2 && period <= values.length / 3);
          check.ok(strength > 0 && strength <= 1 && pValue >= 0 && pValue <= 0.01);
        }
        for (const { window, size, confidence } of shifts) {
          check.ok(window > 0 && window < values.length && Number.isFinite(size));
          check.ok(confidence >= 0.99 && confidence <= 1);
        }
        for (const { window, windowCount } of outages) check.ok(window + windowCount <= values.length);
      }
});

test('a series of nothing is seasonal in nothing', () => {
  const nothing = { seasons: [], shifts: [], outages: [] };
  check.equal(seasonalityOf(new Float64Array(0), { dayWindows: 24 }), nothing);
  check.equal(seasonalityOf(new Float64Array(500), { dayWindows: 24 }), nothing);
  check.equal(seasonalityOf(new Float64Array(500).fill(Number.NaN), { dayWindows: 24 }), nothing);
  check.equal(clusterSeasonality([], { dayWindows: 24 }).total, nothing);
});

test.run();

import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { findSeasons, findSharedSeasons } from '../../../../src/analyzer/seasons/find-seasons.ts';
import { ForeshardError } from '../../../../src/base/errors.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import { testSeed } from '../../../support/seed.ts';
import { normal, redNoise, sumOf, wave, whiteNoise } from '../../../support/series.ts';

const test = suite('find-seasons');
const seed = testSeed('find-seasons');
const periodsOf = (values: Float64Array, mask?: readonly boolean[]): number[] =>
  findSeasons(values, mask === undefined ? {} : { mask }).map(({ period }) => period);

/** Office hours from Monday to Friday, a little at night and over the weekend. */
const officeLoad = (t: number): number => {
  const hour = t % 24;
  const isOffice = Math.floor(t / 24) % 7 < 5 && hour >= 8 && hour < 18;
  return isOffice ? 3 : 1;
};

for (const [name, period] of [
  ['six hours', 6],
  ['a day', 24],
  ['ten days', 240],
  ['an odd 37 windows', 37],
] as const)
  test(`a sine of ${name} under as much noise is found, and nothing else`, () => {
    const random = seededRandom(seed).fork(name);
    const [season, ...others] = findSeasons(sumOf(wave(1680, period, 1.4), whiteNoise(random, 1680)));
    // Seven cycles tell ten days to a few hours.
    check.ok(Math.abs((season?.period ?? 0) - period) <= 0.02 * period, `${season?.period} windows`);
    check.equal(others, []);
    check.ok(Math.abs((season?.strength ?? 0) - 0.5) < 0.1, `half of the variance, got ${season?.strength}`);
    check.ok((season?.pValue ?? 1) < 1e-3);
  });

test('office hours are a day and a week, without their harmonics', () => {
  const random = seededRandom(seed).fork('office');
  const values = Float64Array.from({ length: 1008 }, (_, t) => officeLoad(t) + 0.3 * normal(random));
  const seasons = findSeasons(values);
  check.equal(
    seasons.map(({ period }) => period),
    [24, 168],
  );
  const total = seasons.reduce((sum, { strength }) => sum + strength, 0);
  check.ok(total > 0.8 && total <= 1, `strengths add up to what is explained, got ${total}`);
});

test('quarter hours have a day of 96 and a week of 672', () => {
  const random = seededRandom(seed).fork('quarters');
  const values = Float64Array.from(
    { length: 2688 },
    (_, t) => officeLoad(Math.floor(t / 4)) + 0.5 * normal(random),
  );
  check.equal(periodsOf(values), [96, 672]);
});

test('a job of one window a day is a season of a day, and one a week of a week', () => {
  const random = seededRandom(seed).fork('job');
  const daily = Float64Array.from({ length: 1008 }, (_, t) => (t % 24 === 3 ? 4 : 0) + 0.5 * normal(random));
  check.equal(periodsOf(daily), [24]);
  const weekly = Float64Array.from(
    { length: 1344 },
    (_, t) => (t % 168 === 75 ? 6 : 0) + 0.2 * normal(random),
  );
  check.equal(periodsOf(weekly), [168]);
});

test('a season is found through outages and spikes', () => {
  const random = seededRandom(seed).fork('outages');
  const values = sumOf(
    wave(1008, 24, 1),
    whiteNoise(random, 1008).map((x) => 0.3 * x),
    new Float64Array(1008).fill(5),
  );
  const mask = Array.from({ length: 1008 }, (_, t) => (t >= 200 && t < 290) || (t >= 700 && t < 705));
  const damaged = values.map((value, t) => (mask[t] ? 0 : random.nextBelow(130) === 0 ? value + 40 : value));
  check.equal(periodsOf(damaged, mask), [24]);
  damaged[210] = Number.NaN;
  check.equal(periodsOf(damaged, mask), [24]);
});

test('a season is found on top of a random walk and a change of level', () => {
  const random = seededRandom(seed).fork('walk');
  const walk = redNoise(random, 1008, 1).map((x) => 0.1 * x);
  const shifted = sumOf(wave(1008, 24, 1), walk).map((value, t) => (t < 600 ? value : value + 3));
  check.equal(periodsOf(shifted), [24]);
});

/** Name, noise, length; 100 series each. */
const NOISES: readonly (readonly [string, (random: ReturnType<typeof seededRandom>) => Float64Array])[] = [
  ['white noise', (random) => whiteNoise(random, 720)],
  ['a random walk', (random) => redNoise(random, 720, 1)],
  ['persistent noise', (random) => redNoise(random, 720, 0.9)],
  [
    'a single burst',
    (random) => {
      const start = random.nextBelow(690);
      return whiteNoise(random, 720).map((x, t) => (t >= start && t < start + 20 ? x + 30 : x));
    },
  ],
  [
    'a change of level',
    (random) => {
      const at = random.nextBelow(720);
      return whiteNoise(random, 720).map((x, t) => (t < at ? x : x + 5));
    },
  ],
];
/** As monitoring exports it. */
const rollingMean = (
  random: ReturnType<typeof seededRandom>,
  length: number,
  windows: number,
): Float64Array => {
  const noise = whiteNoise(random, length + windows);
  return Float64Array.from({ length }, (_, t) => noise.subarray(t, t + windows).reduce((a, b) => a + b, 0));
};
for (const windows of [6, 12, 24])
  test(`a rolling mean over ${windows} windows of noise has a season in at most 3 of 100 series`, () => {
    const random = seededRandom(seed).fork(`rolling ${windows}`);
    let found = 0;
    for (let i = 0; i < 100; i++) if (findSeasons(rollingMean(random, 900, windows)).length > 0) found++;
    check.ok(found <= 3, `${found} of 100`);
  });

for (const [name, make] of NOISES)
  test(`${name} has a season in at most 2 of 100 series`, () => {
    const random = seededRandom(seed).fork(name);
    let found = 0;
    for (let i = 0; i < 100; i++) if (findSeasons(make(random)).length > 0) found++;
    check.ok(found <= 2, `${found} of 100`);
  });

test('what is too weak to be seen in one partition is seen in sixty', () => {
  const random = seededRandom(seed).fork('shared');
  const rows = Array.from({ length: 60 }, () => sumOf(wave(504, 24, 0.25), whiteNoise(random, 504)));
  const alone = rows.filter((row) => periodsOf(row).includes(24)).length;
  check.ok(alone < 30, `${alone} of 60 alone`);
  check.equal(
    findSharedSeasons(rows).map(({ period }) => period),
    [24],
  );
});

test('partitions of noise share no season, be it their own or all the same', () => {
  const random = seededRandom(seed).fork('shared noise');
  let found = 0;
  for (let i = 0; i < 20; i++) {
    const common = whiteNoise(random, 504);
    const rows = Array.from({ length: 20 }, () =>
      sumOf(
        common,
        whiteNoise(random, 504).map((x) => (i % 2) * x),
      ),
    );
    if (findSharedSeasons(rows).length > 0) found++;
  }
  check.ok(found <= 1, `${found} of 20`);
});

test('short, constant, empty and all masked series have no seasons', () => {
  check.equal(periodsOf(new Float64Array(0)), []);
  check.equal(periodsOf(Float64Array.of(1, 2, 3)), []);
  check.equal(periodsOf(new Float64Array(500).fill(0.1)), []);
  check.equal(periodsOf(wave(500, 24, 1), new Array(500).fill(true)), []);
  check.equal(periodsOf(new Float64Array(500).fill(Number.NaN)), []);
});

test('no period beyond the one that was asked for, or beyond a third of the series', () => {
  const random = seededRandom(seed).fork('longest');
  const values = sumOf(wave(480, 200, 2), whiteNoise(random, 480));
  check.ok(periodsOf(values).every((period) => period <= 160));
  check.equal(findSeasons(sumOf(wave(960, 96, 2), whiteNoise(random, 960)), { maxPeriod: 48 }), []);
});

test('options that do not fit are refused by name', () => {
  const refused = (pattern: RegExp, work: () => unknown): void =>
    check.throws(work, (error: unknown) => error instanceof ForeshardError && pattern.test(error.message));
  const values = new Float64Array(100);
  refused(/mask has 99 windows, the series 100/, () =>
    findSeasons(values, { mask: new Array(99).fill(false) }),
  );
  refused(/significance/, () => findSeasons(values, { significance: 0 }));
  refused(/maxPeriod/, () => findSeasons(values, { maxPeriod: 1 }));
  refused(/series 1 has 50 windows/, () => findSharedSeasons([values, new Float64Array(50)]));
});

test.run();

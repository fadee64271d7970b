import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom } from '../../../../src/base/random.ts';
import { dayProfile, phaseOf, weekProfile } from '../../../../src/kernels/sarima/profile.ts';
import { simulateArma } from '../../../support/arma.ts';
import { testSeed } from '../../../support/seed.ts';

const test = suite('kernels/sarima/profile');
const seed = testSeed('kernels/sarima/profile');
const DAY = 24;
const WEEK = 7 * DAY;

const noiseOf = (label: string, count = 4 * WEEK): Float64Array =>
  simulateArma(seededRandom(seed).fork(label), { count, ar: [[1, 0.5]] });

const rootMeanSquare = (values: ArrayLike<number>): number =>
  Math.sqrt(Array.from(values).reduce((sum, value) => sum + value * value, 0) / values.length);

test('phase 0 is the first window after the row', () => {
  assert.is(phaseOf(700, 700, WEEK), 0);
  assert.is(phaseOf(699, 700, WEEK), WEEK - 1);
  assert.is(phaseOf(0, 700, WEEK), (7 * WEEK - 700) % WEEK);
});

test('a weekend is found where it is, and days keep nothing of their own', () => {
  const length = 4 * WEEK + 100;
  const noise = noiseOf('weekend', length);
  const effect = (window: number): number => (Math.floor(window / DAY) % 7 >= 5 ? -2 : 0);
  const row = noise.map((value, window) => 8 + Math.sin(window / WEEK) + effect(window) + 0.2 * value);
  const profile = weekProfile(row, DAY, WEEK);
  // Less the mean day: two days of seven are 2 below the others.
  profile.forEach((value, phase) => {
    const expected = effect(length + phase) + 4 / 7;
    assert.ok(Math.abs(value - expected) < 0.5, `phase ${phase}: ${value}, not ${expected} (SEED=${seed})`);
  });
  for (let hour = 0; hour < DAY; hour++) {
    let sum = 0;
    for (let day = 0; day < 7; day++) sum += profile[day * DAY + hour]!;
    assert.ok(Math.abs(sum) < 1e-9);
  }
});

test('of noise, of a day and of a ramp no week is made', () => {
  const noise = noiseOf('none');
  const rows = {
    noise,
    day: noise.map((value, window) => value + 5 * Math.sin((2 * Math.PI * window) / DAY)),
    ramp: noise.map((value, window) => value + window / 20),
  };
  for (const [name, row] of Object.entries(rows)) {
    const size = rootMeanSquare(weekProfile(row, DAY, WEEK)) / rootMeanSquare(noise);
    assert.ok(size < 0.35, `${name}: ${size} of the noise (SEED=${seed})`);
  }
});

test('a week that repeats itself exactly is taken whole', () => {
  const row = Float64Array.from({ length: 2 * WEEK }, (_, window) => (window * 7919) % WEEK);
  const profile = weekProfile(row, DAY, WEEK);
  const day = dayProfile(row.subarray(WEEK), DAY);
  profile.forEach((value, phase) => {
    assert.ok(Math.abs(value + day[phase % DAY]! - row[phase]!) < 1e-6);
  });
});

test('a mean day is the mean of the last seven whole ones', () => {
  const row = Float64Array.from({ length: 10 * DAY + 5 }, (_, window) =>
    window < 3 * DAY + 5 ? 99 : window % 3,
  );
  const expected = Array.from({ length: DAY }, (_, phase) => (10 * DAY + 5 + phase) % 3);
  dayProfile(row, DAY).forEach((value, phase) => {
    assert.ok(Math.abs(value - expected[phase]!) < 1e-12);
  });
});

test.run();

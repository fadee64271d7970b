import { suite } from 'uvu';
import * as check from 'uvu/assert';
import {
  chanceWhenCalibrated,
  dependentError,
  dependentLag,
  firstScoredOrigin,
  type Hits,
} from '../../../bench/forecast/calibration.ts';
import { seededRandom } from '../../../src/base/random.ts';

const test = suite('coverage, and how surely');

/** Values inside at each origin; a bad day lasts for `run` origins. */
function hitsOf(random: { nextFloat(): number }, origins: number, run: number): Hits[] {
  let share = 0;
  return Array.from({ length: origins }, (_, origin) => {
    if (origin % run === 0) share = random.nextFloat() < 0.5 ? 0.7 : 0.9;
    let inside = 0;
    for (let i = 0; i < 24; i++) if (random.nextFloat() < share) inside++;
    return { inside, count: 24 };
  });
}

const shareOf = (hits: readonly Hits[]): number =>
  hits.reduce((sum, { inside, count }) => sum + inside / count, 0) / hits.length;

test('the standard error is as large as samples of dependent origins differ', () => {
  const random = seededRandom(7n);
  const samples = Array.from({ length: 400 }, () => hitsOf(random, 120, 4));
  const shares = samples.map(shareOf);
  const spread = Math.sqrt(shares.reduce((sum, share) => sum + (share - 0.8) ** 2, 0) / shares.length);
  const mean = (lag: number): number =>
    samples.reduce((sum, hits) => sum + dependentError(hits, lag), 0) / samples.length;
  check.ok(Math.abs(mean(12) / spread - 1) < 0.15, `${mean(12)} against ${spread}`);
  check.ok(mean(0) < 0.65 * spread, 'origins that are taken as independent promise too much');
});

test('right bounds meet the bar as often as the standard error says', () => {
  const random = seededRandom(8n);
  const samples = Array.from({ length: 600 }, () => hitsOf(random, 14, 1));
  const error =
    dependentError(Array.from({ length: 40 }, () => hitsOf(random, 14, 1)).flat(), 0) * Math.sqrt(40);
  const met = samples.filter((hits) => Math.abs(shareOf(hits) - 0.8) <= 0.03).length / samples.length;
  check.ok(Math.abs(met - chanceWhenCalibrated(error, 0.03)) < 0.07, `${met}`);
  check.is(chanceWhenCalibrated(0, 0.03), 1);
});

test('origins of one day, and of windows that overlap, depend on each other', () => {
  const quarterHours = { origins: 28, step: 24, steps: 24, dayWindows: 96 };
  check.is(dependentLag(quarterHours), 4);
  check.is(dependentLag({ ...quarterHours, steps: 168, dayWindows: 24 }), 7);
  check.is(dependentLag({ ...quarterHours, origins: 1000, dayWindows: 24 }), 6);
});

test('bounds are judged from four days of history and 39 errors of each series on', () => {
  const set = { name: 'any', windowCount: 0, values: new Float64Array() };
  const hours = { ...set, windowMs: 3_600_000 };
  check.is(firstScoredOrigin({ ...set, windowMs: 900_000, seriesCount: 5 }, 24), 384);
  check.is(firstScoredOrigin({ ...hours, seriesCount: 1 }, 24), 96);
  // Kept at hours 37, 74 and 111, judged at steps 1 to 6 and every second one of the rest: the 39th is step 11 of the third.
  check.is(firstScoredOrigin({ ...hours, seriesCount: 5 }, 24), 122);
});

test.run();

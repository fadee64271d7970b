import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { hourFactor } from '../../../src/analyzer/hour-corrections.ts';
import { boundOf, type IntervalBasis } from '../../../src/analyzer/interval-basis.ts';
import { Intervals } from '../../../src/analyzer/intervals.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('analyzer/intervals');
const seed = testSeed('analyzer/intervals');
/** So many that each of them is judged as seldom as of thousands. */
const PARTITIONS = 48;
const LEVELS = [0.8, 0.95];
const SHAPE = { levels: LEVELS, dayWindows: 24 };
const ALL = { first: 0, count: PARTITIONS };
const FIRST_BAND = { band: 0, first: 0, window: 0 };
/** Forecasts of a load that is always the same. */
const judged = (residuals: Float64Array) => ({ residuals, points: residuals.map(() => 3) });

/** What bounds of that tail are multiplied by at the hour of the window. */
const hourOf = ({ hours }: IntervalBasis, tailIndex: number, window: number): number =>
  hourFactor(hours, { tailIndex, tailCount: 2 * LEVELS.length, window, dayWindows: SHAPE.dayWindows });

/** Issues a basis and judges one step of every partition in each window; returns the share held by level in the last ones. */
function coverage(residualOf: (partition: number, window: number) => number, windows: number): number[] {
  const intervals = new Intervals(PARTITIONS, SHAPE);
  const inside = LEVELS.map(() => 0);
  const counted = Math.floor(windows / 3);
  for (let w = 0; w < windows; w++) {
    const basis = intervals.basis(ALL);
    const residuals = Float64Array.from({ length: PARTITIONS }, (_, p) => residualOf(p, w));
    if (w >= windows - counted)
      LEVELS.forEach((_, level) => {
        residuals.forEach((residual, partition) => {
          const at = (side: number) => {
            const tailIndex = level * 2 + side;
            return boundOf(basis, {
              tailIndex,
              band: 0,
              partition,
              noise: 1,
              hour: hourOf(basis, tailIndex, w),
            });
          };
          if (residual >= at(0) && residual <= at(1)) inside[level]!++;
        });
      });
    intervals.fade();
    intervals.judge(basis, { ...FIRST_BAND, window: w }, judged(residuals));
  }
  return inside.map((count) => count / (counted * PARTITIONS));
}

function assertNominal(shares: readonly number[], tolerance = 0.02): void {
  shares.forEach((share, index) => {
    const message = `${share} of level ${LEVELS[index]}, SEED=${seed}`;
    assert.ok(Math.abs(share - LEVELS[index]!) < tolerance, message);
  });
}

test('a factor of thousand between the noise of partitions, and skewed errors, are covered as often as claimed', () => {
  const random = seededRandom(seed);
  // Exponential errors less their median: a long tail on one side.
  const skewed = () => -Math.log(1 - random.nextFloat()) - Math.log(2);
  assertNominal(coverage((p) => 10 ** (-3 + (3 * p) / PARTITIONS) * skewed(), 600));
});

test('noise that doubles is covered as often as claimed in the second week after', () => {
  const random = seededRandom(seed);
  assertNominal(coverage((_, w) => (w > 320 ? 2 : 1) * (random.nextFloat() - 0.5), 720));
});

test('of nights that are three times as noisy more is held than by bounds of one width, and of all as much as claimed', () => {
  const random = seededRandom(seed);
  const intervals = new Intervals(PARTITIONS, SHAPE);
  const inside = { night: [0, 0], day: [0, 0] };
  const counts = { night: 0, day: 0 };
  const windows = 1200;
  for (let window = 0; window < windows; window++) {
    const time = window % 24 < 8 ? 'night' : 'day';
    const basis = intervals.basis(ALL);
    const residuals = Float64Array.from(
      { length: PARTITIONS },
      () => (time === 'night' ? 3 : 1) * (random.nextFloat() - 0.5),
    );
    if (window >= windows / 2)
      residuals.forEach((residual, partition) => {
        const factor = intervals.noise.factor(partition, { window, point: 3 });
        counts[time]++;
        LEVELS.forEach((_, level) => {
          const at = (side: number): number => {
            const tailIndex = level * 2 + side;
            const hour = hourOf(basis, tailIndex, window);
            return boundOf(basis, { tailIndex, band: 0, partition, noise: factor, hour });
          };
          if (residual >= at(0) && residual <= at(1)) inside[time][level]!++;
        });
      });
    intervals.fade();
    intervals.judge(basis, { ...FIRST_BAND, window }, judged(residuals));
  }
  assertNominal(
    LEVELS.map((_, level) => (inside.night[level]! + inside.day[level]!) / (counts.night + counts.day)),
  );
  // One width for all hours that holds 80 % of them holds 40 % of these nights and all of the days.
  const [night, day] = [inside.night[0]! / counts.night, inside.day[0]! / counts.day];
  assert.ok(night > 0.55 && day < 0.95, `${night} and ${day}, SEED=${seed}`);
});

test('an error of an hour that tells nothing of the level widens no bound of the hours to come', () => {
  const random = seededRandom(seed);
  const upperAfter = (levelWeight: number): number => {
    const intervals = new Intervals(PARTITIONS, SHAPE);
    for (let w = 0; w < 100; w++) {
      const isLast = w === 99;
      const residuals = Float64Array.from({ length: PARTITIONS }, (_, p) =>
        isLast && p === 0 ? 3 : random.nextFloat() - 0.5,
      );
      intervals.fade();
      intervals.judge(intervals.basis(ALL), FIRST_BAND, judged(residuals), () => (isLast ? levelWeight : 1));
    }
    return boundOf(intervals.basis(ALL), { tailIndex: 1, band: 0, partition: 0, noise: 1 });
  };
  assert.ok(upperAfter(0.1) < 0.7, `SEED=${seed}`);
  assert.ok(upperAfter(1) > 1, 'of any other it does');
});

test('what an error tells of the level is asked of the partition whose error it is', () => {
  const intervals = new Intervals(PARTITIONS, SHAPE);
  const random = seededRandom(seed);
  const range = { first: 5, count: 3 };
  for (let w = 0; w < 100; w++) {
    const residuals = Float64Array.from({ length: range.count }, () =>
      w < 97 ? random.nextFloat() - 0.5 : 3,
    );
    intervals.fade();
    // Of partition 6 the last hours tell everything, of its neighbours nothing.
    intervals.judge(intervals.basis(range), { ...FIRST_BAND, first: range.first }, judged(residuals), (p) =>
      w < 97 || p === 6 ? 1 : 0,
    );
  }
  const { drift } = intervals.basis(range);
  assert.ok(drift[1]! > 1, `${drift}, SEED=${seed}`);
  assert.ok(Math.abs(drift[0]!) < 0.5 && Math.abs(drift[2]!) < 0.5, `${drift}, SEED=${seed}`);
});

test('a run of misses widens the bounds of 95 % of its partition half as fast as those of 80 %', () => {
  const intervals = new Intervals(PARTITIONS, SHAPE);
  const random = seededRandom(seed);
  const upper = (level: number): number =>
    Math.log(intervals.basis(ALL).corrections[(2 * level + 1) * PARTITIONS] as number);
  const judge = (windows: number, first: number): void => {
    for (let w = 0; w < windows; w++) {
      const residuals = Float64Array.from({ length: PARTITIONS }, (_, p) =>
        p === 0 ? first : random.nextFloat() - 0.5,
      );
      intervals.fade();
      intervals.judge(intervals.basis(ALL), FIRST_BAND, judged(residuals), () => 0);
    }
  };
  judge(100, 0.1);
  const before = [upper(0), upper(1)];
  // So far off that each of them is missed, however wide the bounds have become by then.
  judge(4, 50);
  const [ofUsual, ofWide] = [upper(0) - before[0]!, upper(1) - before[1]!];
  assert.ok(ofUsual > 0.05, `${ofUsual}, SEED=${seed}`);
  assert.ok(Math.abs(ofWide / ofUsual - 0.54) < 0.02, `${ofWide} beside ${ofUsual}, SEED=${seed}`);
});

test('a partition that keeps erring to one side gets its bound moved there', () => {
  const random = seededRandom(seed);
  const shares = coverage((p) => (p === 0 ? 0.5 : 0) + random.nextFloat() - 0.5, 600);
  assertNominal(shares);
  const intervals = new Intervals(PARTITIONS, SHAPE);
  for (let w = 0; w < 300; w++) {
    const residuals = Float64Array.from(
      { length: PARTITIONS },
      (_, p) => (p === 0 ? 0.5 : 0) + random.nextFloat() - 0.5,
    );
    intervals.fade();
    intervals.judge(intervals.basis(ALL), FIRST_BAND, judged(residuals));
  }
  const basis = intervals.basis(ALL);
  const [lower, upper] = [0, 1].map((tailIndex) =>
    boundOf(basis, { tailIndex, band: 0, partition: 0, noise: 1 }),
  );
  assert.ok(upper! > 0.8 && lower! > -0.5, `${lower} .. ${upper}`);
});

test('a level that shifts widens the bounds of its partition alone, until they have held for a while', () => {
  const random = seededRandom(seed);
  const intervals = new Intervals(PARTITIONS, SHAPE);
  const judge = (windows: number): void => {
    for (let w = 0; w < windows; w++) {
      intervals.fade();
      const residuals = Float64Array.from({ length: PARTITIONS }, () => random.nextFloat() - 0.5);
      intervals.judge(intervals.basis(ALL), FIRST_BAND, judged(residuals));
    }
  };
  const upper = (partition: number) =>
    boundOf(intervals.basis(ALL), { tailIndex: 1, band: 0, partition, noise: 1 });
  judge(300);
  const [before, other] = [upper(3), upper(4)];
  for (let found = 0; found < 4; found++) intervals.recentre(3, 2);
  const after = upper(3);
  assert.ok(after > 1.3 * before, `${after} after ${before}`);
  assert.is(upper(4), other);
  judge(300);
  assert.ok(upper(3) < 1.15 * before, `${upper(3)} after ${before}, SEED=${seed}`);
});

test('a shift that is suspected moves bounds by its size, whether the hour is noisy or not', () => {
  const random = seededRandom(seed);
  const intervals = new Intervals(PARTITIONS, SHAPE);
  for (let w = 0; w < 100; w++) {
    intervals.fade();
    const residuals = Float64Array.from({ length: PARTITIONS }, () => random.nextFloat() - 0.5);
    intervals.judge(intervals.basis(ALL), FIRST_BAND, judged(residuals));
  }
  for (const shift of [0.7, -0.7])
    for (const noise of [1, 3]) {
      const [tailIndex, other] = shift > 0 ? [1, 0] : [0, 1];
      const place = { band: 0, partition: 5, noise };
      const [usual, suspicious] = [intervals.basis(ALL), intervals.basis(ALL, () => shift)];
      const moved = boundOf(suspicious, { ...place, tailIndex }) - boundOf(usual, { ...place, tailIndex });
      assert.ok(Math.abs(moved - shift) < 1e-6, `${moved} for ${shift} at noise ${noise}`);
      const otherSide = { ...place, tailIndex: other };
      assert.is(boundOf(suspicious, otherSide), boundOf(usual, otherSide));
    }
});

/** How often bounds of a lone series held, and by what share of it the upper one at 95 % moved about. */
function alone(random: { nextFloat(): number }): {
  readonly held: readonly number[];
  readonly spread: number;
} {
  const intervals = new Intervals(1, SHAPE);
  const inside = LEVELS.map(() => 0);
  const uppers: number[] = [];
  for (let w = 0; w < 3000; w++) {
    const basis = intervals.basis({ first: 0, count: 1 });
    const at = (tailIndex: number) => boundOf(basis, { tailIndex, band: 0, partition: 0, noise: 1 });
    // Two uniform numbers: errors with tails.
    const error = random.nextFloat() - random.nextFloat();
    if (w >= 1000) {
      uppers.push(at(3));
      LEVELS.forEach((_, level) => {
        if (error >= at(level * 2) && error <= at(level * 2 + 1)) inside[level]!++;
      });
    }
    intervals.fade();
    intervals.judge(basis, FIRST_BAND, judged(Float64Array.of(error)));
  }
  const mean = uppers.reduce((sum, upper) => sum + upper, 0) / uppers.length;
  const variance = uppers.reduce((sum, upper) => sum + (upper - mean) ** 2, 0) / uppers.length;
  return { held: inside.map((count) => count / uppers.length), spread: Math.sqrt(variance) / mean };
}

test('bounds of one series alone, whose errors never change, keep still, and hold as often as claimed', () => {
  const random = seededRandom(seed);
  const runs = Array.from({ length: 12 }, () => alone(random));
  const mean = (of: (run: (typeof runs)[number]) => number): number =>
    runs.reduce((sum, run) => sum + of(run), 0) / runs.length;
  assertNominal(LEVELS.map((_, level) => mean(({ held }) => held[level]!)));
  const spread = mean((run) => run.spread);
  assert.ok(spread < 0.088, `${spread} of the bound, SEED=${seed}`);
});

test('what was not judged is no partition without errors', () => {
  const intervals = new Intervals(PARTITIONS, SHAPE);
  for (let w = 0; w < 12; w++) {
    intervals.fade();
    intervals.judge(intervals.basis(ALL), FIRST_BAND, judged(new Float64Array(PARTITIONS).fill(Number.NaN)));
  }
  const place = { tailIndex: 1, band: 0, partition: 3, noise: 1 };
  assert.is(boundOf(intervals.basis(ALL), place), Math.log(4));
});

test('when a level is known to have shifted, the last hours errors are explained, and quiet is what is quiet now', () => {
  const random = seededRandom(seed);
  const intervals = new Intervals(PARTITIONS, SHAPE);
  for (let window = 0; window < 300; window++) {
    const points = Float64Array.from({ length: PARTITIONS }, () => 2 + 2 * random.nextFloat());
    const residuals = points.map((point) => (random.nextFloat() - 0.5) * Math.exp((3 - point) / 2));
    // Partition 0 comes to another level in the last hours.
    if (window >= 297) residuals[0] = 2;
    intervals.fade();
    intervals.judge(intervals.basis(ALL), { ...FIRST_BAND, window }, { residuals, points });
  }
  const upper = () => boundOf(intervals.basis(ALL), { tailIndex: 1, band: 0, partition: 0, noise: 1 });
  const noiseAt = (point: number) => intervals.noise.factor(0, { window: 300, point });
  const [reach, quiet] = [upper(), noiseAt(3)];
  intervals.recentre(0, 2);
  assert.ok(upper() < reach - 0.7, `${upper()} after ${reach}, SEED=${seed}`);
  assert.ok(Math.abs(noiseAt(3 + Math.log(2)) - quiet) < 1e-9);
});

test('silent partitions have no width, and do not narrow the bounds of others', () => {
  const random = seededRandom(seed);
  const intervals = new Intervals(2, SHAPE);
  for (let window = 0; window < 12; window++) {
    intervals.fade();
    const basis = intervals.basis({ first: 0, count: 2 });
    intervals.judge(basis, { ...FIRST_BAND, window }, judged(Float64Array.of(0, random.nextFloat())));
  }
  const [silent, other] = [0, 1].map((partition) =>
    boundOf(intervals.basis({ first: 0, count: 2 }), { tailIndex: 1, band: 0, partition, noise: 1 }),
  );
  assert.ok(silent === 0 && other! > 0, `${silent} and ${other}`);
  const shares = coverage((p) => (p % 2 === 0 ? 0 : random.nextFloat() - 0.5), 600);
  // Half of them are always held.
  assert.ok(Math.abs(2 * shares[0]! - 1 - 0.8) < 0.02, `${shares}`);
});

test('with nothing judged, bounds are a factor of four either way', () => {
  const basis = new Intervals(PARTITIONS, SHAPE).basis(ALL);
  assert.is(boundOf(basis, { tailIndex: 1, band: 2, partition: 3, noise: 1 }), Math.log(4));
  assert.is(boundOf(basis, { tailIndex: 2, band: 0, partition: 0, noise: 1 }), -Math.log(4));
});

test('a lone partition that errs in one horizon band and never in the next has bounds that are numbers', () => {
  const intervals = new Intervals(1, SHAPE);
  for (let w = 0; w < 20; w++) {
    const basis = intervals.basis(ALL);
    for (const band of [0, 1])
      for (const tailIndex of [0, 1, 2, 3]) {
        const bound = boundOf(basis, { tailIndex, band, partition: 0, noise: 1 });
        assert.ok(Number.isFinite(bound), `window ${w}, band ${band}: ${bound}`);
      }
    intervals.fade();
    intervals.judge(basis, FIRST_BAND, judged(Float64Array.of(w % 10 === 0 ? 0.7 : 0)));
    intervals.judge(basis, { ...FIRST_BAND, band: 1 }, judged(Float64Array.of(0)));
  }
});

test.run();

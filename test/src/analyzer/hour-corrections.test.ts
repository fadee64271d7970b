import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { HourCorrections, hourFactor } from '../../../src/analyzer/hour-corrections.ts';
import { boundOf } from '../../../src/analyzer/interval-basis.ts';
import { Intervals } from '../../../src/analyzer/intervals.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('analyzer/hour-corrections');
const seed = testSeed('analyzer/hour-corrections');
const PARTITIONS = 48;
const ALL = { first: 0, count: PARTITIONS };
const DAY = 24;

/**
 * Nights of next to no error with a rare large one: on average as noisy as hours by day, and another distribution.
 *
 * @returns how much is inside the 80 % bounds of each hour, after the first half.
 */
function insideByHour(days: number): number[] {
  const random = seededRandom(seed);
  const intervals = new Intervals(PARTITIONS, { levels: [0.8], dayWindows: DAY });
  const inside = new Float64Array(DAY);
  for (let window = 0; window < days * DAY; window++) {
    const hour = window % DAY;
    const error = (): number => {
      const sign = random.nextFloat() < 0.5 ? -1 : 1;
      if (hour >= 6) return sign * (0.5 + random.nextFloat());
      return sign * (random.nextFloat() < 0.05 ? 12 : 0.4) * random.nextFloat();
    };
    const basis = intervals.basis(ALL);
    const residuals = Float64Array.from({ length: PARTITIONS }, error);
    const points = residuals.map(() => 3);
    if (window >= (days / 2) * DAY)
      residuals.forEach((residual, partition) => {
        const noise = intervals.noise.factor(partition, { window, point: 3 });
        const at = (tailIndex: number): number => {
          const place = { tailIndex, tailCount: 2, window, dayWindows: DAY };
          return boundOf(basis, {
            tailIndex,
            band: 0,
            partition,
            noise,
            hour: hourFactor(basis.hours, place),
          });
        };
        if (residual >= at(0) && residual <= at(1)) inside[hour] = (inside[hour] as number) + 1;
      });
    intervals.fade();
    intervals.judge(basis, { band: 0, first: 0, window }, { residuals, points });
  }
  return [...inside].map((count) => count / ((days / 2) * PARTITIONS));
}

test('hours whose errors have another distribution are each covered as often as claimed', () => {
  const shares = insideByHour(120);
  const off = shares.reduce((sum, share) => sum + Math.abs(share - 0.8), 0) / DAY;
  const mean = shares.reduce((sum, share) => sum + share, 0) / DAY;
  check.ok(off < 0.03, `${off}: ${shares.map((share) => share.toFixed(2))}, SEED=${seed}`);
  check.ok(Math.abs(mean - 0.8) < 0.02, `${mean}`);
});

test('what all hours miss alike moves none against the others, and no hour moves without end', () => {
  const corrections = new HourCorrections(2, DAY);
  for (let window = 0; window < 2400; window++) corrections.correct(window, new Float64Array([0.1, 0]), 0.2);
  check.ok(corrections.factors().every((factor) => Math.abs(factor - 1) < 0.05));
  for (let window = 0; window < 24_000; window++)
    corrections.correct(window, new Float64Array([0, window % DAY === 5 ? 0.5 : -0.02]), 0.2);
  const factors = corrections.factors();
  const ofHour = (tailIndex: number, window: number): number =>
    hourFactor(factors, { tailIndex, tailCount: 2, window, dayWindows: DAY });
  check.ok(ofHour(1, 5) > 2 && ofHour(1, 5) <= Math.E + 1e-9, `${ofHour(1, 5)}`);
  check.ok(ofHour(1, 6) < 1);
  check.ok(Math.abs(ofHour(0, 5) - 1) < 0.05, 'the other tail has nothing to do with it');
  check.is(ofHour(1, 5 + 10 * DAY), ofHour(1, 5));
});

test('windows of a quarter of an hour share their hour, those of a day have but one', () => {
  const quarters = new HourCorrections(1, 96);
  for (let i = 0; i < 50; i++) quarters.correct(4, new Float64Array([1]), 0.01);
  const at = (window: number): number =>
    hourFactor(quarters.factors(), { tailIndex: 0, tailCount: 1, window, dayWindows: 96 });
  check.is(at(7), at(4));
  check.ok(at(8) < at(7));
  const days = new HourCorrections(1, 1);
  days.correct(3, new Float64Array([1]), 0.1);
  check.equal([...days.factors()], [1]);
});

test('after a restart it goes on where it was', () => {
  const before = new HourCorrections(2, DAY);
  before.correct(5, new Float64Array([0.3, -0.1]), 0.2);
  const after = new HourCorrections(2, DAY);
  after.load(before.save());
  check.equal(after.factors(), before.factors());
  check.throws(() => after.load(new Float64Array(3)), /corrections by hour/);
});

test.run();

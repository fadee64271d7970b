import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { randomisedInside, type StepBounds } from '../../../bench/forecast/randomised.ts';
import { seededRandom } from '../../../src/base/random.ts';

const test = suite('randomised coverage of counts');

const LEVELS = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98];

/** Counts of a Poisson distribution, by inversion. */
function poisson(mean: number, random: { nextFloat(): number }): number {
  let [count, term] = [0, Math.exp(-mean)];
  for (let rest = random.nextFloat() - term; rest > 0; rest -= term) term *= mean / ++count;
  return count;
}

/** Quantiles of the distribution of the count plus a uniform draw: what right bounds of a count are, linear in between. */
function quantile(mean: number, share: number): number {
  let [count, term, below] = [0, Math.exp(-mean), 0];
  while (below + term < share) {
    below += term;
    term *= mean / ++count;
  }
  return count + (share - below) / term;
}

function coverages(mean: number, stretch = 1): { plain: number; randomised: number } {
  const point = quantile(mean, 0.5);
  const of = (share: number): number => Math.max(0, point + stretch * (quantile(mean, share) - point));
  const bounds: StepBounds[] = LEVELS.map((level) => ({
    level,
    lower: of((1 - level) / 2),
    upper: of((1 + level) / 2),
  }));
  const { lower, upper } = bounds[3] as StepBounds;
  const random = seededRandom(5n);
  const draws = 20_000;
  let [plain, randomised] = [0, 0];
  for (let i = 0; i < draws; i++) {
    const count = poisson(mean, random);
    if (count + 1 > lower && count < upper) plain++;
    randomised += randomisedInside(count, 0.8, { point, bounds });
  }
  return { plain: plain / draws, randomised: randomised / draws };
}

test('bounds of rare events hold more than they claim, their distribution does not', () => {
  for (const mean of [0.3, 1, 4, 60]) {
    const { plain, randomised } = coverages(mean);
    check.ok(Math.abs(randomised - 0.8) < 0.015, `${mean}: ${randomised}`);
    check.ok(mean > 1 || plain > 0.88, `${mean}: ${plain}`);
  }
});

test('bounds that are too narrow or too wide are told from right ones', () => {
  check.ok(coverages(4, 0.6).randomised < 0.7);
  check.ok(coverages(4, 1.5).randomised > 0.85);
});

test('nothing comes where nothing is forecast', () => {
  const bounds = LEVELS.map((level) => ({ level, lower: 0, upper: 0 }));
  check.ok(Math.abs(randomisedInside(0, 0.8, { point: 0, bounds }) - 0.8) < 1e-9);
  check.is(randomisedInside(1, 0.8, { point: 0, bounds }), 0);
});

test.run();

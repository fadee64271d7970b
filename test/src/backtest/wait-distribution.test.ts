import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { WaitDistribution } from '../../../src/backtest/wait-distribution.ts';

const test = suite('backtest/wait-distribution');
const near = (value: number, expected: number, tolerance = 1e-6): void =>
  check.ok(Math.abs(value - expected) <= tolerance * Math.max(1, expected), `${value}, expected ${expected}`);

test('at one utilisation it is the M/M/1 queue', () => {
  const waits = new WaitDistribution();
  waits.add(10, 0.5);
  waits.add(90, 0.5);
  near(waits.mean, 1);
  // P(W > t) = 0.5 exp(-0.5 t) = 0.01
  near(waits.quantile(0.99), Math.log(50) / 0.5);
  check.is(waits.quantile(0.4), 0, 'half of the queries find nobody before them');
});

test('a hundredth of the queries at a hot node decides the 99th percentile, not the mean', () => {
  const calm = new WaitDistribution();
  const mixed = new WaitDistribution();
  calm.add(100, 0.25);
  mixed.add(97, 0.25);
  mixed.add(3, 0.9375);
  check.ok(mixed.mean < 3 * calm.mean);
  check.ok(mixed.quantile(0.99) > 3 * calm.quantile(0.99));
});

test('overload has finite waits, longer the further beyond', () => {
  const at = (rho: number): number => {
    const waits = new WaitDistribution();
    waits.add(1, rho);
    return waits.quantile(0.99);
  };
  check.ok(at(0.96) > at(0.94) && at(1.5) > at(1) && Number.isFinite(at(10)));
});

test('without a query nobody waits', () => {
  const waits = new WaitDistribution();
  waits.add(0, 0.9);
  check.equal([waits.mean, waits.quantile(0.99)], [0, 0]);
});

test.run();

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { MeanFactors } from '../../../src/analyzer/mean-factors.ts';
import { ForeshardError } from '../../../src/base/errors.ts';

const test = suite('analyzer/mean-factors');

/** A partition's factor after so many steps of the same kind, one a window. */
function factorAfter(steps: number, actualOf: (step: number) => number, forecast: number): number {
  const means = new MeanFactors(1);
  for (let step = 0; step < steps; step++) {
    means.fade();
    means.add(0, actualOf(step), forecast);
  }
  return means.values()[0] as number;
}

test('the factor goes from 1 to what came over what was forecast', () => {
  // Two in every four windows, where 0.2 was said each time.
  const sparse = (step: number): number => (step % 4 < 1 ? 2 : 0);
  assert.is(factorAfter(0, sparse, 0.2), 1);
  const [early, late] = [factorAfter(24, sparse, 0.2), factorAfter(2000, sparse, 0.2)];
  assert.ok(early > 1.5 && early < 2, `${early}`);
  assert.ok(late > 2.3 && late < 2.6, `${late}`);
});

test('it stays between a half and four, and what never came and was never forecast has none', () => {
  assert.is(
    factorAfter(500, () => 5, 0.5),
    4,
  );
  assert.is(
    factorAfter(2000, () => 0, 3),
    0.5,
  );
  assert.is(
    factorAfter(500, () => 0, 0),
    1,
  );
  // Forecasts of nothing have no factor that would help.
  assert.is(
    factorAfter(500, () => 3, 0),
    1,
  );
});

test('one load a million times the usual is no expectation', () => {
  const factor = factorAfter(500, (step) => (step === 490 ? 1e6 : 1), 1);
  assert.ok(factor < 1.1, `${factor}`);
});

test('a partition whose errors are forgotten begins anew, the others do not', () => {
  const means = new MeanFactors(2);
  for (let step = 0; step < 100; step++) for (const p of [0, 1]) means.add(p, 3, 2);
  const [, other] = means.values();
  means.forget(0);
  assert.equal([...means.values()], [1, other]);
});

test('what is two weeks old counts half beside what stands for no record at all', () => {
  const means = new MeanFactors(1);
  for (let step = 0; step < 100; step++) means.add(0, 3, 1);
  const factor = (steps: number): number => (3 * steps + 24) / (steps + 24);
  assert.ok(Math.abs((means.values()[0] as number) - factor(100)) < 1e-9);
  for (let window = 0; window < 336; window++) means.fade();
  assert.ok(Math.abs((means.values()[0] as number) - factor(50)) < 1e-9);
});

test('saved and loaded it says the same; a record of another size is refused', () => {
  const means = new MeanFactors(3);
  for (let p = 0; p < 3; p++) means.add(p, p + 2, 2);
  const again = new MeanFactors(3);
  again.load(means.save());
  assert.equal(again.values(), means.values());
  assert.throws(
    () => new MeanFactors(2).load(means.save()),
    (error: unknown) => error instanceof ForeshardError && error.code === 'FORESHARD_CORRUPT',
  );
});

test.run();

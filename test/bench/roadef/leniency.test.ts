import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { FORBIDDEN, nextPenalties, type Penalties, STRICT } from '../../../bench/roadef/leniency.ts';

const test = suite('roadef leniency');

const MELTING = { overflow: 0.05, services: true };
const HOT = { share: 0.3, step: 0.01, heat: 0.5 };
const SOFT: Penalties = { isSoft: true, overflow: 50, violation: 5 };

test('a strict annealing never breaks a rule', () => {
  check.equal(nextPenalties(STRICT, undefined, { ...HOT, overflow: 0, violations: 0 }), FORBIDDEN);
});

test('while it is hot, overflow gets dearer above what is aimed at and cheaper below, within limits', () => {
  const after = (overflow: number, before = SOFT): number =>
    nextPenalties(MELTING, before, { ...HOT, overflow, violations: 0 }).overflow;
  check.ok(after(0.1) > 50 && after(0.001) < 50);
  let [high, low] = [SOFT, SOFT];
  for (let step = 0; step < 100; step++) {
    high = { ...SOFT, overflow: after(1, high) };
    low = { ...SOFT, overflow: after(0, low) };
  }
  check.is(after(1, high), high.overflow, 'it stops rising');
  check.is(after(0, low), low.overflow, 'it stops falling');
  check.ok(low.overflow > 0 && high.overflow < FORBIDDEN.overflow);
});

test('only the services of an annealing that may break them are let off', () => {
  const overfull = { overflow: 0.05, services: false };
  const at = { ...HOT, overflow: 0, violations: 0 };
  check.is(nextPenalties(overfull, SOFT, at).violation, FORBIDDEN.violation);
  check.ok(nextPenalties(MELTING, SOFT, at).violation < 100);
});

test('a violation gets dearer, in units of the temperature, as services have melted', () => {
  const ratioAt = (share: number): number =>
    nextPenalties(MELTING, SOFT, { share, step: 0.01, heat: 0.5, overflow: 0, violations: 9 }).violation /
    0.5;
  check.ok(ratioAt(0) < ratioAt(0.1) && ratioAt(0.1) < ratioAt(0.25));
  check.is(ratioAt(0.25), ratioAt(0.5));
});

test('near the end whatever is still broken gets dearer without a limit, and services that are kept stay so', () => {
  const late = { share: 0.8, step: 0.01, heat: 0.005 };
  let penalties = SOFT;
  for (let step = 0; step < 100; step++)
    penalties = nextPenalties(MELTING, penalties, { ...late, overflow: 0.01, violations: 3 });
  check.ok(penalties.overflow > 1e10 && penalties.violation > 1e10);
  const legal = nextPenalties(MELTING, SOFT, { ...late, overflow: 0, violations: 3 });
  check.is(legal.overflow, SOFT.overflow, 'what is legal again does not get cheaper');
  check.is(
    nextPenalties(MELTING, SOFT, { ...late, overflow: 0.01, violations: 0 }).violation,
    FORBIDDEN.violation,
  );
});

test('a cold search that is legal is strict from then on', () => {
  const cold = { share: 0.9, step: 0.01, heat: 1e-4 };
  check.is(nextPenalties(MELTING, SOFT, { ...cold, overflow: 0.01, violations: 0 }).isSoft, true);
  check.equal(nextPenalties(MELTING, SOFT, { ...cold, overflow: 0, violations: 0 }), FORBIDDEN);
  check.equal(nextPenalties(MELTING, FORBIDDEN, { ...cold, overflow: 0, violations: 0 }), FORBIDDEN);
});

test.run();

import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { seededRandom } from '../../src/base/random.ts';
import { testSeed } from '../support/seed.ts';
import { findViolation, NOTHING, type RegisterOperation } from './linearizability.ts';

const test = suite('linearizability of a register');

const write = (value: number, calledAtMs: number, returnedAtMs: number): RegisterOperation => ({
  kind: 'write',
  value,
  calledAtMs,
  returnedAtMs,
  mayBeLost: false,
});
const read = (value: number, calledAtMs: number, returnedAtMs: number): RegisterOperation => ({
  ...write(value, calledAtMs, returnedAtMs),
  kind: 'read',
});
const unanswered = (value: number, calledAtMs: number, settledAtMs = Number.POSITIVE_INFINITY) => ({
  ...write(value, calledAtMs, settledAtMs),
  mayBeLost: true,
});

const isLinearizable = (...operations: RegisterOperation[]): boolean => findViolation(operations) === null;

test('a read sees the last write before it, and either of two that overlap', () => {
  check.ok(isLinearizable(read(NOTHING, 0, 1), write(1, 2, 3), read(1, 4, 5)));
  check.not.ok(isLinearizable(write(1, 0, 1), write(2, 2, 3), read(1, 4, 5)));
  check.not.ok(isLinearizable(write(1, 0, 1), read(NOTHING, 2, 3)));
  check.ok(isLinearizable(write(1, 0, 5), write(2, 1, 4), read(1, 6, 7)));
  check.ok(isLinearizable(write(1, 0, 5), write(2, 1, 4), read(2, 6, 7)));
});

test('two reads one after the other do not see two writes in both orders', () => {
  const writes = [write(1, 0, 10), write(2, 0, 10)];
  check.ok(isLinearizable(...writes, read(1, 1, 2), read(2, 3, 4)));
  check.not.ok(isLinearizable(...writes, read(1, 1, 2), read(2, 3, 4), read(1, 5, 6)));
});

test('a write without an answer happens late, or never', () => {
  check.ok(isLinearizable(unanswered(1, 0), read(NOTHING, 1, 2), read(1, 50, 51)));
  check.ok(isLinearizable(unanswered(1, 0), write(2, 1, 2), read(2, 50, 51)));
  check.not.ok(isLinearizable(unanswered(1, 0), read(1, 1, 2), read(NOTHING, 3, 4)));
});

test('once settled it has happened by then, or never will', () => {
  check.ok(isLinearizable(unanswered(1, 0, 10), read(1, 11, 12)));
  check.ok(isLinearizable(unanswered(1, 0, 10), read(NOTHING, 11, 12), write(2, 13, 14)));
  check.not.ok(isLinearizable(unanswered(1, 0, 10), read(NOTHING, 11, 12), read(1, 13, 14)));
});

/** Tries every order of the operations, and every choice of those that were lost. */
function isLinearizableByEnumeration(operations: readonly RegisterOperation[], value = NOTHING): boolean {
  if (operations.every(({ mayBeLost }) => mayBeLost)) return true;
  return operations.some((operation, index) => {
    const others = operations.filter((_, i) => i !== index);
    const isFirst = others.every(({ returnedAtMs }) => operation.calledAtMs <= returnedAtMs);
    if (isFirst && (operation.kind === 'write' || operation.value === value))
      if (isLinearizableByEnumeration(others, operation.kind === 'write' ? operation.value : value))
        return true;
    return operation.mayBeLost && isLinearizableByEnumeration(others, value);
  });
}

test('agrees with trying every order', () => {
  const random = seededRandom(testSeed('linearizability'));
  const found = { yes: 0, no: 0 };
  for (let round = 0; round < 400; round++) {
    const operations = Array.from({ length: 2 + random.nextBelow(4) }, (_, i): RegisterOperation => {
      const calledAtMs = random.nextBelow(20);
      const returnedAtMs = calledAtMs + 1 + random.nextBelow(10);
      const isRead = random.nextFloat() < 0.5;
      if (isRead) return read(random.nextBelow(4), calledAtMs, returnedAtMs);
      if (random.nextFloat() < 0.6) return write(i, calledAtMs, returnedAtMs);
      return unanswered(i, calledAtMs, random.nextFloat() < 0.5 ? returnedAtMs : Number.POSITIVE_INFINITY);
    });
    const expected = isLinearizableByEnumeration(operations);
    check.is(findViolation(operations) === null, expected, JSON.stringify(operations));
    found[expected ? 'yes' : 'no']++;
  }
  check.ok(found.yes > 50 && found.no > 50, JSON.stringify(found));
});

test.run();

import fc from 'fast-check';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { CatchUpBook, hopeless } from '../../../../src/migration/throttle/catch-up.ts';

const test = suite('catch-up');
const WINDOW_MS = 10_000;

/** A copy whose source is written to at one rate and which applies at another, looked at every `tickMs`. */
function firstVerdict(options: {
  readonly writeRate: number;
  readonly applyRate: number;
  readonly tickMs: number;
  readonly untilMs: number;
}): { readonly atMs: number; readonly reason: string } | null {
  const book = new CatchUpBook(WINDOW_MS);
  for (let atMs = 0; atMs <= options.untilMs; atMs += options.tickMs) {
    const rates = book.add({
      atMs,
      ownerLsn: Math.round((options.writeRate * atMs) / 1000),
      appliedEntries: Math.round((options.applyRate * atMs) / 1000),
    });
    const reason = rates && hopeless(rates);
    if (reason) return { atMs, reason };
  }
  return null;
}

test('a copy that applies less than is written is given up after one window, with both rates', () => {
  const verdict = firstVerdict({ writeRate: 1_200, applyRate: 800, tickMs: 100, untilMs: 60_000 });
  check.is(verdict?.reason, 'cannot catch up: write rate 1200/s > apply rate 800/s');
  check.is(verdict?.atMs, WINDOW_MS);
});

test('property: one that applies clearly more is never given up, however seldom it is looked at', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 5_000 }),
      fc.double({ min: 1.1, max: 10, noNaN: true }),
      fc.integer({ min: 20, max: 15_000 }),
      (writeRate, factor, tickMs) =>
        firstVerdict({ writeRate, applyRate: 1 + writeRate * factor, tickMs, untilMs: 120_000 }) === null,
    ),
  );
});

test('an idle partition, a pause and a copy that began anew are no reason', () => {
  check.is(hopeless({ writeRate: 0, applyRate: 0 }), null);
  const book = new CatchUpBook(WINDOW_MS);
  book.add({ atMs: 0, ownerLsn: 0, appliedEntries: 0 });
  book.forget();
  check.is(book.add({ atMs: 20_000, ownerLsn: 9_000, appliedEntries: 10 }), null);
  check.is(book.add({ atMs: 29_000, ownerLsn: 18_000, appliedEntries: 5 }), null, 'the count began anew');
  check.is(book.add({ atMs: 31_000, ownerLsn: 20_000, appliedEntries: 50 }), null);
});

test('what was long ago does not count: a copy that has recovered goes on', () => {
  const book = new CatchUpBook(WINDOW_MS);
  let [ownerLsn, appliedEntries] = [0, 0];
  let last: ReturnType<CatchUpBook['add']> = null;
  for (let atMs = 0; atMs <= 40_000; atMs += 500) {
    last = book.add({ atMs, ownerLsn, appliedEntries });
    ownerLsn += 500;
    appliedEntries += atMs < 9_000 ? 0 : 600;
  }
  check.equal(last, { writeRate: 1_000, applyRate: 1_200 });
});

test('the newest rates are those of all that was seen, of samples that lie apart', () => {
  const book = new CatchUpBook(WINDOW_MS);
  check.is(book.latest(), null);
  book.add({ atMs: 1_000, ownerLsn: 100, appliedEntries: 0 });
  check.is(book.latest(), null, 'one sample has no rate');
  book.add({ atMs: 1_499, ownerLsn: 900, appliedEntries: 900 });
  check.is(book.latest(), null, 'one that is too close is not kept');
  book.add({ atMs: 3_000, ownerLsn: 300, appliedEntries: 600 });
  check.equal(book.latest(), { writeRate: 100, applyRate: 300 });
  book.forget();
  check.is(book.latest(), null);
});

test.run();

/** What `npm test` says again at its end. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { failuresOf, fileBegunLast, readTotals } from './uvu-output.ts';

const test = suite('what uvu prints, read back');

const OUTPUT = `src/a.test.js
 the first suite  • ✘ ✘   (1 / 3)

   FAIL  the first suite  "counts to three"
    the count is wrong
of which this is a second line  (equal)

        ++2    (Expected)
        --3    (Actual)

    at Object.handler (file:///a.js:1:1)

   FAIL  the first suite  "counts to four"
    never

 the second suite  •   (1 / 1)

src/b.test.js
 the third suite  • `;

test('a failure goes from its name to where something else begins', () => {
  const [first, second, ...others] = failuresOf(OUTPUT);
  check.match(first, /"counts to three"\n.*wrong\nof which this(.|\n)*handler/);
  check.not.match(first, 'counts to four');
  check.match(second, /"counts to four"\n {4}never$/);
  check.equal(others, []);
});

test('a run that never came to its totals has failed, in the file that it began last', () => {
  check.equal(readTotals(OUTPUT, null), { passed: 0, failed: 1, skipped: 0 });
  check.is(fileBegunLast(OUTPUT), 'src/b.test.js');
});

test('totals, and an end that is bad though all have passed', () => {
  const totals = '\n  Total:     7\n  Passed:    5\n  Skipped:   1\n  Duration:  9ms\n';
  check.equal(readTotals(totals, 1), { passed: 5, failed: 1, skipped: 1 });
  const passed = totals.replace('7', '6');
  check.equal(readTotals(passed, 0), { passed: 5, failed: 0, skipped: 1 });
  check.equal(readTotals(passed, 7), { passed: 5, failed: 1, skipped: 1 });
});

test.run();

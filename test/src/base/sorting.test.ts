import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { seededRandom } from '../../../src/base/random.ts';
import { atOnce } from '../../../src/base/slices.ts';
import { sorting } from '../../../src/base/sorting.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('base/sorting');
const SEED = testSeed('base/sorting');

test('of any length, what is sorted in slices is what the language sorts at once, equals in their order', () => {
  const random = seededRandom(SEED);
  for (const length of [0, 1, 2, 127, 128, 129, 256, 384, 385, 5000]) {
    const values = Int32Array.from({ length }, (_, i) => i);
    // Many equals: of those only the order they came in says which goes first.
    const keys = Int32Array.from(values, () => random.nextBelow(1 + (length >> 2)));
    const compare = (a: number, b: number): number => (keys[a] as number) - (keys[b] as number);
    check.equal([...atOnce(sorting(values, compare))], [...values].sort(compare), `${length}, SEED=${SEED}`);
    check.equal([...values], [...values.keys()], 'what it is given stays');
  }
});

test('it rests often enough that few comparisons lie between two rests', () => {
  const length = 20_000;
  let comparisons = 0;
  let most = 0;
  const work = sorting(
    Int32Array.from({ length }, (_, i) => (i * 7919) % length),
    (a, b) => {
      comparisons++;
      return a - b;
    },
  );
  while (work.next().done !== true) {
    most = Math.max(most, comparisons);
    comparisons = 0;
  }
  check.ok(Math.max(most, comparisons) < 2048, `${most} comparisons`);
});

test.run();

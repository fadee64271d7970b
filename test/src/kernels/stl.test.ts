import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom } from '../../../src/base/random.ts';
import type { KernelBuild } from '../../../src/kernels/bytes.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import * as oracle from '../../oracles/stl.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('kernels/stl');
const builds: readonly KernelBuild[] = ['debug', 'release'];
const seed = testSeed('kernels/stl');
const LANES = 8;

/** Whole and begun cycles, even and odd seasons, windows wider than the series, periodic seasons. */
const SHAPES = [
  { length: 48, season: 6, cycleWindow: 7, trendWindow: 11, turns: 2 },
  { length: 53, season: 7, cycleWindow: 3, trendWindow: 61, turns: 1 },
  { length: 50, season: 12, cycleWindow: 501, trendWindow: 21, turns: 2 },
  { length: 9, season: 2, cycleWindow: 11, trendWindow: 3, turns: 1 },
] as const;

/** Sums are taken in another order, so the last bits differ. */
function assertNear(actual: readonly number[], expected: readonly number[], what: string): void {
  assert.is(actual.length, expected.length, what);
  expected.forEach((value, i) => {
    if (!(Math.abs(actual[i]! - value) <= 1e-9))
      assert.unreachable(`${what}[${i}]: ${actual[i]} is not ${value} (SEED=${seed})`);
  });
}

for (const build of builds)
  for (const isRobust of [false, true])
    test(`${build}: trend and seasons equal the oracle${isRobust ? ' with robustness weights' : ''}`, () => {
      const random = seededRandom(seed);
      for (const shape of SHAPES) {
        const { arena, exports } = loadKernels({ build });
        const { length, season, cycleWindow, trendWindow, turns } = shape;
        const [values, robust, trend, seasonal] = Array.from({ length: 4 }, () =>
          arena.f64(length * LANES),
        ) as [
          ReturnType<typeof arena.f64>,
          ReturnType<typeof arena.f64>,
          ReturnType<typeof arena.f64>,
          ReturnType<typeof arena.f64>,
        ];
        values.view.forEach((_, i) => {
          values.view[i] = random.nextFloat() * 9;
          // A third of the weights are zero: some fits have few neighbours left, or none.
          robust.view[i] = Math.max(0, random.nextFloat() * 1.5 - 0.5);
        });
        const work = arena.f64(exports.stlWorkRows(length, season) * LANES);
        exports.stlTile(
          values.pointer,
          length,
          season,
          cycleWindow,
          trendWindow,
          turns,
          isRobust ? robust.pointer : 0,
          trend.pointer,
          seasonal.pointer,
          work.pointer,
        );
        for (let lane = 0; lane < LANES; lane++) {
          const rowOf = (view: Float64Array): number[] => [...view].filter((_, i) => i % LANES === lane);
          const expected = oracle.stl(rowOf(values.view), {
            ...shape,
            ...(isRobust ? { robust: rowOf(robust.view) } : {}),
          });
          assertNear(rowOf(seasonal.view), expected.seasonal, `seasonal, ${JSON.stringify(shape)}`);
          assertNear(rowOf(trend.view), expected.trend, `trend, ${JSON.stringify(shape)}`);
        }
      }
    });

for (const build of builds)
  test(`${build}: robustness weights equal the oracle, with equal and zero remainders among them`, () => {
    const random = seededRandom(seed);
    const { arena, exports } = loadKernels({ build });
    for (const length of [1, 2, 7, 40]) {
      const remainder = arena.f64(length * LANES);
      remainder.view.forEach((_, i) => {
        // Lane 0 is all zero, lane 1 has few different values.
        const lane = i % LANES;
        const draw = random.nextFloat() - 0.5;
        remainder.view[i] = lane === 0 ? 0 : lane === 1 ? Math.round(draw * 4) : draw ** 5;
      });
      const weights = arena.f64(length * LANES);
      const work = arena.f64(length);
      exports.stlRobustWeights(remainder.pointer, length, weights.pointer, work.pointer);
      for (let lane = 0; lane < LANES; lane++) {
        const rowOf = (view: Float64Array): number[] => [...view].filter((_, i) => i % LANES === lane);
        assertNear(rowOf(weights.view), oracle.robustWeights(rowOf(remainder.view)), `lane ${lane}`);
      }
    }
  });

for (const build of builds)
  test(`${build}: a season is reduced to its strength, and nothing is lost`, () => {
    const random = seededRandom(seed);
    const { arena, exports } = loadKernels({ build });
    const length = 31;
    const tile = (draw: (lane: number) => number) => {
      const block = arena.f64(length * LANES);
      block.view.forEach((_, i) => {
        block.view[i] = draw(i % LANES);
      });
      return block;
    };
    // Lane 0 is all zero, lane 1 has no remainder, lane 2 no season, the others a bit of each.
    const seasonal = tile((lane) => (lane === 0 || lane === 2 ? 0 : (random.nextFloat() - 0.5) * lane));
    const trend = tile((lane) => (lane === 0 ? 0 : random.nextFloat()));
    const remainder = tile((lane) => (lane < 2 ? 0 : random.nextFloat() - 0.5));
    const adjusted = tile(() => 0);
    adjusted.view.forEach((_, i) => {
      adjusted.view[i] = trend.view[i]! + remainder.view[i]!;
    });
    const values = adjusted.view.map((value, i) => value + seasonal.view[i]!);
    const before = seasonal.view.slice();
    const strength = arena.f64(LANES);
    exports.stlStrength(seasonal.pointer, adjusted.pointer, trend.pointer, length, strength.pointer);
    exports.stlShrink(seasonal.pointer, adjusted.pointer, length, strength.pointer);
    for (let lane = 0; lane < LANES; lane++) {
      const rowOf = (view: Float64Array): number[] => [...view].filter((_, i) => i % LANES === lane);
      const expected = oracle.strength(rowOf(before), rowOf(remainder.view));
      assertNear([strength.view[lane]!], [expected], `strength of lane ${lane}`);
      assertNear(
        rowOf(seasonal.view),
        rowOf(before).map((value) => value * expected),
        `season of lane ${lane}`,
      );
    }
    assertNear(
      [...adjusted.view].map((value, i) => value + seasonal.view[i]!),
      [...values],
      'values',
    );
  });

test.run();

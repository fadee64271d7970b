import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom } from '../../../src/base/random.ts';
import type { KernelBuild } from '../../../src/kernels/bytes.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import { ridgeLayout } from '../../../src/kernels/ridge-jobs.ts';
import { type Block, normalEquations } from '../../oracles/ridge.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('kernels/ridge-sums');
const seed = testSeed('kernels/ridge-sums');
const builds: readonly KernelBuild[] = ['debug', 'release'];

for (const build of builds)
  for (const [lagCount, horizon, counts] of [
    [168, 5, [1, 30, 24]],
    [171, 8, [7, 2]],
  ] as const)
    test(`${build}: sums by differences equal the sums over all rows, ${lagCount} lags, ${horizon} targets`, () => {
      const { arena, exports } = loadKernels({ build });
      const random = seededRandom(seed);
      const layout = ridgeLayout({ lagCount, horizon });
      const { inputs, columns, lagColumns, momentColumns, momentCells } = layout;
      const moments = arena.f64(momentCells);
      moments.view.fill(0);
      const blocks: Block[] = counts.map((count, index) => {
        const level = 10 * random.nextFloat();
        const values = Float64Array.from(
          { length: count + lagCount + horizon - 1 },
          (_, t) => level + Math.sin(t / 4 + index) + random.nextFloat(),
        );
        return { values, count, scale: 0.1 + random.nextFloat(), weight: 1 + random.nextFloat() };
      });
      const rowBytes = momentColumns * 8;
      const rows = arena.f64(2 * momentColumns);
      for (const { values, count, scale, weight } of blocks) {
        const series = arena.f64(values.length);
        series.view.set(values);
        const scratch = arena.f64(values.length + 1);
        const center = values[0]!;
        exports.ridgeBlock(
          series.pointer,
          count,
          lagCount,
          horizon,
          momentColumns,
          center,
          scale,
          weight,
          scratch.pointer,
          rows.pointer,
          rows.pointer + rowBytes,
          moments.pointer + lagColumns * rowBytes,
        );
        for (const [row, sign] of [
          [0, -1],
          [1, 1],
        ] as const)
          exports.ridgeAccumulate(
            rows.pointer + row * rowBytes,
            1,
            lagColumns,
            momentColumns,
            sign * weight,
            moments.pointer,
          );
      }
      const level = arena.f64(momentColumns);
      const out = arena.f64(inputs * columns);
      exports.ridgeNormalEquations(
        moments.pointer,
        lagCount,
        horizon,
        lagColumns,
        momentColumns,
        inputs,
        columns - inputs,
        level.pointer,
        out.pointer,
      );
      const expected = normalEquations(blocks, { lagCount, horizon, inputs, outputs: columns - inputs });
      const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      for (let i = 0; i < inputs; i++)
        for (let j = i; j < columns; j++) {
          const [actual, wanted] = [out.view[i * columns + j]!, expected[i * columns + j]!];
          // Another order of adding, and levels of 10 that cancel: ten digits are what is left of sixteen.
          if (!(Math.abs(actual - wanted) <= 1e-10 * largest))
            assert.unreachable(`[${i}][${j}]: ${actual} is not ${wanted} (SEED=${seed})`);
        }
    });

test.run();

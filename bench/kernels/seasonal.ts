import { seededRandom } from '../../src/base/random.ts';
import { loadKernels } from '../../src/kernels/instance.ts';
import * as seasonalOracle from '../../test/oracles/seasonal.ts';
import type { Contest } from './contest.ts';

export function seasonalContests(isSmall: boolean): Contest[] {
  const { arena, exports } = loadKernels();
  const shape = { count: isSmall ? 16 : 256, stride: 672, length: 672, season: 168, cycles: 4, horizon: 168 };
  const { count, stride, length, season, cycles, horizon } = shape;
  const series = arena.f64(count * stride);
  const random = seededRandom(1n);
  series.view.forEach((_, i) => {
    series.view[i] = random.nextFloat() * 9;
  });
  const out = arena.f64(count * horizon);
  let expected: Float64Array = new Float64Array();
  return [
    {
      name: 'seasonal-trimmed-mean',
      amount: count,
      unit: 'series',
      settings: shape,
      kernel: () =>
        exports.seasonalTrimmedMean(
          series.pointer,
          count,
          stride,
          length,
          season,
          cycles,
          horizon,
          out.pointer,
        ),
      oracle() {
        expected = seasonalOracle.seasonalTrimmedMean({ ...shape, series: series.view });
      },
      kernelResult: () => out.view,
      oracleResult: () => expected,
    },
  ];
}

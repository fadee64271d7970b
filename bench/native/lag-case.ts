import { lagTable } from '../../src/analyzer/members/lag-table.ts';
import { distinctLags, lagsAround, recentLags } from '../../src/analyzer/members/seasonal-lags.ts';
import { seededRandom } from '../../src/base/random.ts';
import { loadKernels } from '../../src/kernels/instance.ts';
import type { NativeCase } from './case.ts';

/** The direct ridge of one series: 48 steps of 960 hours, each on some thirteen lags of its own. */
export function lagCase({ isSmall }: { readonly isSmall: boolean }): NativeCase {
  const { arena, exports } = loadKernels();
  const [windows, steps, day, passes] = [960, 48, 24, isSmall ? 1 : 10];
  const week = 7 * day;
  const penalty = 1e-3;
  const random = seededRandom(7n);
  const series = arena.f64(windows);
  for (let t = 0; t < windows; t++)
    series.view[t] = 5 + Math.sin((2 * Math.PI * t) / day) + (t % week < day ? 1 : 0) + random.nextFloat();
  // As the member `ridge` has them, without its prior.
  const lagsOf = (step: number) => {
    const newest = (Math.floor(step / day) + 1) * day - step;
    const seasonal = [newest, newest + day, week - step].flatMap((lag) => lagsAround(lag, 1, 0));
    return distinctLags([...seasonal, ...recentLags(4)]);
  };
  const width = Math.max(...Array.from({ length: steps }, (_, step) => lagsOf(step).length));
  const table = lagTable(arena, { steps, width, lagsOf });
  const { reach, groupCount, lags, prior, groups } = table;
  const scratch = arena.f64(exports.lagScratchCount(windows, reach, steps, width, groupCount));
  const weights = arena.f64(steps * (1 + width));
  const input = new Float64Array(windows + steps * width);
  input.set(series.view);
  for (let step = 0; step < steps; step++)
    input.set(
      lagsOf(step)
        .map(({ lag }) => lag)
        .sort((a, b) => a - b),
      windows + step * width,
    );
  return {
    name: 'lag-regression',
    source: 'lag.c',
    input,
    numbers: [windows, steps, width, reach, passes],
    amount: passes,
    unit: 'series',
    settings: { windows, steps, lags: width },
    // Another order of operations in the small factorisations.
    tolerance: 1e-6,
    runKernel() {
      let total = 0;
      for (let pass = 0; pass < passes; pass++) {
        exports.lagFit(
          series.pointer,
          windows,
          lags,
          steps,
          width,
          reach,
          prior,
          groups,
          groupCount,
          penalty,
          0,
          1,
          1,
          scratch.pointer,
          weights.pointer,
        );
        total += weights.view.reduce((sum, value) => sum + value, 0);
      }
      return total;
    },
  };
}

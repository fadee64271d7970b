import { seededRandom } from '../../src/base/random.ts';
import { loadKernels } from '../../src/kernels/instance.ts';
import { COEFFICIENT_COUNT, LANES, writeCoefficients } from '../../src/kernels/sarima/model.ts';
import { filterFirst } from '../../src/kernels/sarima/series.ts';
import { workspaceAt, workspaceBytes } from '../../src/kernels/sarima/workspace.ts';
import type { NativeCase } from './case.ts';

/** Sums of squares of SARIMA(2,0,1)(0,1,1)24 over 720 hours, for eight parameter vectors at a time. */
export function cssCase({ isSmall }: { readonly isSmall: boolean }): NativeCase {
  const { arena, exports, memory } = loadKernels();
  const [count, season, passes] = [720, 24, isSmall ? 2 : 100];
  const first = filterFirst(season);
  const shape = { count, season, horizon: 0 };
  const workspace = workspaceAt(exports, memory.buffer, arena.alloc(workspaceBytes(shape)).pointer, shape);
  const { pointers, tile, coefficients, sums } = workspace;
  const random = seededRandom(5n);
  tile.forEach((_, i) => {
    tile[i] = random.nextFloat() - 0.5;
  });
  const order = { ar: 2, difference: 0, ma: 1, seasonalAr: 0, seasonalDifference: 1, seasonalMa: 1 };
  for (let lane = 0; lane < LANES; lane++) {
    const free = Float64Array.from([0.9, -0.3, 0.2, -0.8], (value) => value + lane / 100);
    writeCoefficients(order, free, 0, coefficients, lane);
  }
  const input = new Float64Array(count * LANES + COEFFICIENT_COUNT);
  input.set(tile.subarray(0, count * LANES));
  input.set(coefficients, count * LANES);
  return {
    name: 'css',
    source: 'css.c',
    input,
    numbers: [count, season, first, passes],
    amount: passes * LANES,
    unit: 'evaluation',
    settings: { order: '(2,0,1)(0,1,1)24', count, first },
    tolerance: 1e-12,
    runKernel() {
      let total = 0;
      for (let pass = 0; pass < passes; pass++) {
        exports.cssResiduals(
          pointers.tile,
          count,
          first,
          season,
          order.ar,
          order.seasonalAr,
          order.ma,
          order.seasonalMa,
          pointers.coefficients,
          pointers.residuals,
          pointers.sums,
        );
        total += sums.reduce((sum, value) => sum + value, 0);
      }
      return total;
    },
  };
}

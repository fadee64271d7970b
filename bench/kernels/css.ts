import { seededRandom } from '../../src/base/random.ts';
import { loadKernels } from '../../src/kernels/instance.ts';
import { LAG_COUNT, LANES } from '../../src/kernels/sarima/model.ts';
import { workspaceAt, workspaceBytes } from '../../src/kernels/sarima/workspace.ts';
import * as cssOracle from '../../test/oracles/css.ts';
import type { Contest } from './contest.ts';

/** SARIMA(2,d,1)(0,D,1)24 over a month of hours, eight parameter vectors: the native bench has the same beside C. */
export function cssContests(isSmall: boolean): Contest[] {
  const { arena, exports, memory } = loadKernels();
  const shape = { count: isSmall ? 96 : 720, season: 24, horizon: 0 };
  const { count, season } = shape;
  const workspace = workspaceAt(exports, memory.buffer, arena.alloc(workspaceBytes(shape)).pointer, shape);
  const { pointers, tile, coefficients, sums } = workspace;
  const first = 2 * season;
  const random = seededRandom(4n);
  tile.forEach((_, i) => {
    tile[i] = random.nextFloat() - 0.5;
  });
  // AR lags 1 and 2, MA lags 1, season and season + 1.
  for (const slot of [0, 1, LAG_COUNT, LAG_COUNT + 3, LAG_COUNT + 4])
    for (let lane = 0; lane < LANES; lane++) coefficients[slot * LANES + lane] = 0.2 * random.nextFloat();
  const column = (values: Float64Array, from: number, length: number, lane: number): Float64Array =>
    Float64Array.from({ length }, (_, i) => values[(from + i) * LANES + lane] as number);
  const lanes = Array.from({ length: LANES }, (_, lane) => ({
    series: column(tile, 0, count, lane),
    first,
    season,
    ar: column(coefficients, 0, LAG_COUNT, lane),
    ma: column(coefficients, LAG_COUNT, LAG_COUNT, lane),
  }));
  let expected: Float64Array = new Float64Array();
  return [
    {
      name: 'css-residuals',
      amount: LANES,
      unit: 'evaluations',
      settings: shape,
      kernel: () =>
        exports.cssResiduals(
          pointers.tile,
          count,
          first,
          season,
          2,
          0,
          1,
          1,
          pointers.coefficients,
          pointers.residuals,
          pointers.sums,
        ),
      oracle() {
        expected = Float64Array.from(lanes, (lane) => cssOracle.cssResiduals(lane).sum);
      },
      kernelResult: () => sums,
      oracleResult: () => expected,
    },
  ];
}

import type { KernelExports, Pointer } from '../exports.ts';
import { COEFFICIENT_COUNT, LANES, SHORT_MAX } from './model.ts';

/** Windows a model is filtered over, its season (1: none), and the windows to forecast. */
export interface SarimaShape {
  readonly count: number;
  readonly season: number;
  readonly horizon: number;
}

/** Where the pieces of one scratch block lie; offsets in bytes. */
function layoutOf({
  count,
  season,
  horizon,
}: SarimaShape): Record<
  'tile' | 'residuals' | 'coefficients' | 'sums' | 'gram' | 'values' | 'bytes',
  number
> {
  const rowBytes = LANES * 8;
  const tile = 0;
  const residuals = tile + (count + horizon + season + SHORT_MAX) * rowBytes;
  const coefficients = residuals + (count + horizon) * rowBytes;
  const sums = coefficients + COEFFICIENT_COUNT * 8;
  const gram = sums + rowBytes;
  const values = gram + LANES * rowBytes;
  return { tile, residuals, coefficients, sums, gram, values, bytes: values + (count + (count % 2)) * 8 };
}

export const workspaceBytes = (shape: SarimaShape): number => layoutOf(shape).bytes;

/** The scratch of one job as views, for code that fills tiles and reads sums; see assembly/css.ts for the shapes. */
export interface Workspace {
  readonly exports: KernelExports;
  readonly horizon: number;
  readonly pointers: ReturnType<typeof layoutOf>;
  /** f64[count + horizon][LANES]. */
  readonly tile: Float64Array;
  readonly residuals: Float64Array;
  readonly coefficients: Float64Array;
  readonly sums: Float64Array;
  readonly gram: Float64Array;
  /** f64[count]: one series before it is spread over a tile. */
  readonly values: Float64Array;
}

export function workspaceAt(
  exports: KernelExports,
  buffer: ArrayBufferLike,
  scratch: Pointer,
  shape: SarimaShape,
): Workspace {
  const pointers = layoutOf(shape);
  for (const key of Object.keys(pointers) as (keyof typeof pointers)[]) pointers[key] += scratch;
  const rows = (shape.count + shape.horizon) * LANES;
  return {
    exports,
    horizon: shape.horizon,
    pointers,
    tile: new Float64Array(buffer, pointers.tile, rows),
    residuals: new Float64Array(buffer, pointers.residuals, rows),
    coefficients: new Float64Array(buffer, pointers.coefficients, COEFFICIENT_COUNT),
    sums: new Float64Array(buffer, pointers.sums, LANES),
    gram: new Float64Array(buffer, pointers.gram, LANES * LANES),
    values: new Float64Array(buffer, pointers.values, shape.count),
  };
}

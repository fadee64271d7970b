import { PARAMETERS_MAX, parameterCount, type SarimaOrder, SHORT_MAX } from './model.ts';

/**
 * What is remembered of one partition's model, f64[STATE_COUNT]:
 * fits since the order was chosen (0: there is no model), ar, d, ma, seasonalAr, D, seasonalMa, free parameters [7], 0, 0.
 */
export const STATE_COUNT = 16;

const FIRST_PARAMETER = 7;

export interface SarimaState {
  readonly order: SarimaOrder;
  readonly free: Float64Array;
  readonly fits: number;
}

/** @returns null where no model could be fitted. */
export function readState(states: Float64Array, index: number): SarimaState | null {
  const at = index * STATE_COUNT;
  const number = (offset: number): number => states[at + offset] as number;
  const fits = number(0);
  if (fits === 0) return null;
  const order = {
    ar: number(1),
    difference: number(2),
    ma: number(3),
    seasonalAr: number(4),
    seasonalDifference: number(5),
    seasonalMa: number(6),
  };
  const first = at + FIRST_PARAMETER;
  return { order, free: states.slice(first, first + parameterCount(order)), fits };
}

export function writeState(states: Float64Array, index: number, state: SarimaState | null): void {
  const row = states.subarray(index * STATE_COUNT, (index + 1) * STATE_COUNT).fill(0);
  if (state === null) return;
  const { order, free, fits } = state;
  row.set([
    fits,
    order.ar,
    order.difference,
    order.ma,
    order.seasonalAr,
    order.seasonalDifference,
    order.seasonalMa,
  ]);
  row.set(free.subarray(0, PARAMETERS_MAX), FIRST_PARAMETER);
}

/**
 * Whether a row is one that writeState can have written.
 *
 * @param isSeasonal whether models of this history have a season at all
 */
export function isState(row: Float64Array, isSeasonal: boolean): boolean {
  if (row.length !== STATE_COUNT || !row.every(Number.isFinite)) return false;
  const [fits, ...orders] = row.subarray(0, FIRST_PARAMETER) as unknown as [number, ...number[]];
  const seasonal = isSeasonal ? 1 : 0;
  const most = [SHORT_MAX, 1, SHORT_MAX, seasonal, seasonal, seasonal];
  const areOrders = orders.every(
    (order, i) => Number.isInteger(order) && order >= 0 && order <= (most[i] as number),
  );
  const [ar, , ma, seasonalAr, , seasonalMa] = orders as [number, number, number, number, number, number];
  return (
    Number.isInteger(fits) && fits >= 0 && areOrders && ar + ma + seasonalAr + seasonalMa <= PARAMETERS_MAX
  );
}

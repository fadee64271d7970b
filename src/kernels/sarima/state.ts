import { PARAMETERS_MAX, parameterCount, type SarimaOrder } from './model.ts';

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
  const [fits, ar, d, ma, seasonalAr, seasonalD, seasonalMa] = states.subarray(
    at,
    at + FIRST_PARAMETER,
  ) as never as number[];
  if (!fits) return null;
  const order = {
    ar: ar as number,
    difference: d as number,
    ma: ma as number,
    seasonalAr: seasonalAr as number,
    seasonalDifference: seasonalD as number,
    seasonalMa: seasonalMa as number,
  };
  const first = at + FIRST_PARAMETER;
  return { order, free: states.slice(first, first + parameterCount(order)), fits: fits as number };
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

/** Whether a row is one that writeState can have written. */
export function isState(row: Float64Array): boolean {
  if (row.length !== STATE_COUNT || !row.every(Number.isFinite)) return false;
  const [fits, ...orders] = row.subarray(0, FIRST_PARAMETER);
  const most = [3, 1, 3, 1, 1, 1];
  const isOrder = orders.every(
    (order, i) => Number.isInteger(order) && order >= 0 && order <= (most[i] as number),
  );
  const count = (orders[0] as number) + (orders[2] as number) + (orders[3] as number) + (orders[5] as number);
  return Number.isInteger(fits) && (fits as number) >= 0 && isOrder && count <= PARAMETERS_MAX;
}

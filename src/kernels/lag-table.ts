import type { Pointer } from './exports.ts';

/** Which lags each step looks at, in kernel memory (assembly/lag-regression.ts). */
export interface LagTable {
  readonly steps: number;
  readonly width: number;
  readonly reach: number;
  readonly lags: Pointer;
  readonly prior: Pointer;
  readonly groups: Pointer;
  readonly groupCount: number;
}

/** Numbers that a fitted table takes: which one it is, and for each step a constant and the weights. */
export const lagParameterCount = (table: { readonly steps: number; readonly width: number }): number =>
  1 + table.steps * (1 + table.width);

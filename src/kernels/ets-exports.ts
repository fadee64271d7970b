import type { Pointer } from './exports.ts';

/** assembly/ets.ts: shapes and units stand there. */
export interface EtsExports {
  etsLanes(): number;
  etsFilter(
    values: Pointer,
    blockCount: number,
    length: number,
    burnIn: number,
    season: number,
    hasTrend: number,
    parameters: Pointer,
    states: Pointer,
    sums: Pointer,
  ): void;
}

import type { Pointer } from './exports.ts';

/** assembly/stl.ts: shapes and units stand there. Argument order is the kernels'. */
export interface MstlExports {
  stlWorkRows(length: number, season: number): number;
  stlTile(
    values: Pointer,
    length: number,
    season: number,
    seasonWindow: number,
    trendWindow: number,
    turnCount: number,
    robust: Pointer,
    trend: Pointer,
    seasonal: Pointer,
    work: Pointer,
  ): void;
  stlStrength(seasonal: Pointer, adjusted: Pointer, trend: Pointer, length: number, strength: Pointer): void;
  stlShrink(seasonal: Pointer, adjusted: Pointer, length: number, share: Pointer): void;
  /** Zeros: of shared memory JavaScript's own `fill` takes a hundred times longer. */
  clear(pointer: Pointer, sizeBytes: number): void;
  stlRobustWeights(remainder: Pointer, length: number, weights: Pointer, work: Pointer): void;
}

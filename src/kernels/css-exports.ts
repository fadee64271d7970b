import type { Pointer } from './exports.ts';

/** assembly/css.ts: shapes stand there. Argument order is the kernels'. */
export interface CssExports {
  cssResiduals(
    series: Pointer,
    count: number,
    first: number,
    season: number,
    ar: number,
    seasonalAr: number,
    ma: number,
    seasonalMa: number,
    coefficients: Pointer,
    residuals: Pointer,
    sums: Pointer,
  ): void;
  cssGram(residuals: Pointer, count: number, gram: Pointer): void;
  cssForecast(
    series: Pointer,
    residuals: Pointer,
    count: number,
    horizon: number,
    season: number,
    ar: number,
    seasonalAr: number,
    ma: number,
    seasonalMa: number,
    coefficients: Pointer,
  ): void;
}

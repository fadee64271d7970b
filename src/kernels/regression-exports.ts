import type { Pointer } from './exports.ts';

/** assembly/regressions.ts and the files beside it: shapes and units stand there. Argument order is the kernels'. */
export interface RegressionExports {
  lagScratchCount(windows: number, reach: number, steps: number, width: number, groupCount: number): number;
  lagFit(
    series: Pointer,
    windows: number,
    lags: Pointer,
    steps: number,
    width: number,
    reach: number,
    prior: Pointer,
    groups: Pointer,
    groupCount: number,
    penalty: number,
    penaltyFixed: number,
    fade: number,
    hasConstant: number,
    scratch: Pointer,
    weights: Pointer,
  ): number;
  lagPredict(
    end: Pointer,
    lags: Pointer,
    steps: number,
    width: number,
    weights: Pointer,
    horizon: number,
    out: Pointer,
  ): void;
  lagFitted(
    start: Pointer,
    lags: Pointer,
    width: number,
    weights: Pointer,
    horizon: number,
    out: Pointer,
  ): void;
  deltaForecast(
    end: Pointer,
    length: number,
    day: number,
    week: number,
    horizon: number,
    scratch: Pointer,
    out: Pointer,
  ): void;
  kernelRegressionScratchCount(windows: number, horizon: number): number;
  kernelRegression(
    series: Pointer,
    windows: number,
    inputs: number,
    horizon: number,
    bandwidth: number,
    isLevelled: number,
    scratch: Pointer,
    out: Pointer,
  ): number;
  countsScratchCount(day: number, week: number): number;
  countsForecast(
    series: Pointer,
    windows: number,
    day: number,
    week: number,
    fade: number,
    levelFade: number,
    dayPull: number,
    weekPull: number,
    levelPull: number,
    horizon: number,
    scratch: Pointer,
    out: Pointer,
  ): void;
  boundForecast(series: Pointer, windows: number, out: Pointer, horizon: number): number;
}

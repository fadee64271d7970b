import type { Pointer } from './exports.ts';

/** assembly/ets.ts and assembly/tiles.ts: shapes and units stand there. Argument order is the kernels'. */
export interface EtsExports {
  tileLanes(): number;
  tileOfOne(series: Pointer, length: number, tile: Pointer): void;
  tileOfSeries(
    series: Pointer,
    stride: number,
    list: Pointer,
    count: number,
    length: number,
    tile: Pointer,
  ): void;
  etsStart(
    tile: Pointer,
    length: number,
    end: number,
    levelWindows: number,
    season: number,
    secondSeason: number,
    states: Pointer,
  ): void;
  etsFilter(
    values: Pointer,
    first: number,
    end: number,
    season: number,
    secondSeason: number,
    parameters: Pointer,
    states: Pointer,
    sums: Pointer,
  ): void;
  etsBackcast(
    values: Pointer,
    end: number,
    season: number,
    secondSeason: number,
    parameters: Pointer,
    states: Pointer,
    sums: Pointer,
  ): void;
  etsJudge(
    values: Pointer,
    length: number,
    backcastWindows: number,
    judgedFrom: number,
    season: number,
    secondSeason: number,
    parameters: Pointer,
    start: Pointer,
    states: Pointer,
    leads: Pointer,
    leadCount: number,
    spacing: number,
    work: Pointer,
    sums: Pointer,
  ): void;
  etsForecast(
    states: Pointer,
    length: number,
    season: number,
    secondSeason: number,
    parameters: Pointer,
    list: Pointer,
    count: number,
    horizon: number,
    out: Pointer,
  ): void;
}

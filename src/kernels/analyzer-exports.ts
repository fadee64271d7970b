import type { Pointer } from './exports.ts';

/** assembly/seasonal.ts, ridge.ts, ridge-sums.ts, cluster.ts: shapes and units stand there. Argument order is the kernels'. */
export interface AnalyzerExports {
  seasonalNaive(
    series: Pointer,
    count: number,
    stride: number,
    length: number,
    season: number,
    horizon: number,
    out: Pointer,
  ): void;
  seasonalTrimmedMean(
    series: Pointer,
    count: number,
    stride: number,
    length: number,
    season: number,
    cycles: number,
    horizon: number,
    out: Pointer,
  ): void;
  followLevel(
    series: Pointer,
    count: number,
    stride: number,
    length: number,
    expected: Pointer,
    windows: number,
    fade: number,
    horizon: number,
    out: Pointer,
  ): void;
  ridgeLevelWindows(): number;
  ridgeLevel(end: Pointer): number;
  ridgeSpread(end: Pointer, mean: number): number;
  ridgeRows(
    series: Pointer,
    stride: number,
    list: Pointer,
    count: number,
    origin: number,
    lagCount: number,
    horizon: number,
    inputs: number,
    columns: number,
    spreadMin: number,
    spreadFloor: number,
    rows: Pointer,
    level: Pointer,
  ): number;
  ridgeAccumulate(
    rows: Pointer,
    rowCount: number,
    inputs: number,
    columns: number,
    weight: number,
    sums: Pointer,
  ): void;
  ridgeBlock(
    series: Pointer,
    count: number,
    lagCount: number,
    horizon: number,
    columns: number,
    center: number,
    scale: number,
    weight: number,
    values: Pointer,
    firstRow: Pointer,
    lastRow: Pointer,
    base: Pointer,
  ): void;
  ridgeNormalEquations(
    moments: Pointer,
    lagCount: number,
    horizon: number,
    lagColumns: number,
    columns: number,
    inputs: number,
    outputs: number,
    level: Pointer,
    out: Pointer,
  ): void;
  scaleInPlace(values: Pointer, count: number, factor: number): void;
  addScaled(values: Pointer, count: number, factor: number, out: Pointer): void;
  ridgeSolve(sums: Pointer, inputs: number, columns: number, lambda: number): number;
  ridgePredict(
    rows: Pointer,
    level: Pointer,
    list: Pointer,
    rowCount: number,
    inputs: number,
    columns: number,
    horizon: number,
    share: number,
    weights: Pointer,
    out: Pointer,
  ): void;
  nearestCentroids(
    points: Pointer,
    count: number,
    dimension: number,
    centroids: Pointer,
    clusterCount: number,
    labels: Pointer,
    distances: Pointer,
  ): number;
}

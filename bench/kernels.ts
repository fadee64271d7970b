/** Each forecast kernel against its plain TypeScript twin (test/oracles): the same result, bit for bit, at which ratio? */
import { createHash } from 'node:crypto';
import { seededRandom } from '../src/base/random.ts';
import { loadKernels } from '../src/kernels/instance.ts';
import { RIDGE_BATCH_ROWS, ridgeLayout } from '../src/kernels/ridge-jobs.ts';
import { LAG_COUNT, LANES } from '../src/kernels/sarima/model.ts';
import { workspaceAt, workspaceBytes } from '../src/kernels/sarima/workspace.ts';
import * as clusterOracle from '../test/oracles/cluster.ts';
import * as cssOracle from '../test/oracles/css.ts';
import * as ridgeOracle from '../test/oracles/ridge.ts';
import * as seasonalOracle from '../test/oracles/seasonal.ts';
import { median } from './median.ts';
import type { BenchOutcome, BenchResult } from './types.ts';

export const area = 'kernels';

interface Contest {
  readonly name: string;
  /** What one call gets through, in `unit`. */
  readonly amount: number;
  readonly unit: string;
  readonly settings: Record<string, number>;
  kernel(): void;
  oracle(): void;
  /** What the last call of each has computed; not part of what is timed. */
  kernelResult(): Float64Array;
  oracleResult(): Float64Array;
}

export async function run({ isSmall }: { readonly isSmall: boolean }): Promise<BenchOutcome> {
  const contests = [
    ...seasonalContests(isSmall),
    ...ridgeContests(isSmall),
    ...clusterContests(isSmall),
    ...cssContests(isSmall),
  ];
  return { results: contests.map((contest) => measure(contest, isSmall ? 1 : 7)), skipped: [] };
}

/** Median processor time of interleaved rounds; the twin's result must be the kernel's. */
function measure(contest: Contest, rounds: number): BenchResult {
  const { name, amount, unit, settings } = contest;
  const kernelMs: number[] = [];
  const oracleMs: number[] = [];
  let hash = '';
  // Once more than measured: the first round lets V8 optimise.
  for (let round = 0; round <= rounds; round++) {
    const fastMs = timedMs(() => contest.kernel());
    const slowMs = timedMs(() => contest.oracle());
    hash = hashOf(contest.kernelResult());
    if (hashOf(contest.oracleResult()) !== hash) throw new Error(`${name}: the kernel and its oracle differ`);
    if (round === 0) continue;
    kernelMs.push(fastMs);
    oracleMs.push(slowMs);
  }
  const value = amount / (median(kernelMs) / 1000);
  const baselineValue = amount / (median(oracleMs) / 1000);
  return {
    name: `kernels/${name}`,
    metric: 'rate',
    value,
    unit: `${unit}/s`,
    baseline: 'js-oracle',
    baselineValue,
    ratio: value / baselineValue,
    settings,
    hash,
  };
}

/** Repeats short work until it is long enough for the clock. */
function timedMs(work: () => void): number {
  const started = performance.now();
  let calls = 0;
  let elapsed = 0;
  while (elapsed < 2) {
    work();
    calls++;
    elapsed = performance.now() - started;
  }
  return elapsed / calls;
}

function hashOf(values: Float64Array): string {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return createHash('sha256').update(Uint8Array.from(bytes)).digest('hex').slice(0, 16);
}

function seasonalContests(isSmall: boolean): Contest[] {
  const { arena, exports } = loadKernels();
  const shape = { count: isSmall ? 16 : 256, stride: 672, length: 672, season: 168, cycles: 4, horizon: 168 };
  const { count, stride, length, season, cycles, horizon } = shape;
  const series = arena.f64(count * stride);
  const random = seededRandom(1n);
  series.view.forEach((_, i) => {
    series.view[i] = random.nextFloat() * 9;
  });
  const out = arena.f64(count * horizon);
  let expected: Float64Array = new Float64Array();
  return [
    {
      name: 'seasonal-trimmed-mean',
      amount: count,
      unit: 'series',
      settings: shape,
      kernel: () =>
        exports.seasonalTrimmedMean(
          series.pointer,
          count,
          stride,
          length,
          season,
          cycles,
          horizon,
          out.pointer,
        ),
      oracle() {
        expected = seasonalOracle.seasonalTrimmedMean({ ...shape, series: series.view });
      },
      kernelResult: () => out.view,
      oracleResult: () => expected,
    },
  ];
}

function ridgeContests(isSmall: boolean): Contest[] {
  const { arena, exports } = loadKernels();
  const shape = { lagCount: isSmall ? 31 : 168, horizon: isSmall ? 12 : 168 };
  const { inputs, columns } = ridgeLayout(shape);
  const rowCount = RIDGE_BATCH_ROWS;
  const settings = { ...shape, rowCount };
  const random = seededRandom(2n);
  const rows = arena.f64(rowCount * columns);
  for (let i = 0; i < rows.view.length; i++) rows.view[i] = random.nextFloat() - 0.5;
  const sums = arena.f64(inputs * columns);
  exports.ridgeAccumulate(rows.pointer, rowCount, inputs, columns, 1, sums.pointer);
  const problem = sums.view.slice();
  const solved = arena.f64(inputs * columns);
  // Below the diagonal lie half-finished tiles, which nobody reads: a result is what stands right of the inputs.
  const solution = (matrix: Float64Array): Float64Array =>
    Float64Array.from({ length: inputs * (columns - inputs) }, (_, i) => {
      const row = Math.floor(i / (columns - inputs));
      return matrix[row * columns + inputs + (i % (columns - inputs))] as number;
    });
  const list = arena.i32(rowCount);
  for (let r = 0; r < rowCount; r++) list.view[r] = r;
  const level = arena.f64(rowCount * 2);
  level.view.fill(1);
  const newest = arena.f64(rowCount * inputs);
  for (let i = 0; i < newest.view.length; i++) newest.view[i] = random.nextFloat() - 0.5;
  const out = arena.f64(rowCount * shape.horizon);
  const outputs = columns - inputs;
  let expected: Float64Array = new Float64Array();
  const model = { inputs, columns, horizon: shape.horizon, share: 1 };
  return [
    {
      name: 'ridge-accumulate',
      amount: (rowCount * inputs * (inputs / 2 + outputs)) / 1e6,
      unit: 'million multiply-adds',
      settings,
      kernel() {
        sums.view.fill(0);
        exports.ridgeAccumulate(rows.pointer, rowCount, inputs, columns, 1, sums.pointer);
      },
      oracle() {
        expected = new Float64Array(inputs * columns);
        ridgeOracle.ridgeAccumulate(expected, { rows: rows.view, rowCount, inputs, columns, weight: 1 });
      },
      kernelResult: () => solution(sums.view),
      oracleResult: () => solution(expected),
    },
    {
      name: 'ridge-solve',
      amount: (inputs ** 3 / 6 + inputs ** 2 * outputs) / 1e6,
      unit: 'million multiply-adds',
      settings,
      kernel() {
        solved.view.set(problem);
        exports.ridgeSolve(solved.pointer, inputs, columns, 0.1);
      },
      oracle() {
        expected = problem.slice();
        ridgeOracle.ridgeSolve(expected, { inputs, columns, lambda: 0.1 });
      },
      kernelResult: () => solution(solved.view),
      oracleResult: () => solution(expected),
    },
    {
      name: 'ridge-predict',
      amount: rowCount,
      unit: 'series',
      settings,
      kernel() {
        out.view.fill(0);
        exports.ridgePredict(
          newest.pointer,
          level.pointer,
          list.pointer,
          rowCount,
          inputs,
          columns,
          shape.horizon,
          1,
          solved.pointer,
          out.pointer,
        );
      },
      oracle() {
        expected = new Float64Array(rowCount * shape.horizon);
        ridgeOracle.ridgePredict(expected, {
          ...model,
          weights: solved.view,
          rows: newest.view,
          level: level.view,
          list: list.view,
        });
      },
      kernelResult: () => out.view,
      oracleResult: () => expected,
    },
  ];
}

function clusterContests(isSmall: boolean): Contest[] {
  const { arena, exports } = loadKernels();
  const shape = { count: isSmall ? 32 : 256, dimension: 168, clusterCount: 8 };
  const { count, dimension, clusterCount } = shape;
  const random = seededRandom(3n);
  const points = arena.f64(count * dimension);
  for (let i = 0; i < points.view.length; i++) points.view[i] = random.nextFloat();
  const centroids = arena.f64(clusterCount * dimension);
  centroids.view.set(points.view.subarray(0, centroids.view.length));
  const labels = arena.i32(count);
  const distances = arena.f64(count);
  let expected: Float64Array = new Float64Array();
  return [
    {
      name: 'nearest-centroids',
      amount: count,
      unit: 'points',
      settings: shape,
      kernel: () =>
        exports.nearestCentroids(
          points.pointer,
          count,
          dimension,
          centroids.pointer,
          clusterCount,
          labels.pointer,
          distances.pointer,
        ),
      oracle() {
        expected = clusterOracle.nearestCentroids({
          ...shape,
          points: points.view,
          centroids: centroids.view,
        }).distances;
      },
      kernelResult: () => distances.view,
      oracleResult: () => expected,
    },
  ];
}

/** SARIMA(2,d,1)(0,D,1)24 over a month of hours, eight parameter vectors: the native bench has the same beside C. */
function cssContests(isSmall: boolean): Contest[] {
  const { arena, exports, memory } = loadKernels();
  const shape = { count: isSmall ? 96 : 720, season: 24, horizon: 0 };
  const { count, season } = shape;
  const workspace = workspaceAt(exports, memory.buffer, arena.alloc(workspaceBytes(shape)).pointer, shape);
  const { pointers, tile, coefficients, sums } = workspace;
  const first = 2 * season;
  const random = seededRandom(4n);
  tile.forEach((_, i) => {
    tile[i] = random.nextFloat() - 0.5;
  });
  // AR lags 1 and 2, MA lags 1, season and season + 1.
  for (const slot of [0, 1, LAG_COUNT, LAG_COUNT + 3, LAG_COUNT + 4])
    for (let lane = 0; lane < LANES; lane++) coefficients[slot * LANES + lane] = 0.2 * random.nextFloat();
  const column = (values: Float64Array, from: number, length: number, lane: number): Float64Array =>
    Float64Array.from({ length }, (_, i) => values[(from + i) * LANES + lane] as number);
  const lanes = Array.from({ length: LANES }, (_, lane) => ({
    series: column(tile, 0, count, lane),
    first,
    season,
    ar: column(coefficients, 0, LAG_COUNT, lane),
    ma: column(coefficients, LAG_COUNT, LAG_COUNT, lane),
  }));
  let expected: Float64Array = new Float64Array();
  return [
    {
      name: 'css-residuals',
      amount: LANES,
      unit: 'evaluations',
      settings: shape,
      kernel: () =>
        exports.cssResiduals(
          pointers.tile,
          count,
          first,
          season,
          2,
          0,
          1,
          1,
          pointers.coefficients,
          pointers.residuals,
          pointers.sums,
        ),
      oracle() {
        expected = Float64Array.from(lanes, (lane) => cssOracle.cssResiduals(lane).sum);
      },
      kernelResult: () => sums,
      oracleResult: () => expected,
    },
  ];
}

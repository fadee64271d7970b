import { seededRandom } from '../../src/base/random.ts';
import { loadKernels } from '../../src/kernels/instance.ts';
import { RIDGE_BATCH_ROWS, ridgeLayout } from '../../src/kernels/ridge-jobs.ts';
import * as ridgeOracle from '../../test/oracles/ridge.ts';
import type { Contest } from './contest.ts';

const ROW_COUNT = RIDGE_BATCH_ROWS;

/** Sums over rows, the weights they lead to, and what the weights predict: each works on what the one before has left. */
export function ridgeContests(isSmall: boolean): Contest[] {
  const problem = makeProblem(isSmall);
  return [accumulateContest(problem), solveContest(problem), predictContest(problem)];
}

type Problem = ReturnType<typeof makeProblem>;

function makeProblem(isSmall: boolean) {
  const { arena, exports } = loadKernels();
  const shape = { lagCount: isSmall ? 31 : 168, horizon: isSmall ? 12 : 168 };
  const { inputs, columns } = ridgeLayout(shape);
  const random = seededRandom(2n);
  const rows = arena.f64(ROW_COUNT * columns);
  for (let i = 0; i < rows.view.length; i++) rows.view[i] = random.nextFloat() - 0.5;
  const sums = arena.f64(inputs * columns);
  exports.ridgeAccumulate(rows.pointer, ROW_COUNT, inputs, columns, 1, sums.pointer);
  return {
    ...{ arena, exports, random, inputs, columns, rows, sums },
    horizon: shape.horizon,
    settings: { ...shape, rowCount: ROW_COUNT },
    unsolved: sums.view.slice(),
    solved: arena.f64(inputs * columns),
  };
}

/** Below the diagonal lie half-finished tiles, which nobody reads: a result is what stands right of the inputs. */
function rightOfInputs({ inputs, columns }: Problem, matrix: Float64Array): Float64Array {
  const outputs = columns - inputs;
  return Float64Array.from({ length: inputs * outputs }, (_, i) => {
    const row = Math.floor(i / outputs);
    return matrix[row * columns + inputs + (i % outputs)] as number;
  });
}

function accumulateContest(problem: Problem): Contest {
  const { exports, inputs, columns, rows, sums, settings } = problem;
  let expected: Float64Array = new Float64Array();
  return {
    name: 'ridge-accumulate',
    amount: (ROW_COUNT * inputs * (inputs / 2 + columns - inputs)) / 1e6,
    unit: 'million multiply-adds',
    settings,
    kernel() {
      sums.view.fill(0);
      exports.ridgeAccumulate(rows.pointer, ROW_COUNT, inputs, columns, 1, sums.pointer);
    },
    oracle() {
      expected = new Float64Array(inputs * columns);
      ridgeOracle.ridgeAccumulate(expected, {
        rows: rows.view,
        rowCount: ROW_COUNT,
        inputs,
        columns,
        weight: 1,
      });
    },
    kernelResult: () => rightOfInputs(problem, sums.view),
    oracleResult: () => rightOfInputs(problem, expected),
  };
}

function solveContest(problem: Problem): Contest {
  const { exports, inputs, columns, unsolved, solved, settings } = problem;
  let expected: Float64Array = new Float64Array();
  return {
    name: 'ridge-solve',
    amount: (inputs ** 3 / 6 + inputs ** 2 * (columns - inputs)) / 1e6,
    unit: 'million multiply-adds',
    settings,
    kernel() {
      solved.view.set(unsolved);
      exports.ridgeSolve(solved.pointer, inputs, columns, 0.1);
    },
    oracle() {
      expected = unsolved.slice();
      ridgeOracle.ridgeSolve(expected, { inputs, columns, lambda: 0.1 });
    },
    kernelResult: () => rightOfInputs(problem, solved.view),
    oracleResult: () => rightOfInputs(problem, expected),
  };
}

function predictContest({
  arena,
  exports,
  random,
  inputs,
  columns,
  horizon,
  solved,
  settings,
}: Problem): Contest {
  const list = arena.i32(ROW_COUNT);
  for (let r = 0; r < ROW_COUNT; r++) list.view[r] = r;
  const level = arena.f64(ROW_COUNT * 2);
  level.view.fill(1);
  const newest = arena.f64(ROW_COUNT * inputs);
  for (let i = 0; i < newest.view.length; i++) newest.view[i] = random.nextFloat() - 0.5;
  const out = arena.f64(ROW_COUNT * horizon);
  let expected: Float64Array = new Float64Array();
  return {
    name: 'ridge-predict',
    amount: ROW_COUNT,
    unit: 'series',
    settings,
    kernel() {
      out.view.fill(0);
      exports.ridgePredict(
        newest.pointer,
        level.pointer,
        list.pointer,
        ROW_COUNT,
        inputs,
        columns,
        horizon,
        1,
        solved.pointer,
        out.pointer,
      );
    },
    oracle() {
      expected = new Float64Array(ROW_COUNT * horizon);
      ridgeOracle.ridgePredict(expected, {
        ...{ inputs, columns, horizon, share: 1 },
        weights: solved.view,
        rows: newest.view,
        level: level.view,
        list: list.view,
      });
    },
    kernelResult: () => out.view,
    oracleResult: () => expected,
  };
}

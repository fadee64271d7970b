/** The worker thread of the solver: HiGHS blocks whoever calls it, for seconds. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { parentPort } from 'node:worker_threads';
import highsExports, { type Model, type ModelData } from 'highs';
import type { LinearProgram, LinearSolution } from '../../src/ports/linear-solver.ts';

export interface SolveRequest {
  readonly program: LinearProgram;
  readonly secondsMax: number;
  readonly start?: Float64Array;
}

export type SolveReply =
  | { readonly isDone: true; readonly solution: LinearSolution }
  | { readonly isDone: false; readonly message: string };

// The package's types describe its CommonJS build, whose default export would be one step further in.
const loadHighs = highsExports as unknown as typeof highsExports.default;

async function solve(module: WebAssembly.Module, request: SolveRequest): Promise<LinearSolution> {
  // A fresh instance for each solve: Wasm memory never shrinks, and a solve that ran out of it leaves the instance broken.
  const highs = await loadHighs({ wasmModule: module });
  const { program } = request;
  const model = highs.createModel(modelOf(program));
  try {
    model.options.set({ output_flag: false, time_limit: request.secondsMax });
    if (program.isInteger !== undefined) model.options.set({ mip_rel_gap: 0, mip_abs_gap: 1e-9 });
    if (request.start !== undefined) model.setSolution({ colValue: request.start });
    model.run();
    return solutionOf(model, program);
  } finally {
    model.dispose();
  }
}

function modelOf(program: LinearProgram): ModelData {
  return {
    numCols: program.columnCount,
    numRows: program.rowCount,
    offset: program.offset,
    colCost: program.cost,
    colLower: program.columnLower,
    colUpper: program.columnUpper,
    rowLower: program.rowLower,
    rowUpper: program.rowUpper,
    matrix: {
      format: 'csc',
      numRows: program.rowCount,
      numCols: program.columnCount,
      starts: program.columnStart,
      indices: program.rowIndex,
      values: program.coefficient,
    },
    ...(program.isInteger === undefined ? {} : { integrality: Int32Array.from(program.isInteger) }),
  };
}

/** Codes of HiGHS; its own table of constants is typed by them. */
const OPTIMAL = 7;
const INFEASIBLE = 8;
const LIMITS: readonly number[] = [11, 12, 13, 14, 16, 17];
const FEASIBLE_POINT = 2;

function solutionOf(model: Model, program: LinearProgram): LinearSolution {
  const code: number = model.getModelStatus();
  if (code !== OPTIMAL && code !== INFEASIBLE && !LIMITS.includes(code))
    throw new Error(`it ended with model status ${code}`);
  const isMip = program.isInteger !== undefined;
  const { colValue, rowDual } = model.getSolution();
  const objective = model.getObjectiveValue();
  return {
    status: code === OPTIMAL ? 'optimal' : code === INFEASIBLE ? 'infeasible' : 'limit',
    hasPoint: model.info.get('primal_solution_status') === FEASIBLE_POINT,
    columnValue: colValue,
    rowDual: isMip ? new Float64Array(0) : rowDual,
    objective,
    bound: isMip ? Number(model.info.get('mip_dual_bound')) : objective,
  };
}

const port = parentPort;
if (port !== null) {
  const path = createRequire(import.meta.url).resolve('highs/runtime');
  const compiled = WebAssembly.compile(readFileSync(path));
  port.on('message', (request: SolveRequest) => {
    compiled
      .then((module) => solve(module, request))
      .then((solution): SolveReply => ({ isDone: true, solution }))
      .catch((error: unknown): SolveReply => ({ isDone: false, message: String(error) }))
      .then((reply) => port.postMessage(reply));
  });
}

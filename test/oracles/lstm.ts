/** Slow, obvious twins of assembly/lstm.ts in f64: the kernel's f32 results agree to a tolerance, not bit for bit. */

export interface LstmShape {
  readonly steps: number;
  readonly inputs: number;
  readonly hidden: number;
  readonly outputs: number;
  /** The head is read after this step and every later one. */
  readonly firstOutput: number;
}

/** What one step leaves behind for the way back. */
interface Step {
  readonly x: number[];
  readonly before: { readonly h: number[]; readonly c: number[] };
  readonly i: number[];
  readonly f: number[];
  readonly o: number[];
  readonly g: number[];
  readonly c: number[];
  readonly h: number[];
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** V, one row an input: inputs, then the hidden state; columns in blocks i, f, o, g. Q stands behind it. */
const layerAt = (shape: LstmShape, row: number, column: number): number => row * 4 * shape.hidden + column;
const headAt = (shape: LstmShape, row: number, column: number): number =>
  (shape.inputs + shape.hidden) * 4 * shape.hidden + row * shape.outputs + column;

function runSteps(weights: ArrayLike<number>, input: ArrayLike<number>, shape: LstmShape): Step[] {
  const { steps, inputs, hidden } = shape;
  const done: Step[] = [];
  for (let t = 0; t < steps; t++) {
    const last = done.at(-1);
    const before = { h: last?.h ?? range(hidden).map(() => 0), c: last?.c ?? range(hidden).map(() => 0) };
    const x = range(inputs).map((k) => input[t * inputs + k]!);
    const row = [...x, ...before.h];
    const z = (block: number, unit: number): number =>
      row.reduce((sum, u, k) => sum + u * weights[layerAt(shape, k, block * hidden + unit)]!, 0);
    const i = range(hidden).map((unit) => sigmoid(z(0, unit)));
    const f = range(hidden).map((unit) => sigmoid(z(1, unit)));
    const o = range(hidden).map((unit) => sigmoid(z(2, unit)));
    const g = range(hidden).map((unit) => Math.tanh(z(3, unit)));
    const c = range(hidden).map((unit) => f[unit]! * before.c[unit]! + i[unit]! * g[unit]!);
    const h = range(hidden).map((unit) => o[unit]! * Math.tanh(c[unit]!));
    done.push({ x, before, i, f, o, g, c, h });
  }
  return done;
}

/** f64[steps - firstOutput][outputs]. */
export function lstmForward(
  weights: ArrayLike<number>,
  input: ArrayLike<number>,
  shape: LstmShape,
): number[] {
  return runSteps(weights, input, shape)
    .slice(shape.firstOutput)
    .flatMap(({ h }) =>
      range(shape.outputs).map((j) =>
        [...h, 1].reduce((sum, value, k) => sum + value * weights[headAt(shape, k, j)]!, 0),
      ),
    );
}

/** Gradient of sum(errors * outputs) by every weight, by the chain rule from the last step to the first. */
export function lstmGradient(
  weights: ArrayLike<number>,
  input: ArrayLike<number>,
  errors: ArrayLike<number>,
  shape: LstmShape,
): Float64Array {
  const { hidden, outputs, firstOutput } = shape;
  const steps = runSteps(weights, input, shape);
  const gradient = new Float64Array(headAt(shape, hidden + 1, 0));
  const add = (at: number, value: number): void => {
    gradient[at] = gradient[at]! + value;
  };
  let dh = range(hidden).map(() => 0);
  let dc = range(hidden).map(() => 0);
  for (let t = steps.length - 1; t >= 0; t--) {
    const { x, before, i, f, o, g, c, h } = steps[t]!;
    if (t >= firstOutput)
      for (let j = 0; j < outputs; j++) {
        const error = errors[(t - firstOutput) * outputs + j]!;
        [...h, 1].forEach((value, k) => {
          add(headAt(shape, k, j), value * error);
        });
        dh = dh.map((value, unit) => value + weights[headAt(shape, unit, j)]! * error);
      }
    const tanhOf = c.map(Math.tanh);
    dc = dc.map((value, unit) => value + dh[unit]! * o[unit]! * (1 - tanhOf[unit]! ** 2));
    const dz = [
      ...range(hidden).map((unit) => dc[unit]! * g[unit]! * i[unit]! * (1 - i[unit]!)),
      ...range(hidden).map((unit) => dc[unit]! * before.c[unit]! * f[unit]! * (1 - f[unit]!)),
      ...range(hidden).map((unit) => dh[unit]! * tanhOf[unit]! * o[unit]! * (1 - o[unit]!)),
      ...range(hidden).map((unit) => dc[unit]! * i[unit]! * (1 - g[unit]! ** 2)),
    ];
    [...x, ...before.h].forEach((u, row) => {
      dz.forEach((value, column) => {
        add(layerAt(shape, row, column), u * value);
      });
    });
    dh = range(hidden).map((unit) =>
      dz.reduce((sum, value, column) => sum + value * weights[layerAt(shape, x.length + unit, column)]!, 0),
    );
    dc = dc.map((value, unit) => value * f[unit]!);
  }
  return gradient;
}

/** Adam on one gradient already divided; changes weights and moments [2][count]. Returns the norm before it was cut. */
export function lstmAdam(
  weights: Float64Array,
  moments: Float64Array,
  gradient: readonly number[],
  options: { readonly normMax: number; readonly rate: number; readonly step: number },
): number {
  const norm = Math.sqrt(gradient.reduce((sum, value) => sum + value * value, 0));
  const count = weights.length;
  gradient.forEach((value, k) => {
    const cut = norm > options.normMax ? (value * options.normMax) / norm : value;
    moments[k] = 0.9 * moments[k]! + 0.1 * cut;
    moments[count + k] = 0.999 * moments[count + k]! + 0.001 * cut * cut;
    const mean = moments[k]! / (1 - 0.9 ** options.step);
    const square = moments[count + k]! / (1 - 0.999 ** options.step);
    weights[k] = weights[k]! - (options.rate * mean) / (Math.sqrt(square) + 1e-8);
  });
  return norm;
}

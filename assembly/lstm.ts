// One long short-term memory layer with a dense head, forward; lstm-backward.ts goes back through time, adam.ts learns.
//
// Everything is f32, four numbers a register. The layer reads rows u_t = [x_t, h_(t-1)] of width W = inputs + hidden:
//   z_t = u_t V,  V f32[W][4 hidden], columns in blocks i | f | o | g        (weights lie transposed: input by gate)
//   i, f, o = sigmoid(z),  g = tanh(z),  c_t = f c_(t-1) + i g,  h_t = o tanh(c_t)
//   y_t = [h_t, 1] Q,      Q f32[hidden + 1][outputs]
// The bias of the gates is the weight of an input that is always 1, which the host provides. Weights are one block, V then
// Q. Gradients are another of the same shape.
// @see Hochreiter & Schmidhuber, "Long Short-Term Memory", 1997; Gers, Schmidhuber & Cummins, "Learning to Forget", 2000

import { sigmoid4, tanh4 } from "./activations";
import { checkShape } from "./lstm-shape";

/**
 * z = x V_x of two neighbouring steps, 16 columns of each in eight registers: every weight is loaded once for both. What
 * does not wait for the step before is done here, ahead of the recursion.
 */
// @ts-ignore: decorator
@inline
function inputSumsOfTwo(input: usize, inputBytes: usize, matrix: usize, gateBytes: usize, gates: usize): void {
  const end = input + inputBytes;
  for (let column: usize = 0; column < gateBytes; column += 64) {
    let weight = matrix + column;
    let a0 = f32x4.splat(0), a1 = f32x4.splat(0), a2 = f32x4.splat(0), a3 = f32x4.splat(0);
    let b0 = f32x4.splat(0), b1 = f32x4.splat(0), b2 = f32x4.splat(0), b3 = f32x4.splat(0);
    for (let at = input; at < end; at += 4) {
      const a = v128.load_splat<f32>(at);
      const b = v128.load_splat<f32>(at + inputBytes);
      let w = v128.load(weight);
      a0 = f32x4.add(a0, f32x4.mul(a, w));
      b0 = f32x4.add(b0, f32x4.mul(b, w));
      w = v128.load(weight, 16);
      a1 = f32x4.add(a1, f32x4.mul(a, w));
      b1 = f32x4.add(b1, f32x4.mul(b, w));
      w = v128.load(weight, 32);
      a2 = f32x4.add(a2, f32x4.mul(a, w));
      b2 = f32x4.add(b2, f32x4.mul(b, w));
      w = v128.load(weight, 48);
      a3 = f32x4.add(a3, f32x4.mul(a, w));
      b3 = f32x4.add(b3, f32x4.mul(b, w));
      weight += gateBytes;
    }
    const to = gates + column;
    v128.store(to, a0);
    v128.store(to, a1, 16);
    v128.store(to, a2, 32);
    v128.store(to, a3, 48);
    v128.store(to + gateBytes, b0);
    v128.store(to + gateBytes, b1, 16);
    v128.store(to + gateBytes, b2, 32);
    v128.store(to + gateBytes, b3, 48);
  }
}

/**
 * z += row M, 32 columns in eight registers while the row streams past, four of its numbers an iteration: V8 looks at its
 * stack limit in every iteration of a loop, which costs a fifth of this one when it is short.
 * @param rowBytes a multiple of 16
 */
// @ts-ignore: decorator
@inline
function addSums(row: usize, rowBytes: usize, matrix: usize, gateBytes: usize, gates: usize): void {
  const end = row + rowBytes;
  for (let column: usize = 0; column < gateBytes; column += 128) {
    let weight = matrix + column;
    const to = gates + column;
    let s0 = v128.load(to), s1 = v128.load(to, 16), s2 = v128.load(to, 32), s3 = v128.load(to, 48);
    let s4 = v128.load(to, 64), s5 = v128.load(to, 80), s6 = v128.load(to, 96), s7 = v128.load(to, 112);
    for (let at = row; at < end; at += 16) {
      let u = v128.load_splat<f32>(at);
      s0 = f32x4.add(s0, f32x4.mul(u, v128.load(weight)));
      s1 = f32x4.add(s1, f32x4.mul(u, v128.load(weight, 16)));
      s2 = f32x4.add(s2, f32x4.mul(u, v128.load(weight, 32)));
      s3 = f32x4.add(s3, f32x4.mul(u, v128.load(weight, 48)));
      s4 = f32x4.add(s4, f32x4.mul(u, v128.load(weight, 64)));
      s5 = f32x4.add(s5, f32x4.mul(u, v128.load(weight, 80)));
      s6 = f32x4.add(s6, f32x4.mul(u, v128.load(weight, 96)));
      s7 = f32x4.add(s7, f32x4.mul(u, v128.load(weight, 112)));
      weight += gateBytes;
      u = v128.load_splat<f32>(at, 4);
      s0 = f32x4.add(s0, f32x4.mul(u, v128.load(weight)));
      s1 = f32x4.add(s1, f32x4.mul(u, v128.load(weight, 16)));
      s2 = f32x4.add(s2, f32x4.mul(u, v128.load(weight, 32)));
      s3 = f32x4.add(s3, f32x4.mul(u, v128.load(weight, 48)));
      s4 = f32x4.add(s4, f32x4.mul(u, v128.load(weight, 64)));
      s5 = f32x4.add(s5, f32x4.mul(u, v128.load(weight, 80)));
      s6 = f32x4.add(s6, f32x4.mul(u, v128.load(weight, 96)));
      s7 = f32x4.add(s7, f32x4.mul(u, v128.load(weight, 112)));
      weight += gateBytes;
      u = v128.load_splat<f32>(at, 8);
      s0 = f32x4.add(s0, f32x4.mul(u, v128.load(weight)));
      s1 = f32x4.add(s1, f32x4.mul(u, v128.load(weight, 16)));
      s2 = f32x4.add(s2, f32x4.mul(u, v128.load(weight, 32)));
      s3 = f32x4.add(s3, f32x4.mul(u, v128.load(weight, 48)));
      s4 = f32x4.add(s4, f32x4.mul(u, v128.load(weight, 64)));
      s5 = f32x4.add(s5, f32x4.mul(u, v128.load(weight, 80)));
      s6 = f32x4.add(s6, f32x4.mul(u, v128.load(weight, 96)));
      s7 = f32x4.add(s7, f32x4.mul(u, v128.load(weight, 112)));
      weight += gateBytes;
      u = v128.load_splat<f32>(at, 12);
      s0 = f32x4.add(s0, f32x4.mul(u, v128.load(weight)));
      s1 = f32x4.add(s1, f32x4.mul(u, v128.load(weight, 16)));
      s2 = f32x4.add(s2, f32x4.mul(u, v128.load(weight, 32)));
      s3 = f32x4.add(s3, f32x4.mul(u, v128.load(weight, 48)));
      s4 = f32x4.add(s4, f32x4.mul(u, v128.load(weight, 64)));
      s5 = f32x4.add(s5, f32x4.mul(u, v128.load(weight, 80)));
      s6 = f32x4.add(s6, f32x4.mul(u, v128.load(weight, 96)));
      s7 = f32x4.add(s7, f32x4.mul(u, v128.load(weight, 112)));
      weight += gateBytes;
    }
    v128.store(to, s0);
    v128.store(to, s1, 16);
    v128.store(to, s2, 32);
    v128.store(to, s3, 48);
    v128.store(to, s4, 64);
    v128.store(to, s5, 80);
    v128.store(to, s6, 96);
    v128.store(to, s7, 112);
  }
}

/**
 * Runs one sequence from an empty state.
 * @param weightsPtr f32[lstmWeightCount]
 * @param inputsPtr f32[steps][inputs]; one input must always be 1 (bias)
 * @param firstOutput the head is read after steps firstOutput .. steps - 1
 * @param tracePtr f32[lstmTraceCount]
 * @param outPtr f32[steps - firstOutput][outputs]
 */
export function lstmForward(
  weightsPtr: usize, inputsPtr: usize, steps: i32, inputs: i32, hidden: i32, outputs: i32, firstOutput: i32,
  tracePtr: usize, outPtr: usize,
): void {
  checkShape(steps, inputs, hidden, outputs, firstOutput);
  const inputBytes = (<usize>inputs) << 2;
  const hiddenBytes = (<usize>hidden) << 2;
  const rowBytes = inputBytes + hiddenBytes;
  const gateBytes = hiddenBytes << 2;
  let row = tracePtr;
  let gates = tracePtr + <usize>(steps + 1) * rowBytes;
  let cells = gates + <usize>steps * gateBytes;
  let tanhs = cells + <usize>(steps + 1) * hiddenBytes;
  const head = weightsPtr + <usize>(inputs + hidden) * gateBytes;
  const outputBytes = (<usize>outputs) << 2;
  memory.fill(row + inputBytes, 0, hiddenBytes);
  memory.fill(cells, 0, hiddenBytes);
  const recurrent = weightsPtr + <usize>inputs * gateBytes;
  for (let t: i32 = 0; t < steps; t++) {
    memory.copy(row, inputsPtr, inputBytes);
    if ((t & 1) == 0 && t + 1 < steps) inputSumsOfTwo(inputsPtr, inputBytes, weightsPtr, gateBytes, gates);
    else if ((t & 1) == 0) {
      memory.fill(gates, 0, gateBytes);
      addSums(inputsPtr, inputBytes, weightsPtr, gateBytes, gates);
    }
    if (t > 0) addSums(row + inputBytes, hiddenBytes, recurrent, gateBytes, gates);
    const nextHidden = row + rowBytes + inputBytes;
    stepCells(gates, cells, tanhs, nextHidden, hiddenBytes);
    if (t >= firstOutput) {
      readHead(nextHidden, hiddenBytes, head, outputBytes, outPtr);
      outPtr += outputBytes;
    }
    inputsPtr += inputBytes;
    row += rowBytes;
    gates += gateBytes;
    cells += hiddenBytes;
    tanhs += hiddenBytes;
  }
}

/**
 * z -> gates in place, c_t behind c_(t-1), tanh(c_t), h_t.
 *
 * Gates first, cells after: the exponentials of the first loop do not wait for one another.
 */
// @ts-ignore: decorator
@inline
function stepCells(gates: usize, cells: usize, tanhs: usize, nextHidden: usize, hiddenBytes: usize): void {
  const candidates = gates + 3 * hiddenBytes;
  for (let at = gates; at < candidates; at += 16) v128.store(at, sigmoid4(v128.load(at)));
  for (let at = candidates; at < candidates + hiddenBytes; at += 16) v128.store(at, tanh4(v128.load(at)));
  for (let at: usize = 0; at < hiddenBytes; at += 16) {
    const i = gates + at;
    const f = i + hiddenBytes;
    const o = f + hiddenBytes;
    const kept = f32x4.mul(v128.load(f), v128.load(cells + at));
    const cell = f32x4.add(kept, f32x4.mul(v128.load(i), v128.load(o + hiddenBytes)));
    const squashed = tanh4(cell);
    v128.store(cells + hiddenBytes + at, cell);
    v128.store(tanhs + at, squashed);
    v128.store(nextHidden + at, f32x4.mul(v128.load(o), squashed));
  }
}

/** out = [h, 1] Q, 16 columns in four registers. */
// @ts-ignore: decorator
@inline
function readHead(hiddenPtr: usize, hiddenBytes: usize, head: usize, outputBytes: usize, out: usize): void {
  const end = hiddenPtr + hiddenBytes;
  for (let column: usize = 0; column < outputBytes; column += 64) {
    let weight = head + column;
    let s0 = f32x4.splat(0), s1 = f32x4.splat(0), s2 = f32x4.splat(0), s3 = f32x4.splat(0);
    for (let at = hiddenPtr; at < end; at += 4) {
      const h = v128.load_splat<f32>(at);
      s0 = f32x4.add(s0, f32x4.mul(h, v128.load(weight)));
      s1 = f32x4.add(s1, f32x4.mul(h, v128.load(weight, 16)));
      s2 = f32x4.add(s2, f32x4.mul(h, v128.load(weight, 32)));
      s3 = f32x4.add(s3, f32x4.mul(h, v128.load(weight, 48)));
      weight += outputBytes;
    }
    const to = out + column;
    v128.store(to, f32x4.add(s0, v128.load(weight)));
    v128.store(to, f32x4.add(s1, v128.load(weight, 16)), 16);
    v128.store(to, f32x4.add(s2, v128.load(weight, 32)), 32);
    v128.store(to, f32x4.add(s3, v128.load(weight, 48)), 48);
  }
}

// One long short-term memory layer with a dense head, forward and backward through time, and the step that learns.
//
// Everything is f32, four numbers a register. The layer reads rows u_t = [x_t, h_(t-1)] of width W = inputs + hidden:
//   z_t = u_t V,  V f32[W][4 hidden], columns in blocks i | f | o | g        (weights lie transposed: input by gate)
//   i, f, o = sigmoid(z),  g = tanh(z),  c_t = f c_(t-1) + i g,  h_t = o tanh(c_t)
//   y_t = [h_t, 1] Q,      Q f32[hidden + 1][outputs]
// The bias of the gates is the weight of an input that is always 1, which the host provides. Weights are one block, V then
// Q. Gradients are another of the same shape.
// @see Hochreiter & Schmidhuber, "Long Short-Term Memory", 1997; Gers, Schmidhuber & Cummins, "Learning to Forget", 2000

/**
 * What a pass over one sequence remembers, f32, in this order:
 *   rows u_t [steps + 1][W] (of the last row only h counts), gates i|f|o|g [steps][4 hidden] (backward: their dz),
 *   cells c [steps + 1][hidden] (c_0 = 0), tanh(c_t) [steps][hidden], and dh, dc [2][hidden] of the backward pass.
 */
export function lstmTraceCount(steps: i32, inputs: i32, hidden: i32): i32 {
  return (steps + 1) * (inputs + hidden) + steps * 4 * hidden + (steps + 1) * hidden + steps * hidden + 2 * hidden;
}

export function lstmWeightCount(inputs: i32, hidden: i32, outputs: i32): i32 {
  return (inputs + hidden) * 4 * hidden + (hidden + 1) * outputs;
}

// @ts-ignore: decorator
@inline
function checkShape(steps: i32, inputs: i32, hidden: i32, outputs: i32, firstOutput: i32): void {
  assert(steps > 0 && firstOutput >= 0 && firstOutput < steps, "outputs begin inside the sequence");
  assert(inputs > 0 && inputs % 4 == 0 && hidden > 0 && hidden % 8 == 0, "inputs come in fours, cells in eights");
  assert(outputs > 0 && outputs % 16 == 0, "outputs come in sixteens");
}

/**
 * e^x for |x| <= 87 (clamped), relative error 2e-7: x = n ln 2 + r, a polynomial of degree 6 on |r| <= ln 2 / 2.
 *
 * Adding 1.5 x 2^23 rounds to the integer n and leaves it in the low bits, from where a shift moves it into an exponent:
 * min, max, nearest and trunc_sat of Wasm are several instructions each, for the sake of NaN.
 * @see Moshier, Cephes Math Library, expf
 */
// @ts-ignore: decorator
@inline
function exp4(x: v128): v128 {
  const round = f32x4.splat(12582912);
  x = f32x4.pmin(f32x4.pmax(x, f32x4.splat(-87)), f32x4.splat(87));
  const shifted = f32x4.add(f32x4.mul(x, f32x4.splat(1.44269504)), round);
  const n = f32x4.sub(shifted, round);
  // ln 2 in two parts, so that n times the first is exact.
  const r = f32x4.sub(f32x4.sub(x, f32x4.mul(n, f32x4.splat(0.693359375))), f32x4.mul(n, f32x4.splat(-2.12194440e-4)));
  // Pairs of terms side by side (Estrin): half the steps in a row.
  const square = f32x4.mul(r, r);
  const high = f32x4.add(f32x4.mul(f32x4.splat(1.9875691500e-4), r), f32x4.splat(1.3981999507e-3));
  const middle = f32x4.add(f32x4.mul(f32x4.splat(8.3334519073e-3), r), f32x4.splat(4.1665795894e-2));
  const low = f32x4.add(f32x4.mul(f32x4.splat(1.6666665459e-1), r), f32x4.splat(5.0000001201e-1));
  const curve = f32x4.add(f32x4.mul(f32x4.add(f32x4.mul(high, square), middle), square), low);
  const p = f32x4.add(f32x4.mul(curve, square), f32x4.add(r, f32x4.splat(1)));
  // p 2^n: n, whatever stood above it shifted out, added to the exponent of p, which is 0 or -1.
  return i32x4.add(p, i32x4.shl(shifted, 23));
}

// @ts-ignore: decorator
@inline
function sigmoid4(x: v128): v128 {
  const one = f32x4.splat(1);
  return f32x4.div(one, f32x4.add(one, exp4(f32x4.neg(x))));
}

/** tanh(x) = 2 sigmoid(2x) - 1: absolute error 2e-7, which is what a gate needs. */
// @ts-ignore: decorator
@inline
function tanh4(x: v128): v128 {
  const two = f32x4.splat(2);
  return f32x4.sub(f32x4.mul(two, sigmoid4(f32x4.mul(two, x))), f32x4.splat(1));
}

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

/**
 * Adds the gradient of one sequence, whose trace `lstmForward` has just left.
 * @param errorsPtr f32[steps - firstOutput][outputs], dLoss/dOutput
 * @param gradientsPtr f32[lstmWeightCount], added to
 */
export function lstmBackward(
  weightsPtr: usize, steps: i32, inputs: i32, hidden: i32, outputs: i32, firstOutput: i32,
  tracePtr: usize, errorsPtr: usize, gradientsPtr: usize,
): void {
  checkShape(steps, inputs, hidden, outputs, firstOutput);
  const inputBytes = (<usize>inputs) << 2;
  const hiddenBytes = (<usize>hidden) << 2;
  const rowBytes = inputBytes + hiddenBytes;
  const gateBytes = hiddenBytes << 2;
  const outputBytes = (<usize>outputs) << 2;
  const allGates = tracePtr + <usize>(steps + 1) * rowBytes;
  const allCells = allGates + <usize>steps * gateBytes;
  const allTanhs = allCells + <usize>(steps + 1) * hiddenBytes;
  const dHidden = allTanhs + <usize>steps * hiddenBytes;
  const dCell = dHidden + hiddenBytes;
  const layerBytes = <usize>(inputs + hidden) * gateBytes;
  const recurrent = weightsPtr + <usize>inputs * gateBytes;
  memory.fill(dHidden, 0, hiddenBytes << 1);
  for (let t = steps - 1; t >= 0; t--) {
    const at = <usize>t;
    const row = tracePtr + at * rowBytes;
    if (t >= firstOutput) {
      const errors = errorsPtr + <usize>(t - firstOutput) * outputBytes;
      const hiddenPtr = row + rowBytes + inputBytes;
      headBackward(
        hiddenPtr, hiddenBytes, weightsPtr + layerBytes, outputBytes, errors, gradientsPtr + layerBytes, dHidden,
      );
    }
    const gates = allGates + at * gateBytes;
    cellsBackward(gates, allCells + at * hiddenBytes, allTanhs + at * hiddenBytes, dHidden, dCell, hiddenBytes);
    if (t > 0) recurrentBackward(recurrent, gates, gateBytes, dHidden, hiddenBytes);
  }
  layerGradients(tracePtr, rowBytes, allGates, gateBytes, <usize>steps, gradientsPtr);
}

/** dQ += [h, 1]' e and dh += Q e, each row of Q in one pass. */
// @ts-ignore: decorator
@inline
function headBackward(
  hiddenPtr: usize, hiddenBytes: usize, head: usize, outputBytes: usize, errors: usize, dHead: usize, dHidden: usize,
): void {
  const errorsEnd = errors + outputBytes;
  for (let at: usize = 0; at < hiddenBytes; at += 4) {
    const h = v128.load_splat<f32>(hiddenPtr + at);
    let s0 = f32x4.splat(0), s1 = f32x4.splat(0), s2 = f32x4.splat(0), s3 = f32x4.splat(0);
    for (let error = errors; error < errorsEnd; error += 64) {
      const e0 = v128.load(error), e1 = v128.load(error, 16), e2 = v128.load(error, 32), e3 = v128.load(error, 48);
      s0 = f32x4.add(s0, f32x4.mul(e0, v128.load(head)));
      s1 = f32x4.add(s1, f32x4.mul(e1, v128.load(head, 16)));
      s2 = f32x4.add(s2, f32x4.mul(e2, v128.load(head, 32)));
      s3 = f32x4.add(s3, f32x4.mul(e3, v128.load(head, 48)));
      v128.store(dHead, f32x4.add(v128.load(dHead), f32x4.mul(h, e0)));
      v128.store(dHead, f32x4.add(v128.load(dHead, 16), f32x4.mul(h, e1)), 16);
      v128.store(dHead, f32x4.add(v128.load(dHead, 32), f32x4.mul(h, e2)), 32);
      v128.store(dHead, f32x4.add(v128.load(dHead, 48), f32x4.mul(h, e3)), 48);
      head += 64;
      dHead += 64;
    }
    const sum = lanesSum(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)));
    store<f32>(dHidden + at, load<f32>(dHidden + at) + sum);
  }
  for (let error = errors; error < errorsEnd; error += 16) {
    v128.store(dHead, f32x4.add(v128.load(dHead), v128.load(error)));
    dHead += 16;
  }
}

// @ts-ignore: decorator
@inline
function lanesSum(v: v128): f32 {
  return (
    f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3))
  );
}

/** Gates -> dz in place; dc becomes that of the step before. */
// @ts-ignore: decorator
@inline
function cellsBackward(
  gates: usize, cells: usize, tanhs: usize, dHidden: usize, dCell: usize, hiddenBytes: usize,
): void {
  const one = f32x4.splat(1);
  for (let at: usize = 0; at < hiddenBytes; at += 16) {
    const i = gates + at;
    const f = i + hiddenBytes;
    const o = f + hiddenBytes;
    const g = o + hiddenBytes;
    const inGate = v128.load(i);
    const forgetGate = v128.load(f);
    const outGate = v128.load(o);
    const candidate = v128.load(g);
    const squashed = v128.load(tanhs + at);
    const dh = v128.load(dHidden + at);
    // h = o tanh(c): what reaches the cell through the output, on top of what comes from the step after.
    const throughOutput = f32x4.mul(f32x4.mul(dh, outGate), f32x4.sub(one, f32x4.mul(squashed, squashed)));
    const dc = f32x4.add(v128.load(dCell + at), throughOutput);
    v128.store(i, f32x4.mul(f32x4.mul(dc, candidate), f32x4.mul(inGate, f32x4.sub(one, inGate))));
    v128.store(f, f32x4.mul(f32x4.mul(dc, v128.load(cells + at)), f32x4.mul(forgetGate, f32x4.sub(one, forgetGate))));
    v128.store(o, f32x4.mul(f32x4.mul(dh, squashed), f32x4.mul(outGate, f32x4.sub(one, outGate))));
    v128.store(g, f32x4.mul(f32x4.mul(dc, inGate), f32x4.sub(one, f32x4.mul(candidate, candidate))));
    v128.store(dCell + at, f32x4.mul(dc, forgetGate));
  }
}

/** dh_(t-1) = V_h dz: four rows of V share each load of dz, eight chains hide the latency of the sums. */
// @ts-ignore: decorator
@inline
function recurrentBackward(recurrent: usize, dz: usize, gateBytes: usize, dHidden: usize, hiddenBytes: usize): void {
  const end = dz + gateBytes;
  let row = recurrent;
  for (let at: usize = 0; at < hiddenBytes; at += 16) {
    let a0 = f32x4.splat(0), a1 = f32x4.splat(0), b0 = f32x4.splat(0), b1 = f32x4.splat(0);
    let c0 = f32x4.splat(0), c1 = f32x4.splat(0), d0 = f32x4.splat(0), d1 = f32x4.splat(0);
    let a = row;
    let b = a + gateBytes;
    let c = b + gateBytes;
    let d = c + gateBytes;
    for (let from = dz; from < end; from += 32) {
      const low = v128.load(from);
      const high = v128.load(from, 16);
      a0 = f32x4.add(a0, f32x4.mul(low, v128.load(a)));
      a1 = f32x4.add(a1, f32x4.mul(high, v128.load(a, 16)));
      b0 = f32x4.add(b0, f32x4.mul(low, v128.load(b)));
      b1 = f32x4.add(b1, f32x4.mul(high, v128.load(b, 16)));
      c0 = f32x4.add(c0, f32x4.mul(low, v128.load(c)));
      c1 = f32x4.add(c1, f32x4.mul(high, v128.load(c, 16)));
      d0 = f32x4.add(d0, f32x4.mul(low, v128.load(d)));
      d1 = f32x4.add(d1, f32x4.mul(high, v128.load(d, 16)));
      a += 32;
      b += 32;
      c += 32;
      d += 32;
    }
    v128.store(dHidden + at, sumsOfFour(f32x4.add(a0, a1), f32x4.add(b0, b1), f32x4.add(c0, c1), f32x4.add(d0, d1)));
    row += gateBytes << 2;
  }
}

/** [sum a, sum b, sum c, sum d]: a transposition by shuffles, then three additions. */
// @ts-ignore: decorator
@inline
function sumsOfFour(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 4, 1, 5), v128.shuffle<f32>(a, b, 2, 6, 3, 7));
  const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 4, 1, 5), v128.shuffle<f32>(c, d, 2, 6, 3, 7));
  return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 1, 4, 5), v128.shuffle<f32>(ab, cd, 2, 3, 6, 7));
}

/**
 * dV += U' dZ over all steps at once: two rows by 16 columns stay in eight registers while the steps stream past, so each
 * gradient is loaded and stored once a sequence and not once a step.
 */
// @ts-ignore: decorator
@inline
function layerGradients(
  rows: usize, rowBytes: usize, dz: usize, gateBytes: usize, steps: usize, gradients: usize,
): void {
  const dzEnd = dz + steps * gateBytes;
  for (let input: usize = 0; input < rowBytes; input += 8) {
    for (let column: usize = 0; column < gateBytes; column += 64) {
      const low = gradients + column;
      const high = low + gateBytes;
      let a0 = v128.load(low), a1 = v128.load(low, 16), a2 = v128.load(low, 32), a3 = v128.load(low, 48);
      let b0 = v128.load(high), b1 = v128.load(high, 16), b2 = v128.load(high, 32), b3 = v128.load(high, 48);
      let row = rows + input;
      for (let from = dz + column; from < dzEnd; from += gateBytes) {
        const a = v128.load_splat<f32>(row);
        const b = v128.load_splat<f32>(row, 4);
        let d = v128.load(from);
        a0 = f32x4.add(a0, f32x4.mul(a, d));
        b0 = f32x4.add(b0, f32x4.mul(b, d));
        d = v128.load(from, 16);
        a1 = f32x4.add(a1, f32x4.mul(a, d));
        b1 = f32x4.add(b1, f32x4.mul(b, d));
        d = v128.load(from, 32);
        a2 = f32x4.add(a2, f32x4.mul(a, d));
        b2 = f32x4.add(b2, f32x4.mul(b, d));
        d = v128.load(from, 48);
        a3 = f32x4.add(a3, f32x4.mul(a, d));
        b3 = f32x4.add(b3, f32x4.mul(b, d));
        row += rowBytes;
      }
      v128.store(low, a0);
      v128.store(low, a1, 16);
      v128.store(low, a2, 32);
      v128.store(low, a3, 48);
      v128.store(high, b0);
      v128.store(high, b1, 16);
      v128.store(high, b2, 32);
      v128.store(high, b3, 48);
    }
    gradients += gateBytes << 1;
  }
}

/**
 * One step of Adam on gradients divided by `divisor` and cut to a norm of at most `normMax`; zeroes the gradients.
 *
 * A gradient that is not finite changes nothing.
 * @param momentsPtr f32[2][count]: running means of the gradient and of its square
 * @param step which step this is, from 1: the running means begin at zero and are corrected for it
 * @returns the norm before it was cut
 * @see Kingma & Ba, "Adam: A Method for Stochastic Optimization", 2015, algorithm 1; Pascanu et al., 2013 (clipping)
 */
export function lstmAdam(
  weightsPtr: usize, gradientsPtr: usize, momentsPtr: usize, count: i32, divisor: f64, normMax: f64, rate: f64, step: i32,
): f64 {
  assert(count % 4 == 0 && step >= 1 && divisor > 0, "weights come in fours, steps from one");
  const bytes = (<usize>count) << 2;
  let squares = f32x4.splat(0);
  for (let at: usize = 0; at < bytes; at += 16) {
    const gradient = v128.load(gradientsPtr + at);
    squares = f32x4.add(squares, f32x4.mul(gradient, gradient));
  }
  const norm = Math.sqrt(<f64>lanesSum(squares)) / divisor;
  if (norm - norm == 0) {
    const factor = f32x4.splat(<f32>((norm > normMax ? normMax / norm : 1.0) / divisor));
    // Corrections for the empty beginning go into the step's length.
    const correction = Math.sqrt(1 - Math.pow(SQUARE_DECAY, <f64>step)) / (1 - Math.pow(MEAN_DECAY, <f64>step));
    const length = f32x4.splat(<f32>(rate * correction));
    for (let at: usize = 0; at < bytes; at += 16) {
      const gradient = f32x4.mul(v128.load(gradientsPtr + at), factor);
      const meanPtr = momentsPtr + at;
      const squarePtr = meanPtr + bytes;
      const mean = f32x4.add(
        f32x4.mul(v128.load(meanPtr), f32x4.splat(<f32>MEAN_DECAY)),
        f32x4.mul(gradient, f32x4.splat(<f32>(1 - MEAN_DECAY))),
      );
      const square = f32x4.add(
        f32x4.mul(v128.load(squarePtr), f32x4.splat(<f32>SQUARE_DECAY)),
        f32x4.mul(f32x4.mul(gradient, gradient), f32x4.splat(<f32>(1 - SQUARE_DECAY))),
      );
      v128.store(meanPtr, mean);
      v128.store(squarePtr, square);
      const move = f32x4.div(f32x4.mul(length, mean), f32x4.add(f32x4.sqrt(square), f32x4.splat(1e-8)));
      v128.store(weightsPtr + at, f32x4.sub(v128.load(weightsPtr + at), move));
    }
  }
  memory.fill(gradientsPtr, 0, bytes);
  return norm;
}

const MEAN_DECAY: f64 = 0.9;
const SQUARE_DECAY: f64 = 0.999;

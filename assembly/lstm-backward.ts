// The LSTM layer back through time: from the gradient of what the head said to that of every weight.

import { lanesSum } from "./activations";
import { checkShape } from "./lstm-shape";

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

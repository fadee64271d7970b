// From what the head says to the forecast, and from its errors to their gradient; lstm-rows.ts has the algebra.

import { lanesSum } from "./activations";
import { BAND, CONTRASTS, lstmOutputCount, paddedHorizon } from "./lstm-outputs";

/** r + sum over k of w_k d_k, four steps; w is the same for the band. */
// @ts-ignore: decorator
@inline
function mixed(r: v128, w0: v128, w1: v128, w2: v128, contrasts: usize, paddedBytes: usize): v128 {
  const d0 = v128.load(contrasts);
  const d1 = v128.load(contrasts + paddedBytes);
  const d2 = v128.load(contrasts + 2 * paddedBytes);
  return f32x4.add(f32x4.add(r, f32x4.mul(w0, d0)), f32x4.add(f32x4.mul(w1, d1), f32x4.mul(w2, d2)));
}

/**
 * Turns the head's outputs into the gradient of the Huber loss of the forecasts they make: with the error e of a forecast,
 * d = clamp(e / delta, -1, 1), loss = d (e - delta d / 2). Beyond delta it is the absolute error: spikes cannot drag it.
 * @param outPtr f32[count][lstmOutputCount]: in, r and w; out, their gradients
 * @param contrastsPtr f32[count][CONTRASTS][padded horizon]
 * @param targetsPtr f32[count][padded horizon]; NaN where nothing is known: no loss, no gradient
 * @returns the sum of the losses
 */
export function lstmLoss(
  outPtr: usize, contrastsPtr: usize, targetsPtr: usize, count: i32, horizon: i32, delta: f32,
): f64 {
  assert(count > 0 && horizon > 0 && delta > 0, "there is something to judge");
  const paddedBytes = (<usize>paddedHorizon(horizon)) << 2;
  const bandBytes: usize = (<usize>BAND) << 2;
  const sharesBytes = paddedBytes / <usize>BAND;
  const outputBytes = (<usize>lstmOutputCount(horizon)) << 2;
  let sum = f32x4.splat(0);
  for (let step: i32 = 0; step < count; step++) {
    let share = outPtr + paddedBytes;
    for (let band: usize = 0; band < paddedBytes; band += bandBytes) {
      const w0 = v128.load_splat<f32>(share);
      const w1 = v128.load_splat<f32>(share + sharesBytes);
      const w2 = v128.load_splat<f32>(share + 2 * sharesBytes);
      let g0 = f32x4.splat(0), g1 = f32x4.splat(0), g2 = f32x4.splat(0);
      for (let at = band; at < band + bandBytes; at += 16) {
        const contrasts = contrastsPtr + at;
        const target = v128.load(targetsPtr + at);
        const forecast = mixed(v128.load(outPtr + at), w0, w1, w2, contrasts, paddedBytes);
        const error = v128.and(f32x4.sub(forecast, target), f32x4.eq(target, target));
        const one = f32x4.splat(1);
        const d = f32x4.pmax(f32x4.pmin(f32x4.div(error, f32x4.splat(delta)), one), f32x4.neg(one));
        sum = f32x4.add(sum, f32x4.mul(d, f32x4.sub(error, f32x4.mul(f32x4.splat(delta / 2), d))));
        v128.store(outPtr + at, d);
        g0 = f32x4.add(g0, f32x4.mul(d, v128.load(contrasts)));
        g1 = f32x4.add(g1, f32x4.mul(d, v128.load(contrasts + paddedBytes)));
        g2 = f32x4.add(g2, f32x4.mul(d, v128.load(contrasts + 2 * paddedBytes)));
      }
      store<f32>(share, lanesSum(g0));
      store<f32>(share + sharesBytes, lanesSum(g1));
      store<f32>(share + 2 * sharesBytes, lanesSum(g2));
      share += 4;
    }
    const used = paddedBytes + 3 * sharesBytes;
    memory.fill(outPtr + used, 0, outputBytes - used);
    outPtr += outputBytes;
    contrastsPtr += 3 * paddedBytes;
    targetsPtr += paddedBytes;
  }
  return <f64>lanesSum(sum);
}

/**
 * The forecast of one series: base + scale (r + sum over k of w_k d_k).
 * @param outPtr f32[lstmOutputCount], the head's outputs after the last step
 * @param contrastsPtr f32[CONTRASTS][padded horizon]
 * @param basePtr f64[horizon]
 * @param resultPtr f64[horizon], log loads
 */
export function lstmMix(
  outPtr: usize, contrastsPtr: usize, basePtr: usize, horizon: i32, scale: f64, resultPtr: usize,
): void {
  assert(horizon > 0 && scale > 0, "there is something to say");
  const padded = paddedHorizon(horizon);
  const sharesPtr = outPtr + ((<usize>padded) << 2);
  const bands = padded / BAND;
  for (let i: i32 = 0; i < horizon; i++) {
    let correction = load<f32>(outPtr + ((<usize>i) << 2));
    for (let k: i32 = 0; k < CONTRASTS; k++) {
      const share = load<f32>(sharesPtr + ((<usize>(k * bands + i / BAND)) << 2));
      correction += share * load<f32>(contrastsPtr + ((<usize>(k * padded + i)) << 2));
    }
    const at = (<usize>i) << 3;
    store<f64>(resultPtr + at, load<f64>(basePtr + at) + scale * <f64>correction);
  }
}

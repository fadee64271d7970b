// The step that learns.

import { lanesSum } from "./activations";

const MEAN_DECAY: f64 = 0.9;
const SQUARE_DECAY: f64 = 0.999;

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

// The shape of the LSTM layer: what its weights and the trace of a pass take, and what both of its passes ask for.

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
export function checkShape(steps: i32, inputs: i32, hidden: i32, outputs: i32, firstOutput: i32): void {
  assert(steps > 0 && firstOutput >= 0 && firstOutput < steps, "outputs begin inside the sequence");
  assert(inputs > 0 && inputs % 4 == 0 && hidden > 0 && hidden % 8 == 0, "inputs come in fours, cells in eights");
  assert(outputs > 0 && outputs % 16 == 0, "outputs come in sixteens");
}

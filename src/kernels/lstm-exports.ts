import type { Pointer } from './exports.ts';

/** assembly/lstm.ts and lstm-rows.ts: layouts are described there. */
export interface LstmExports {
  /** f32 a trace takes up. */
  lstmTraceCount(steps: number, inputs: number, hidden: number): number;
  lstmWeightCount(inputs: number, hidden: number, outputs: number): number;
  lstmForward(
    weights: Pointer,
    input: Pointer,
    steps: number,
    inputs: number,
    hidden: number,
    outputs: number,
    firstOutput: number,
    trace: Pointer,
    out: Pointer,
  ): void;
  lstmBackward(
    weights: Pointer,
    steps: number,
    inputs: number,
    hidden: number,
    outputs: number,
    firstOutput: number,
    trace: Pointer,
    errors: Pointer,
    gradients: Pointer,
  ): void;
  /** Returns the norm of the gradient before it was cut. */
  lstmAdam(
    weights: Pointer,
    gradients: Pointer,
    moments: Pointer,
    count: number,
    divisor: number,
    normMax: number,
    rate: number,
    step: number,
  ): number;
  lstmSegmentWindows(): number;
  lstmInputCount(): number;
  lstmOutputCount(horizon: number): number;
  lstmLookback(steps: number, dayWindows: number): number;
  /** f64 of scratch. */
  lstmScratchCount(horizon: number): number;
  /** Returns where in scratch the base lies, f64[horizon]. */
  lstmBase(
    series: Pointer,
    origin: number,
    dayWindows: number,
    weekWindows: number,
    horizon: number,
    scratch: Pointer,
  ): Pointer;
  /** Returns the scale of contrasts and targets. */
  lstmRow(
    series: Pointer,
    known: number,
    outages: Pointer,
    origin: number,
    dayWindows: number,
    weekWindows: number,
    phases: Pointer,
    phase: number,
    steps: number,
    firstOutput: number,
    horizon: number,
    spreadFloor: number,
    input: Pointer,
    contrasts: Pointer,
    targets: Pointer,
    scratch: Pointer,
  ): number;
  /** Returns the sum of the losses; `out` becomes their gradient. */
  lstmLoss(
    out: Pointer,
    contrasts: Pointer,
    targets: Pointer,
    count: number,
    horizon: number,
    delta: number,
  ): number;
  lstmMix(
    out: Pointer,
    contrasts: Pointer,
    base: Pointer,
    horizon: number,
    scale: number,
    result: Pointer,
  ): void;
}

import type { KernelExports, Pointer } from './exports.ts';

/** Segments of a sequence, cells of the layer, and the first segment after which the head is read in training. */
export const LSTM_STEPS = 10;
export const LSTM_HIDDEN = 32;
/** The first segments fill the memory; every later one is an origin of its own, so one sequence teaches six times. */
export const LSTM_FIRST_OUTPUT = 4;
/** Steps the network corrects; beyond them its base, the mean of the seasonals, stands alone. */
export const LSTM_HORIZON_MAX = 168;

/** Spreads from where on an error counts as itself and not squared: nearly the absolute error (0.1 costs 3 % MASE on M4). */
const HUBER_DELTA = 0.02;
/** Log units, 0.5 % of load: added to the spread, so that noise of flat series is not blown up. */
const SPREAD_FLOOR = 0.005;

/** The network and everything a pass over one sequence needs, in kernel memory; used by one job at a time. */
export interface LstmModel {
  /** Steps the network corrects, <= LSTM_HORIZON_MAX; `horizon` is what a prediction covers. */
  readonly corrected: number;
  readonly horizon: number;
  /** f32[lstmWeightCount] each; moments two of them. */
  readonly weights: Pointer;
  readonly gradients: Pointer;
  readonly moments: Pointer;
  /** lstmWorkBytes(…). */
  readonly work: Pointer;
}

/** Where the series lie, and what of them is a season. */
export interface LstmSeries {
  /** f64[partition][stride], log loads; `length` windows are filled. */
  readonly series: Pointer;
  readonly stride: number;
  readonly length: number;
  /** u8[length], 1 for an outage; 0 where there was none. */
  readonly outages: Pointer;
  readonly dayWindows: number;
  readonly weekWindows: number;
  /** f32[weekWindows][6]: sines and cosines; `phase` is that of the first window. */
  readonly phases: Pointer;
  readonly phase: number;
}

export interface LstmSamples {
  readonly model: LstmModel;
  readonly input: LstmSeries;
  /** i32[count][2]: partition, origin. */
  readonly samples: Pointer;
  readonly count: number;
}

/** Numbers of a network that corrects so many steps. */
export const lstmWeightsOf = (exports: KernelExports, corrected: number): number =>
  exports.lstmWeightCount(exports.lstmInputCount(), LSTM_HIDDEN, exports.lstmOutputCount(corrected));

/** Where each array of a pass lies in the model's work block. */
export interface LstmWork {
  readonly input: Pointer;
  readonly contrasts: Pointer;
  readonly targets: Pointer;
  readonly out: Pointer;
  readonly trace: Pointer;
  readonly scratch: Pointer;
  readonly sizeBytes: number;
}

/** How the work block at `start` is cut into the arrays of a pass. */
export function workOf(
  exports: KernelExports,
  { corrected, horizon }: Pick<LstmModel, 'corrected' | 'horizon'>,
  start: Pointer,
): LstmWork {
  const read = LSTM_STEPS - LSTM_FIRST_OUTPUT;
  const padded = Math.ceil(corrected / 16) * 16;
  let at = start;
  const take = (count: number, width: number): Pointer => {
    const pointer = at;
    at += Math.ceil((count * width) / 16) * 16;
    return pointer;
  };
  return {
    input: take(LSTM_STEPS * exports.lstmInputCount(), 4),
    contrasts: take(read * 3 * padded, 4),
    targets: take(read * padded, 4),
    out: take(read * exports.lstmOutputCount(corrected), 4),
    trace: take(exports.lstmTraceCount(LSTM_STEPS, exports.lstmInputCount(), LSTM_HIDDEN), 4),
    // Also holds the base of the whole horizon.
    scratch: take(exports.lstmScratchCount(horizon), 8),
    sizeBytes: at - start,
  };
}

/** What the work block of a model takes. */
export const lstmWorkBytes = (
  exports: KernelExports,
  model: Pick<LstmModel, 'corrected' | 'horizon'>,
): number => workOf(exports, model, 0).sizeBytes;

/** Inputs, contrasts and (in training) targets of one sequence into the work block; returns its scale. */
export function writeRow(
  exports: KernelExports,
  work: LstmWork,
  options: {
    input: LstmSeries;
    corrected: number;
    partition: number;
    origin: number;
    firstOutput: number;
    isTraining: boolean;
  },
): number {
  const { input, corrected, partition, origin, firstOutput, isTraining } = options;
  return exports.lstmRow(
    input.series + partition * input.stride * 8,
    input.length,
    input.outages,
    origin,
    input.dayWindows,
    input.weekWindows,
    input.phases,
    input.phase,
    LSTM_STEPS,
    firstOutput,
    corrected,
    SPREAD_FLOOR,
    work.input,
    work.contrasts,
    isTraining ? work.targets : 0,
    work.scratch,
  );
}

/** Runs the network over the sequence in the work block: the head's outputs from `firstOutput` on then lie in `work.out`. */
export function forward(exports: KernelExports, model: LstmModel, work: LstmWork, firstOutput: number): void {
  exports.lstmForward(
    model.weights,
    work.input,
    LSTM_STEPS,
    exports.lstmInputCount(),
    LSTM_HIDDEN,
    exports.lstmOutputCount(model.corrected),
    firstOutput,
    work.trace,
    work.out,
  );
}

/** Writes the sequence, runs it and judges it; the gradient of the loss then lies in `work.out`. */
export function lossOf(
  exports: KernelExports,
  work: LstmWork,
  { model, input }: Pick<LstmSamples, 'model' | 'input'>,
  sample: { partition: number; origin: number },
): number {
  const { corrected } = model;
  writeRow(exports, work, {
    input,
    corrected,
    ...sample,
    firstOutput: LSTM_FIRST_OUTPUT,
    isTraining: true,
  });
  forward(exports, model, work, LSTM_FIRST_OUTPUT);
  const read = LSTM_STEPS - LSTM_FIRST_OUTPUT;
  return exports.lstmLoss(work.out, work.contrasts, work.targets, read, corrected, HUBER_DELTA);
}

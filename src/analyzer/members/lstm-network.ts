import type { Random } from '../../base/random.ts';
import type { Block, TypedBlock } from '../../kernels/arena.ts';
import type { Pointer } from '../../kernels/exports.ts';
import {
  LSTM_HIDDEN,
  LSTM_HORIZON_MAX,
  LSTM_STEPS,
  type LstmModel,
  type LstmSeries,
  lstmWeightsOf,
  lstmWorkBytes,
} from '../../kernels/lstm-model.ts';
import type { KernelRunner } from '../../kernels/pool.ts';
import type { History } from '../history.ts';

/** Origins there must be before the first fit: four days of hours, so that there is a rhythm to learn. */
const ORIGINS_MIN = 96;

/** The network that is in use, and how it reads the history, in kernel memory. */
export class LstmNetwork {
  /** Windows a sequence reads before its last origin, and windows from which on there are origins enough to learn from. */
  readonly lookback: number;
  readonly windowsMin: number;
  /** f32[lstmWeightCount]. */
  readonly weights: TypedBlock<Float32Array>;
  readonly #history: History;
  readonly #runner: KernelRunner;
  readonly #corrected: number;
  readonly #horizon: number;
  readonly #work: Block;
  readonly #phases: TypedBlock<Float32Array>;

  constructor(options: {
    readonly history: History;
    readonly runner: KernelRunner;
    readonly horizon: number;
    readonly random: Random;
  }) {
    const { history, runner, horizon } = options;
    this.#history = history;
    this.#runner = runner;
    this.#horizon = horizon;
    this.#corrected = Math.min(horizon, LSTM_HORIZON_MAX);
    const { arena, exports } = runner.kernels;
    const { dayWindows, weekWindows } = history.shape;
    this.lookback = exports.lstmLookback(LSTM_STEPS, dayWindows);
    this.windowsMin = this.lookback + ORIGINS_MIN;
    this.weights = arena.f32(lstmWeightsOf(exports, this.#corrected));
    this.#work = arena.alloc(lstmWorkBytes(exports, { corrected: this.#corrected, horizon }));
    // With windows of a second the history never holds a day, and a table of a week would be 14 MB of nothing.
    const isPossible = this.windowsMin <= history.stride;
    this.#phases = arena.f32(isPossible ? weekWindows * 6 : 0);
    if (isPossible) writePhases(this.#phases.view, { dayWindows, weekWindows });
    this.#beginWeights(options.random);
  }

  /** A model with these weights: the ones in use, or others of the same size. What it has not is not trained. */
  model(
    weights: Pointer = this.weights.pointer,
    { gradients, moments }: { readonly gradients: Pointer; readonly moments: Pointer } = NOT_TRAINED,
  ): LstmModel {
    return {
      corrected: this.#corrected,
      horizon: this.#horizon,
      weights,
      gradients,
      moments,
      work: this.#work.pointer,
    };
  }

  /** The rows of the history as they lie now. @param outages u8[length], or 0. */
  input(outages: Pointer = 0): LstmSeries {
    const { pointer, stride, length, dropped, shape } = this.#history;
    const { dayWindows, weekWindows, startMs, windowMs } = shape;
    return {
      series: pointer,
      stride,
      length,
      outages,
      dayWindows,
      weekWindows,
      phases: this.#phases.pointer,
      phase: positiveModulo(Math.floor(startMs / windowMs) + dropped, weekWindows),
    };
  }

  close(): void {
    for (const block of [this.weights, this.#work, this.#phases]) this.#runner.kernels.arena.free(block);
  }

  /**
   * Small even weights for the layer, a forget gate that begins open (Gers et al. 2000), and a head of zeros: the first
   * forecast is the mean of the seasonals.
   */
  #beginWeights(random: Random): void {
    const inputs = this.#runner.kernels.exports.lstmInputCount();
    const { view } = this.weights;
    const width = inputs + LSTM_HIDDEN;
    const bound = 1 / Math.sqrt(width);
    for (let i = 0; i < width * 4 * LSTM_HIDDEN; i++) view[i] = (2 * random.nextFloat() - 1) * bound;
    // The last input is always 1: its weights are the biases, in blocks i, f, o, g.
    const biases = (inputs - 1) * 4 * LSTM_HIDDEN;
    view.fill(0, biases, biases + 4 * LSTM_HIDDEN);
    view.fill(1, biases + LSTM_HIDDEN, biases + 2 * LSTM_HIDDEN);
  }
}

const NOT_TRAINED = { gradients: 0, moments: 0 };

const positiveModulo = (value: number, modulus: number): number => ((value % modulus) + modulus) % modulus;

/** Sine and cosine of the day, of the week, and of half the week, which tells working days from weekends. */
function writePhases(
  out: Float32Array,
  { dayWindows, weekWindows }: { readonly dayWindows: number; readonly weekWindows: number },
): void {
  for (let window = 0; window < weekWindows; window++)
    [dayWindows, weekWindows, weekWindows / 2].forEach((period, index) => {
      const angle = (2 * Math.PI * window) / period;
      out[window * 6 + index * 2] = Math.sin(angle);
      out[window * 6 + index * 2 + 1] = Math.cos(angle);
    });
}

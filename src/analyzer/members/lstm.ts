import type { Logger } from '../../base/logger.ts';
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
} from '../../kernels/lstm-jobs.ts';
import type { KernelRunner } from '../../kernels/pool.ts';
import type { History } from '../history.ts';
import type { Member, MemberComponents, MemberState, PartitionRange } from './member.ts';
import { SavedState } from './saved-state.ts';

/** Origins there must be before the first fit: four days of hours, so that there is a rhythm to learn. */
const ORIGINS_MIN = 96;
/** Sequences of one fit: some for the network itself and a few for each partition, about 0.6 ms a partition. */
const SAMPLES_BASE = 1024;
const SAMPLES_PER_PARTITION = 16;
/** Above it a fit takes longer without forecasting better: the next one goes on from its weights. */
const SAMPLES_MAX = 6144;
/** Sequences that are judged before and after a fit, and not learnt from. */
const HELD_OUT_SAMPLES = 96;
/** A fit that leaves the held-out loss this much above what it was is undone; below it is the noise of so few sequences. */
const LOSS_GROWTH_MAX = 1.02;
/** A week of hours. */
const REFIT_WINDOWS = 168;
/** Length of a step of Adam when a fit begins. */
const RATE = 0.01;
/** Windows looked at, and their mean absolute deviation in log units, below which a partition teaches nothing. */
const FLAT_WINDOWS = 168;
const FLAT_SPREAD = 0.002;
/** Draws of a sample before a flat one is taken: with nothing but flat partitions there is nothing else. */
const DRAWS_MAX = 4;

/**
 * One long short-term memory network for all partitions, which corrects and mixes seasonal forecasts.
 *
 * It reads the last ten segments of 24 windows, each less its own level and over the spread of the last week, and how far
 * four seasonal forecasts were off in each; it says how to mix them and what to add (assembly/lstm-rows.ts). One network
 * for all learns from hundreds of partitions what a single one could never teach; a new partition is served at once.
 * Every fit goes on from the weights of the one before, on a sample of partitions and origins of the whole history.
 *
 * @see Hochreiter & Schmidhuber 1997; Gers, Schmidhuber & Cummins 2000; Smyl 2020; Montero-Manso & Hyndman 2021
 */
class Lstm implements Member {
  readonly name = 'lstm';
  readonly isShared = true;
  readonly refitWindows = REFIT_WINDOWS;
  readonly windowsMin: number;
  readonly #history: History;
  readonly #runner: KernelRunner;
  readonly #random: Random;
  readonly #logger: Logger;
  readonly #horizon: number;
  readonly #corrected: number;
  readonly #lookback: number;
  readonly #weights: TypedBlock<Float32Array>;
  readonly #moments: TypedBlock<Float32Array>;
  readonly #gradients: Block;
  readonly #work: Block;
  readonly #phases: TypedBlock<Float32Array>;
  /** Steps of Adam, and fits, so far. */
  #steps = 0;
  #fits = 0;

  constructor({ history, runner, random, logger, horizon }: MemberComponents) {
    this.#history = history;
    this.#runner = runner;
    this.#random = random;
    this.#logger = logger;
    this.#horizon = horizon;
    this.#corrected = Math.min(horizon, LSTM_HORIZON_MAX);
    const { arena, exports } = runner.kernels;
    const { dayWindows, weekWindows } = history.shape;
    this.#lookback = exports.lstmLookback(LSTM_STEPS, dayWindows);
    this.windowsMin = this.#lookback + ORIGINS_MIN;
    const weightCount = lstmWeightsOf(exports, this.#corrected);
    this.#weights = arena.f32(weightCount);
    this.#moments = arena.f32(2 * weightCount);
    this.#gradients = arena.f32(weightCount);
    this.#work = arena.alloc(lstmWorkBytes(exports, { corrected: this.#corrected, horizon }));
    // With windows of a second the history never holds a day, and a table of a week would be 14 MB of nothing.
    const isPossible = this.windowsMin <= history.stride;
    this.#phases = arena.f32(isPossible ? weekWindows * 6 : 0);
    if (isPossible) writePhases(this.#phases.view, { dayWindows, weekWindows });
    this.#beginWeights();
  }

  async fit(range: PartitionRange): Promise<void> {
    const { arena } = this.#runner.kernels;
    const random = this.#random.fork(`fit ${this.#fits}`);
    const count = Math.min(SAMPLES_MAX, SAMPLES_BASE + SAMPLES_PER_PARTITION * range.count);
    const held = this.#samples(HELD_OUT_SAMPLES, range, random.fork('held out'));
    const samples = this.#samples(count, range, random.fork('samples'));
    const outages = this.#outages();
    const input = this.#input(outages?.pointer ?? 0);
    const good = { weights: this.#weights.view.slice(), moments: this.#moments.view.slice() };
    const score = async (): Promise<number> => {
      const job = { model: this.#model, input, samples: held.pointer, count: HELD_OUT_SAMPLES };
      return (await this.#runner.run('lstmScore', job)).loss;
    };
    try {
      const lossBefore = await score();
      const { steps } = await this.#runner.run('lstmTrain', {
        model: this.#model,
        input,
        samples: samples.pointer,
        count,
        rate: RATE,
        stepsBefore: this.#steps,
      });
      const loss = await score();
      // Written so that NaN is not good.
      if (loss <= lossBefore * LOSS_GROWTH_MAX) this.#steps += steps;
      else {
        this.#weights.view.set(good.weights);
        this.#moments.view.set(good.moments);
        this.#logger.warn({ loss, lossBefore }, 'lstm: a fit made it worse and is undone');
      }
      this.#fits++;
      this.#logger.debug({ loss, lossBefore, samples: count }, 'lstm: fitted');
    } finally {
      for (const block of [held, samples, outages]) if (block !== undefined) arena.free(block);
    }
  }

  async predict(range: PartitionRange, out: Pointer): Promise<void> {
    await this.#runner.run('lstmPredict', {
      model: this.#model,
      input: this.#input(0),
      firstPartition: range.first,
      count: range.count,
      out,
    });
  }

  save(): MemberState {
    return {
      weights: this.#weights.view.slice(),
      moments: this.#moments.view.slice(),
      steps: this.#steps,
      fits: this.#fits,
    };
  }

  load(state: MemberState): void {
    const saved = new SavedState(this.name, state);
    const weights = saved.numbersLike('weights', this.#weights.view);
    const moments = saved.numbersLike('moments', this.#moments.view);
    const steps = saved.integer('steps', 0, Number.MAX_SAFE_INTEGER);
    const fits = saved.integer('fits', 0, Number.MAX_SAFE_INTEGER);
    this.#weights.view.set(weights);
    this.#moments.view.set(moments);
    this.#steps = steps;
    this.#fits = fits;
  }

  close(): void {
    const { arena } = this.#runner.kernels;
    for (const block of [this.#weights, this.#moments, this.#gradients, this.#work, this.#phases])
      arena.free(block);
  }

  get #model(): LstmModel {
    return {
      corrected: this.#corrected,
      horizon: this.#horizon,
      weights: this.#weights.pointer,
      gradients: this.#gradients.pointer,
      moments: this.#moments.pointer,
      work: this.#work.pointer,
    };
  }

  #input(outages: Pointer): LstmSeries {
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

  /**
   * Small even weights for the layer, a forget gate that begins open (Gers et al. 2000), and a head of zeros: the first
   * forecast is the mean of the seasonals.
   */
  #beginWeights(): void {
    const random = this.#random.fork('weights');
    const inputs = this.#runner.kernels.exports.lstmInputCount();
    const { view } = this.#weights;
    const width = inputs + LSTM_HIDDEN;
    const bound = 1 / Math.sqrt(width);
    for (let i = 0; i < width * 4 * LSTM_HIDDEN; i++) view[i] = (2 * random.nextFloat() - 1) * bound;
    // The last input is always 1: its weights are the biases, in blocks i, f, o, g.
    const biases = (inputs - 1) * 4 * LSTM_HIDDEN;
    view.fill(0, biases, biases + 4 * LSTM_HIDDEN);
    view.fill(1, biases + LSTM_HIDDEN, biases + 2 * LSTM_HIDDEN);
  }

  /** i32[count][2]: partitions and origins by chance; the last segment at least has its targets. */
  #samples(count: number, range: PartitionRange, random: Random): TypedBlock<Int32Array> {
    const { arena, exports } = this.#runner.kernels;
    const block = arena.i32(count * 2);
    const origins = this.#history.length - exports.lstmSegmentWindows() - this.#lookback + 1;
    for (let index = 0; index < count; index++) {
      let partition = 0;
      let origin = 0;
      for (let draw = 0; draw < DRAWS_MAX; draw++) {
        partition = range.first + random.nextBelow(range.count);
        // The later of two: what was lately is more like what comes, and what was long ago is not forgotten.
        origin = this.#lookback + Math.max(random.nextBelow(origins), random.nextBelow(origins));
        if (!this.#isFlat(partition, origin)) break;
      }
      block.view[index * 2] = partition;
      block.view[index * 2 + 1] = origin;
    }
    return block;
  }

  #isFlat(partition: number, origin: number): boolean {
    const first = origin - FLAT_WINDOWS;
    const value = this.#history.logLoad(partition, first);
    let sum = 0;
    // The deviation from any of its values is at most twice that from the mean: most partitions show theirs at once.
    for (let window = first + 1; window < origin; window++) {
      sum += Math.abs(this.#history.logLoad(partition, window) - value);
      if (sum >= FLAT_SPREAD * FLAT_WINDOWS) return false;
    }
    return true;
  }

  /** u8[length], 1 for an outage; nothing where there was none. */
  #outages(): TypedBlock<Uint8Array> | undefined {
    const history = this.#history;
    if (history.outageCount(0, history.length) === 0) return undefined;
    const block = this.#runner.kernels.arena.u8(history.length);
    for (let window = 0; window < history.length; window++)
      block.view[window] = history.isOutage(window) ? 1 : 0;
    return block;
  }
}

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

export function lstmMember(components: MemberComponents): Member {
  return new Lstm(components);
}

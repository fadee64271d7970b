import type { Logger } from '../../base/logger.ts';
import type { Random } from '../../base/random.ts';
import type { Block, TypedBlock } from '../../kernels/arena.ts';
import type { Pointer } from '../../kernels/exports.ts';
import { LSTM_BATCH_SEQUENCES } from '../../kernels/lstm-jobs.ts';
import type { LstmSeries } from '../../kernels/lstm-model.ts';
import type { KernelRunner } from '../../kernels/pool.ts';
import type { History } from '../history.ts';
import type { LstmNetwork } from './lstm-network.ts';
import { drawSamples } from './lstm-samples.ts';
import type { MemberState } from './member.ts';
import type { SavedState } from './saved-state.ts';

/** Sequences of one fit: some for the network itself and a few for each partition, about 0.6 ms a partition. */
const SAMPLES_BASE = 1024;
const SAMPLES_PER_PARTITION = 16;
/** Above it a fit takes longer without forecasting better: the next one goes on from its weights. */
const SAMPLES_MAX = 6144;
/** Sequences that both networks are judged by, and that are not learnt from. */
const HELD_OUT_SAMPLES = 96;
/** A fit that leaves the held-out loss this much above what it was is undone; below it is the noise of so few sequences. */
const LOSS_GROWTH_MAX = 1.02;
/** Length of a step of Adam when a fit begins. */
const RATE = 0.01;

/**
 * A second network, which learns while the first is in use: it begins as a copy of that, takes a few batches at a time, each
 * from the history as it is then, and at the end takes its place if it is not worse.
 */
export class LstmTraining {
  readonly #network: LstmNetwork;
  readonly #history: History;
  readonly #runner: KernelRunner;
  readonly #random: Random;
  readonly #logger: Logger;
  /** Batches of a whole fit. */
  readonly #batchCount: number;
  /** The weights that learn, and Adam's running means of gradients and their squares; they go on from fit to fit. */
  readonly #weights: TypedBlock<Float32Array>;
  readonly #moments: TypedBlock<Float32Array>;
  readonly #gradients: Block;
  /** Steps of Adam since the moments were empty, and fits that have ended. */
  #steps = 0;
  #fits = 0;
  /** Batches learnt of the fit under way; all of them: none is. */
  #batch: number;

  constructor(
    network: LstmNetwork,
    components: {
      readonly history: History;
      readonly runner: KernelRunner;
      readonly random: Random;
      readonly logger: Logger;
    },
  ) {
    this.#network = network;
    this.#history = components.history;
    this.#runner = components.runner;
    this.#random = components.random;
    this.#logger = components.logger;
    const { partitionCount } = components.history.shape;
    const sampleCount = Math.min(SAMPLES_MAX, SAMPLES_BASE + SAMPLES_PER_PARTITION * partitionCount);
    this.#batchCount = Math.ceil(sampleCount / LSTM_BATCH_SEQUENCES);
    this.#batch = this.#batchCount;
    const { arena } = components.runner.kernels;
    const weightCount = network.weights.view.length;
    this.#weights = arena.f32(weightCount);
    this.#moments = arena.f32(2 * weightCount);
    this.#gradients = arena.f32(weightCount);
  }

  get batchesLeft(): number {
    return this.#batchCount - this.#batch;
  }

  /** From here on there are batches to learn from; what an earlier fit has not finished is given up. */
  begin(): void {
    this.#weights.view.set(this.#network.weights.view);
    this.#batch = 0;
  }

  /** Learns from so many batches, or as many as are left; after the last one the better network is in use. */
  async learn(batchesMax: number): Promise<void> {
    const batches = Math.min(batchesMax, this.batchesLeft);
    if (batches === 0) return;
    const outages = this.#outages();
    const input = this.#network.input(outages?.pointer);
    try {
      await this.#learn(input, batches);
      if (this.batchesLeft === 0) await this.#judge(input);
    } finally {
      if (outages !== undefined) this.#runner.kernels.arena.free(outages);
    }
  }

  save(): MemberState {
    return {
      learning: this.#weights.view.slice(),
      moments: this.#moments.view.slice(),
      batch: this.#batch,
      steps: this.#steps,
      fits: this.#fits,
    };
  }

  /** Reads all of a saved state, and returns what takes it over. @throws ForeshardError FORESHARD_CORRUPT. */
  read(saved: SavedState): () => void {
    const weights = saved.numbersLike('learning', this.#weights.view);
    const moments = saved.numbersLike('moments', this.#moments.view);
    const batch = saved.integer('batch', 0, this.#batchCount);
    const steps = saved.integer('steps', 0, Number.MAX_SAFE_INTEGER);
    const fits = saved.integer('fits', 0, Number.MAX_SAFE_INTEGER);
    return () => {
      this.#weights.view.set(weights);
      this.#moments.view.set(moments);
      this.#batch = batch;
      this.#steps = steps;
      this.#fits = fits;
    };
  }

  close(): void {
    for (const block of [this.#weights, this.#moments, this.#gradients])
      this.#runner.kernels.arena.free(block);
  }

  async #learn(input: LstmSeries, batches: number): Promise<void> {
    const random = this.#randomOfFit(`batch ${this.#batch}`);
    const { steps } = await this.#withSamples(batches * LSTM_BATCH_SEQUENCES, random, (drawn) =>
      this.#runner.run('lstmTrain', {
        model: this.#network.model(this.#weights.pointer, {
          gradients: this.#gradients.pointer,
          moments: this.#moments.pointer,
        }),
        input,
        ...drawn,
        rate: RATE,
        batchCount: this.#batchCount,
        batchesBefore: this.#batch,
        stepsBefore: this.#steps,
      }),
    );
    this.#batch += steps;
    this.#steps += steps;
  }

  /** Puts what has learnt into use, unless it does worse on sequences that it has not learnt from. */
  async #judge(input: LstmSeries): Promise<void> {
    const { weights } = this.#network;
    const [lossBefore, loss] = await this.#withSamples(
      HELD_OUT_SAMPLES,
      this.#randomOfFit('held out'),
      async (drawn) => {
        const lossOf = async (pointer: Pointer): Promise<number> =>
          (await this.#runner.run('lstmScore', { model: this.#network.model(pointer), input, ...drawn }))
            .loss;
        return [await lossOf(weights.pointer), await lossOf(this.#weights.pointer)] as const;
      },
    );
    this.#fits++;
    this.#logger.debug({ loss, lossBefore }, 'lstm: fitted');
    // Written so that NaN is not good.
    if (loss <= lossBefore * LOSS_GROWTH_MAX) {
      weights.view.set(this.#weights.view);
      return;
    }
    // What led astray must not lead the next fit.
    this.#moments.view.fill(0);
    this.#steps = 0;
    this.#logger.warn({ loss, lossBefore }, 'lstm: a fit made it worse and is undone');
  }

  #randomOfFit(label: string): Random {
    return this.#random.fork(`fit ${this.#fits}`).fork(label);
  }

  async #withSamples<Result>(
    count: number,
    random: Random,
    work: (drawn: { readonly samples: Pointer; readonly count: number }) => Promise<Result>,
  ): Promise<Result> {
    const { arena, exports } = this.#runner.kernels;
    const first = this.#network.lookback;
    const end = this.#history.length - exports.lstmSegmentWindows() + 1;
    const block = arena.i32(count * 2);
    try {
      block.view.set(drawSamples(this.#history, { count, first, end, random }));
      return await work({ samples: block.pointer, count });
    } finally {
      arena.free(block);
    }
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

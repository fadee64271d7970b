import type { Pointer } from '../../kernels/exports.ts';
import type { KernelRunner } from '../../kernels/pool.ts';
import type { History } from '../history.ts';
import { LstmNetwork } from './lstm-network.ts';
import { LstmTraining } from './lstm-training.ts';
import type { Member, MemberComponents, MemberState, PartitionRange } from './member.ts';
import { SavedState } from './saved-state.ts';

/** A week of hours. */
const REFIT_WINDOWS = 168;

/**
 * Batches a window while it learns in the background, 1.5 ms each with a horizon of a week. The 192 batches of a long fit
 * take four of the seven days until the next one.
 */
const BATCHES_PER_WINDOW = 2;

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
  readonly #network: LstmNetwork;
  readonly #training: LstmTraining;
  /** The window count at which it last learnt. */
  #learntAt = 0;

  constructor({ history, runner, random, logger, horizon }: MemberComponents) {
    this.#history = history;
    this.#runner = runner;
    this.#network = new LstmNetwork({ history, runner, horizon, random: random.fork('weights') });
    this.#training = new LstmTraining(this.#network, { history, runner, random, logger });
    this.windowsMin = this.#network.windowsMin;
  }

  async fit(): Promise<void> {
    this.#training.begin();
    await this.#training.learn(this.#training.batchesLeft);
  }

  beginFit(): void {
    this.#training.begin();
    this.#learntAt = this.#end;
  }

  async advance(): Promise<void> {
    const windows = this.#end - this.#learntAt;
    this.#learntAt = this.#end;
    await this.#training.learn(windows * BATCHES_PER_WINDOW);
  }

  async predict(range: PartitionRange, out: Pointer): Promise<void> {
    await this.#runner.run('lstmPredict', {
      model: this.#network.model(),
      input: this.#network.input(),
      firstPartition: range.first,
      count: range.count,
      out,
    });
  }

  save(): MemberState {
    return {
      weights: this.#network.weights.view.slice(),
      learntAt: this.#learntAt,
      ...this.#training.save(),
    };
  }

  load(state: MemberState): void {
    const saved = new SavedState(this.name, state);
    const weights = saved.numbersLike('weights', this.#network.weights.view);
    const learntAt = saved.integer('learntAt', 0, this.#end);
    const takeOver = this.#training.read(saved);
    this.#network.weights.view.set(weights);
    this.#learntAt = learntAt;
    takeOver();
  }

  close(): void {
    this.#training.close();
    this.#network.close();
  }

  /** Windows since the start. */
  get #end(): number {
    return this.#history.dropped + this.#history.length;
  }
}

export function lstmMember(components: MemberComponents): Member {
  return new Lstm(components);
}

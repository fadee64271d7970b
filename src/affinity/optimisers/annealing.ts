import { assert } from '../../base/assert.ts';
import { atOnce, CANCELLED, type Sliced, unlessLeft, untilCancelled } from '../../base/slices.ts';
import type { KernelRunner } from '../../kernels/pool.ts';
import type { SearchBlock } from '../../kernels/search-block.ts';
import type { SearchProblemName, SearchSlice } from '../../kernels/search-jobs.ts';
import { SEARCH_EPOCH, type SEARCH_FIELDS } from '../../kernels/search-layout.ts';
import type { SearchContext } from './optimiser.ts';

export interface AnnealSettings {
  readonly iterations: number;
  /**
   * Start temperatures to race, as the share of sampled rises that is accepted at each. Rugged instances want a hot start,
   * tight ones a cold one.
   */
  readonly startAcceptances: readonly number[];
  /** The same at the end. */
  readonly endAcceptance: number;
  /** Share of the iterations that goes to the races, all of them together. */
  readonly raceShare: number;
}

export const DEFAULT_ANNEAL_SETTINGS: AnnealSettings = {
  iterations: 100_000,
  startAcceptances: [0.1, 0.02, 0.004],
  endAcceptance: 0.0002,
  raceShare: 0.5,
};

export interface AnnealResult {
  /** Fewer than asked for if the search was cancelled. */
  readonly iterations: number;
  /** Of the last run. */
  readonly acceptedCount: number;
  /** The start that won the races. */
  readonly startAcceptance: number;
}

/** Proposals among which rises are sampled, for one sample wanted: some are none, some lower the cost. */
const PROPOSALS_PER_SAMPLE = 8;
/** Share of the iterations that the calibration may take. */
const CALIBRATION_SHARE = 0.1;
/** What a piece takes that runs on the calling thread, where nobody is heard meanwhile: beside it a turn of the loop is short. */
const PIECE_MS = 1;
/** Shorter pieces would be turns of the loop for the most part. */
const PIECES_OF_SLICE_MAX = 16;
/** Other good maps that a search returns. */
const ELITES_MAX = 8;

/**
 * Simulated annealing of any problem in a search block: calibrates temperatures, races starts, anneals on from the best
 * map of the races with the temperature that won. Deterministic for a seed, an iteration budget and a kernel build.
 */
export class Annealing<Fields extends typeof SEARCH_FIELDS & Record<string, 'u32' | 'f32' | 'f64'>> {
  /** i32[item], best first, all different. */
  readonly elites: { readonly ownerOf: Int32Array; readonly cost: number }[] = [];
  /** Iterations so far. */
  done = 0;
  #acceptedCount = 0;
  readonly #runner: KernelRunner;
  readonly #problem: SearchProblemName;
  readonly #block: SearchBlock<Fields>;
  readonly #context: Omit<SearchContext, 'random'>;
  readonly #home: Int32Array;
  readonly #sliceIterations: number;
  readonly #pieceLeast: number;
  #pieceIterations: number;
  /** i32[item], the best map of the present run and its cost, as of the last piece that ended. */
  readonly #best: Int32Array;
  #bestCost = Number.POSITIVE_INFINITY;
  /** A piece that nobody waits for any more: until it ends, a worker writes into the block. */
  #left: Promise<unknown> | null = null;

  /** @param options.sliceIterations a few milliseconds of them: what lies between two questions whether time is over. */
  constructor(
    runner: KernelRunner,
    block: SearchBlock<Fields>,
    options: {
      readonly problem: SearchProblemName;
      readonly home: Int32Array;
      readonly context: Omit<SearchContext, 'random'>;
      readonly sliceIterations: number;
    },
  ) {
    this.#runner = runner;
    this.#block = block;
    this.#problem = options.problem;
    this.#context = options.context;
    this.#home = options.home;
    this.#best = new Int32Array(block.owner.length);
    this.#sliceIterations = Math.max(SEARCH_EPOCH, Math.round(options.sliceIterations));
    // Without a clock nobody says how long a piece takes; and a worker holds up nobody.
    const pieces = options.context.clock === undefined || !runner.isInline ? 1 : PIECES_OF_SLICE_MAX;
    this.#pieceLeast = Math.ceil(this.#sliceIterations / pieces);
    this.#pieceIterations = this.#pieceLeast;
  }

  async search(settings: AnnealSettings): Promise<AnnealResult> {
    assert(settings.startAcceptances.length > 0, 'a search has a start temperature');
    const start = this.#block.owner.slice();
    const rises = await this.#sampleRises(start, settings.iterations);
    const startAcceptance = await this.#anneal(start, rises, settings);
    return { iterations: this.done, acceptedCount: this.#acceptedCount, startAcceptance };
  }

  /** Gives the block back: where a piece of it was left to a worker, once that has ended. */
  free(): void {
    if (this.#left === null) this.#block.free();
    else void this.#left.then(() => this.#block.free());
  }

  /** The races, and on from the best of them. @returns the start that won. */
  async #anneal(
    start: Int32Array,
    rises: Float64Array,
    { iterations, startAcceptances, endAcceptance, raceShare }: AnnealSettings,
  ): Promise<number> {
    let winner = { acceptance: startAcceptances[0] as number, cost: Number.POSITIVE_INFINITY };
    const end = await this.#temperature(endAcceptance, rises);
    if (end === CANCELLED) return winner.acceptance;
    const raceIterations =
      startAcceptances.length > 1
        ? Math.floor((raceShare * (iterations - this.done)) / startAcceptances.length)
        : 0;
    if (raceIterations > 0)
      for (const acceptance of startAcceptances) {
        const from = await this.#temperature(acceptance, rises);
        if (from === CANCELLED) return winner.acceptance;
        const cost = await this.#run(start, { from, end, iterations: raceIterations });
        if (cost < winner.cost) winner = { acceptance, cost };
      }
    const from = await this.#temperature(winner.acceptance, rises);
    if (from === CANCELLED) return winner.acceptance;
    await this.#run(this.elites[0]?.ownerOf ?? start, { from, end, iterations: iterations - this.done });
    return winner.acceptance;
  }

  #temperature(share: number, rises: Float64Array): Promise<number | typeof CANCELLED> {
    return untilCancelled(findingTemperature(share, rises), {
      clock: this.#context.clock,
      isCancelled: () => this.#isCancelled(),
    });
  }

  /** What proposals raise the cost by where a descent from `start` leads: temperatures are made from that. */
  async #sampleRises(start: Int32Array, iterations: number): Promise<Float64Array> {
    const wanted = this.#block.get('sampleMax');
    const proposals = Math.min(PROPOSALS_PER_SAMPLE * wanted, Math.floor(CALIBRATION_SHARE * iterations));
    await this.#run(start, { from: 0, end: 0, iterations: proposals });
    if (this.#isCancelled()) return new Float64Array(0);
    return this.#block.samples().slice();
  }

  /** Anneals from a map, and returns the cost of the best one met on the way. */
  async #run(
    start: Int32Array,
    { from, end, iterations }: { readonly from: number; readonly end: number; readonly iterations: number },
  ): Promise<number> {
    const block = this.#block;
    block.owner.set(start);
    block.set('temperature', from);
    block.set('cooling', from > 0 ? (end / from) ** (SEARCH_EPOCH / Math.max(1, iterations)) : 1);
    this.#bestCost = Number.POSITIVE_INFINITY;
    if (iterations <= 0 || this.#isEnded(true)) return this.#bestCost;
    // By itself: a map of thousands of partitions takes as long to sum up as a piece.
    if (!(await this.#runPiece({ isReset: true, iterations: 0 }))) return this.#bestCost;
    await this.#rest();
    for (let done = 0; done < iterations; ) {
      const leftOfSlice = this.#sliceIterations - (done % this.#sliceIterations);
      if (this.#isEnded(done > 0 && leftOfSlice === this.#sliceIterations)) break;
      const count = Math.min(this.#pieceIterations, leftOfSlice, iterations - done);
      const startedMs = this.#context.clock?.monotonicMs() ?? 0;
      if (!(await this.#runPiece({ isReset: false, iterations: count }))) break;
      this.#keepBest();
      done += count;
      this.done += count;
      if (count === leftOfSlice || done === iterations) this.#report();
      this.#adaptPiece(count, (this.#context.clock?.monotonicMs() ?? 0) - startedMs);
      await this.#rest();
    }
    this.#keepElite();
    return this.#bestCost;
  }

  /** @returns whether it has ended: nobody waits for one that runs when the search is cancelled. */
  async #runPiece(piece: Pick<SearchSlice, 'isReset' | 'iterations'>): Promise<boolean> {
    const running = this.#runner.run('search', {
      problem: this.#problem,
      block: this.#block.pointer,
      ...piece,
    });
    const ended = this.#runner.isInline ? await running : await unlessLeft(running, this.#context);
    if (ended === CANCELLED) this.#left = running.catch(() => undefined);
    else this.#acceptedCount = ended.acceptedCount;
    return ended !== CANCELLED;
  }

  /** Others of this thread have their turn; where workers compute they have it all the time. */
  async #rest(): Promise<void> {
    if (this.#runner.isInline) await this.#context.clock?.sleep(0);
  }

  /** What a cancellation returns while a worker writes into the block. */
  #keepBest(): void {
    const cost = this.#block.get('bestCost');
    if (cost >= this.#bestCost) return;
    this.#best.set(this.#block.bestOwner);
    this.#bestCost = cost;
  }

  #isCancelled(): boolean {
    return this.#left !== null || this.#context.isCancelled?.() === true;
  }

  #isEnded(isSliceDone: boolean): boolean {
    // Where a slice ends iterations alone say: where a piece does depends on the machine.
    return this.#isCancelled() || (isSliceDone && this.#context.isOver?.(this.done) === true);
  }

  /** Pieces of any length find the same: theirs follows the speed of the machine, so that a cancellation is heard as soon on all. */
  #adaptPiece(iterations: number, tookMs: number): void {
    if (this.#context.clock === undefined || !this.#runner.isInline) return;
    const fitting = tookMs > 0 ? (iterations * PIECE_MS) / tookMs : Number.POSITIVE_INFINITY;
    // One piece says little: it may have waited for a processor.
    const next = Math.min(2 * this.#pieceIterations, Math.max(this.#pieceIterations / 2, fitting));
    this.#pieceIterations = Math.round(Math.min(this.#sliceIterations, Math.max(this.#pieceLeast, next)));
  }

  #report(): void {
    const { onProgress } = this.#context;
    if (onProgress === undefined) return;
    const cost = this.#bestCost;
    const kept = this.elites[0];
    const isKept = kept !== undefined && kept.cost <= cost;
    const ownerOf = isKept ? kept.ownerOf : this.#best;
    const moved = ownerOf.reduce((count, node, item) => count + (node === this.#home[item] ? 0 : 1), 0);
    onProgress({ cost: isKept ? kept.cost : cost, moved, iterations: this.done });
  }

  #keepElite(): void {
    const { elites } = this;
    const cost = this.#bestCost;
    // Cancelled before the first piece has ended: nothing is known of this start yet.
    if (cost === Number.POSITIVE_INFINITY) return;
    const ownerOf = this.#best.slice();
    if (elites.some((elite) => elite.ownerOf.every((node, item) => node === ownerOf[item]))) return;
    elites.push({ ownerOf, cost });
    elites.sort((a, b) => a.cost - b.cost);
    elites.splice(ELITES_MAX);
  }
}

/**
 * The temperature at which a share of the rises would be accepted: the mean of exp(-rise / T), which grows with T.
 *
 * @see Ben-Ameur, "Computing the initial temperature of simulated annealing", 2004
 */
export const temperatureAccepting = (share: number, rises: Float64Array): number =>
  atOnce(findingTemperature(share, rises));

/** {@link temperatureAccepting} in slices: it takes tens of thousands of exponentials. */
function* findingTemperature(share: number, rises: Float64Array): Sliced<number> {
  assert(share > 0 && share < 1, 'a share of rises is inside 0..1');
  if (rises.length === 0) return 0;
  const acceptedAt = (temperature: number): number => {
    let sum = 0;
    for (let i = 0; i < rises.length; i++) sum += Math.exp(-(rises[i] as number) / temperature);
    return sum / rises.length;
  };
  // The largest rise alone would be accepted with this share or more; the smallest with less than the share of all.
  let high = rises.reduce((max, rise) => Math.max(max, rise), 0) / -Math.log(share);
  let low = 0;
  for (let step = 0; step < BISECTIONS; step++) {
    const middle = (low + high) / 2;
    if (acceptedAt(middle) < share) low = middle;
    else high = middle;
    yield;
  }
  return high;
}

/** Of the temperature: to 1e-12 of the largest. */
const BISECTIONS = 40;

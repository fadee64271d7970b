import { assert } from '../../base/assert.ts';
import type { KernelRunner } from '../../kernels/pool.ts';
import type { SearchBlock } from '../../kernels/search-block.ts';
import type { SearchProblemName } from '../../kernels/search-jobs.ts';
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
/** Between two looks at the cancel flag, at most but for a busy machine: beside it a turn of the loop, or a worker's answer, is short. */
const PIECE_MS = 2;
/** Shorter pieces would be turns of the loop for the most part. */
const PIECES_OF_SLICE_MAX = 8;
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
    this.#sliceIterations = Math.max(SEARCH_EPOCH, Math.round(options.sliceIterations));
    // Without a clock nobody says how long a piece takes.
    const pieces = options.context.clock === undefined ? 1 : PIECES_OF_SLICE_MAX;
    this.#pieceLeast = Math.ceil(this.#sliceIterations / pieces);
    this.#pieceIterations = this.#pieceLeast;
  }

  async search(settings: AnnealSettings): Promise<AnnealResult> {
    const { iterations, startAcceptances, endAcceptance, raceShare } = settings;
    assert(startAcceptances.length > 0, 'a search has a start temperature');
    const start = this.#block.owner.slice();
    const rises = await this.#sampleRises(start, iterations);
    const end = temperatureAccepting(endAcceptance, rises);
    const raceIterations =
      startAcceptances.length > 1
        ? Math.floor((raceShare * (iterations - this.done)) / startAcceptances.length)
        : 0;
    let winner = { acceptance: startAcceptances[0] as number, cost: Number.POSITIVE_INFINITY };
    if (raceIterations > 0)
      for (const acceptance of startAcceptances) {
        const from = temperatureAccepting(acceptance, rises);
        const cost = await this.#run(start, { from, end, iterations: raceIterations });
        if (cost < winner.cost) winner = { acceptance, cost };
      }
    await this.#run(this.elites[0]?.ownerOf ?? start, {
      from: temperatureAccepting(winner.acceptance, rises),
      end,
      iterations: iterations - this.done,
    });
    return {
      iterations: this.done,
      acceptedCount: this.#acceptedCount,
      startAcceptance: winner.acceptance,
    };
  }

  /** What proposals raise the cost by where a descent from `start` leads: temperatures are made from that. */
  async #sampleRises(start: Int32Array, iterations: number): Promise<Float64Array> {
    const wanted = this.#block.get('sampleMax');
    const proposals = Math.min(PROPOSALS_PER_SAMPLE * wanted, Math.floor(CALIBRATION_SHARE * iterations));
    await this.#run(start, { from: 0, end: 0, iterations: proposals });
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
    let isReset = true;
    for (let done = 0; done < iterations; ) {
      const leftOfSlice = this.#sliceIterations - (done % this.#sliceIterations);
      if (this.#isEnded(leftOfSlice === this.#sliceIterations)) break;
      // The first piece sums the map up as well.
      const most = isReset ? this.#pieceLeast : this.#pieceIterations;
      const count = Math.min(most, leftOfSlice, iterations - done);
      const piece = { problem: this.#problem, block: block.pointer, isReset, iterations: count };
      const startedMs = this.#context.clock?.monotonicMs() ?? 0;
      this.#acceptedCount = (await this.#runner.run('search', piece)).acceptedCount;
      isReset = false;
      done += count;
      this.done += count;
      if (count === leftOfSlice || done === iterations) this.#report();
      if (this.#context.clock === undefined) continue;
      this.#adaptPiece(count, this.#context.clock.monotonicMs() - startedMs);
      // A runner of this very thread would keep it to itself.
      await this.#context.clock.sleep(0);
    }
    // Cancelled before the first slice: the block knows nothing of this start yet.
    if (isReset) return Number.POSITIVE_INFINITY;
    this.#keepElite();
    return block.get('bestCost');
  }

  #isEnded(isSliceDone: boolean): boolean {
    const context = this.#context;
    // Where a slice ends iterations alone say: where a piece does depends on the machine.
    return context.isCancelled?.() === true || (isSliceDone && context.isOver?.(this.done) === true);
  }

  /** Pieces of any length find the same: theirs follows the speed of the machine, so that a cancellation is seen as soon on all. */
  #adaptPiece(iterations: number, tookMs: number): void {
    if (tookMs > PIECE_MS) this.#pieceIterations = Math.max(this.#pieceLeast, iterations >> 1);
    else if (tookMs < PIECE_MS / 3)
      this.#pieceIterations = Math.min(this.#sliceIterations, 2 * this.#pieceIterations);
  }

  #report(): void {
    const { onProgress } = this.#context;
    if (onProgress === undefined) return;
    const cost = this.#block.get('bestCost');
    const kept = this.elites[0];
    const isKept = kept !== undefined && kept.cost <= cost;
    const ownerOf = isKept ? kept.ownerOf : this.#block.bestOwner;
    const moved = ownerOf.reduce((count, node, item) => count + (node === this.#home[item] ? 0 : 1), 0);
    onProgress({ cost: isKept ? kept.cost : cost, moved, iterations: this.done });
  }

  #keepElite(): void {
    const { elites } = this;
    const ownerOf = this.#block.bestOwner.slice();
    const cost = this.#block.get('bestCost');
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
export function temperatureAccepting(share: number, rises: Float64Array): number {
  assert(share > 0 && share < 1, 'a share of rises is inside 0..1');
  if (rises.length === 0) return 0;
  const acceptedAt = (temperature: number): number =>
    rises.reduce((sum, rise) => sum + Math.exp(-rise / temperature), 0) / rises.length;
  // The largest rise alone would be accepted with this share or more; the smallest with less than the share of all.
  let high = rises.reduce((max, rise) => Math.max(max, rise), 0) / -Math.log(share);
  let low = 0;
  for (let step = 0; step < BISECTIONS; step++) {
    const middle = (low + high) / 2;
    if (acceptedAt(middle) < share) low = middle;
    else high = middle;
  }
  return high;
}

/** Of the temperature: to 1e-12 of the largest. */
const BISECTIONS = 40;

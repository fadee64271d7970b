import { InvariantError } from '../base/errors.ts';
import { ANNEAL, ANNEAL_BLOCK_BYTES, ANNEAL_EPOCH, negativeLogTable } from './anneal-layout.ts';
import type { Pointer } from './exports.ts';
import type { Job, JobContext } from './job.ts';

export interface AnnealParameters {
  readonly block: Pointer;
  /** All of them, races included. */
  readonly iterations: number;
  /** Start temperatures to race, as multiples of the mean delta above 0 of sampled proposals; at least one. */
  readonly startFactors: readonly number[];
  /** Last temperature / first. */
  readonly endRatio: number;
}

export interface AnnealResult {
  /** Fewer than asked for if the job was cancelled; the best map so far stands in the block. */
  readonly iterations: number;
  /** Of the last run. */
  readonly acceptedCount: number;
  /** The factor that won the races. */
  readonly startFactor: number;
}

/** Proposals from which the scale of temperatures is calibrated. */
const SAMPLE_COUNT = 512;

/** About 6 ms at a week of slots: progress and cancelling need chunks of at most 10 ms. */
const CHUNK_CELLS = 4_000_000;

/** Share of the iterations that goes to the races, all of them together. */
const RACE_SHARE = 0.5;

/**
 * Which temperature suits depends on the instance: rugged ones want a hot start, tight ones a cold one. So short runs from
 * the same map race, and the winner's temperature gets the other half of the iterations, from the best map of all races.
 */
const anneal: Job<AnnealParameters, AnnealResult> = {
  run(context, { block, iterations, startFactors, endRatio }) {
    if (context.exports.annealBlockBytes() !== ANNEAL_BLOCK_BYTES)
      throw new InvariantError(
        'the annealing kernel was built with another layout: run `npm run build:wasm`',
      );
    const search = new AnnealSearch(context, block, endRatio);
    const raceIterations =
      startFactors.length > 1 ? Math.floor((RACE_SHARE * iterations) / startFactors.length) : 0;
    let winner = { factor: startFactors[0] as number, cost: Number.POSITIVE_INFINITY };
    if (raceIterations > 0)
      for (const factor of startFactors) {
        const cost = search.run(search.start, factor, raceIterations);
        if (cost < winner.cost) winner = { factor, cost };
      }
    search.run(search.best, winner.factor, iterations - search.done);
    search.leaveBest();
    return { iterations: search.done, acceptedCount: search.acceptedCount, startFactor: winner.factor };
  },

  warmUp(context, scratch) {
    const block = writeToyProblem(context, scratch.pointer);
    // Enough to pass V8's tier-up budget on both paths of the delta.
    for (const riskZ of [0, 1]) {
      new DataView(context.buffer).setFloat32(block + ANNEAL.riskZ, riskZ, true);
      for (let i = 0; i < 20; i++) {
        context.exports.annealReset(block);
        context.exports.annealRun(block, 2000, 0);
      }
    }
  },
};

/** Runs from chosen maps over one control block; keeps the best map of all of them. */
class AnnealSearch {
  /** i32[partition]: where the block started, and the best map so far. */
  readonly start: Int32Array;
  best: Int32Array;
  /** Iterations so far. */
  done = 0;
  acceptedCount = 0;
  #bestCost = Number.POSITIVE_INFINITY;
  readonly #context: JobContext;
  readonly #block: Pointer;
  readonly #endRatio: number;
  readonly #fields: DataView;
  readonly #owner: Int32Array;
  readonly #home: Int32Array;
  readonly #bestOwner: Int32Array;
  readonly #bytes: Float64Array;
  readonly #bytesFree: Float64Array;
  readonly #meanRise: number;

  constructor(context: JobContext, block: Pointer, endRatio: number) {
    const { buffer, exports } = context;
    this.#context = context;
    this.#block = block;
    this.#endRatio = endRatio;
    this.#fields = new DataView(buffer, block, ANNEAL_BLOCK_BYTES);
    const pointer = (field: number): Pointer => this.#fields.getUint32(field, true);
    const partitionCount = this.#fields.getUint32(ANNEAL.partitionCount, true);
    const nodeCount = this.#fields.getUint32(ANNEAL.nodeCount, true);
    this.#owner = new Int32Array(buffer, pointer(ANNEAL.owner), partitionCount);
    this.#home = new Int32Array(buffer, pointer(ANNEAL.home), partitionCount);
    this.#bestOwner = new Int32Array(buffer, pointer(ANNEAL.bestOwner), partitionCount);
    this.#bytes = new Float64Array(buffer, pointer(ANNEAL.bytes), partitionCount);
    this.#bytesFree = new Float64Array(buffer, pointer(ANNEAL.bytesFree), nodeCount);
    this.start = this.#owner.slice();
    this.best = this.start;
    exports.annealReset(block);
    this.#meanRise = exports.annealRun(block, SAMPLE_COUNT, 1);
  }

  /** Anneals from a map, and returns the cost of the best one met on the way. */
  run(from: Int32Array, startFactor: number, iterations: number): number {
    const { exports } = this.#context;
    this.#place(from);
    exports.annealReset(this.#block);
    this.#fields.setFloat32(ANNEAL.temperature, startFactor * this.#meanRise, true);
    const cooling = this.#endRatio ** (ANNEAL_EPOCH / Math.max(1, iterations));
    this.#fields.setFloat32(ANNEAL.cooling, cooling, true);
    const depth = this.#fields.getUint32(ANNEAL.depth, true);
    const chunk = Math.max(ANNEAL_EPOCH, Math.floor(CHUNK_CELLS / depth));
    for (let left = iterations; left > 0 && !this.#context.isCancelled(); ) {
      const count = Math.min(chunk, left);
      exports.annealRun(this.#block, count, 0);
      left -= count;
      this.done += count;
      this.#context.reportProgress(this.done);
    }
    this.acceptedCount = this.#fields.getUint32(ANNEAL.acceptedCount, true);
    const cost = this.#fields.getFloat64(ANNEAL.bestCost, true);
    if (cost < this.#bestCost) {
      this.#bestCost = cost;
      this.best = this.#bestOwner.slice();
    }
    return cost;
  }

  leaveBest(): void {
    this.#bestOwner.set(this.best);
  }

  /** Puts a map into the block, with the room and the count of moves that belong to it. */
  #place(ownerOf: Int32Array): void {
    let movedCount = 0;
    const count = (owners: Int32Array, sign: 1 | -1): void => {
      for (let p = 0; p < owners.length; p++) {
        const owner = owners[p] as number;
        if (owner === this.#home[p]) continue;
        this.#bytesFree[owner]! += sign * (this.#bytes[p] as number);
        movedCount -= sign;
      }
    };
    count(this.#owner, 1);
    movedCount = 0;
    count(ownerOf, -1);
    this.#owner.set(ownerOf);
    this.#fields.setUint32(ANNEAL.movedCount, movedCount, true);
  }
}

/** Two nodes, four partitions, eight slots: something to move, nothing to learn. */
function writeToyProblem({ buffer }: JobContext, start: Pointer): Pointer {
  const fields = new DataView(buffer);
  let next = start + ANNEAL_BLOCK_BYTES;
  const place = (offset: number, values: ArrayLike<number>, kind: 'f32' | 'f64' | 'i32'): void => {
    next = (next + 15) & ~15;
    const view =
      kind === 'f32'
        ? new Float32Array(buffer, next, values.length)
        : kind === 'f64'
          ? new Float64Array(buffer, next, values.length)
          : new Int32Array(buffer, next, values.length);
    view.set(values);
    fields.setUint32(start + offset, next, true);
    next += view.byteLength;
  };
  const filled = (count: number, value: number): number[] => new Array<number>(count).fill(value);
  const loads = Array.from({ length: 5 * 8 }, (_, i) => (i < 32 ? 0.1 + (i % 7) * 0.01 : 0));
  for (const [offset, value] of [
    [ANNEAL.partitionCount, 4],
    [ANNEAL.nodeCount, 2],
    [ANNEAL.depth, 8],
    [ANNEAL.slotStride, 8],
    [ANNEAL.resourceCount, 1],
    [ANNEAL.movableCount, 4],
    [ANNEAL.targetCount, 2],
    [ANNEAL.movesMax, 4],
  ] as const)
    fields.setUint32(start + offset, value, true);
  place(ANNEAL.load, loads, 'f32');
  place(ANNEAL.variance, loads, 'f32');
  for (const offset of [ANNEAL.nodeLoad, ANNEAL.nodeVariance, ANNEAL.background])
    place(offset, filled(16, 0), 'f32');
  place(ANNEAL.nodeCost, filled(2, 0), 'f32');
  place(ANNEAL.slotWeight, filled(8, 0.1), 'f32');
  place(ANNEAL.inverseCapacity, [1, 1], 'f32');
  place(ANNEAL.overloadFactor, [1], 'f32');
  for (const offset of [ANNEAL.owner, ANNEAL.home, ANNEAL.bestOwner]) place(offset, [0, 0, 1, 1], 'i32');
  place(ANNEAL.movePrice, filled(5, 0), 'f32');
  place(ANNEAL.holdPenalty, [0, 0], 'f32');
  place(ANNEAL.bytes, filled(4, 0), 'f64');
  place(ANNEAL.bytesFree, [1, 1], 'f64');
  place(ANNEAL.movable, [0, 1, 2, 3], 'i32');
  place(ANNEAL.targets, [0, 1], 'i32');
  place(ANNEAL.random, [1, 2, 3, 4], 'i32');
  place(ANNEAL.negativeLog, negativeLogTable(), 'f32');
  place(ANNEAL.scratch, filled(8, 0), 'f64');
  fields.setFloat32(start + ANNEAL.temperature, 0.01, true);
  fields.setFloat32(start + ANNEAL.cooling, 1, true);
  fields.setFloat32(start + ANNEAL.safeUtilisation, 0.8, true);
  return start;
}

export const annealJobs = { anneal };

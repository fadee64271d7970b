import { InvariantError } from '../base/errors.ts';
import { ANNEAL, ANNEAL_BLOCK_BYTES, ANNEAL_EPOCH, negativeLogTable } from './anneal-layout.ts';
import type { Pointer } from './exports.ts';
import type { Job, JobContext } from './job.ts';

export interface AnnealParameters {
  readonly block: Pointer;
  readonly iterations: number;
  /** Start temperature as a multiple of the mean delta above 0 of sampled proposals. */
  readonly startFactor: number;
  /** Last temperature / first. */
  readonly endRatio: number;
}

export interface AnnealResult {
  /** Fewer than asked for if the job was cancelled; the best map so far stands in the block. */
  readonly iterations: number;
  readonly acceptedCount: number;
  readonly startTemperature: number;
}

/** Proposals from which the start temperature is calibrated. */
const SAMPLE_COUNT = 512;

/** About 6 ms at a week of slots: progress and cancelling need chunks of at most 10 ms. */
const CHUNK_CELLS = 4_000_000;

const anneal: Job<AnnealParameters, AnnealResult> = {
  run(context, { block, iterations, startFactor, endRatio }) {
    const { exports, buffer } = context;
    if (exports.annealBlockBytes() !== ANNEAL_BLOCK_BYTES)
      throw new InvariantError(
        'the annealing kernel was built with another layout: run `npm run build:wasm`',
      );
    const fields = new DataView(buffer, block, ANNEAL_BLOCK_BYTES);
    exports.annealReset(block);
    const startTemperature = startFactor * exports.annealRun(block, SAMPLE_COUNT, 1);
    fields.setFloat32(ANNEAL.temperature, startTemperature, true);
    fields.setFloat32(ANNEAL.cooling, endRatio ** (ANNEAL_EPOCH / Math.max(1, iterations)), true);
    const chunk = Math.max(ANNEAL_EPOCH, Math.floor(CHUNK_CELLS / fields.getUint32(ANNEAL.depth, true)));
    let done = 0;
    while (done < iterations && !context.isCancelled()) {
      const count = Math.min(chunk, iterations - done);
      exports.annealRun(block, count, 0);
      done += count;
      context.reportProgress(done);
    }
    return {
      iterations: done,
      acceptedCount: fields.getUint32(ANNEAL.acceptedCount, true),
      startTemperature,
    };
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

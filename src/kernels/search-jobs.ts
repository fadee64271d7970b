import { InvariantError } from '../base/errors.ts';
import type { KernelExports, Pointer } from './exports.ts';
import type { Job, JobContext } from './job.ts';
import { type PlacementBlock, placementBlock } from './placement-block.ts';
import { layOut, PLACEMENT_FIELDS } from './search-layout.ts';

/** Problems of the annealing loop: their kernels, and the size of the control block this host writes. */
const PROBLEMS = {
  placement: {
    blockBytes: layOut(PLACEMENT_FIELDS).bytes,
    builtBytes: (exports: KernelExports) => exports.placementBlockBytes(),
    reset: (exports: KernelExports, block: Pointer) => exports.placementReset(block),
    run: (exports: KernelExports, block: Pointer, iterations: number) =>
      exports.placementRun(block, iterations),
  },
} as const;

export type SearchProblemName = keyof typeof PROBLEMS;

export interface SearchSlice {
  readonly problem: SearchProblemName;
  readonly block: Pointer;
  /** Starts from the block's `owner` before it runs. */
  readonly isReset: boolean;
  /** A few milliseconds of them: a worker ends what it has begun, whoever still waits for it. */
  readonly iterations: number;
}

/**
 * A piece of a search. All of its state is in the control block, so that any worker can go on where another has stopped, and
 * slices of any size give the same result as one long run.
 */
const search: Job<SearchSlice, { readonly acceptedCount: number }> = {
  run({ exports }, { problem, block, isReset, iterations }) {
    const { blockBytes, builtBytes, reset, run } = PROBLEMS[problem];
    if (builtBytes(exports) !== blockBytes)
      throw new InvariantError(
        `the search kernel for ${problem} was built with another layout: run \`npm run build:wasm\``,
      );
    if (isReset) reset(exports, block);
    return { acceptedCount: run(exports, block, iterations) };
  },

  warmUp(context, scratch) {
    // Enough to pass V8's tier-up budget on every path of the costs.
    for (const riskZ of [0, 1])
      for (const peakWeight of [0, 1]) {
        const block = toyBlock(context, scratch.pointer, { riskZ, peakWeight });
        for (let i = 0; i < 10; i++) {
          context.exports.placementReset(block.pointer);
          context.exports.placementRun(block.pointer, 2000);
        }
      }
  },
};

/** Two nodes, four partitions, eight slots: something to move, nothing to learn. */
function toyBlock(
  { buffer }: JobContext,
  pointer: Pointer,
  { riskZ, peakWeight }: { readonly riskZ: number; readonly peakWeight: number },
): PlacementBlock {
  const arena = {
    uncleared: (sizeBytes: number) => ({
      pointer,
      sizeBytes,
      view: new Uint8Array(buffer, pointer, sizeBytes).fill(0),
    }),
    free() {},
  };
  const home = Int32Array.of(0, 0, 1, 1);
  const block = placementBlock(
    arena,
    {
      partitionCount: 4,
      nodeCount: 2,
      slotStride: 8,
      resourceCount: 1,
      depth: 8,
      load: Float64Array.from({ length: 32 }, (_, i) => 0.1 + (i % 7) * 0.01),
      variance: new Float64Array(32).fill(1e-4),
      background: new Float64Array(16),
      capacity: Float64Array.of(1, 1),
      slotWeight: new Float64Array(8).fill(0.1),
      overloadFactor: Float64Array.of(1),
      riskZ,
      commonError: 0.05,
      safeUtilisation: 0.8,
      peakWeight,
      home,
      placePrice: new Float32Array(8),
      memberCount: new Int32Array(4).fill(1),
      isMovable: new Uint8Array(4).fill(1),
      isTarget: new Uint8Array(2).fill(1),
      bytes: new Float64Array(4),
      bytesFree: Float64Array.of(1, 1),
      movesMax: 4,
      groupOf: new Int32Array(4).fill(-1),
      groupZonesMin: new Int32Array(0),
      zoneOf: new Int32Array(2),
      nodeMovesMax: Number.POSITIVE_INFINITY,
      bytesMovedMax: Number.POSITIVE_INFINITY,
    },
    home,
    [1, 2, 3, 4],
  );
  block.set('temperature', 0.01);
  block.set('cooling', 1);
  return block;
}

export const searchJobs = { search };

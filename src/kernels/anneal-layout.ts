import type { Pointer } from './exports.ts';

/** assembly/anneal.ts */
export interface AnnealExports {
  annealBlockBytes(): number;
  /** Takes OWNER, MOVED_COUNT and BYTES_FREE as they stand; sums loads and costs, and starts the best map there. */
  annealReset(block: Pointer): void;
  /** @returns accepted proposals so far, or with `isSampling` 1 the mean delta above 0 (0 if there is none). */
  annealRun(block: Pointer, iterations: number, isSampling: number): number;
}

/** Byte offsets of the control block's fields: the host's copy of the numbers in assembly/anneal.ts. */
export const ANNEAL = {
  partitionCount: 0,
  nodeCount: 4,
  depth: 8,
  slotStride: 12,
  resourceCount: 16,
  load: 20,
  variance: 24,
  nodeLoad: 28,
  nodeVariance: 32,
  nodeCost: 36,
  slotWeight: 40,
  inverseCapacity: 44,
  overloadFactor: 48,
  background: 52,
  owner: 56,
  home: 60,
  bestOwner: 64,
  movePrice: 68,
  holdPenalty: 72,
  bytes: 76,
  bytesFree: 80,
  movable: 84,
  movableCount: 88,
  targets: 92,
  targetCount: 96,
  random: 100,
  negativeLog: 104,
  scratch: 108,
  movesMax: 112,
  movedCount: 116,
  temperature: 120,
  cooling: 124,
  riskZ: 128,
  commonErrorSquared: 132,
  safeUtilisation: 136,
  newCostA: 140,
  newCostB: 144,
  acceptedCount: 148,
  cost: 152,
  bestCost: 160,
  iteration: 168,
} as const;
export const ANNEAL_BLOCK_BYTES = 176;

/** Iterations between two steps of the temperature. */
export const ANNEAL_EPOCH = 256;
export const NEGATIVE_LOG_COUNT = 1024;

/** f32[1024]: -ln((i + 0.5) / 1024), so that acceptance needs a table and no logarithm that differs by platform. */
export function negativeLogTable(): Float32Array {
  return Float32Array.from(
    { length: NEGATIVE_LOG_COUNT },
    (_, i) => -Math.log((i + 0.5) / NEGATIVE_LOG_COUNT),
  );
}

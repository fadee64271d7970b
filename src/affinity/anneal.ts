import type { Random } from '../base/random.ts';
import type { AnnealParameters, AnnealResult } from '../kernels/anneal-jobs.ts';
import { ANNEAL, ANNEAL_BLOCK_BYTES, negativeLogTable } from '../kernels/anneal-layout.ts';
import type { Arena, Block } from '../kernels/arena.ts';
import { blockBytes, paddedToTile } from '../kernels/layout.ts';
import type { KernelRunner } from '../kernels/pool.ts';
import type { PlacementInstance } from './instance.ts';
import type { Optimiser, OptimiserResult } from './optimiser.ts';
import type { AffinitySettings } from './settings.ts';

export interface AnnealSettings {
  readonly iterations: number;
  /** Start temperatures to race, as multiples of the mean rise of a random proposal. */
  readonly startFactors: readonly number[];
  /** Last temperature / first. */
  readonly endRatio: number;
}

/**
 * A random proposal is far worse than one worth thinking about: even a twentieth of its mean rise lets a good map be left
 * for its neighbours without being forgotten. Few large partitions want the coldest of these, many slots the hottest.
 */
export const DEFAULT_ANNEAL_SETTINGS: AnnealSettings = {
  iterations: 100_000,
  startFactors: [0.05, 0.005, 0.0005],
  endRatio: 0.005,
};

/** Kernel memory of one annealing, bytes, at most: some of its lists may be shorter. */
export function annealBytes(
  settings: Pick<AffinitySettings, 'dimensions' | 'slotCountMax' | 'riskZ'>,
  shape: { readonly partitionCount: number; readonly nodeCount: number; readonly horizonSteps: number },
): number {
  const { partitionCount, nodeCount, horizonSteps } = shape;
  const slotCount = Math.min(horizonSteps, settings.slotCountMax);
  const resourceCount = settings.dimensions.length;
  const depth = resourceCount * paddedToTile(slotCount);
  const rows = (partitionCount + 1) * depth;
  const words = (count: number): number => blockBytes(count * 4);
  const isRisky = settings.riskZ > 0 ? 1 : 0;
  const loads = (1 + isRisky) * words(rows) + (2 + isRisky) * words(nodeCount * depth) + 3 * words(depth);
  const perPartition = 5 * words(partitionCount + 1) + 2 * words(partitionCount);
  const perNode = 5 * words(nodeCount) + words(nodeCount * resourceCount);
  const fixed = blockBytes(ANNEAL_BLOCK_BYTES) + words(resourceCount) + words(1024) + words(4);
  return loads + perPartition + perNode + fixed;
}

/** The instance in kernel memory, rounded to f32. Free it. */
export class AnnealProblem {
  readonly block: Block;
  /** i32[partition]: the best map found. */
  readonly bestOwnerOf: Int32Array;
  readonly fields: DataView;
  readonly #arena: Arena;
  readonly #blocks: Block[] = [];

  constructor(arena: Arena, instance: PlacementInstance, start: Int32Array, random: Random) {
    this.#arena = arena;
    try {
      this.block = this.#keep(arena.u8(ANNEAL_BLOCK_BYTES));
      const first = this.block as Block & { view: Uint8Array };
      this.fields = new DataView(first.view.buffer, first.pointer, ANNEAL_BLOCK_BYTES);
      this.#writeScalars(instance, start);
      this.#writeLoads(instance);
      this.#writeRules(instance, start);
      this.#place(ANNEAL.owner, arena.i32(instance.partitionCount), start);
      this.bestOwnerOf = this.#place(ANNEAL.bestOwner, arena.i32(instance.partitionCount), start);
      const low = random.nextU64();
      const high = random.nextU64();
      // An all-zero state would stay zero.
      const words = [low & 0xffffffffn, low >> 32n, high & 0xffffffffn, (high >> 32n) | 1n].map(Number);
      this.#place(ANNEAL.random, arena.u32(4), words);
    } catch (error) {
      this.free();
      throw error;
    }
  }

  free(): void {
    for (const block of this.#blocks.splice(0)) this.#arena.free(block);
  }

  #keep<Kept extends Block>(block: Kept): Kept {
    this.#blocks.push(block);
    return block;
  }

  #place<View extends { set(values: ArrayLike<number>): void }>(
    field: number,
    block: Block & { readonly view: View },
    values: ArrayLike<number>,
  ): View {
    this.#keep(block);
    block.view.set(values);
    this.fields.setUint32(field, block.pointer, true);
    return block.view;
  }

  #writeScalars(instance: PlacementInstance, start: Int32Array): void {
    const { partitionCount, home } = instance;
    let movedCount = 0;
    for (let p = 0; p < partitionCount; p++) if (start[p] !== home[p]) movedCount++;
    const counts: readonly (readonly [number, number])[] = [
      [ANNEAL.partitionCount, partitionCount],
      [ANNEAL.nodeCount, instance.nodeCount],
      [ANNEAL.depth, instance.depth],
      [ANNEAL.slotStride, instance.slotStride],
      [ANNEAL.resourceCount, instance.resourceCount],
      [ANNEAL.movesMax, instance.movesMax],
      [ANNEAL.movedCount, movedCount],
    ];
    for (const [field, value] of counts) this.fields.setUint32(field, value, true);
    this.fields.setFloat32(ANNEAL.riskZ, instance.riskZ, true);
    this.fields.setFloat32(ANNEAL.commonErrorSquared, instance.commonError ** 2, true);
    this.fields.setFloat32(ANNEAL.safeUtilisation, instance.safeUtilisation, true);
  }

  #writeLoads(instance: PlacementInstance): void {
    const arena = this.#arena;
    const { partitionCount, nodeCount, depth } = instance;
    // One row more than partitions: the null partition, which a shift is swapped with.
    const rows = (partitionCount + 1) * depth;
    this.#place(ANNEAL.load, arena.f32(rows), instance.load);
    this.#place(ANNEAL.nodeLoad, arena.f32(nodeCount * depth), instance.background);
    if (instance.riskZ > 0) {
      this.#place(ANNEAL.variance, arena.f32(rows), instance.variance);
      this.#place(ANNEAL.nodeVariance, arena.f32(nodeCount * depth), []);
    }
    this.#place(ANNEAL.nodeCost, arena.f32(nodeCount), []);
    this.#place(ANNEAL.slotWeight, arena.f32(depth), instance.slotWeight);
    this.#place(ANNEAL.background, arena.f32(nodeCount * depth), instance.background);
    this.#place(
      ANNEAL.inverseCapacity,
      arena.f32(instance.capacity.length),
      instance.capacity.map((own) => 1 / own),
    );
    this.#place(ANNEAL.overloadFactor, arena.f32(instance.resourceCount), instance.overloadFactor);
    this.#place(ANNEAL.negativeLog, arena.f32(1024), negativeLogTable());
    this.#place(ANNEAL.scratch, arena.f64(depth), []);
  }

  #writeRules(instance: PlacementInstance, start: Int32Array): void {
    const arena = this.#arena;
    const { partitionCount, nodeCount, home, bytes } = instance;
    const movable: number[] = [];
    // A node that must not receive has less than no room.
    const bytesFree = instance.bytesFree.map((free, n) => (instance.isTarget[n] === 1 ? free : -1));
    for (let p = 0; p < partitionCount; p++) {
      if (instance.isMovable[p] === 1) movable.push(p);
      if (start[p] !== home[p]) bytesFree[start[p] as number]! -= bytes[p] as number;
    }
    const targets = [...instance.isTarget.keys()].filter((n) => instance.isTarget[n] === 1);
    this.#place(ANNEAL.home, arena.i32(partitionCount), home);
    this.#place(ANNEAL.movePrice, arena.f32(partitionCount + 1), instance.movePrice);
    this.#place(ANNEAL.holdPenalty, arena.f32(nodeCount), instance.holdPenalty);
    this.#place(ANNEAL.bytes, arena.f64(partitionCount), bytes);
    this.#place(ANNEAL.bytesFree, arena.f64(nodeCount), bytesFree);
    this.#place(ANNEAL.movable, arena.i32(movable.length), movable);
    this.#place(ANNEAL.targets, arena.i32(targets.length), targets);
    this.fields.setUint32(ANNEAL.movableCount, movable.length, true);
    this.fields.setUint32(ANNEAL.targetCount, targets.length, true);
  }
}

export interface AnnealOutcome extends OptimiserResult, AnnealResult {
  readonly iterations: number;
}

export interface Annealer extends Optimiser {
  optimise(...search: Parameters<Optimiser['optimise']>): Promise<AnnealOutcome>;
}

/**
 * Simulated annealing in a kernel worker. The whole search is Wasm; what comes back is a map, integers, which the f64
 * objective judges. Deterministic for a seed, an iteration budget and a kernel build.
 */
export function annealer(runner: KernelRunner, settings: AnnealSettings = DEFAULT_ANNEAL_SETTINGS): Annealer {
  return {
    name: 'anneal',
    async optimise(instance, start, { random }) {
      const problem = new AnnealProblem(runner.kernels.arena, instance, start, random);
      try {
        const parameters: AnnealParameters = { block: problem.block.pointer, ...settings };
        const result = await runner.run('anneal', parameters);
        return { ...result, ownerOf: problem.bestOwnerOf.slice() };
      } finally {
        problem.free();
      }
    },
  };
}

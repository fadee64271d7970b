import type { Random } from '../../base/random.ts';
import { CANCELLED, untilCancelled } from '../../base/slices.ts';
import { paddedToTile } from '../../kernels/layout.ts';
import { orderingBySize, placementBytes, unfilledPlacementBlock } from '../../kernels/placement-block.ts';
import type { KernelRunner } from '../../kernels/pool.ts';
import type { PlacementInstance } from '../instance.ts';
import type { AffinitySettings } from '../settings.ts';
import { Annealing, type AnnealResult, type AnnealSettings, DEFAULT_ANNEAL_SETTINGS } from './annealing.ts';
import type { Optimiser, OptimiserResult } from './optimiser.ts';
import { pricingPlaces } from './place-prices.ts';

export { type AnnealSettings, DEFAULT_ANNEAL_SETTINGS } from './annealing.ts';

export interface AnnealOutcome extends OptimiserResult, AnnealResult {
  readonly iterations: number;
}

export interface Annealer extends Optimiser {
  optimise(...search: Parameters<Optimiser['optimise']>): Promise<AnnealOutcome>;
}

const nothingFound = (start: Int32Array, { startAcceptances }: AnnealSettings): AnnealOutcome => ({
  ownerOf: start.slice(),
  elites: [],
  iterations: 0,
  acceptedCount: 0,
  startAcceptance: startAcceptances[0] as number,
});

/** Kernel memory of one annealing, bytes, at most. Groups that keep apart take more. */
export function annealBytes(
  settings: Pick<AffinitySettings, 'dimensions' | 'slotCountMax' | 'riskZ'>,
  shape: { readonly partitionCount: number; readonly nodeCount: number; readonly horizonSteps: number },
): number {
  const { partitionCount, nodeCount, horizonSteps } = shape;
  const slotCount = Math.min(horizonSteps, settings.slotCountMax);
  const resourceCount = settings.dimensions.length;
  return placementBytes({
    partitionCount,
    nodeCount,
    resourceCount,
    depth: resourceCount * paddedToTile(slotCount),
    isRisky: settings.riskZ > 0,
  });
}

/** u32[4] for the kernel's generator; all zero would stay zero. */
export function kernelSeed(random: Random): readonly number[] {
  const low = random.nextU64();
  const high = random.nextU64();
  return [low & 0xffffffffn, low >> 32n, high & 0xffffffffn, (high >> 32n) | 1n].map(Number);
}

/** Roughly what a proposal takes on an ordinary machine, nanoseconds: slices are cut to milliseconds by it. */
const nsPerProposal = (depth: number): number => 60 + 2 * depth;
const SLICE_NS = 4e6;

/** What the kernel is to know of an instance. */
function* preparing(instance: PlacementInstance) {
  const numbers = { ...instance, placePrice: yield* pricingPlaces(instance) };
  return { numbers, order: yield* orderingBySize(numbers) };
}

/**
 * Simulated annealing in kernel workers. The whole search is Wasm; what comes back is a map, integers, which the f64
 * objective judges. Deterministic for a seed, an iteration budget and a kernel build.
 */
export function annealer(runner: KernelRunner, settings: AnnealSettings = DEFAULT_ANNEAL_SETTINGS): Annealer {
  return {
    name: 'anneal',
    async optimise(instance, start, context) {
      // What follows takes a while before the first slice of the search.
      await context.clock?.sleep(0);
      const pace = { clock: context.clock, isCancelled: () => context.isCancelled?.() ?? false };
      const prepared = await untilCancelled(preparing(instance), pace);
      if (prepared === CANCELLED) return nothingFound(start, settings);
      const { numbers, order } = prepared;
      const block = unfilledPlacementBlock(runner.kernels.arena, numbers, {
        start,
        seed: kernelSeed(context.random),
        order,
      });
      const annealing = new Annealing(runner, block, {
        problem: 'placement',
        home: instance.home,
        context,
        sliceIterations: SLICE_NS / nsPerProposal(instance.depth),
      });
      try {
        if ((await untilCancelled(block.filling(), pace)) === CANCELLED) return nothingFound(start, settings);
        const result = await annealing.search(settings);
        const elites = annealing.elites.map(({ ownerOf }) => ownerOf);
        return { ...result, ownerOf: elites[0] ?? start.slice(), elites };
      } finally {
        annealing.free();
      }
    },
  };
}

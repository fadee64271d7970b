import { buildInstance } from '../../src/affinity/instance.ts';
import { placePrices } from '../../src/affinity/optimisers/place-prices.ts';
import { DEFAULT_AFFINITY_SETTINGS } from '../../src/affinity/settings.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { Kernels } from '../../src/kernels/instance.ts';
import { placementBlock } from '../../src/kernels/placement-block.ts';
import { OPERATOR_NUMBERS, PLACEMENT_OPERATORS } from '../../src/kernels/search-layout.ts';
import { SEED, syntheticInputs } from './synthetic.ts';

/** At it some 9 % of the proposals are accepted: hotter than most of an annealing. */
export const TEMPERATURE = 3e-4;

/** The kernel's generator starts from these. */
export const WORDS = [1, 2, 3, 4] as const;

/**
 * The search kernel with half shifts, half swaps and no rules, which is easily written again in another language: 256
 * partitions on 8 nodes, at one temperature, from the same map every time.
 */
export function shiftsAndSwaps(
  { arena, exports }: Pick<Kernels, 'arena' | 'exports'>,
  { slotCount, riskZ }: { readonly slotCount: number; readonly riskZ: number },
) {
  const size = { partitionCount: 256, nodeCount: 8, slotCount };
  const plain = buildInstance(syntheticInputs(seededRandom(SEED), size), {
    ...DEFAULT_AFFINITY_SETTINGS,
    riskZ,
    movesMax: size.partitionCount,
  });
  const instance = {
    ...plain,
    // A tenth of the load either way.
    variance: plain.load.map((own) => (own / 10) ** 2),
    nodeMovesMax: Number.POSITIVE_INFINITY,
    bytesMovedMax: Number.POSITIVE_INFINITY,
  };
  const numbers = { ...instance, placePrice: placePrices(instance) };
  const block = placementBlock(arena, numbers, instance.home, WORDS);
  block.set('isLearning', 0);
  block.set('sampleMax', 0);
  PLACEMENT_OPERATORS.forEach(({ name, price }, o) => {
    const share = name === 'shift' || name === 'swap' ? 0.5 : 0;
    block.operators.set([share, 0, 0, price, share], OPERATOR_NUMBERS * o);
  });
  return {
    size,
    numbers,
    block,
    /** So many proposals from the start. @returns accepted ones, and the cost of the best map. */
    run(iterations: number): { accepted: number; bestCost: number } {
      block.owner.set(instance.home);
      (['random0', 'random1', 'random2', 'random3'] as const).forEach((field, i) => {
        block.set(field, WORDS[i] as number);
      });
      block.set('temperature', TEMPERATURE);
      block.set('cooling', 1);
      exports.placementReset(block.pointer);
      const accepted = exports.placementRun(block.pointer, iterations);
      return { accepted, bestCost: block.get('bestCost') };
    },
  };
}

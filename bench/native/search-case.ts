import { buildInstance } from '../../src/affinity/instance.ts';
import { placePrices } from '../../src/affinity/place-prices.ts';
import { DEFAULT_AFFINITY_SETTINGS } from '../../src/affinity/settings.ts';
import { seededRandom } from '../../src/base/random.ts';
import { loadKernels } from '../../src/kernels/instance.ts';
import { placementBlock } from '../../src/kernels/placement-block.ts';
import { negativeLogTable, OPERATOR_NUMBERS, PLACEMENT_OPERATORS } from '../../src/kernels/search-layout.ts';
import { SEED, syntheticInputs } from '../placement/synthetic.ts';
import type { NativeCase } from './case.ts';

/** Of these proposals some 3 % are accepted, as in the middle of an annealing. */
const TEMPERATURE = 3e-4;

const WORDS = [1, 2, 3, 4] as const;

/** Shifts and swaps of 256 partitions on 8 nodes over 96 slots, at one temperature, from the same map every time. */
export function searchCase(riskZ: number, { isSmall }: { readonly isSmall: boolean }): NativeCase {
  const { arena, exports } = loadKernels();
  const iterations = isSmall ? 2_000 : 20_000;
  const size = { partitionCount: 256, nodeCount: 8, slotCount: 96 };
  const inputs = syntheticInputs(seededRandom(SEED), size);
  const plain = buildInstance(inputs, {
    ...DEFAULT_AFFINITY_SETTINGS,
    riskZ,
    movesMax: size.partitionCount,
  });
  const instance = {
    ...plain,
    // A tenth of the load either way.
    variance: plain.load.map((own) => (own / 10) ** 2),
    // C knows no rules.
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
  const inverse = instance.capacity.map((own) => 1 / own);
  const parts = [
    instance.load,
    instance.variance,
    instance.slotWeight,
    inverse,
    numbers.placePrice,
    negativeLogTable(),
  ];
  const input = Float64Array.from([...parts, instance.home].flatMap((part) => [...part]));
  return {
    name: riskZ > 0 ? 'search-risk' : 'search',
    source: 'search.c',
    input,
    numbers: [
      size.partitionCount,
      size.nodeCount,
      instance.depth,
      iterations,
      riskZ,
      instance.commonError ** 2,
      instance.safeUtilisation,
      instance.overloadFactor[0] as number,
      TEMPERATURE,
      ...WORDS,
    ],
    amount: iterations,
    unit: 'proposal',
    settings: { ...size, riskZ, temperature: TEMPERATURE },
    // The same operations in the same order, on the same numbers.
    tolerance: 1e-12,
    runKernel() {
      block.owner.set(instance.home);
      (['random0', 'random1', 'random2', 'random3'] as const).forEach((field, i) => {
        block.set(field, WORDS[i] as number);
      });
      block.set('temperature', TEMPERATURE);
      block.set('cooling', 1);
      exports.placementReset(block.pointer);
      return exports.placementRun(block.pointer, iterations) + block.get('bestCost');
    },
  };
}

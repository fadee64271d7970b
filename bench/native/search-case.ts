import { loadKernels } from '../../src/kernels/instance.ts';
import { negativeLogTable } from '../../src/kernels/search-layout.ts';
import { shiftsAndSwaps, TEMPERATURE, WORDS } from '../placement/shifts-and-swaps.ts';
import type { NativeCase } from './case.ts';

/** Shifts and swaps of 256 partitions on 8 nodes over 96 slots. */
export function searchCase(riskZ: number, { isSmall }: { readonly isSmall: boolean }): NativeCase {
  const iterations = isSmall ? 2_000 : 20_000;
  const { size, numbers, run } = shiftsAndSwaps(loadKernels(), { slotCount: 96, riskZ });
  const parts: readonly ArrayLike<number>[] = [
    numbers.load,
    numbers.variance,
    numbers.slotWeight,
    numbers.capacity.map((own) => 1 / own),
    numbers.placePrice,
    negativeLogTable(),
    numbers.home,
  ];
  return {
    name: riskZ > 0 ? 'search-risk' : 'search',
    source: 'search.c',
    input: Float64Array.from(parts.flatMap((part) => Array.from(part))),
    numbers: [
      size.partitionCount,
      size.nodeCount,
      numbers.depth,
      iterations,
      riskZ,
      numbers.commonError ** 2,
      numbers.safeUtilisation,
      numbers.overloadFactor[0] as number,
      TEMPERATURE,
      ...WORDS,
    ],
    amount: iterations,
    unit: 'proposal',
    settings: { ...size, riskZ, temperature: TEMPERATURE },
    // The same operations in the same order, on the same numbers.
    tolerance: 1e-12,
    runKernel() {
      const { accepted, bestCost } = run(iterations);
      return accepted + bestCost;
    },
  };
}

/**
 * How good the maps are and what finding them costs: against what operators use today and a bound that no map can beat, on
 * synthetic instances; the search kernel against its twin; whole plans; and policies on weeks of the flights log.
 */
import { loadKernels } from '../src/kernels/instance.ts';
import { comparePoliciesOnFlights } from './flights-policies.ts';
import { compareKernelWithTwin } from './placement/kernel.ts';
import { compareOptimisers } from './placement/optimisers.ts';
import { timePlan } from './placement/plan.ts';
import type { Size } from './placement/synthetic.ts';
import type { BenchOutcome, BenchResult } from './types.ts';

export const area = 'placement';

const SIZES: readonly Size[] = [
  { partitionCount: 256, nodeCount: 8, slotCount: 1 },
  { partitionCount: 1024, nodeCount: 16, slotCount: 1 },
  { partitionCount: 256, nodeCount: 8, slotCount: 24 },
];

const PLANS: readonly Size[] = [
  { partitionCount: 256, nodeCount: 8, slotCount: 168 },
  { partitionCount: 8000, nodeCount: 16, slotCount: 24 },
];

export async function run({ isSmall }: { isSmall: boolean }): Promise<BenchOutcome> {
  const kernels = loadKernels();
  const results: BenchResult[] = [];
  for (const size of isSmall ? [{ partitionCount: 64, nodeCount: 8, slotCount: 4 }] : SIZES)
    results.push(...(await compareOptimisers(kernels, size, isSmall)));
  for (const slotCount of isSmall ? [96] : [96, 168])
    results.push(compareKernelWithTwin(kernels, slotCount, isSmall));
  for (const size of isSmall ? [{ partitionCount: 256, nodeCount: 8, slotCount: 24 }] : PLANS)
    results.push(await timePlan(kernels, size, isSmall));
  const flights = isSmall
    ? {
        results: [],
        skipped: [{ name: 'policies/flights', why: 'a week of hourly plans takes half a minute' }],
      }
    : await comparePoliciesOnFlights(kernels);
  return { results: [...results, ...flights.results], skipped: flights.skipped };
}

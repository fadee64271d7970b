/**
 * How good the maps are and what finding them costs: against what operators use today and a bound that no map can beat, on
 * synthetic instances; the search kernel against plain JavaScript and C; whole plans, and how soon a search can be
 * cancelled; the published instances of machine reassignment; and policies on weeks of the flights log.
 */
import { loadKernels } from '../src/kernels/instance.ts';
import { comparePoliciesOnFlights } from './flights-policies.ts';
import { kernelsAgainstC } from './native.ts';
import { barRows } from './placement/bars.ts';
import { timeCancels } from './placement/cancel.ts';
import { compareKernelWithJs } from './placement/kernel.ts';
import { compareOptimisers } from './placement/optimisers.ts';
import { timePlan } from './placement/plan.ts';
import { type Problem, problemA, problemB } from './placement/problems.ts';
import { compareRoadef } from './placement/roadef.ts';
import type { Size } from './placement/synthetic.ts';
import type { BenchOptions, BenchOutcome, BenchResult } from './types.ts';

export const area = 'placement';

const ONE_SLOT: readonly Size[] = [
  { partitionCount: 256, nodeCount: 8, slotCount: 1 },
  { partitionCount: 1024, nodeCount: 16, slotCount: 1 },
];

const PROBLEMS: readonly (() => Problem)[] = [
  ...ONE_SLOT.map((size) => () => problemA(size)),
  ...ONE_SLOT.map((size) => () => problemB(size)),
  () => problemB({ partitionCount: 256, nodeCount: 8, slotCount: 24 }),
];

const SMALL_PROBLEMS: readonly (() => Problem)[] = [
  () => problemA({ partitionCount: 64, nodeCount: 8, slotCount: 1 }),
  () => problemB({ partitionCount: 64, nodeCount: 8, slotCount: 4 }),
];

const PLANS: readonly Size[] = [
  { partitionCount: 256, nodeCount: 8, slotCount: 168 },
  { partitionCount: 8000, nodeCount: 16, slotCount: 24 },
];

const CANCELLED: Size = { partitionCount: 8000, nodeCount: 16, slotCount: 24 };
const CANCELLED_SMALL: Size = { partitionCount: 256, nodeCount: 8, slotCount: 24 };

/** For each instance of ROADEF: enough to see that the search works; what it can do takes minutes. */
const ROADEF_SECONDS = 3;

export async function run({ isSmall, seconds = ROADEF_SECONDS }: BenchOptions): Promise<BenchOutcome> {
  const kernels = loadKernels();
  const results: BenchResult[] = [];
  const skipped: BenchOutcome['skipped'][number][] = [];
  for (const problem of isSmall ? SMALL_PROBLEMS : PROBLEMS) {
    const compared = await compareOptimisers(kernels, problem(), isSmall);
    results.push(...compared.results);
    skipped.push(...compared.skipped);
  }
  for (const slotCount of isSmall ? [96] : [96, 168])
    for (const riskZ of [0, 0.5]) results.push(compareKernelWithJs(kernels, { slotCount, riskZ }, isSmall));
  const againstC = await kernelsAgainstC({ isSmall, area: 'placement' });
  results.push(...againstC.results);
  skipped.push(...againstC.skipped);
  for (const size of isSmall ? [{ partitionCount: 256, nodeCount: 8, slotCount: 24 }] : PLANS)
    results.push(await timePlan(kernels, size, isSmall));
  results.push(...(await timeCancels(kernels, isSmall ? CANCELLED_SMALL : CANCELLED, isSmall)));
  const roadef = await compareRoadef({ seconds, isSmall });
  results.push(...roadef.results);
  skipped.push(...roadef.skipped);
  const flights = isSmall
    ? {
        results: [],
        skipped: [{ name: 'policies/flights', why: 'a week of hourly plans takes half a minute' }],
      }
    : await comparePoliciesOnFlights(kernels);
  // A small run is too small to hold it to anything.
  if (!isSmall) results.push(...barRows(results));
  return { results: [...results, ...flights.results], skipped: [...skipped, ...flights.skipped] };
}

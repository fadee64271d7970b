import type { Kernels } from '../../src/kernels/instance.ts';
import type { BenchResult } from '../types.ts';
import { cpuMs, hashOf } from './measures.ts';
import { PlainSearch } from './plain-search.ts';
import { shiftsAndSwaps, TEMPERATURE } from './shifts-and-swaps.ts';

/** Both accept the same share of proposals, or the ratio would not be of the same work. */
const ACCEPTED_TOLERANCE = 0.25;

/** Proposals a CPU second of the SIMD kernel, against the same search in plain JavaScript. */
export function compareKernelWithJs(
  kernels: Kernels,
  { slotCount, riskZ }: { readonly slotCount: number; readonly riskZ: number },
  isSmall: boolean,
): BenchResult {
  const { size, numbers, block, run } = shiftsAndSwaps(kernels, { slotCount, riskZ });
  const rounds = isSmall ? 3 : 30;
  const perRound = 20_000;
  const kernel = { ms: 0, accepted: 0 };
  const plain = { ms: 0, accepted: 0 };
  for (let round = -3; round < rounds; round++) {
    const startedMs = cpuMs();
    const { accepted } = run(perRound);
    const betweenMs = cpuMs();
    const acceptedByPlain = new PlainSearch(numbers, round + 10).run(perRound, TEMPERATURE);
    const endedMs = cpuMs();
    // The first rounds warm both up.
    if (round < 0) continue;
    kernel.ms += betweenMs - startedMs;
    kernel.accepted += accepted;
    plain.ms += endedMs - betweenMs;
    plain.accepted += acceptedByPlain;
  }
  const hash = hashOf(block.bestOwner);
  block.free();
  if (Math.abs(kernel.accepted / plain.accepted - 1) > ACCEPTED_TOLERANCE)
    throw new Error(`the kernel accepted ${kernel.accepted} proposals, plain JavaScript ${plain.accepted}`);
  const proposals = rounds * perRound;
  const value = (proposals / kernel.ms) * 1e3;
  const baselineValue = (proposals / plain.ms) * 1e3;
  return {
    name: `anneal-kernel${riskZ > 0 ? '-risk' : ''}/${size.partitionCount}x${size.nodeCount}x${slotCount}`,
    metric: 'proposals a CPU second',
    value,
    unit: '1/s',
    baseline: 'plain-js',
    baselineValue,
    ratio: value / baselineValue,
    settings: { proposals, accepted: kernel.accepted, temperature: TEMPERATURE, riskZ },
    hash,
  };
}

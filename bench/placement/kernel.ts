import type { Kernels } from '../../src/kernels/instance.ts';
import { median } from '../median.ts';
import type { BenchResult } from '../types.ts';
import { cpuMs, hashOf } from './measures.ts';
import { PlainSearch } from './plain-search.ts';
import { shiftsAndSwaps, TEMPERATURE } from './shifts-and-swaps.ts';

/** Both accept the same share of proposals, or the ratio would not be of the same work. */
const ACCEPTED_TOLERANCE = 0.25;

interface Round {
  readonly kernelMs: number;
  readonly plainMs: number;
  readonly accepted: number;
  readonly acceptedByPlain: number;
}

/** Rounds compared with as many before them; their times vary by a few hundredths. */
const WINDOW = 4;
const STEADY = 0.97;
/** About four seconds: by then V8's optimising compilers are long done. */
const WARM_ROUNDS_MAX = 40;

/** Runs rounds until neither gets faster any more: V8 first runs code that was compiled in a hurry. @returns how many. */
function untilSteady(oneRound: (round: number) => Round): number {
  const times: Round[] = [];
  const of = (name: 'kernelMs' | 'plainMs', end: number): number =>
    median(times.slice(end - WINDOW, end).map((round) => round[name]));
  const isSteady = (name: 'kernelMs' | 'plainMs'): boolean =>
    of(name, times.length) >= STEADY * of(name, times.length - WINDOW);
  while (times.length < WARM_ROUNDS_MAX) {
    for (let i = 0; i < WINDOW; i++) times.push(oneRound(times.length));
    if (times.length > WINDOW && isSteady('kernelMs') && isSteady('plainMs')) break;
  }
  return times.length;
}

/** Proposals a CPU second, by the median of rounds that take turns, of the SIMD kernel, against the same search in plain JavaScript. */
export function compareKernelWithJs(
  kernels: Kernels,
  { slotCount, riskZ }: { readonly slotCount: number; readonly riskZ: number },
  isSmall: boolean,
): BenchResult {
  const { size, numbers, block, run } = shiftsAndSwaps(kernels, { slotCount, riskZ });
  const rounds = isSmall ? 3 : 30;
  const perRound = 20_000;
  const oneRound = (round: number): Round => {
    const startedMs = cpuMs();
    const { accepted } = run(perRound);
    const betweenMs = cpuMs();
    const acceptedByPlain = new PlainSearch(numbers, round).run(perRound, TEMPERATURE);
    const endedMs = cpuMs();
    return { kernelMs: betweenMs - startedMs, plainMs: endedMs - betweenMs, accepted, acceptedByPlain };
  };
  const warmRounds = isSmall ? 3 : untilSteady(oneRound);
  const measured = Array.from({ length: rounds }, (_, round) => oneRound(warmRounds + round));
  const hash = hashOf(block.bestOwner);
  block.free();
  const sumOf = (of: (round: Round) => number): number => measured.reduce((sum, round) => sum + of(round), 0);
  const accepted = sumOf((round) => round.accepted);
  const acceptedByPlain = sumOf((round) => round.acceptedByPlain);
  if (Math.abs(accepted / acceptedByPlain - 1) > ACCEPTED_TOLERANCE)
    throw new Error(`the kernel accepted ${accepted} proposals, plain JavaScript ${acceptedByPlain}`);
  const value = (perRound / median(measured.map(({ kernelMs }) => kernelMs))) * 1e3;
  const baselineValue = (perRound / median(measured.map(({ plainMs }) => plainMs))) * 1e3;
  return {
    name: `anneal-kernel${riskZ > 0 ? '-risk' : ''}/${size.partitionCount}x${size.nodeCount}x${slotCount}`,
    metric: 'proposals a CPU second',
    value,
    unit: '1/s',
    baseline: 'plain-js',
    baselineValue,
    ratio: value / baselineValue,
    settings: { proposals: rounds * perRound, accepted, temperature: TEMPERATURE, riskZ, warmRounds },
    hash,
  };
}

import { kernelSeed } from '../../src/affinity/anneal.ts';
import { placePrices } from '../../src/affinity/place-prices.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { Kernels } from '../../src/kernels/instance.ts';
import { placementBlock } from '../../src/kernels/placement-block.ts';
import { PlacementOracle } from '../../test/oracles/placement-search.ts';
import type { BenchResult } from '../types.ts';
import { cpuMs, hashOf } from './measures.ts';
import { problemB } from './problems.ts';
import { SEED } from './synthetic.ts';

/** Of these proposals a few in a hundred are accepted, as in the middle of an annealing. */
const TEMPERATURE = 3e-4;

/** Proposals a CPU second of the SIMD kernel, against the same algorithm in plain JavaScript. */
export function compareKernelWithTwin(kernels: Kernels, slotCount: number, isSmall: boolean): BenchResult {
  const size = { partitionCount: 256, nodeCount: 8, slotCount };
  const { instance } = problemB(size);
  const start = instance.home;
  const numbers = { ...instance, placePrice: placePrices(instance) };
  const words = kernelSeed(seededRandom(SEED));
  const block = placementBlock(kernels.arena, numbers, start, words);
  const twin = new PlacementOracle(numbers, start, words, block.get('sampleMax'));
  kernels.exports.placementReset(block.pointer);
  block.set('temperature', TEMPERATURE);
  block.set('cooling', 1);
  twin.temperature = TEMPERATURE;
  const rounds = isSmall ? 5 : 30;
  const perRound = 4_000;
  let kernelMs = 0;
  let twinMs = 0;
  for (let round = -3; round < rounds; round++) {
    const startedMs = cpuMs();
    kernels.exports.placementRun(block.pointer, perRound);
    const betweenMs = cpuMs();
    twin.run(perRound);
    const endedMs = cpuMs();
    // The first rounds warm both up.
    if (round < 0) continue;
    kernelMs += betweenMs - startedMs;
    twinMs += endedMs - betweenMs;
  }
  const hash = hashOf(block.bestOwner);
  block.free();
  if (hash !== hashOf(twin.best)) throw new Error('the kernel and its twin found different maps');
  const proposals = rounds * perRound;
  const value = (proposals / kernelMs) * 1e3;
  const baselineValue = (proposals / twinMs) * 1e3;
  return {
    name: `anneal-kernel/256x8x${slotCount}`,
    metric: 'proposals a CPU second',
    value,
    unit: '1/s',
    baseline: 'js-twin',
    baselineValue,
    ratio: value / baselineValue,
    settings: { proposals, temperature: TEMPERATURE },
    hash,
  };
}

import { AnnealProblem } from '../../src/affinity/anneal.ts';
import { buildInstance } from '../../src/affinity/instance.ts';
import { seededRandom } from '../../src/base/random.ts';
import { ANNEAL } from '../../src/kernels/anneal-layout.ts';
import type { Kernels } from '../../src/kernels/instance.ts';
import { AnnealOracle } from '../../test/oracles/anneal.ts';
import type { BenchResult } from '../types.ts';
import { cpuMs, hashOf } from './measures.ts';
import { objectiveB, SEED, syntheticInputs } from './synthetic.ts';

/** Proposals a CPU second of the SIMD kernel, against the same algorithm in plain JavaScript. */
export function compareKernelWithTwin(kernels: Kernels, slotCount: number, isSmall: boolean): BenchResult {
  const size = { partitionCount: 256, nodeCount: 8, slotCount };
  const inputs = syntheticInputs(seededRandom(SEED), size);
  const instance = buildInstance(inputs, objectiveB(inputs));
  const start = instance.home;
  const problem = new AnnealProblem(kernels.arena, instance, start, seededRandom(SEED));
  const random = new Uint32Array(kernels.memory.buffer, problem.fields.getUint32(ANNEAL.random, true), 4);
  const twin = new AnnealOracle(instance, start, random);
  const block = problem.block.pointer;
  kernels.exports.annealReset(block);
  problem.fields.setFloat32(ANNEAL.temperature, 1e-3, true);
  problem.fields.setFloat32(ANNEAL.cooling, 1, true);
  twin.temperature = Math.fround(1e-3);
  const rounds = isSmall ? 5 : 30;
  const perRound = 4_000;
  let kernelMs = 0;
  let twinMs = 0;
  for (let round = -3; round < rounds; round++) {
    const startedMs = cpuMs();
    kernels.exports.annealRun(block, perRound, 0);
    const betweenMs = cpuMs();
    twin.run(perRound, false);
    const endedMs = cpuMs();
    // The first rounds warm both up.
    if (round < 0) continue;
    kernelMs += betweenMs - startedMs;
    twinMs += endedMs - betweenMs;
  }
  const hash = hashOf(problem.bestOwnerOf);
  problem.free();
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
    settings: { proposals, temperature: 1e-3 },
    hash,
  };
}

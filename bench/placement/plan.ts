import { greedy } from '../../src/affinity/optimisers/greedy.ts';
import type { Optimiser } from '../../src/affinity/optimisers/optimiser.ts';
import { optimizers } from '../../src/affinity/optimisers/registry.ts';
import { AffinityManager } from '../../src/affinity/planner.ts';
import { DEFAULT_AFFINITY_SETTINGS } from '../../src/affinity/settings.ts';
import { assert } from '../../src/base/assert.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { Kernels } from '../../src/kernels/instance.ts';
import { inlineRunner } from '../../src/kernels/pool.ts';
import type { Proposal } from '../../src/model/proposal.ts';
import { median } from '../median.ts';
import type { BenchResult } from '../types.ts';
import { cpuMs, hashOf } from './measures.ts';
import { SEED, type Size, sizeName, syntheticInputs } from './synthetic.ts';

/** Medians: on a busy machine the same plan takes half as long again at times. */
const ROUNDS = 3;

/** A whole plan, bound, greedy start, search, pruning and order, as the hourly cycle makes it. */
export async function timePlan(kernels: Kernels, size: Size, isSmall: boolean): Promise<BenchResult> {
  const inputs = syntheticInputs(seededRandom(SEED), size);
  const settings = {
    ...DEFAULT_AFFINITY_SETTINGS,
    iterations: isSmall ? 10_000 : DEFAULT_AFFINITY_SETTINGS.iterations,
  };
  const components = { runner: () => inlineRunner(kernels), clock: systemClock() };
  const search = optimizers[settings.optimizer](components, settings.iterations);
  const managerWith = (optimiser: Optimiser) =>
    new AffinityManager(settings, { random: seededRandom(SEED), logger: silentLogger, optimiser });
  // The first plan of a process also waits for the compiler.
  if (size.partitionCount <= 1000) await managerWith(search).propose(inputs);
  const timesMs: number[] = [];
  const greedyMs: number[] = [];
  let proposal: Proposal | undefined;
  const rounds = isSmall ? 1 : ROUNDS;
  for (let round = 0; round < rounds; round++) {
    const startedMs = cpuMs();
    proposal = await managerWith(search).propose(inputs);
    const betweenMs = cpuMs();
    await managerWith(greedy).propose(inputs);
    timesMs.push(betweenMs - startedMs);
    greedyMs.push(cpuMs() - betweenMs);
  }
  assert(proposal !== undefined, 'a plan was made');
  const value = median(timesMs);
  const baselineValue = median(greedyMs);
  return {
    name: `plan/${sizeName(size)}`,
    metric: 'CPU time of a plan',
    value,
    unit: 'ms',
    baseline: 'greedy-only plan',
    baselineValue,
    ratio: value / baselineValue,
    settings: {
      rounds,
      iterations: settings.iterations,
      moves: proposal.moves.length,
      costOverBound: Number((proposal.costAfter / proposal.lowerBound).toFixed(4)),
    },
    hash: hashOf(proposal.targetOwnerOf),
  };
}

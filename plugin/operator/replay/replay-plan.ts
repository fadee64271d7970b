import { optimizers } from '../../../src/affinity/optimisers/registry.ts';
import { AffinityManager } from '../../../src/affinity/planner.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import { inlineRunner } from '../../../src/kernels/pool.ts';
import { inputsHash } from '../../host/analysis/inputs-hash.ts';
import { type KeptPlan, planBytes } from '../../host/plans/kept-plan.ts';

/** What came of making a plan a second time. */
export interface ReplayedPlan {
  readonly isSame: boolean;
  readonly moveCount: number;
  readonly bytes: number;
  /** Fields of the plan that differ. */
  readonly differences: readonly string[];
  /** Whether the inputs are still what their hash says. */
  readonly areInputsWhole: boolean;
  readonly kernelHash: string;
}

/** Makes a kept plan again, and compares the two byte for byte. */
export async function replayPlan(kept: KeptPlan): Promise<ReplayedPlan> {
  const kernels = loadKernels();
  const { settings, copiesPerNodeMax, endedAfter, inputs } = kept;
  const manager = new AffinityManager(settings, {
    random: seededRandom(BigInt(kept.seed)),
    logger: silentLogger,
    optimiser: optimizers[settings.optimizer](
      { runner: () => inlineRunner(kernels), clock: systemClock() },
      settings.iterations,
    ),
    copiesPerNodeMax,
    ...(endedAfter && { endAfter: endedAfter }),
  });
  const again = planBytes(await manager.propose(inputs));
  return {
    isSame: Buffer.compare(again, kept.plan) === 0,
    moveCount: (fieldsOf(kept.plan).moves as unknown[]).length,
    bytes: kept.plan.length,
    differences: differencesOf(kept.plan, again),
    areInputsWhole: inputsHash(inputs, { affinity: settings, copiesPerNodeMax }) === kept.inputsHash,
    kernelHash: kernels.hash,
  };
}

const fieldsOf = (plan: Uint8Array): Record<string, unknown> => JSON.parse(new TextDecoder().decode(plan));

function differencesOf(first: Uint8Array, second: Uint8Array): string[] {
  const [before, after] = [fieldsOf(first), fieldsOf(second)];
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
    (field) => JSON.stringify(before[field]) !== JSON.stringify(after[field]),
  );
}

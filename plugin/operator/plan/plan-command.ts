import type { Optimiser } from '../../../src/affinity/optimiser.ts';
import { optimizers } from '../../../src/affinity/optimizers.ts';
import { type InstancePlan, planInstance } from '../../../src/affinity/plan-instance.ts';
import { DEFAULT_PORTFOLIO_SETTINGS } from '../../../src/affinity/portfolio.ts';
import type { AffinitySettings } from '../../../src/affinity/settings.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import { inlineRunner, type KernelRunner } from '../../../src/kernels/pool.ts';
import { printJson, printLine } from '../output.ts';
import type { PlanFlags } from './flags.ts';
import { planInstanceJsonSchema } from './instance-schema.ts';
import { makeInstance, type NamedInstance } from './make-instance.ts';
import { type PlanResult, planResult } from './plan-result.ts';
import { readPlanInstance } from './read-instance.ts';
import { type ScheduledPlan, schedulePlan } from './time-plan.ts';

type SearchFlags = Pick<PlanFlags, 'seconds' | 'seed'>;

/** `foreshard plan FILE`. */
export async function planFile(
  file: string,
  { optimizer, ...flags }: PlanFlags,
  configured: AffinitySettings,
): Promise<void> {
  // Nobody waits for a file as for the plan of every hour: the portfolio gets what it is made for.
  const least = optimizer === 'portfolio' ? DEFAULT_PORTFOLIO_SETTINGS.iterations : 0;
  const settings = { ...configured, optimizer, iterations: Math.max(configured.iterations, least) };
  const named = makeInstance(file, await readPlanInstance(file), settings);
  const plan = await planNamed(named, flags, settings);
  const result = planResult(named, plan);
  const made = { optimizer, seed: flags.seed, iterations: plan.iterations };
  if (flags.json) return printJson({ ...result, ...made });
  for (const line of linesOf(result, optimizer)) printLine(line);
}

/** `foreshard plan --schema`: what `docs/plan-instance.schema.json` holds. */
export const printSchema = (): void => printJson(planInstanceJsonSchema());

/**
 * The plan with the slots of its moves. Where the horizon is too short for some of them, the greedy plan may lose fewer: then
 * that one is taken.
 */
export async function planNamed(
  named: NamedInstance,
  flags: SearchFlags,
  settings: AffinitySettings,
): Promise<ScheduledPlan> {
  const best = schedulePlan(named, await searchNamed(named, flags, settings), settings);
  if (best.leftOut.length === 0 || settings.optimizer === 'greedy') return best;
  const other = schedulePlan(
    named,
    await searchNamed(named, flags, { ...settings, optimizer: 'greedy' }),
    settings,
  );
  return other.costAfter < best.costAfter ? { ...other, iterations: best.iterations } : best;
}

/** The same file, flags and settings give the same plan, unless `--seconds` leaves it to the machine how far it comes. */
async function searchNamed(
  { instance, units }: NamedInstance,
  { seconds, seed }: SearchFlags,
  settings: AffinitySettings,
): Promise<InstancePlan> {
  const components = { runner: onceOf(() => inlineRunner(loadKernels())), clock: systemClock() };
  const make = (iterations: number): Optimiser => optimizers[settings.optimizer](components, iterations);
  const plan = (search: Optimiser, isCancelled?: () => boolean): Promise<InstancePlan> =>
    planInstance(instance, {
      optimiser: search,
      context: {
        random: seededRandom(BigInt(seed)).fork('plan'),
        ...(isCancelled === undefined ? {} : { isCancelled }),
      },
      benefitCostRatio: settings.benefitCostRatio,
      boundTolerance: settings.boundTolerance,
      units,
    });
  if (seconds === undefined) return plan(make(settings.iterations));
  const start = performance.now();
  const deadline = start + 1000 * seconds;
  // How many steps the time is good for, a cooling schedule has to know beforehand: a short run tells the rate.
  const trial = await plan(make(TRIAL_ITERATIONS));
  const trialMs = Math.max(1, performance.now() - start);
  const leftMs = deadline - performance.now();
  const iterations = Math.min(ITERATIONS_MAX, Math.floor((TRIAL_ITERATIONS * leftMs) / trialMs));
  if (iterations < TRIAL_ITERATIONS) return trial;
  const longer = await plan(make(iterations), () => performance.now() > deadline);
  return longer.costAfter < trial.costAfter ? longer : trial;
}

/** Enough that the greedy descent before the search does not hide its rate; under 100 ms in most instances. */
const TRIAL_ITERATIONS = 50_000;
/** Steps are counted in 32 bits. */
const ITERATIONS_MAX = 4_000_000_000;

function onceOf(make: () => KernelRunner): () => KernelRunner {
  let made: KernelRunner | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

const ROWS_MAX = 40;

function linesOf(result: PlanResult, optimizer: string): string[] {
  const gap = result.gap === null ? '' : `, at most ${percent(result.gap)} above the best`;
  const lines = [
    `cost ${result.costBefore.toFixed(4)} -> ${result.costAfter.toFixed(4)} (bound ${result.lowerBound.toFixed(4)}${gap}); ` +
      `highest utilisation ${percent(result.peakBefore)} -> ${percent(result.peakAfter)}; ${optimizer}`,
  ];
  if (result.refusal !== null) lines.push(`nothing moves: ${result.refusal}`);
  result.moves.slice(0, ROWS_MAX).forEach((move, i) => {
    lines.push(
      `${String(i + 1).padStart(3)}. ${move.partition}: ${move.source} -> ${move.target}, slot ${move.startSlot}, ` +
        `gain ${move.gain.toPrecision(3)}, cost ${move.cost.toPrecision(3)}: ${move.reason}`,
    );
  });
  if (result.moves.length > ROWS_MAX)
    lines.push(`     and ${result.moves.length - ROWS_MAX} more: see --json`);
  for (const { partition, source, target, code, reason } of result.leftOut)
    lines.push(`not in time: ${partition}: ${source} -> ${target} (${code}: ${reason})`);
  for (const { partition, target, gain, refusal, reason } of result.blocked)
    lines.push(
      `not moved: ${partition} to ${target} would gain ${gain.toPrecision(3)} (${refusal}: ${reason})`,
    );
  for (const { partition, resource, slot, utilisation } of result.oversized)
    lines.push(
      `too large for any node: ${partition} takes ${percent(utilisation)} of the largest in ${resource}, slot ${slot}: split it, or add a larger node`,
    );
  return lines;
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

import { DEFAULT_PORTFOLIO_SETTINGS } from '../../../src/affinity/optimisers/portfolio.ts';
import type { AffinitySettings } from '../../../src/affinity/settings.ts';
import { printJson, printLine } from '../output.ts';
import type { PlanFlags } from './flags.ts';
import { planInstanceJsonSchema } from './instance-schema.ts';
import { makeInstance } from './make-instance.ts';
import { planLines } from './plan-lines.ts';
import { planResult } from './plan-result.ts';
import { planNamed } from './plan-search.ts';
import { readPlanInstance } from './read-instance.ts';

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
  const plan = await planNamed(named, { ...flags, annealIterations: configured.iterations }, settings);
  const result = planResult(named, plan, settings);
  const made = { optimizer, seed: flags.seed, iterations: plan.iterations };
  if (flags.json) return printJson({ ...result, ...made });
  for (const line of planLines(result, optimizer)) printLine(line);
}

/** `foreshard plan --schema`: what `docs/plan-instance.schema.json` holds. */
export const printSchema = (): void => printJson(planInstanceJsonSchema());

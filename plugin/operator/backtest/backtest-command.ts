import { writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import {
  gainOfOracle,
  LEAD_IN_HOURS,
  POLICY_NAMES,
  type PolicyName,
} from '../../../src/backtest/backtest.ts';
import type { PolicyMetrics } from '../../../src/backtest/metrics.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { Settings } from '../../../src/settings.ts';
import { printLogWarnings } from '../log-input/warnings.ts';
import { printJson, printLine } from '../output.ts';
import { ProgressLine } from '../progress-line.ts';
import { backtestLines } from './backtest-table.ts';
import type { BacktestFlags } from './flags.ts';
import { backtestHtml } from './html/report.ts';
import { makeBacktest } from './make-backtest.ts';
import { readLoad } from './read-load.ts';
import { runPolicies } from './run-policies.ts';

/** `foreshard backtest LOG`: what each policy would have made of the load of a log. */
export async function backtestLog(file: string, flags: BacktestFlags, settings: Settings): Promise<void> {
  const shape = {
    partitionCount: flags.partitions ?? settings.cluster.partitionCount,
    nodeCount: flags.nodes ?? settings.cluster.storageNodeCount,
  };
  const logged = await readLoad(file === '-' ? process.stdin : file, flags, shape);
  printLogWarnings(logged.summary);
  const backtest = makeBacktest(logged, flags, { settings, ...shape });
  const progress = new ProgressLine(ProgressLine.optionsOf(flags));
  const hourCount = LEAD_IN_HOURS + backtest.liveHours;
  const replayed = await runPolicies(backtest, {
    settings,
    seed: flags.seed,
    onHour: (hour) => progress.update(() => `hour ${hour + 1} of ${hourCount}`),
  }).finally(() => progress.end());
  const policies = Object.fromEntries(POLICY_NAMES.map((name) => [name, replayed[name].metrics])) as Record<
    PolicyName,
    PolicyMetrics
  >;
  if (flags.html !== undefined)
    await writeReport(flags.html, backtestHtml(backtest, replayed, basename(file)));
  if (flags.json) return printJson(resultOf(policies));
  for (const line of backtestLines(backtest, policies)) printLine(line);
}

/** @throws ForeshardError FORESHARD_CONFIG where it cannot be written. */
async function writeReport(path: string, html: string): Promise<void> {
  try {
    await writeFile(path, html);
  } catch (error) {
    throw new ForeshardError('FORESHARD_CONFIG', 'fix-config', `--html: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** What `--json` prints. */
function resultOf(policies: Readonly<Record<PolicyName, PolicyMetrics>>) {
  return {
    policies: Object.fromEntries(
      POLICY_NAMES.map((name) => {
        const { meanUtilisation: _, ...told } = policies[name];
        return [name, told];
      }),
    ),
    gainOfOracle: gainOfOracle(policies),
  };
}

import {
  type Backtest,
  gainOfOracle,
  POLICY_NAMES,
  type PolicyName,
} from '../../../src/backtest/backtest.ts';
import type { PolicyMetrics } from '../../../src/backtest/metrics.ts';

type Policies = Readonly<Record<PolicyName, PolicyMetrics>>;

export const TITLES = ['policy', 'latency', 'p99', 'overload h', 'peak', 'moves', 'undone', 'GiB moved'];

/** The verdict in a sentence, and a line for each policy. */
export function* backtestLines(backtest: Backtest, policies: Policies): Generator<string> {
  yield verdictOf(policies);
  yield '';
  yield* padded([TITLES, ...POLICY_NAMES.map((name) => [name, ...cellsOf(policies[name])])]);
  yield '';
  yield `${daysOf(backtest)}; ${backtest.partitionCount} partitions on ${backtest.capacity.length} nodes, each of ${((backtest.capacity[0] as number) / 3600).toPrecision(3)} queries a second; planned every ${backtest.cycleHours} h.`;
  yield 'latency: mean wait in service times; p99: what 99 of 100 queries wait at most; overload h: node-hours above 80 %.';
}

/** Which days are learnt from, and which count. */
export function daysOf({ trainHours, liveHours, skippedHours = 0 }: Backtest): string {
  const days = (hours: number): string => (hours / 24).toFixed(1);
  const skipped = skippedHours > 0 ? `${days(skippedHours)} skipped, ` : '';
  return `${days(trainHours)} days learnt from, ${skipped}${days(liveHours - skippedHours)} judged by`;
}

/** Would it help? */
export function verdictOf(policies: Policies): string {
  const { predictive, static: fixed, reactive } = policies;
  const against = (other: PolicyMetrics, name: string): string =>
    `${Math.abs(100 * (1 - predictive.latencyIndex / other.latencyIndex)).toFixed(1)} % ${predictive.latencyIndex <= other.latencyIndex ? 'less' : 'more'} than ${name}`;
  return `Planned by forecast, queries would have waited ${against(fixed, 'on one balanced map')} and ${against(reactive, 'with relief of hot nodes alone')}, by ${predictive.moves} moves; ${ofWhatWasPossible(policies)}.`;
}

/** Beside the same planner that is told the load to come, the best that it could have done with any forecast. */
function ofWhatWasPossible(policies: Policies): string {
  const { predictive, static: fixed, oracle } = policies;
  const share = gainOfOracle(policies);
  const isBetter = predictive.latencyIndex < fixed.latencyIndex;
  if (share === null)
    return isBetter
      ? 'told the load to come, the same planner would have done no better than one balanced map'
      : 'nothing can be gained here: told the load to come, the same planner would do no better than one balanced map';
  if (isBetter)
    return `that is ${(100 * share).toFixed(0)} % of what the same planner would gain that is told the load to come`;
  const possible = 100 * (1 - oracle.latencyIndex / fixed.latencyIndex);
  return (
    `it gains nothing here, though there is something to gain: told the load to come, the same planner would have them wait ${possible.toFixed(1)} % less than on one balanced map. ` +
    'More days to learn from may help'
  );
}

export const cellsOf = (metrics: PolicyMetrics): string[] => [
  metrics.latencyIndex.toFixed(3),
  metrics.p99Index.toFixed(1),
  String(metrics.overloadNodeHours),
  `${(100 * metrics.peakUtilisation).toFixed(0)} %`,
  String(metrics.moves),
  String(metrics.movesUndone),
  (metrics.bytesMoved / 2 ** 30).toFixed(1),
];

function* padded(rows: readonly (readonly string[])[]): Generator<string> {
  const widths = (rows[0] as readonly string[]).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] as string).length)),
  );
  for (const row of rows)
    yield row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column] as number) : cell.padStart(widths[column] as number),
      )
      .join('  ');
}

import { type Backtest, POLICY_NAMES, type PolicyName } from '../../../../src/backtest/backtest.ts';
import type { PolicyMetrics } from '../../../../src/backtest/metrics.ts';
import { cellsOf, daysOf, TITLES, verdictOf } from '../backtest-table.ts';
import type { ReplayedPolicy } from '../run-policies.ts';
import { type Curve, escapeText, highestOf, utilisationChart } from './charts.ts';
import { heatMapHtml } from './heat-map.ts';
import {
  busiestNode,
  heatMapOf,
  liveStartMs,
  movesInTime,
  nodeCurves,
  type TimedMove,
} from './report-data.ts';

const HOUR_MS = 3_600_000;
/** Points of a curve: about one a pixel. */
const POINTS_MAX = 800;
/** Rows of the list of moves. */
const MOVES_MAX = 1_000;
/** Curves of single nodes: more than eight colours nobody tells apart. */
const NODES_MAX = 8;

type Replayed = Readonly<Record<PolicyName, ReplayedPolicy>>;

/** The report: one file that asks for nothing else. */
export function backtestHtml(backtest: Backtest, policies: Replayed, logName: string): string {
  const metrics = metricsOf(policies);
  const moves = movesInTime(backtest, policies, 'predictive');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">
<title>Backtest of ${escapeText(logName)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>Backtest of ${escapeText(logName)}</h1>
<p class="verdict">${escapeText(verdictOf(metrics))}</p>
${tableHtml(metrics)}
<p class="small">${escapeText(whatItIs(backtest))}</p>
<h2>The busiest node</h2>
${busiestChart(backtest, policies)}
<h2>Every node, planned by forecast</h2>
${nodesChart(backtest, policies.predictive)}
<h2>Load of the partitions</h2>
${heatMapHtml(heatMapOf(backtest), moves, liveStartMs(backtest))}
<h2>What would have moved, when and why</h2>
${movesHtml(moves)}
</main>
</body>
</html>
`;
}

/** Policies that differ most, so that lines can be told apart. */
function busiestChart(backtest: Backtest, policies: Replayed): string {
  const shown: readonly (readonly [PolicyName, number])[] = [
    ['static', 0],
    ['reactive', 4],
    ['predictive', 1],
  ];
  const perStep = backtest.liveHours > 14 * 24 ? 24 : 1;
  const curves = shown.map(
    ([name, colour]): Curve => ({
      name,
      colour,
      isDashed: name === 'reactive',
      values: highestOf(busiestNode(backtest, policies[name]), perStep),
    }),
  );
  const span = perStep === 24 ? 'day' : 'hour';
  return utilisationChart(curves, {
    title: `Utilisation of the busiest node, highest of each ${span}`,
    startMs: liveStartMs(backtest),
    stepMs: perStep * HOUR_MS,
  });
}

function nodesChart(backtest: Backtest, policy: ReplayedPolicy): string {
  const perStep = Math.ceil(backtest.liveHours / POINTS_MAX);
  const curves = nodeCurves(backtest, policy).map((values, n) => ({ n, values: highestOf(values, perStep) }));
  const peak = ({ values }: { readonly values: Float64Array }): number =>
    values.reduce((a, b) => Math.max(a, b), 0);
  const shown = curves.sort((a, b) => peak(b) - peak(a)).slice(0, NODES_MAX);
  const left = curves.length - shown.length;
  return utilisationChart(
    shown.map(({ n, values }, colour): Curve => ({ name: `node ${n}`, colour, values })),
    {
      title: `Utilisation of ${left === 0 ? 'each node' : `the ${NODES_MAX} nodes with the highest peaks`}`,
      startMs: liveStartMs(backtest),
      stepMs: perStep * HOUR_MS,
    },
  );
}

const metricsOf = (policies: Replayed): Record<PolicyName, PolicyMetrics> =>
  Object.fromEntries(POLICY_NAMES.map((name) => [name, policies[name].metrics])) as Record<
    PolicyName,
    PolicyMetrics
  >;

function tableHtml(metrics: Readonly<Record<PolicyName, PolicyMetrics>>): string {
  const rows = POLICY_NAMES.map((name) => {
    const cells = cellsOf(metrics[name]).map((cell) => `<td>${escapeText(cell)}</td>`);
    return `<tr${name === 'predictive' ? ' class="ours"' : ''}><th scope="row">${name}</th>${cells.join('')}</tr>`;
  });
  const heads = TITLES.map((title) => `<th scope="col">${escapeText(title)}</th>`);
  return `<table><thead><tr>${heads.join('')}</tr></thead><tbody>${rows.join('\n')}</tbody></table>`;
}

const whatItIs = (backtest: Backtest): string =>
  `${daysOf(backtest)}; ${backtest.partitionCount} partitions on ${backtest.capacity.length} nodes. ` +
  'Latency: mean wait in service times; p99: what 99 of 100 queries wait at most; overload h: node-hours above 80 %. Moves begin a day before the days that count.';

function movesHtml(moves: readonly TimedMove[]): string {
  if (moves.length === 0) return '<p>Nothing: the first map was good enough.</p>';
  const rows = moves.slice(0, MOVES_MAX).map(({ atMs, partition, source, target, reason }) => {
    const at = new Date(atMs).toISOString().slice(0, 16).replace('T', ' ');
    return `<tr><td>${at}</td><td>${partition}</td><td>${source}</td><td>${target}</td><td class="text">${escapeText(reason)}</td></tr>`;
  });
  const more = moves.length - rows.length;
  return `<table><thead><tr><th scope="col">UTC</th><th scope="col">partition</th><th scope="col">from node</th><th scope="col">to node</th><th scope="col">why</th></tr></thead>
<tbody>${rows.join('\n')}</tbody></table>${more > 0 ? `<p class="small">and ${more} more</p>` : ''}`;
}

const STYLE = `:root{color-scheme:light dark;--ground:#fff;--ink:#222;--line:#ccc;--ours:#e8f1fa}
@media(prefers-color-scheme:dark){:root{--ground:#16181c;--ink:#ddd;--line:#444;--ours:#1d3146}}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:960px;margin:0 auto;padding:1.5rem}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}.verdict{font-size:1.15rem}.small{font-size:.85rem}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .5rem;border-bottom:1px solid var(--line);text-align:right}
tbody th,thead th:first-child,td.text{text-align:left}.ours{background:var(--ours);font-weight:600}
svg{width:100%;height:auto}
.map{position:relative;height:384px}.map canvas{position:absolute;inset:0;width:100%;height:100%;image-rendering:pixelated}#marks{image-rendering:auto}`;

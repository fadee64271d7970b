import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { daysOf, verdictOf } from '../../../plugin/operator/backtest/backtest-table.ts';
import { escapeText, highestOf, utilisationChart } from '../../../plugin/operator/backtest/html/charts.ts';
import { backtestHtml } from '../../../plugin/operator/backtest/html/report.ts';
import { heatMapOf } from '../../../plugin/operator/backtest/html/report-data.ts';
import type { ReplayedPolicy } from '../../../plugin/operator/backtest/run-policies.ts';
import { greedy } from '../../../src/affinity/optimisers/greedy.ts';
import { DEFAULT_AFFINITY_SETTINGS } from '../../../src/affinity/settings.ts';
import {
  assumedCapacity,
  type Backtest,
  measurePolicy,
  POLICY_NAMES,
  type PolicyName,
  replayPolicy,
} from '../../../src/backtest/backtest.ts';
import { DEFAULT_MIGRATION_MODEL } from '../../../src/backtest/migration-model.ts';
import { perfectForecast } from '../../../src/backtest/planning-policies.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { seededRandom } from '../../../src/base/random.ts';

const test = suite('report of a backtest');

test('the verdict tells a share of the gain only where there is one, and which days count', () => {
  const verdict = (oracle: number, predictive = 0.998): string => {
    const index = { static: 1, predictive, oracle } as Record<PolicyName, number>;
    return verdictOf(
      Object.fromEntries(
        POLICY_NAMES.map((name) => [name, { latencyIndex: index[name] ?? 1, moves: 3 }]),
      ) as Parameters<typeof verdictOf>[0],
    );
  };
  check.match(verdict(0.9995), /would have done no better than one balanced map/);
  check.match(verdict(0.9995, 1.1), /; nothing can be gained here/);
  check.not.match(verdict(0.9995), /% of what/);
  check.match(verdict(0.996), /; that is 50 % of what/);
  check.match(
    verdict(0.9, 1.05),
    /5\.0 % more than on one balanced map.*it gains nothing here.* 10\.0 % less/,
  );
  check.is(
    daysOf({ ...smallBacktest(), skippedHours: 12 }),
    '2.0 days learnt from, 0.5 skipped, 0.5 judged by',
  );
});
const PARTITION_COUNT = 16;

/** Two days to learn from and one to judge by; the first partitions are hot, so that something moves. */
function smallBacktest(): Backtest {
  const load = Float64Array.from({ length: 72 * PARTITION_COUNT }, (_, i) =>
    i % PARTITION_COUNT < 4 ? 90 : 10,
  );
  return {
    load,
    startMs: Date.UTC(2024, 0, 1),
    trainHours: 48,
    liveHours: 24,
    partitionCount: PARTITION_COUNT,
    capacity: assumedCapacity(load, { partitionCount: PARTITION_COUNT, nodeCount: 4 }),
    partitionBytes: new Float64Array(PARTITION_COUNT).fill(1e6),
    settings: DEFAULT_AFFINITY_SETTINGS,
    migration: DEFAULT_MIGRATION_MODEL,
    residenceHours: 1 / 6,
    cycleHours: 1,
    horizonHours: 24,
  };
}

async function replayAll(backtest: Backtest): Promise<Record<PolicyName, ReplayedPolicy>> {
  const { load, partitionCount, capacity, partitionBytes } = backtest;
  const measured = { load, hourCount: 72, partitionCount, capacity, partitionBytes };
  const all = await Promise.all(
    POLICY_NAMES.map(async (name) => {
      const timeline = await replayPolicy(name, backtest, {
        random: seededRandom(1n),
        logger: silentLogger,
        optimiser: greedy,
        forecastAt: (hour) =>
          perfectForecast({ measured, startMs: backtest.startMs, horizonHours: 24 }, 24 + hour),
      });
      return [name, { timeline, metrics: measurePolicy(backtest, timeline) }];
    }),
  );
  return Object.fromEntries(all);
}

test('the report is one file that asks for nothing else, and says who moved why', async () => {
  const backtest = smallBacktest();
  const policies = await replayAll(backtest);
  const html = backtestHtml(backtest, policies, '<script>alert(1)</script>.log');
  check.is(html.includes('<script>alert'), false, 'the name of a file is text');
  const addresses = [...html.matchAll(/\b(?:src|href)=|url\(|@import|fetch\(|https?:\/\/[^"'\s<]+/g)].map(
    ([found]) => found,
  );
  check.equal(
    addresses.filter((found) => found !== 'http://www.w3.org/2000/svg'),
    [],
  );
  check.match(html, /default-src 'none'/);
  check.match(html, /prefers-color-scheme:dark/);
  for (const name of POLICY_NAMES) check.match(html, `<th scope="row">${name}</th>`);
  check.ok(policies.predictive.metrics.moves > 0);
  check.is([...html.matchAll(/<td class="text">/g)].length, policies.predictive.metrics.moves);
});

test('of many partitions and hours the highest load is seen', () => {
  const backtest = { ...smallBacktest(), partitionCount: 1024, trainHours: 0, liveHours: 2 };
  const load = new Float64Array(2 * 1024);
  load[1024 + 1023] = 16;
  load[5] = 4;
  const { rowCount, columnCount, partitionsPerRow, shades } = heatMapOf({ ...backtest, load });
  check.equal([rowCount, columnCount, partitionsPerRow], [256, 2, 4]);
  check.is(shades[255 * 2 + 1], 255);
  check.is(shades[1 * 2], 128, 'a quarter of the load has half of the shade');
  check.is(shades.filter((shade) => shade > 0).length, 2);
});

test('a curve keeps its peaks, and goes through the picture from its first to its last value', () => {
  check.equal([...highestOf(Float64Array.of(0.1, 0.9, 0.2, 0.3, 0.4), 2)], [0.9, 0.3, 0.4]);
  const svg = utilisationChart([{ name: 'a <b>', colour: 0, values: Float64Array.of(0, 1) }], {
    title: 'Peaks',
    startMs: 0,
    stepMs: 86_400_000,
  });
  check.match(svg, /points="52\.0,252\.0 888\.0,44\.0"/);
  check.match(svg, 'a &lt;b&gt;');
  check.match(svg, '1970-01-02');
});

test('text is no markup', () => {
  check.is(escapeText('<a href="x">&'), '&lt;a href=&quot;x&quot;&gt;&amp;');
});

test.run();

import { suite } from 'uvu';
import * as check from 'uvu/assert';
import type { ClusterSeen } from '../../../../plugin/engines/redis-cluster/load/cluster-seen.ts';
import type { PublishedForecast } from '../../../../plugin/host/records/forecast-record.ts';
import { rateOf } from '../../../../plugin/operator/top/activity.ts';
import { topLines } from '../../../../plugin/operator/top/lines.ts';
import {
  nextHourPerSecond,
  seenText,
  type TopSources,
  topView,
} from '../../../../plugin/operator/top/view.ts';

const test = suite('foreshard top');

const HOUR_MS = 3_600_000;
const NOW_MS = 10 * HOUR_MS + HOUR_MS / 4;

/** Two partitions; the second is asked 3,600 times in the hour at 10, and 7,200 times in the next. */
const forecast: PublishedForecast = {
  ...{ startMs: 10 * HOUR_MS, stepMs: HOUR_MS, horizonSteps: 2, partitionCount: 2 },
  queries: Float32Array.of(0, 0, 3_600, 7_200),
};

const sources = (changes: Partial<TopSources> = {}): TopSources => ({
  ...{ atMs: NOW_MS, ownerOf: [0, 1], nodeIds: [0, 1], forecast, limit: 10, openMigrationCount: 0 },
  rates: new Map([
    [0, { cpuShare: 0.1, perSecondOf: Float64Array.of(4, 1) }],
    [1, null],
  ]),
  proposed: new Map([[1, 0]]),
  seenByAgent: null,
  capacityOf: () => 5,
  utilisationHighOf: () => 0.8,
  ...changes,
});

test('rates are differences over the node’s own time; a node that was started anew has none', () => {
  const before = { atMs: 1_000, cpuSeconds: 1, servedOf: Float64Array.of(10, 0) };
  const after = { atMs: 3_000, cpuSeconds: 2, servedOf: Float64Array.of(14, 1) };
  check.equal(rateOf(before, after), { cpuShare: 0.5, perSecondOf: Float64Array.of(2, 0.5) });
  check.is(rateOf(after, { ...before, atMs: 4_000 }), null);
  check.is(rateOf(null, after), null);
  check.is(rateOf(after, after), null, 'no time has passed');
});

test('the next hour is weighted by how much of each window lies in it, and is not known beyond the forecast', () => {
  check.ok(Math.abs((nextHourPerSecond(forecast, 1, NOW_MS) ?? 0) - (0.75 * 1 + 0.25 * 2)) < 1e-9);
  check.is(nextHourPerSecond(forecast, 1, 10 * HOUR_MS), 1, 'exactly the first window');
  check.is(nextHourPerSecond(forecast, 1, 11 * HOUR_MS), 2, 'exactly the last window');
  check.is(nextHourPerSecond(forecast, 1, 11 * HOUR_MS + 1), null);
  check.is(nextHourPerSecond(forecast, 1, 10 * HOUR_MS - 1), null);
});

test('what a node serves of others’ partitions loads it; what a silent node serves is not known', () => {
  const { nodes, partitions, queriesPerSecond } = topView(sources());
  check.is(queriesPerSecond, 5);
  check.equal([nodes[0]?.queriesPerSecond, nodes[0]?.utilisation, nodes[0]?.isStressed], [5, 1, true]);
  check.equal([nodes[1]?.queriesPerSecond, nodes[1]?.nextHourPerSecond], [null, 1.25]);
  check.equal(
    partitions.map(({ partitionId, queriesPerSecond, proposedNodeId }) => [
      partitionId,
      queriesPerSecond,
      proposedNodeId,
    ]),
    [
      [0, 4, null],
      [1, null, 0],
    ],
  );
  check.is(topView(sources({ limit: 1 })).partitions.length, 1);
});

test('beside a Redis Cluster that nobody captures no load is told, and why', () => {
  const clients = { processCount: 0, queriesPerSecond: 0, p99Us: null };
  const seen = { slotStats: 'unused', clients } as unknown as ClusterSeen;
  const lines = (of: ClusterSeen | null) =>
    topLines(topView(sources({ nodeIds: [], seenByAgent: seenText(of) })), {
      isColoured: false,
      linesMax: 9,
    });
  check.match(lines(seen)[0] as string, /queries\/s not known/);
  check.match(lines(seen)[1] as string, /no application is captured.*captureCluster/);
  check.match(lines(null)[1] as string, /no agent has told yet/);
  const captured = { ...seen, clients: { ...clients, processCount: 2, queriesPerSecond: 70 } };
  check.match(lines(captured)[0] as string, /70\.0 queries\/s/);
});

test('a hot node is marked in words as well as in red; the screen is not overrun', () => {
  const view = topView(sources());
  const plain = topLines(view, { isColoured: false, linesMax: Number.POSITIVE_INFINITY });
  check.match(plain.join('\n'), / 100 % .* hot\n/);
  check.not.match(plain.join('\n'), '\u001b');
  check.match(plain.join('\n'), 'silent');
  check.match(topLines(view, { isColoured: true, linesMax: 100 }).join('\n'), '\u001b[31m');
  check.is(topLines(view, { isColoured: false, linesMax: 4 }).length, 4);
});

test('what is missing of the forecast is said', () => {
  const line = (changes: Partial<TopSources>): string =>
    topLines(topView(sources(changes)), { isColoured: false, linesMax: 2 })[1] as string;
  check.match(line({}), /by the latest forecast/);
  check.match(line({ forecast: undefined }), /no forecast has been published yet/);
  check.match(line({ atMs: 20 * HOUR_MS }), /ended at 1970-01-01T12:00:00/);
});

test.run();

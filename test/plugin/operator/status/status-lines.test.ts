import { suite } from 'uvu';
import * as check from 'uvu/assert';
import {
  type ClusterSeen,
  seenWarnings,
} from '../../../../plugin/engines/redis-cluster/load/cluster-seen.ts';
import type { WatchedMaster } from '../../../../plugin/engines/redis-cluster/load/master-watch.ts';
import type { NodeRates } from '../../../../plugin/engines/redis-cluster/server/node-info.ts';
import type { ClusterTopology } from '../../../../plugin/engines/redis-cluster/topology/topology.ts';
import type { CoordinatorStatus } from '../../../../plugin/metadata/coordinator-status.ts';
import type { ClusterStatus } from '../../../../plugin/operator/status/gather-status.ts';
import { redisAlarms, redisLines, redisWaits } from '../../../../plugin/operator/status/redis-status.ts';
import { statusLines } from '../../../../plugin/operator/status/status-command.ts';

const test = suite('what foreshard status says of plans');

const status = (changes: Partial<ClusterStatus>): ClusterStatus =>
  ({
    ...{ cluster: 'main', atMs: 0, partitionCount: 16, nodes: [], openMigrations: {} },
    ...{ waits: [], alarms: [], relief: null },
    metadata: { kind: 'embedded', revision: 1, readMs: 1 },
    coordinator: { state: 'leading', candidate: 'query-10000', electedAtMs: null },
    pauses: { isPaused: false, pausedPartitionIds: [] },
    ...{ plan: null, mode: 'propose', cycleIntervalMs: 3_600_000, windowMs: 3_600_000, forecastFromMs: null },
    ...changes,
  }) as unknown as ClusterStatus;

const lineOf = (changes: Partial<ClusterStatus>): string =>
  statusLines(status(changes)).find((line) => /plan/.test(line)) as string;

test('without a plan it says why there is none, and what it waits for', () => {
  check.is(
    lineOf({ mode: 'observe' }),
    'no plan is written in mode observe; no forecast yet: it takes three windows of load, 60 min each',
  );
  check.is(
    lineOf({ forecastFromMs: Date.UTC(2026, 0, 5, 9) }),
    'no plan yet, one is made every 60 min; the last forecast begins at 2026-01-05 09:00 UTC',
  );
});

test('windows and cycles of less than a minute are told in seconds', () => {
  check.match(lineOf({ cycleIntervalMs: 10_000, windowMs: 5_000 }), /one is made every 10 s; .*, 5 s each$/);
});

test('masters are told by their numbers, and where nothing tells load by slot, what would', () => {
  const seen = seenAt(1_000, null);
  const masters = [1, null, 0].map((nodeId) => ({ ...seen.masters[0]!, nodeId }));
  const lines = redisLines({ ...seen, masters, slotStats: 'none' });
  check.equal(
    lines.slice(1, -1).map((line) => line.slice(0, line.indexOf(':'))),
    ['master node 0', 'master node 1', 'master without a number'],
  );
  check.match(lines.at(-1) as string, /no captured client; .* captureCluster \(docs\/redis\.md\) tells it$/);
});

test('a plan is told with its time, also one of before the mode was changed', () => {
  const plan = { atMs: Date.UTC(2026, 0, 5, 9), moveCount: 2, refusal: null, expiresAtMs: 0 };
  for (const mode of ['observe', 'auto'])
    check.is(lineOf({ plan, mode }), 'last plan: 2026-01-05 09:00 UTC, 2 moves');
});

const REDIS = { agent: 'a', mode: 'observe', troubles: [], slotStats: 'unused' } as const;
const seenAt = (atMs: number, rates: NodeRates | null): ClusterSeen => ({
  ...{ ...REDIS, v: 1, atMs, intervalMs: 10_000 },
  clients: { processCount: 0, queriesPerSecond: 0, p99Us: null },
  masters: [
    {
      ...{ nodeId: 0, address: '127.0.0.1:1', slotCount: 16_384, replicaCount: 0 },
      ...{ rates, memoryUsed: 1, memoryMax: 0, keyCount: 0 },
    },
  ],
});

test('an agent that has just been started is waited for, and it is said until when', () => {
  const electedAtMs = Date.UTC(2026, 0, 5, 9);
  const coordinator = { state: 'leading', electedAtMs } as CoordinatorStatus;
  const waits = (seen: ClusterSeen | null, of = coordinator): string[] =>
    redisWaits(seen, { coordinator: of, lookIntervalMs: 10_000 });
  const every = 'the agent looks every 10 s (redis.lookIntervalMs)';
  const first = [`masters are shown when the agent has looked at them, by 2026-01-05 09:00:12 UTC: ${every}`];
  check.equal(waits(null), first);
  check.equal(waits(seenAt(electedAtMs - 1, null)), first, 'what an agent before it has seen is past');
  check.equal(waits(seenAt(electedAtMs + 500, null)), [
    `what masters do in a second is known from the second look on, by 2026-01-05 09:00:12 UTC: ${every}`,
  ]);
  const rates = { commands: 1, cpuSeconds: 0, inputBytes: 0, outputBytes: 0 } as NodeRates;
  check.equal(waits(seenAt(electedAtMs + 10_500, rates)), []);
  check.equal(waits(null, { ...coordinator, state: 'none' }), [], 'without an agent there is an alarm');
});

test('what may go wrong with moves of slots is an alarm, and agents that told none are read', () => {
  const seen = seenAt(1_000, null);
  check.equal(redisAlarms(seen, 1_000), []);
  check.equal(redisAlarms({ ...seen, warnings: ['no third master'] }, 1_000), [
    'Redis Cluster: no third master',
  ]);
  const watched = (isDoubter: boolean) => new Map([['a', { counters: { isDoubter } } as WatchedMaster]]);
  const masters = (count: number) =>
    ({
      masters: Array.from({ length: count }, (_, i) => ({ nodeId: 'ab'[i] })),
    }) as unknown as ClusterTopology;
  check.match(seenWarnings(masters(2), watched(true))[0] as string, /may delete keys .* no third master/);
  check.equal(seenWarnings(masters(3), watched(true)), []);
  check.equal(seenWarnings(masters(2), watched(false)), []);
});

test('relief between cycles is told with who was hot and what came of it', () => {
  const stresses = [
    { nodeId: 2, dimension: 'queries', utilisation: 0.931, high: 0.8, forMs: 125_000 },
  ] as const;
  const relief = { v: 1, atMs: Date.UTC(2026, 0, 5, 9, 20), mode: 'auto', stresses, refusal: null } as const;
  const moves = [{ partitionId: 1, sourceNodeId: 2, targetNodeId: 0 }];
  const said = (changes: Partial<ClusterStatus>): string[] =>
    statusLines(status(changes)).filter((line) => /relief/.test(line));
  const who = 'node 2 was at 93.1 % of its queries for 2 min, above 80.0 %';
  check.equal(said({ relief: { ...relief, moves } }), [
    `last relief between cycles: 2026-01-05 09:20 UTC, ${who}; 1 move`,
  ]);
  check.equal(said({ relief: { ...relief, moves: [], refusal: 'on-its-way' } }), [
    `last relief between cycles: 2026-01-05 09:20 UTC, ${who}; no move: moves that are open, approved or planned bring it back`,
  ]);
  check.equal(said({}), []);
});

test.run();

import { suite } from 'uvu';
import * as check from 'uvu/assert';
import type { ClusterStatus } from '../../../../plugin/operator/status/gather-status.ts';
import { statusLines } from '../../../../plugin/operator/status/status-command.ts';

const test = suite('what foreshard status says of plans');

const status = (changes: Partial<ClusterStatus>): ClusterStatus =>
  ({
    ...{ cluster: 'main', atMs: 0, partitionCount: 16, nodes: [], openMigrations: {}, alarms: [] },
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

test('a plan is told with its time, also one of before the mode was changed', () => {
  const plan = { atMs: Date.UTC(2026, 0, 5, 9), moveCount: 2, refusal: null, expiresAtMs: 0 };
  for (const mode of ['observe', 'auto'])
    check.is(lineOf({ plan, mode }), 'last plan: 2026-01-05 09:00 UTC, 2 moves');
});

test.run();

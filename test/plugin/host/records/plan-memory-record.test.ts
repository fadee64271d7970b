import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { readPlanMemory } from '../../../../plugin/host/records/plan-memory-record.ts';
import { recordCodec } from '../../../../plugin/metadata/record-codec.ts';
import type { MigrationHistory } from '../../../../src/migration/records/records.ts';
import { PlainMetadata } from '../../../support/plain-metadata.ts';

const test = suite('host/memory of plans');
const HOUR_MS = 3_600_000;
const NOW_MS = 1e12;
const codec = recordCodec('test');

/** Moves of partitions 0, 1, ... that ended so many hours ago, as a coordinator elected just now reads them. */
async function memoryOf(
  horizonHours: number,
  ended: readonly { readonly hoursAgo: number; readonly outcome?: MigrationHistory['outcome'] }[],
) {
  const metadata = new PlainMetadata();
  ended.forEach(({ hoursAgo, outcome = 'done' }, partitionId) => {
    const endedAtMs = NOW_MS - hoursAgo * HOUR_MS;
    const history: MigrationHistory = {
      ...{ partitionId, migrationId: 1, sourceNodeId: 2, targetNodeId: 0, outcome, reason: 'planned' },
      ...{ startedAtMs: endedAtMs - 1000, endedAtMs, epoch: 2, fenceLsn: 1, verifiedLsn: 1 },
      ...{ copiedBytes: hoursAgo, copySeconds: 1, fenceSeconds: 0.01 },
    };
    metadata.put(codec.keys.history(partitionId, 1), codec.encodeHistory(history));
  });
  const horizonMs = horizonHours * HOUR_MS;
  const options = { keys: codec.keys, proposalKey: 'no such key', horizonMs, nowMs: NOW_MS };
  return readPlanMemory(metadata as unknown as Parameters<typeof readPlanMemory>[0], options);
}

const recentMoves = async (...given: Parameters<typeof memoryOf>) => (await memoryOf(...given)).recentMoves;

test('what was moved within the horizon is known, by its node and its hour; what was aborted was not moved', async () => {
  const ended = [{ hoursAgo: 40 }, { hoursAgo: 50 }, { hoursAgo: 1, outcome: 'aborted' as const }];
  const expected = { partitionId: 0, sourceNodeId: 2, endedAtMs: NOW_MS - 40 * HOUR_MS };
  check.equal(await recentMoves(48, ended), [expected]);
});

test('what a day has had is known also where the horizon is shorter: a day has a budget of moves', async () => {
  const moves = await recentMoves(6, [{ hoursAgo: 1 }, { hoursAgo: 23 }, { hoursAgo: 25 }]);
  check.equal(
    moves.map(({ partitionId }) => partitionId),
    [0, 1],
  );
});

test('what moves took is told from the first that ended to the last, however long ago, and of none that was aborted', async () => {
  const ended = [
    { hoursAgo: 3 },
    { hoursAgo: 900 },
    { hoursAgo: 1 },
    { hoursAgo: 2, outcome: 'aborted' as const },
  ];
  const { samples = [] } = await memoryOf(48, ended);
  check.equal(
    samples.map(({ copiedBytes }) => copiedBytes),
    [900, 3, 1],
  );
});

test.run();

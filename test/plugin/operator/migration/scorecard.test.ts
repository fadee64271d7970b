import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { recordCodec } from '../../../../plugin/metadata/record-codec.ts';
import { gatherScorecards, scorecardLines } from '../../../../plugin/operator/migration/scorecard-command.ts';
import { NOT_MEASURED } from '../../../../src/migration/progress/scorecard.ts';
import type { MigrationHistory } from '../../../../src/migration/records/records.ts';
import type { MetadataStore } from '../../../../src/ports/metadata-store.ts';
import { PlainMetadata } from '../../../support/plain-metadata.ts';

const test = suite('foreshard scorecard');
const codec = recordCodec('local');

const ended = (partitionId: number, change: Partial<MigrationHistory>): MigrationHistory => ({
  partitionId,
  migrationId: 3,
  sourceNodeId: 0,
  targetNodeId: 2,
  outcome: 'done',
  reason: 'node 0 is hot',
  startedAtMs: 0,
  endedAtMs: 60_000 * partitionId,
  epoch: 1,
  fenceLsn: 77,
  verifiedLsn: 70,
  copiedBytes: 9_500_000,
  copySeconds: 2.5,
  fenceSeconds: 0.031,
  ...change,
});
const predicted = { gain: 0.51234, price: 0.02, sizeBytes: 9_000_000, seconds: 2, queriesPerSecond: 120 };

test('a card sets what was measured beside what was predicted; moves without a plan have none', async () => {
  const metadata = new PlainMetadata();
  const measured = {
    sourceBefore: 500,
    sourceAfter: 410,
    targetBefore: 200,
    targetAfter: 290,
    latencyMs: 6,
    calmLatencyMs: 4,
  };
  const histories = [
    ended(1, { scorecard: { predicted, measured } }),
    ended(2, { scorecard: { predicted, measured: NOT_MEASURED }, fenceSeconds: null }),
    ended(3, {}),
  ];
  for (const history of histories)
    metadata.put(codec.keys.history(history.partitionId, history.migrationId), codec.encodeHistory(history));
  const options = { clusterName: 'local', partitionId: null, copyBytesPerSecond: 32e6 };
  const report = await gatherScorecards(metadata as unknown as MetadataStore, options);
  check.equal(
    report.cards.map(({ partitionId, realisedShare, latencyRatio }) => [
      partitionId,
      realisedShare,
      latencyRatio,
    ]),
    [
      [2, null, null],
      [1, 0.75, 1.5],
    ],
  );
  check.is(report.learnt.moveCount, 2);
  check.equal(scorecardLines(report, 10).slice(9, 17), [
    '1970-01-01 00:01 UTC migration 1/3: partition 1, node 0 -> 2, gain 0.512 for 0.02',
    '  bytes           9.0 MB          9.5 MB',
    '  copy            2.0 s           2.5 s',
    '  writes waited                   31 ms',
    '  load that moves 120 queries/s   75 % of it',
    '  source                          500 -> 410 queries/s',
    '  target                          200 -> 290 queries/s',
    '  p99 of clients  4.0 ms          6.0 ms (1.50 times)',
  ]);
  const one = await gatherScorecards(metadata as unknown as MetadataStore, { ...options, partitionId: 1 });
  check.is(one.cards.length, 1);
});

test('without any there is nothing to say of the next plan', () => {
  const learnt = { bytesPerSecond: 1, fenceSeconds: 1, latencyRatio: 1, realisedShare: 1, moveCount: 0 };
  check.equal(scorecardLines({ cards: [], learnt }, 10), [
    '0 planned moves carried out (moves of relief are not planned, and have no scorecard)',
  ]);
});

test.run();

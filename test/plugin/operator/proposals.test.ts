import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { keepProposal, PAST_KEPT, readPastProposals } from '../../../plugin/host/records/past-proposals.ts';
import type { ProposalRecord } from '../../../plugin/host/records/proposal-record.ts';
import { type Afterwards, fatesOf } from '../../../plugin/operator/proposals/fates.ts';
import { proposalLines } from '../../../plugin/operator/proposals/past-proposals.ts';
import type { MigrationHistory } from '../../../src/migration/records/records.ts';
import { PlainMetadata } from '../../support/plain-metadata.ts';

const test = suite('past proposals');

const PREFIX = 'test/proposal/past/';
const HOUR_MS = 3_600_000;
const FENCE = { key: 'term', revisionIs: 0 };

const proposalAt = (hour: number, partitions: readonly number[], epoch = 3): ProposalRecord =>
  ({
    atMs: hour * HOUR_MS,
    expiresAtMs: (hour + 1) * HOUR_MS,
    costBefore: 2,
    costAfter: 1,
    lowerBound: 0.9,
    refusal: partitions.length === 0 ? 'near-bound' : null,
    moves: partitions.map((partitionId) => ({ partitionId, sourceNodeId: 0, targetNodeId: 1, epoch })),
  }) as unknown as ProposalRecord;

test('cycles that say the same are one proposal; another one stands beside it', async () => {
  const metadata = new PlainMetadata();
  for (const [hour, partitions] of [
    [1, [4, 2]],
    [2, [2, 4]],
    [3, []],
    [4, []],
    [5, [2, 4]],
  ] as const)
    await keepProposal(metadata, proposalAt(hour, partitions), { prefix: PREFIX, fence: FENCE });
  const past = await readPastProposals(metadata, PREFIX);
  check.equal(
    past.map(({ fromMs, untilMs, moveCount }) => [fromMs / HOUR_MS, untilMs / HOUR_MS, moveCount]),
    [
      [5, 6, 2],
      [3, 5, 0],
      [1, 3, 2],
    ],
  );
});

test('a move that is proposed again after it was done and taken back is another one', async () => {
  const metadata = new PlainMetadata();
  for (const [hour, epoch] of [
    [1, 3],
    [2, 5],
  ] as const)
    await keepProposal(metadata, proposalAt(hour, [2], epoch), { prefix: PREFIX, fence: FENCE });
  const past = await readPastProposals(metadata, PREFIX);
  check.equal(
    past.map(({ fromMs, moves }) => [fromMs / HOUR_MS, moves[0]?.epoch]),
    [
      [2, 5],
      [1, 3],
    ],
  );
  // It is under way again, and was rejected later than the first proposal held.
  const migration = { sourceNodeId: 0, targetNodeId: 1, phase: 'COPY' };
  const fateAfter = (change: object) =>
    past.map((proposal) => {
      const afterwards = { history: [], records: [], decisions: { approvals: [], rejections: [] } };
      return fatesOf(proposal, { ...afterwards, isLatest: false, ...change } as unknown as Afterwards)[0]
        ?.fate;
    });
  check.equal(fateAfter({ records: [null, null, { epoch: 5, migration }] }), ['open', 'dropped']);
  const rejections = [{ partitionId: 2, atMs: 2.5 * HOUR_MS }];
  check.equal(fateAfter({ decisions: { approvals: [], rejections } }), ['rejected', 'dropped']);
});

test('the oldest go, records that cannot be read stay out, and a deposed coordinator keeps nothing', async () => {
  const metadata = new PlainMetadata();
  metadata.put(`${PREFIX}000000000000000`, new TextEncoder().encode('{'));
  for (let hour = 1; hour <= PAST_KEPT + 5; hour++)
    await keepProposal(metadata, proposalAt(hour, [hour]), { prefix: PREFIX, fence: FENCE });
  const past = await readPastProposals(metadata, PREFIX);
  check.is(past.length, PAST_KEPT);
  check.is(past.at(-1)?.fromMs, 6 * HOUR_MS);
  metadata.put('term', new Uint8Array());
  await keepProposal(metadata, proposalAt(900, [900]), { prefix: PREFIX, fence: FENCE });
  check.is((await readPastProposals(metadata, PREFIX))[0]?.fromMs, (PAST_KEPT + 5) * HOUR_MS);
});

test('of each move it is told what has become of it', async () => {
  const metadata = new PlainMetadata();
  await keepProposal(metadata, proposalAt(1, [0, 1, 2, 3, 4, 5, 6]), { prefix: PREFIX, fence: FENCE });
  const [proposal] = await readPastProposals(metadata, PREFIX);
  const ended = (partitionId: number, change: Partial<MigrationHistory>): MigrationHistory =>
    ({
      ...{ partitionId, sourceNodeId: 0, targetNodeId: 1, outcome: 'done', epoch: 4, endedAtMs: 7 },
      ...change,
    }) as MigrationHistory;
  const afterwards = {
    history: [
      ended(0, {}),
      ended(1, { outcome: 'aborted', epoch: 3, reason: 'the disk is full' }),
      // Another time: the same way, years before and after.
      ended(2, { epoch: 2 }),
      ended(2, { epoch: 9 }),
    ],
    records: [null, null, null, { epoch: 3, migration: { sourceNodeId: 0, targetNodeId: 1, phase: 'COPY' } }],
    decisions: {
      approvals: [{ partitionId: 4, sourceNodeId: 0, targetNodeId: 1, epoch: 3 }],
      rejections: [{ partitionId: 5, atMs: HOUR_MS }],
    },
    isLatest: false,
  } as unknown as Afterwards;
  const moves = fatesOf(proposal as NonNullable<typeof proposal>, afterwards);
  check.equal(
    moves.map(({ fate }) => fate),
    ['done', 'aborted', 'dropped', 'open', 'approved', 'rejected', 'dropped'],
  );
  check.is(
    fatesOf(proposal as NonNullable<typeof proposal>, { ...afterwards, isLatest: true })[2]?.fate,
    'proposed',
  );
  const { v: _, ...told } = proposal as NonNullable<typeof proposal>;
  const lines = proposalLines({ ...told, gap: 0.1, moves });
  check.match(lines[0] as string, /7 moves, cost 2.0000 -> 1.0000 points: 1 done, 1 aborted, 1 being moved/);
  check.match(lines[2] as string, /partition 1: node 0 -> 1: aborted at .*: the disk is full/);
});

test.run();

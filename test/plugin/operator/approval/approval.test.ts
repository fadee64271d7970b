import { suite } from 'uvu';
import * as check from 'uvu/assert';
import type { ProposalRecord } from '../../../../plugin/host/records/proposal-record.ts';
import { proposalKey } from '../../../../plugin/host/records/record-keys.ts';
import { readDecisions } from '../../../../plugin/metadata/decisions.ts';
import { recordCodec } from '../../../../plugin/metadata/record-codec.ts';
import { type ApproveOrder, approve } from '../../../../plugin/operator/approval/approve.ts';
import { parsePartitions } from '../../../../plugin/operator/approval/commands.ts';
import { parseMoment } from '../../../../plugin/operator/approval/moments.ts';
import { reject } from '../../../../plugin/operator/approval/reject.ts';
import { readAudit } from '../../../../plugin/operator/migration/audit-command.ts';
import { ForeshardError } from '../../../../src/base/errors.ts';
import { asNodeId, asPartitionId } from '../../../../src/model/ids.ts';
import type { MetadataStore } from '../../../../src/ports/metadata-store.ts';
import { STABLE_RECORD } from '../../../support/migration-record.ts';
import { PlainMetadata } from '../../../support/plain-metadata.ts';

const test = suite('foreshard approve and reject');

const HOUR_MS = 3_600_000;
const NOW_MS = Date.UTC(2026, 0, 15, 12);
const CLUSTER = 'test';
const ALL: ApproveOrder = { partitionIds: null, isNow: false, fromMs: null, untilMs: null, reason: 'seen' };

interface PlannedMove {
  readonly partitionId: number;
  readonly startMs?: number;
  readonly unit?: readonly number[];
  readonly after?: readonly number[];
}

function proposalOf(moves: readonly PlannedMove[]): ProposalRecord {
  return {
    v: 4,
    atMs: NOW_MS - 60_000,
    expiresAtMs: NOW_MS + HOUR_MS,
    ignoredForecasts: [],
    moves: moves.map(({ partitionId, startMs, unit }) => ({
      partitionId,
      sourceNodeId: 0,
      targetNodeId: 1,
      epoch: 2,
      sizeBytes: 5,
      gain: 1,
      cost: 0.1,
      reason: 'node 0 is hot',
      schedule: startMs === undefined ? null : { startMs },
      ...(unit ? { unit: { partitionIds: unit, gain: 1, cost: 1 } } : {}),
    })),
    evidence: { moves: moves.map(({ partitionId, after = [] }) => ({ partitionId, after })) },
  } as unknown as ProposalRecord;
}

/** A metadata store with a proposal in it, as a command finds it. */
function storeWith(moves: readonly PlannedMove[], change: Partial<ProposalRecord> = {}) {
  const plain = new PlainMetadata();
  const metadata = plain as unknown as MetadataStore;
  const propose = (proposal: ProposalRecord) =>
    plain.put(proposalKey(CLUSTER), new TextEncoder().encode(JSON.stringify(proposal)));
  propose({ ...proposalOf(moves), ...change });
  const decisions = async () => {
    const { approvals, rejections } = await readDecisions(metadata, CLUSTER, NOW_MS);
    return {
      approved: approvals.map(({ partitionId }) => partitionId),
      rejected: rejections.map(({ partitionId }) => partitionId),
      approvals,
    };
  };
  return { plain, metadata, propose, decisions };
}

async function refusalOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => null,
    (caught: unknown) => caught,
  );
  check.instance(error, ForeshardError);
  return (error as ForeshardError).message;
}

const choose = (...partitionIds: number[]): ApproveOrder => ({ ...ALL, partitionIds });

test('all, or some, of the moves of the proposal are approved as they stand in it, with an audit record', async () => {
  const { metadata, decisions } = storeWith([{ partitionId: 4 }, { partitionId: 2 }, { partitionId: 9 }]);
  check.match(await approve(metadata, CLUSTER, choose(9, 4), NOW_MS), /^2 moves approved: they begin from/);
  check.equal((await decisions()).approved, [4, 9]);
  await approve(metadata, CLUSTER, ALL, NOW_MS + 1);
  const { approved, approvals } = await decisions();
  check.equal(approved, [4, 2, 9], 'in the order of the proposal');
  check.equal(
    approvals.map(({ sourceNodeId, targetNodeId, epoch }) => [sourceNodeId, targetNodeId, epoch]),
    [
      [0, 1, 2],
      [0, 1, 2],
      [0, 1, 2],
    ],
  );
  const audit = await readAudit(metadata, CLUSTER);
  check.equal(
    audit.map(({ action, reason, message }) => [action, reason, /partitions (.*)$/.exec(message)?.[1]]),
    [
      ['approve', 'seen', '4 9'],
      ['approve', 'seen', '2 4 9'],
    ],
  );
});

test('moves keep the hour of the timetable, unless a window or `now` says otherwise', async () => {
  const startMs = NOW_MS + 10 * HOUR_MS;
  const begin = async (order: Partial<ApproveOrder>) => {
    const { metadata, decisions } = storeWith([{ partitionId: 4, startMs }]);
    await approve(metadata, CLUSTER, { ...ALL, ...order }, NOW_MS);
    const { notBeforeMs, notAfterMs } = (await decisions()).approvals[0] as {
      notBeforeMs: number;
      notAfterMs: number;
    };
    return [(notBeforeMs - NOW_MS) / HOUR_MS, (notAfterMs - NOW_MS) / HOUR_MS];
  };
  const at = (hours: number): number => NOW_MS + hours * HOUR_MS;
  check.equal(await begin({}), [10, 34]);
  check.equal(await begin({ isNow: true }), [0, 24]);
  check.equal(await begin({ fromMs: at(8), untilMs: at(12) }), [10, 12], 'inside the window');
  check.equal(await begin({ fromMs: at(2), untilMs: at(4) }), [2, 4], 'outside it');
  check.equal(await begin({ fromMs: at(20) }), [20, 44]);
});

test('nobody approves what he has not seen: a proposal that is past, or replaced meanwhile, is refused', async () => {
  const past = storeWith([{ partitionId: 4 }], { expiresAtMs: NOW_MS - 1 });
  check.match(
    await refusalOf(approve(past.metadata, CLUSTER, ALL, NOW_MS)),
    /none has come since: nothing was approved/,
  );
  const { plain, metadata, propose, decisions } = storeWith([{ partitionId: 4 }]);
  const { commit } = plain;
  plain.commit = (transaction) => {
    propose(proposalOf([{ partitionId: 5 }]));
    return commit.call(plain, transaction);
  };
  check.match(
    await refusalOf(approve(metadata, CLUSTER, ALL, NOW_MS)),
    /another proposal came meanwhile: nothing/,
  );
  check.equal((await decisions()).approved, []);
  check.match(
    await refusalOf(approve(new PlainMetadata() as never, CLUSTER, ALL, NOW_MS)),
    /no proposal yet/,
  );
});

test('what is done counts as approved: what stands or falls with it, or needs its room, may be approved alone', async () => {
  const moves = [{ partitionId: 1 }, { partitionId: 2, after: [1], unit: [2, 1] }];
  const { plain, metadata, decisions } = storeWith(moves);
  check.match(await refusalOf(approve(metadata, CLUSTER, choose(2), NOW_MS)), /stands or falls with 1/);
  const { keys, encodePartition } = recordCodec(CLUSTER);
  const moved = { ...STABLE_RECORD, partitionId: asPartitionId(1), ownerNodeId: asNodeId(1) };
  plain.put(keys.map(1), encodePartition(moved));
  await approve(metadata, CLUSTER, choose(2), NOW_MS);
  check.equal((await decisions()).approved, [2]);
});

test('what stands or falls together, and what has to make room, is approved together', async () => {
  const moves = [
    { partitionId: 1 },
    { partitionId: 2, after: [1] },
    { partitionId: 3, unit: [3, 5] },
    { partitionId: 5, unit: [5, 3] },
  ];
  const { metadata, decisions } = storeWith(moves);
  const refused = (...ids: number[]) => refusalOf(approve(metadata, CLUSTER, choose(...ids), NOW_MS));
  check.match(await refused(2), /partition 2 can only go after 1 has gone/);
  check.match(await refused(3), /partition 3 stands or falls with 5/);
  check.match(await refused(1, 7), /does not move partition 7/);
  check.equal((await decisions()).approved, [], 'nothing was approved');
  await approve(metadata, CLUSTER, choose(1), NOW_MS);
  await approve(metadata, CLUSTER, choose(2), NOW_MS + 1);
  check.equal((await decisions()).approvals.at(-1)?.after, [{ partitionId: 1, sourceNodeId: 0 }]);
  await approve(metadata, CLUSTER, choose(3, 5), NOW_MS + 2);
  check.equal((await decisions()).approved, [1, 2, 3, 5]);
});

test('a rejection keeps a partition where it is for a while, takes an approval back, and is ended by the next approval', async () => {
  const { metadata, decisions } = storeWith([{ partitionId: 4 }, { partitionId: 6 }]);
  const rejectIds = (partitionIds: number[] | null, forMs = HOUR_MS) =>
    reject(metadata, CLUSTER, { partitionIds, forMs, reason: 'no' }, NOW_MS);
  await approve(metadata, CLUSTER, choose(4), NOW_MS);
  check.match(
    await rejectIds([4]),
    /^1 move rejected, 1 of which had been approved: .* until 2026-01-15 13:00 UTC$/,
  );
  check.equal([(await decisions()).approved, (await decisions()).rejected], [[], [4]]);
  check.equal((await readDecisions(metadata, CLUSTER, NOW_MS + HOUR_MS)).rejections, [], 'it runs out');
  check.match(
    await refusalOf(rejectIds([5])),
    /partition 5: no move of it is proposed or approved; .*affinity\.rules\.pinned keeps/,
  );
  await approve(metadata, CLUSTER, choose(4), NOW_MS);
  check.equal([(await decisions()).approved, (await decisions()).rejected], [[4], []]);
});

test('a move that begins while it is rejected is said to have begun', async () => {
  const { plain, metadata } = storeWith([{ partitionId: 4 }]);
  await approve(metadata, CLUSTER, ALL, NOW_MS);
  const { commit } = plain;
  plain.commit = (transaction) => {
    plain.entries.delete(recordCodec(CLUSTER).keys.approval(4));
    return commit.call(plain, transaction);
  };
  const why = await refusalOf(
    reject(metadata, CLUSTER, { partitionIds: [4], forMs: 1, reason: 'no' }, NOW_MS),
  );
  check.match(why, /has begun meanwhile/);
});

/** Somebody else's command is carried out between what a command reads and what it writes. */
function meanwhile(
  { plain, metadata }: ReturnType<typeof storeWith>,
  work: (store: MetadataStore) => Promise<unknown>,
) {
  const { commit } = plain;
  plain.commit = async (transaction) => {
    plain.commit = commit;
    await work(metadata);
    return commit.call(plain, transaction);
  };
}

test('two people who decide of one partition at once: the second is told, and the first holds', async () => {
  const no = { partitionIds: [4], forMs: HOUR_MS, reason: 'no' };
  const rejected = storeWith([{ partitionId: 4 }]);
  meanwhile(rejected, (store) => reject(store, CLUSTER, no, NOW_MS));
  check.match(
    await refusalOf(approve(rejected.metadata, CLUSTER, ALL, NOW_MS)),
    /partition 4 was rejected meanwhile by .* \(no\): nothing was approved/,
  );
  check.equal((await rejected.decisions()).approved, []);
  check.equal((await rejected.decisions()).rejected, [4]);

  const approved = storeWith([{ partitionId: 4 }]);
  meanwhile(approved, (store) => approve(store, CLUSTER, ALL, NOW_MS));
  check.match(
    await refusalOf(reject(approved.metadata, CLUSTER, no, NOW_MS)),
    /partition 4 was approved meanwhile by .* \(seen\): nothing was rejected/,
  );
  check.equal((await approved.decisions()).approved, [4]);
  check.equal((await approved.decisions()).rejected, []);
  check.match(await reject(approved.metadata, CLUSTER, no, NOW_MS), /1 of which had been approved/);

  const changed = storeWith([{ partitionId: 4 }]);
  await reject(changed.metadata, CLUSTER, no, NOW_MS);
  meanwhile(changed, (store) => reject(store, CLUSTER, { ...no, reason: 'never' }, NOW_MS));
  check.match(
    await refusalOf(approve(changed.metadata, CLUSTER, ALL, NOW_MS)),
    /rejected meanwhile by .* \(never\)/,
    'over a rejection that he has not seen nobody approves',
  );
});

test('a rejection takes back what needs the room that the move would have made, and names it', async () => {
  const moves = [
    { partitionId: 1 },
    { partitionId: 2, after: [1] },
    { partitionId: 3, after: [2] },
    { partitionId: 4 },
  ];
  const { metadata, decisions } = storeWith(moves);
  await approve(metadata, CLUSTER, ALL, NOW_MS);
  const told = await reject(
    metadata,
    CLUSTER,
    { partitionIds: [1], forMs: HOUR_MS, reason: 'no' },
    NOW_MS + 1,
  );
  check.match(told, /^1 move rejected, .*; the approval of partition 2-3 was taken back as well/);
  const { approved, rejected } = await decisions();
  check.equal([approved, rejected], [[4], [1]]);
  check.match((await readAudit(metadata, CLUSTER)).at(-1)?.message ?? '', /partition 2-3 was taken back/);
});

test('more moves than a transaction takes are approved in several, each under the same proposal', async () => {
  const moves = Array.from({ length: 130 }, (_, partitionId) => ({ partitionId }));
  const { plain, metadata, decisions } = storeWith(moves);
  const sizes: number[] = [];
  const { commit } = plain;
  plain.commit = (transaction) => {
    sizes.push(transaction.conditions.length + transaction.writes.length);
    return commit.call(plain, transaction);
  };
  await approve(metadata, CLUSTER, ALL, NOW_MS);
  const rejectAll = () =>
    reject(metadata, CLUSTER, { partitionIds: null, forMs: HOUR_MS, reason: 'no' }, NOW_MS);
  await rejectAll();
  await approve(metadata, CLUSTER, ALL, NOW_MS); // Each ends a rejection.
  await rejectAll();
  check.ok(Math.max(...sizes) <= 128, `${sizes}`);
  check.is((await decisions()).rejected.length, 130);
  check.is((await decisions()).approved.length, 0);
});

test('times and partitions as people type them', () => {
  const at = (text: string) => new Date(parseMoment('--from', text, NOW_MS)).toISOString();
  check.is(at('22:00'), '2026-01-15T22:00:00.000Z');
  check.is(at('11:59'), '2026-01-16T11:59:00.000Z', 'the next one');
  check.is(at('2026-01-31T22:00+01:00'), '2026-01-31T21:00:00.000Z');
  for (const wrong of ['24:00', 'tomorrow', '2026-01-31T22:00', '2026-01-31', ''])
    check.throws(() => parseMoment('--from', wrong, NOW_MS), /--from: found/);
  check.equal(parsePartitions(['3', '7-9', '8,20']), [3, 7, 8, 9, 20]);
  for (const wrong of ['9-7', '-1', 'x', '16384', '1,,2', ''])
    check.throws(() => parsePartitions([wrong]), /partitions are numbers/);
});

test.run();

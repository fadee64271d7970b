import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import type { MigrationTransport } from '../../../../plugin/engines/migration-agent/migration-transport.ts';
import { ReadBack, type ReadBackReply } from '../../../../plugin/node/storage/partition-read-back.ts';
import {
  inTurn,
  onceThere,
  verifyAsItStands,
  verifyPartition,
} from '../../../../plugin/operator/verify/verify-partition.ts';
import type { ForeshardError } from '../../../../src/base/errors.ts';
import type { PartitionRecord } from '../../../../src/model/migration.ts';
import { runHere } from '../../../support/run-here.ts';
import { withTemporaryFolder } from '../../../support/temporary-folder.ts';

const test = suite('foreshard verify');

const SEED = '00112233445566aa';
const DIGEST = 'a'.repeat(64);
const OTHER = 'b'.repeat(64);

/** As the map has it: node 1 copies from node 0, or follows it. */
const record = (phase: string | null, ownerNodeId = 0): PartitionRecord =>
  ({
    ...{ partitionId: 7, ownerNodeId, epoch: 4 },
    migration: phase === null ? null : { phase, sourceNodeId: 0, targetNodeId: 1, digestSeed: SEED },
  }) as unknown as PartitionRecord;

const side = (changes: Partial<ReadBackReply> = {}): ReadBackReply => ({
  ...{ storeId: 'store', role: 'OWNER', epoch: 4, lsn: 9, runningDigest: null, isPartial: false },
  scanned: { entryCount: 3, sizeBytes: 30, digest: DIGEST },
  kept: { entryCount: 3, sizeBytes: 30 },
  ...changes,
});

/** Answers in order, the last again and again; a text is an error. */
function nodes(...answers: readonly (ReadBackReply | Error)[][]): {
  transport: MigrationTransport;
  seeds: Set<unknown>;
} {
  const seeds = new Set<unknown>();
  return {
    seeds,
    transport: {
      async request(nodeId: number, _: string, body: Record<string, unknown>) {
        seeds.add(body.digestSeed);
        const queue = answers[nodeId] as (ReadBackReply | Error)[];
        const answer = queue.length > 1 ? queue.shift() : queue[0];
        if (answer instanceof Error) throw answer;
        return { body: answer as unknown as Record<string, unknown> };
      },
    } as unknown as MigrationTransport,
  };
}

const copy = (changes: Partial<ReadBackReply> = {}): ReadBackReply => side({ role: 'FOLLOWER', ...changes });

test('an owner alone is right when all that was written is read back', async () => {
  const { transport } = nodes([side()]);
  const verified = await verifyPartition(record(null), transport);
  check.equal([verified.problems, verified.notes, verified.sides.length], [[], [], 1]);
});

test('what is not as it was written is told', async () => {
  const cases: readonly (readonly [Partial<ReadBackReply>, RegExp])[] = [
    [
      { kept: { entryCount: 4, sizeBytes: 40 } },
      /3 entries of 30 bytes were read back, and 4 of 40 bytes written/,
    ],
    [{ runningDigest: OTHER }, /digests differ/],
    [{ role: 'FOLLOWER' }, /should own it, and holds it as FOLLOWER/],
    [{ epoch: 3 }, /at epoch 3, the map says 4/],
  ];
  for (const [changes, problem] of cases) {
    const { problems } = await verifyPartition(record(null), nodes([side(changes)]).transport);
    check.match(problems.join('\n'), problem);
  }
  const silent = nodes([new Error('no answer')]);
  check.match(
    (await verifyPartition(record(null), silent.transport)).problems.join(),
    /could not be asked: no answer/,
  );
});

test('copies are compared at one write only, with the seed of their migration', async () => {
  const equal = nodes([side()], [copy()]);
  check.equal((await verifyPartition(record('CATCHUP'), equal.transport)).problems, []);
  check.equal([...equal.seeds], [SEED]);

  const different = nodes([side()], [copy({ scanned: { entryCount: 3, sizeBytes: 30, digest: OTHER } })]);
  check.match(
    (await verifyPartition(record('CATCHUP'), different.transport)).problems.join(),
    /nodes 0 and 1 hold different data at lsn 9/,
  );

  const behind = nodes([side({ lsn: 10 }), side({ lsn: 12 })], [copy(), copy({ lsn: 12 })]);
  const caughtUp = await verifyPartition(record('CATCHUP'), behind.transport);
  check.equal([caughtUp.problems, caughtUp.notes, caughtUp.sides[1]?.lsn], [[], [], 12]);

  const never = nodes([side({ lsn: 10 })], [copy()]);
  const { problems, notes } = await verifyPartition(record('CATCHUP'), never.transport);
  check.equal(problems, [], 'to be behind is no fault');
  check.match(notes.join(), /never seen at the same write/);

  // After the switch the other side is the old owner.
  const switched = nodes([copy()], [side()]);
  const after = await verifyPartition(record('GRACE', 1), switched.transport);
  check.equal(
    after.sides.map(({ nodeId }) => nodeId),
    [1, 0],
  );
});

test('a partition that changes hands while it is read is read by its new record, and is not called wrong', async () => {
  // Node 0 was the owner when the map was read; node 1 is, one epoch on, by the time that node 0 answers.
  const moved = { ...record('GRACE', 1), epoch: 5 } as PartitionRecord;
  const answers = () => nodes([copy({ epoch: 5 })], [side({ epoch: 5 })]).transport;
  const reads = [record('CATCHUP'), moved];
  const verified = await verifyAsItStands(async () => reads.shift() ?? moved, answers());
  check.equal([verified.ownerNodeId, verified.problems], [1, []]);

  const lost = await verifyAsItStands(async () => record('CATCHUP'), answers());
  check.match(lost.problems.join(), /node 0 should own it, and holds it as FOLLOWER/, 'nothing has moved');
});

test('a copy that is being filled, or is not there yet, is no fault', async () => {
  for (const [changes, note] of [
    [
      {
        role: 'STAGING',
        isPartial: true,
        scanned: { entryCount: 1, sizeBytes: 10, digest: OTHER },
        kept: { entryCount: 1, sizeBytes: 10 },
      },
      /still being filled/,
    ],
    [{ role: 'NONE' }, /holds no copy of it now/],
  ] as const) {
    const { problems, notes } = await verifyPartition(
      record('COPY'),
      nodes([side()], [copy(changes)]).transport,
    );
    check.equal(problems, []);
    check.match(notes.join(), note);
  }
});

test('a node reads one partition back at a time, and says so to whoever comes second', async () => {
  let release = (): void => {};
  const reading = new Promise<void>((resolve) => {
    release = resolve;
  });
  let closedCount = 0;
  const readBack = new ReadBack({
    storeId: 'store',
    meta: () => ({ ...EMPTY, role: 'OWNER', epoch: 4, digestSeed: SEED }),
    statistics: () => ({ entryCount: 1, sizeBytes: 5 }),
    openSnapshot: () =>
      ({
        lsn: 3,
        runningDigest: { entryCount: 1, sizeBytes: 5, buckets: ['00'] },
        async digest() {
          await reading;
          return { entryCount: 1, sizeBytes: 5, buckets: ['00'] };
        },
        close: () => closedCount++,
      }) as never,
  });
  const ask = { partitionId: 1, digestSeed: SEED };
  const first = readBack.answer(ask);
  const second = await readBack.answer(ask).catch((error: ForeshardError) => error);
  check.is((second as ForeshardError).code, 'FORESHARD_LIMIT');
  release();
  const { body } = await first;
  check.is(body.runningDigest, (body.scanned as { digest: string }).digest);
  check.is(closedCount, 1);
  const otherSeed = await readBack.answer({ ...ask, digestSeed: 'f'.repeat(16) });
  check.is(otherSeed.body.runningDigest, null, 'sums of another seed say nothing');
  check.is(
    (await readBack
      .answer({ partitionId: -1 })
      .catch((error: ForeshardError) => error.code)) as unknown as string,
    'FORESHARD_CORRUPT',
  );
});

test('a copy waits for its turn at a node that reads its own partitions back', async () => {
  const reading = new Map<number, () => void>();
  const asked: string[] = [];
  const slow = inTurn({
    request: (nodeId, operation) => {
      check.not.ok(reading.has(nodeId), 'one at a time');
      asked.push(`${nodeId} ${operation}`);
      return new Promise((resolve, reject) => {
        reading.set(nodeId, () => {
          reading.delete(nodeId);
          if (operation === 'fails') reject(new Error('no answer'));
          else resolve({ body: {} });
        });
      });
    },
  });
  const all = ['own', 'fails', 'copy'].map((operation) => slow.request(1, operation, {}));
  const other = slow.request(0, 'own', {});
  const ended = Promise.allSettled([...all, other]);
  while (asked.length < 4 || reading.size > 0) {
    await Promise.resolve();
    for (const end of [...reading.values()]) end();
  }
  check.equal(
    (await ended).map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled', 'fulfilled'],
  );
  check.equal(
    asked.filter((of) => of.startsWith('1')),
    ['1 own', '1 fails', '1 copy'],
  );
});

test('a node that does not answer is found out before anybody waits for it, once', async () => {
  const asked: string[] = [];
  const transport = onceThere(
    async (nodeId) => {
      asked.push(`${nodeId} there?`);
      if (nodeId === 1) throw new Error('no connection');
    },
    {
      async request(nodeId, operation) {
        asked.push(`${nodeId} ${operation}`);
        return { body: {} };
      },
    },
  );
  for (const nodeId of [0, 1, 1, 0]) await transport.request(nodeId, 'read', {}).catch(() => undefined);
  check.equal(asked, ['0 there?', '0 read', '1 there?', '0 read']);
});

const EMPTY = {
  ...{ role: 'NONE' as const, epoch: 0, epochMax: 0, closedMigrationId: 0, migrationId: 0, lsn: 0 },
  ...{ fence: null, staging: null, digestSeed: null },
};

test('what a Redis Cluster keeps is not asked for', async () => {
  await withTemporaryFolder(async (folder) => {
    const file = join(folder, 'foreshard.config.json');
    writeFileSync(file, '{"redis": {"nodes": ["127.0.0.1:1"]}}');
    const { exitCode, stderr } = await runHere('verify', '--all', '--config', file);
    check.is(exitCode, 2);
    check.match(stderr, /verify is of the embedded engine/);
  });
});

test.run();

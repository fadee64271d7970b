import { suite } from 'uvu';
import * as check from 'uvu/assert';
import type { Association } from '../../../../src/analyzer/patterns/associations.ts';
import { CO_ACCESS_DEFAULTS, CoAccess, fitOffDiagonal } from '../../../../src/analyzer/patterns/co-access.ts';
import { QuerySequences } from '../../../../src/analyzer/patterns/query-sequences.ts';
import { type Random, seededRandom } from '../../../../src/base/random.ts';
import type { QueryRecord } from '../../../../src/model/query-log.ts';
import { testSeed } from '../../../support/seed.ts';

const test = suite('patterns/co-access');
const SEED = testSeed('patterns/co-access');
const PARTITION_COUNT = 24;

const newCoAccess = (over: Partial<typeof CO_ACCESS_DEFAULTS> = {}): CoAccess =>
  new CoAccess({ ...CO_ACCESS_DEFAULTS, partitionCount: PARTITION_COUNT, ...over });
/** Some partitions are asked for much more often than others. */
const skewed = (random: Random): number => Math.floor(PARTITION_COUNT * random.nextFloat() ** 2);
const names = (found: readonly Association[]): string[] => found.map(({ row, column }) => `${row}-${column}`);

test('the partitions of one query, of one client, and one after the other are told apart', () => {
  const random = seededRandom(SEED);
  const coAccess = newCoAccess();
  let timeMs = 0;
  for (let i = 0; i < 4_000; i++) {
    timeMs += 400;
    const client = `c${random.nextBelow(50)}`;
    const add = (partitions: readonly number[], atMs: number): void =>
      coAccess.add({ timeMs: atMs, client, partitions: [...new Set(partitions)], weight: 1 });
    const kind = random.nextBelow(10);
    if (kind === 0) add([3, 20], timeMs);
    else if (kind === 1) {
      // From 7 on to 15, always this way; never the other.
      add([7], timeMs);
      add([15], timeMs + 50);
    } else add([skewed(random), skewed(random)], timeMs);
  }
  const { together, sameClient, next } = coAccess.report(1);
  check.equal(names(together), ['3-20']);
  check.equal(names(sameClient), ['7-15']);
  check.equal(names(next), ['7-15']);
  check.ok((together[0]?.lift ?? 0) > 5, `${together[0]?.lift}`);
});

test('among random queries no more pairs are told than the false-discovery bound allows', () => {
  const random = seededRandom(SEED);
  const runs = 100;
  const toldIn = { together: 0, sameClient: 0, next: 0 };
  for (let run = 0; run < runs; run++) {
    const coAccess = newCoAccess();
    for (let i = 0; i < 2_000; i++) {
      const partitions = [...new Set([skewed(random), skewed(random), skewed(random)])];
      coAccess.add({ timeMs: i * 300, client: `c${random.nextBelow(4)}`, partitions, weight: 1 });
    }
    const report = coAccess.report(1);
    for (const relation of ['together', 'sameClient', 'next'] as const)
      toldIn[relation] += Number(report[relation].length > 0);
  }
  // Every find is false here, so the rate is the share of runs with one: 0.05, and three standard errors of 100 runs.
  for (const [relation, count] of Object.entries(toldIn))
    check.ok(count <= 11, `${relation}: in ${count} of ${runs} runs`);
});

test('what is always asked for together is told, also where there are no other pairs to compare with', () => {
  const random = seededRandom(SEED);
  const coAccess = newCoAccess();
  for (let i = 0; i < 500; i++) {
    const timeMs = i * 60_000;
    // Everybody looks anywhere, one partition at a time, minutes apart.
    for (let j = 0; j < 20; j++)
      coAccess.add({ timeMs, client: `web-${i}-${j}`, partitions: [skewed(random)], weight: 1 });
    coAccess.add({ timeMs, client: `api-${i}`, partitions: [20, 21], weight: 1 });
    coAccess.add({ timeMs, client: 'shop', partitions: [22], weight: 1 });
    coAccess.add({ timeMs: timeMs + 100, client: 'shop', partitions: [23], weight: 1 });
  }
  const { together, sameClient, next } = coAccess.report(1);
  check.equal([names(together), names(sameClient), names(next)], [['20-21'], ['22-23'], ['22-23']]);
});

test('what is expected of a table without a diagonal has its sums', () => {
  const truth = [8, 5, 3, 2, 1];
  const sums = new Map(truth.map((a, i) => [i, truth.reduce((sum, b, j) => sum + (i === j ? 0 : a * b), 0)]));
  const fit = fitOffDiagonal(sums, sums);
  for (const [i, a] of truth.entries())
    for (const [j, b] of truth.entries())
      if (i !== j) check.ok(Math.abs(fit(i, j) / (a * b) - 1) < 1e-6, `${i},${j}: ${fit(i, j)}`);
  // One partition in every pair: there is no independent table with these sums, and still nothing that is not finite.
  const star = fitOffDiagonal(
    new Map([
      [0, 10],
      [1, 5],
      [2, 5],
    ]),
    new Map([
      [0, 10],
      [1, 5],
      [2, 5],
    ]),
  );
  check.ok(Number.isFinite(star(1, 2)) && star(0, 1) > 4);
});

test('queries of one client belong together for a second, those of two clients never', () => {
  const count = (client: string, gapMs: number): number => {
    const coAccess = newCoAccess();
    for (let i = 0; i < 100; i++) {
      coAccess.add({ timeMs: i * 60_000, client: 'a', partitions: [1], weight: 1 });
      coAccess.add({ timeMs: i * 60_000 + gapMs, client, partitions: [2], weight: 1 });
    }
    return coAccess.pairCount;
  };
  check.is(count('a', 900), 2);
  check.is(count('a', 1_100), 0);
  check.is(count('b', 0), 0);
});

test('clients, pairs and the partitions of one query are bounded', () => {
  const random = seededRandom(SEED);
  const coAccess = new CoAccess({
    ...CO_ACCESS_DEFAULTS,
    partitionCount: 16_384,
    clientsMax: 10,
    pairsMax: 500,
  });
  for (let i = 0; i < 3_000; i++) {
    const partitions = Array.from({ length: 40 }, () => random.nextBelow(16_384));
    coAccess.add({ timeMs: i, client: `c${i}`, partitions, weight: 1 });
  }
  check.ok(coAccess.pairCount <= 3 * 501, `${coAccess.pairCount}`);
  check.is(coAccess.report(1).cutCount, 3_000);
});

function record(over: Partial<QueryRecord>): QueryRecord {
  return {
    timeMs: 0,
    command: 'GET',
    keyPrefix: 'key',
    keyHash: 1,
    partitionId: 0,
    nodeId: 0,
    clientId: 1,
    latencyUs: 100,
    requestBytes: 10,
    replyBytes: 10,
    isWrite: false,
    outcome: 'ok',
    ...over,
  };
}

const newSequences = (recordsMax = 1_000_000): QuerySequences =>
  new QuerySequences({
    ...CO_ACCESS_DEFAULTS,
    partitionCount: PARTITION_COUNT,
    halfLifeMs: 1e9,
    splitCommands: new Set(['MGET']),
    recordsMax,
  });

test('the parts of a multi-key query are put together again, whatever comes between them', () => {
  const random = seededRandom(SEED);
  const sequences = newSequences();
  for (let i = 0; i < 1_000; i++) {
    const timeMs = i * 2_000;
    // Two clients at once: their parts come mixed. One asks for 3 and 20, the other for anything.
    const [a, b] = [skewed(random), skewed(random)];
    sequences.add(record({ timeMs, command: 'MGET', clientId: 1, partitionId: 3 }));
    sequences.add(record({ timeMs, command: 'MGET', clientId: 2, partitionId: a }));
    sequences.add(record({ timeMs, command: 'MGET', clientId: 1, partitionId: 20 }));
    if (a !== b) sequences.add(record({ timeMs, command: 'MGET', clientId: 2, partitionId: b }));
    sequences.endBatch(timeMs + 1_000);
  }
  const { together, sameClient } = sequences.report();
  check.equal(names(together), ['3-20']);
  const count = together[0]?.count ?? 0;
  check.ok(count > 990 && count < 1_050, `${count}: the thousand, and a few by chance`);
  check.equal(names(sameClient), []);
});

test('a partition that comes again begins the next query; so does another command', () => {
  const sequences = newSequences();
  for (let i = 0; i < 100; i++) {
    const timeMs = i * 10;
    sequences.add(record({ timeMs, command: 'MGET', partitionId: 1 }));
    sequences.add(record({ timeMs, command: 'MGET', partitionId: 1 }));
    sequences.add(record({ timeMs, command: 'GET', partitionId: 2 }));
  }
  sequences.endBatch(1e6);
  check.equal(names(sequences.report().together), []);
});

test('of a batch only the beginning is looked at, and what was left out is counted', () => {
  const sequences = newSequences(10);
  for (let i = 0; i < 25; i++) sequences.add(record({ timeMs: i }));
  sequences.endBatch(25);
  check.is(sequences.skippedCount, 15);
  sequences.add(record({ timeMs: 26 }));
  check.is(sequences.skippedCount, 15);
});

test.run();

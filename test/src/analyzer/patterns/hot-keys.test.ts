import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { HotKeys } from '../../../../src/analyzer/patterns/hot-keys.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import type { QueryRecord } from '../../../../src/model/query-log.ts';
import { testSeed } from '../../../support/seed.ts';

const test = suite('hot keys');
const seed = testSeed('hot keys');

const HOUR_MS = 3_600_000;

const query = (partitionId: number, keyHash: number, hour = 0): QueryRecord => ({
  timeMs: hour * HOUR_MS,
  command: 'GET',
  keyPrefix: `key:${keyHash}`,
  keyHash,
  partitionId,
  nodeId: 0,
  clientId: 1,
  latencyUs: 1,
  requestBytes: 1,
  replyBytes: 1,
  isWrite: false,
  outcome: 'ok',
});

const settings = { partitionCount: 8, keysMax: 64, halfLifeMs: 4 * HOUR_MS };
const limits = { shareMin: 0.2, queriesMin: 100 };

test('one hot key among a hundred thousand others is found, named, and its share lies between the two bounds', () => {
  const random = seededRandom(seed);
  const hotKeys = new HotKeys(settings);
  let hot = 0;
  let all = 0;
  for (let i = 0; i < 200_000; i++) {
    const isHot = random.nextFloat() < 0.05;
    const partition = isHot ? 3 : random.nextBelow(8);
    hotKeys.add(query(partition, isHot ? 42 : 1000 + random.nextBelow(100_000)));
    if (isHot) hot++;
    if (partition === 3) all++;
  }
  const found = hotKeys.report(limits);
  check.is(found.length, 1, `seed ${seed}`);
  const [key] = found;
  check.is(key?.partitionId, 3);
  check.is(key?.keyPrefix, 'key:42');
  const share = hot / all;
  check.ok(
    key && key.shareMin <= share && share <= key.shareMax,
    `${key?.shareMin} ${share} ${key?.shareMax}`,
  );
});

test('evenly used keys are not hot, however many there are', () => {
  const random = seededRandom(seed);
  const hotKeys = new HotKeys(settings);
  for (let i = 0; i < 100_000; i++) hotKeys.add(query(random.nextBelow(8), 1 + random.nextBelow(5000)));
  check.equal(hotKeys.report(limits), []);
});

test('every key with more than 1 / keysMax of all queries is kept, whatever comes after it', () => {
  const hotKeys = new HotKeys(settings);
  for (let i = 0; i < 2000; i++) hotKeys.add(query(1, 7));
  for (let i = 0; i < 50_000; i++) hotKeys.add(query(2, 100 + i));
  check.ok(hotKeys.report(limits).some(({ keyHash }) => keyHash === 7));
});

test('yesterday is forgotten: another key takes over', () => {
  const hotKeys = new HotKeys(settings);
  for (let i = 0; i < 1000; i++) hotKeys.add(query(1, 7));
  for (let hour = 1; hour <= 24; hour++) for (let i = 0; i < 200; i++) hotKeys.add(query(1, 8, hour));
  check.equal(
    hotKeys.report(limits).map(({ keyHash }) => keyHash),
    [8],
  );
});

test('counts stay right over years', () => {
  const hotKeys = new HotKeys(settings);
  for (let hour = 0; hour < 20_000; hour++) hotKeys.add(query(1, 7, hour));
  const [key] = hotKeys.report({ shareMin: 0.5, queriesMin: 1 });
  // The sum of 2^(-i/4).
  check.ok(Math.abs((key?.queries ?? 0) - 1 / (1 - 2 ** (-1 / 4))) < 1e-6);
});

test('a query without a hash counts for its partition only', () => {
  const hotKeys = new HotKeys(settings);
  for (let i = 0; i < 1000; i++) hotKeys.add(query(1, 0));
  check.equal(hotKeys.report(limits), []);
});

test.run();

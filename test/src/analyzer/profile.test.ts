import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { PROFILE_DEFAULTS, ProfileBuilder, type ProfileSettings } from '../../../src/analyzer/profile.ts';
import { mergeSegments } from '../../../src/analyzer/profile-segment.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import { mergeAffinityCounts } from '../../../src/model/affinity-matrix.ts';
import type { QueryRecord } from '../../../src/model/query-log.ts';

const test = suite('analyzer/profile');
const SECOND = 1000;

function newBuilder(settings: Partial<ProfileSettings> = {}): ProfileBuilder {
  const base = { source: 'q0', partitionCount: 16, windowMs: SECOND, graceMs: 100 };
  const cpu = { usPerQuery: 10, usPerWrite: 5, usPerKibibyte: 0, usPerLatencyUs: 0 };
  return new ProfileBuilder({ ...PROFILE_DEFAULTS, ...base, cpu, ...settings });
}

function query(overrides: Partial<QueryRecord>): QueryRecord {
  return {
    timeMs: 0,
    command: 'GET',
    keyPrefix: 'user:1',
    keyHash: 0,
    partitionId: 0,
    nodeId: 0,
    clientId: 1,
    latencyUs: 100,
    requestBytes: 30,
    replyBytes: 50,
    isWrite: false,
    outcome: 'ok',
    ...overrides,
  };
}

test('a window holds what its queries asked, per partition and dimension', () => {
  const builder = newBuilder();
  builder.add(query({ timeMs: 10, partitionId: 3 }));
  builder.add(query({ timeMs: 20, partitionId: 3, isWrite: true, command: 'SET', replyBytes: 5 }));
  const [segment] = builder.closeUntil(2 * SECOND);
  assert.is(segment?.startMs, 0);
  assert.is(segment?.recordCount, 2);
  const loads = [...segment!.values.subarray(12, 16)];
  assert.equal(
    loads.map((load) => Number(load.toPrecision(6))),
    [2, 25e-6, 55, 30],
  );
  assert.is(segment!.values.filter((value) => value !== 0).length, 4, 'other partitions are untouched');
});

test('a window stays open for its grace, and late records are counted where they still can be', () => {
  const builder = newBuilder();
  builder.add(query({ timeMs: 500 }));
  assert.equal(builder.closeUntil(SECOND + 99), [], 'in its grace');
  builder.add(query({ timeMs: 999 }));
  const [first] = builder.closeUntil(SECOND + 100);
  assert.is(first?.recordCount, 2);
  builder.add(query({ timeMs: 700 }));
  const [second] = builder.closeUntil(2 * SECOND + 100);
  assert.is(second?.startMs, SECOND);
  assert.is(second?.recordCount, 1);
  assert.is(second?.lateCount, 1);
});

test('a window without a query is a load of zero, a window without a segment is an outage', () => {
  const builder = newBuilder();
  builder.closeUntil(0);
  const silent = builder.closeUntil(SECOND + 100);
  assert.is(silent.length, 1);
  const later = newBuilder();
  later.add(query({ timeMs: 3 * SECOND }));
  const profile = mergeSegments([...silent, ...later.closeUntil(5 * SECOND)], { endMs: 5 * SECOND });
  assert.equal([...profile.coverage], [1, 0, 0, 1, 0]);
  assert.is(profile.windowCount, 5);
});

test('dropped queries lower the coverage of their window only', () => {
  const builder = newBuilder();
  builder.add(query({ timeMs: 100 }));
  builder.addDropped(3, 200);
  builder.add(query({ timeMs: SECOND + 100 }));
  const profile = mergeSegments(builder.closeUntil(3 * SECOND));
  assert.equal([...profile.coverage.subarray(0, 2)], [0.25, 1]);
});

test('segments of two query nodes add up, in any order', () => {
  const [first, second] = [newBuilder(), newBuilder({ source: 'q1' })];
  first.add(query({ timeMs: 100, partitionId: 2 }));
  second.add(query({ timeMs: 200, partitionId: 2 }));
  second.add(query({ timeMs: SECOND, partitionId: 5 }));
  const segments = [...first.closeUntil(3 * SECOND), ...second.closeUntil(3 * SECOND)];
  const profile = mergeSegments(segments);
  assert.equal(mergeSegments([...segments].reverse()), profile);
  assert.is(profile.values[2 * 4], 2);
  assert.is(profile.values[(16 + 5) * 4], 1);
  const { clients, templates, count } = mergeAffinityCounts(
    segments.map(({ affinity }) => affinity),
    16,
  );
  assert.equal(templates, ['(other)', 'GET user:{n}']);
  assert.equal(clients, ['(other)', 'q0/1', 'q1/1']);
  assert.is(
    count.reduce((sum, value) => sum + value, 0),
    3,
  );
});

test('clients and entries beyond their limits are counted as "other", no query is lost', () => {
  const builder = newBuilder({ clientsMax: 2, entriesMax: 4 });
  for (let client = 0; client < 10; client++)
    for (let partition = 0; partition < 4; partition++)
      builder.add(query({ clientId: client, partitionId: partition }));
  const [{ affinity }] = builder.closeUntil(2 * SECOND) as [ReturnType<typeof builder.closeUntil>[0]];
  assert.is(affinity.clients.length, 3);
  assert.is(
    affinity.count.reduce((sum, value) => sum + value, 0),
    40,
  );
  assert.ok(affinity.count.length <= 8);
});

test('each window has room for its own clients and templates, however many there were before', () => {
  const builder = newBuilder({ clientsMax: 2, templatesMax: 2 });
  for (let client = 0; client < 10; client++)
    builder.add(query({ timeMs: client * SECOND, clientId: client, command: `C${client}` }));
  for (const [window, { affinity }] of builder
    .closeUntil(20 * SECOND)
    .slice(0, 10)
    .entries()) {
    assert.equal(affinity.clients, ['(other)', `q0/${window}`]);
    assert.equal(affinity.templates, ['(other)', `C${window} user:{n}`]);
  }
});

test('counts in bulk land like the queries they stand for', () => {
  const builder = newBuilder();
  builder.addCounts({
    timeMs: 5,
    partitionId: 1,
    queries: 7,
    cpuSeconds: 0.5,
    readBytes: 70,
    writeBytes: 14,
  });
  const [segment] = builder.closeUntil(2 * SECOND);
  assert.equal([...segment!.values.subarray(4, 8)], [7, 0.5, 70, 14]);
  assert.is(segment!.recordCount, 7);
});

test('a record with an impossible partition or time is refused and counted', () => {
  const builder = newBuilder();
  for (const partitionId of [-1, 16, 1.5, Number.NaN]) builder.add(query({ partitionId }));
  builder.add(query({ timeMs: Number.NaN }));
  assert.is(builder.refusedCount, 5);
});

test('a clock that jumps ahead leaves a bounded number of open windows', () => {
  const builder = newBuilder();
  for (let hour = 0; hour < 1000; hour++) builder.add(query({ timeMs: hour * SECOND }));
  assert.is(builder.closeUntil(2000 * SECOND).length, 1000);
});

test('segments that do not fit together are refused, as is nothing at all', () => {
  const one = newBuilder();
  one.add(query({}));
  const other = newBuilder({ partitionCount: 32 });
  other.add(query({}));
  const segments = [...one.closeUntil(5 * SECOND), ...other.closeUntil(5 * SECOND)];
  const codeOf = (work: () => unknown): string => {
    try {
      work();
      return 'none';
    } catch (error) {
      return error instanceof ForeshardError ? error.code : 'other';
    }
  };
  assert.is(
    codeOf(() => mergeSegments(segments)),
    'FORESHARD_CORRUPT',
  );
  assert.is(
    codeOf(() => mergeSegments([])),
    'FORESHARD_NOT_READY',
  );
});

test.run();

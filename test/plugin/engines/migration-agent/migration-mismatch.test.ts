/** Copies that differ: found, narrowed down to keys, written down, and the partition left alone until somebody has looked. */
import * as check from 'uvu/assert';
import { type MigrationCluster, QUICK_SETTINGS } from '../../../../bench/migration-cluster.ts';
import { encodedKey, PhysicalKey } from '../../../../plugin/engines/lmdb/physical-key.ts';
import { clusterKeys } from '../../../../plugin/metadata/cluster-keys.ts';
import { decodeEvidence, recordCodec } from '../../../../plugin/metadata/record-codec.ts';
import { systemClock } from '../../../../src/base/clock.ts';
import type { ForeshardError } from '../../../../src/base/errors.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import { MigrationExecutor } from '../../../../src/migration/executor.ts';
import type { MismatchEvidence } from '../../../../src/migration/mismatch.ts';
import { withoutQuarantine } from '../../../../src/migration/queue/quarantine.ts';
import type { PartitionRecord } from '../../../../src/model/migration.ts';
import type { PhysicalEntry } from '../../../../src/ports/partition-store.ts';
import { clusterSuite, open, PARTITION, TAG } from './support.ts';

const test = clusterSuite('copies that differ');
const keyOf = (i: number): string => `${TAG}:${i}`;

function physicalKeyOf(key: string): Uint8Array {
  const physical = new PhysicalKey();
  physical.setKey(Buffer.from(key), 0, key.length);
  return physical.bytes.slice(0, physical.length);
}

const isKey = (entry: PhysicalEntry, i: number): boolean =>
  Buffer.compare(entry.key, physicalKeyOf(keyOf(i))) === 0;

async function evidenceOf(cluster: MigrationCluster): Promise<MismatchEvidence[]> {
  const { entries } = await cluster.metadata.list(clusterKeys('local').evidencePrefix);
  return entries.map((entry) => decodeEvidence(entry.value));
}

test('each kind of difference is narrowed down to its key', async (context) => {
  const cluster = await open(context);
  cluster.write(
    0,
    Array.from({ length: 300 }, (_, i) => ({ key: keyOf(i), value: Buffer.alloc(30, i) })),
  );
  const target = cluster.storeOf(1);
  const applySnapshot = target.applySnapshot.bind(target);
  target.applySnapshot = (partitionId, migrationId, entries, cursor) => {
    const altered: PhysicalEntry[] = [];
    for (const entry of entries) {
      const value = new Uint8Array(entry.value);
      if (isKey(entry, 10)) continue; // lost
      if (isKey(entry, 20)) value[value.length - 1] ^= 1; // one bit of the value
      if (isKey(entry, 30)) value.set([0x42, 0x79], 1); // an expiry in the far future
      if (isKey(entry, 40)) altered.push({ key: physicalKeyOf(`${TAG}:stray`), value });
      altered.push({ key: entry.key, value });
    }
    altered.sort((a, b) => Buffer.compare(a.key, b.key)); // what is out of order is refused
    return applySnapshot(partitionId, migrationId, altered, cursor);
  };
  await cluster.move(PARTITION, 1);
  await cluster.waitUntilStable();
  const [evidence, ...others] = await evidenceOf(cluster);
  check.equal(others, []);
  check.equal(
    evidence?.differences.map(({ keyPrefix, kind }) => `${keyPrefix} ${kind}`).sort(),
    [
      `${keyOf(10)} missing-on-copy`,
      `${keyOf(20)} other-value`,
      `${keyOf(30)} other-expiry`,
      `${TAG}:stray extra-on-copy`,
    ].sort(),
  );
  check.is(evidence?.differenceCount, 4);
  check.is(evidence?.lsn, 300);
  check.is(evidence?.phase, 'VERIFY');
  check.equal([evidence?.ownerNodeId, evidence?.copyNodeId], [0, 1]);
  check.ok(evidence?.differences.every(({ keyHash }) => /^[0-9a-f]{8}$/.test(keyHash)));
  check.is(cluster.storeOf(0).meta(PARTITION).role, 'OWNER');
});

test('the quarantine is known to a coordinator that has just begun, and lasts until it is cleared', async (context) => {
  const cluster = await open(context);
  cluster.write(0, [{ key: keyOf(1), value: Buffer.from('a') }]);
  const target = cluster.storeOf(1);
  const applySnapshot = target.applySnapshot.bind(target);
  target.applySnapshot = (partitionId, migrationId, _entries, cursor) =>
    applySnapshot(partitionId, migrationId, [], cursor);
  await cluster.move(PARTITION, 1);
  await cluster.waitUntilStable();
  const successor = new MigrationExecutor(QUICK_SETTINGS, {
    clock: systemClock(),
    random: seededRandom(2n),
    logger: silentLogger,
    // It never gets as far as asking a node.
    engine: { capabilities: {} } as never,
    metadata: cluster.metadata,
    codec: recordCodec('local'),
    leadership: () => null,
  });
  const { map, records } = await cluster.loadMap();
  check.match(records[PARTITION]?.quarantine?.reason ?? '', /verification failed/);
  check.is(records[PARTITION]?.quarantine?.untilMs, null);
  const { refused } = await successor.admit({
    baseOwnerOf: map.ownerOf,
    baseEpochOf: map.epochOf,
    moves: [{ partitionId: PARTITION, sourceNodeId: 0, targetNodeId: 1, schedule: null }],
  } as never);
  check.is(refused[0]?.refusal, 'quarantine');
  check.equal(successor.status().quarantinedPartitionIds, [PARTITION]);
});

test('what goes wrong between verification and fence is found there, with its key', async (context) => {
  const cluster = await open(context, { readWeightSteps: [1], readWeightHoldMs: 200 });
  cluster.write(
    0,
    Array.from({ length: 50 }, (_, i) => ({ key: keyOf(i), value: Buffer.alloc(30, i) })),
  );
  const target = cluster.storeOf(1);
  const applyLog = target.applyLog.bind(target);
  // A copy that writes something else than it was sent.
  target.applyLog = (partitionId, migrationId, entries) =>
    applyLog(
      partitionId,
      migrationId,
      entries.map((entry) => {
        if (entry.kind === 'delete') return entry;
        const value = new Uint8Array(entry.value);
        value[value.length - 1] ^= 1;
        return { ...entry, value };
      }),
    );
  await cluster.move(PARTITION, 1);
  await until(
    async () => (await cluster.loadMap()).records[PARTITION]?.migration?.phase === 'SHIFT',
    'verified',
  );
  cluster.write(0, [{ key: keyOf(7), value: Buffer.from('late') }]);
  await cluster.waitUntilStable();
  const [evidence] = await evidenceOf(cluster);
  check.is(evidence?.phase, 'FENCED');
  check.equal(
    evidence?.differences.map(({ keyPrefix, kind }) => [keyPrefix, kind]),
    [[keyOf(7), 'other-value']],
  );
  check.is(evidence?.lsn, 51);
  check.is(cluster.storeOf(0).meta(PARTITION).role, 'OWNER');
  cluster.write(0, [{ key: keyOf(8), value: Buffer.from('it takes writes again') }]);
});

test('what rots in the grace is found before the removal, and nothing is removed', async (context) => {
  const cluster = await open(context, { graceMs: 300 });
  cluster.write(
    0,
    Array.from({ length: 50 }, (_, i) => ({ key: keyOf(i), value: Buffer.alloc(30, i) })),
  );
  await cluster.move(PARTITION, 1);
  await until(() => cluster.storeOf(0).meta(PARTITION).role === 'FOLLOWER', 'a follower');
  flipBit(cluster, 7);
  let found: MismatchEvidence[] = [];
  await until(async () => {
    found = await evidenceOf(cluster);
    return found.length > 0;
  }, 'evidence');
  const [evidence] = found;
  check.is(evidence?.phase, 'GRACE');
  check.equal([evidence?.ownerNodeId, evidence?.copyNodeId], [1, 0]);
  check.equal(
    evidence?.differences.map(({ keyPrefix, kind }) => [keyPrefix, kind]),
    [[keyOf(7), 'other-value']],
  );
  const record = (await cluster.loadMap()).records[PARTITION];
  check.is(record?.migration?.phase, 'GRACE');
  check.ok(record?.quarantine);
  check.is(cluster.storeOf(0).statistics(PARTITION).entryCount, 50);
});

for (const [what, isWritten] of [
  ['at the lsn at which it was found', false],
  ['and written to meanwhile', true],
] as const)
  test(`a copy that is mended in the grace, ${what}, is found equal the next time and removed`, async (context) => {
    const cluster = await open(context, { graceMs: 300 });
    cluster.write(
      0,
      Array.from({ length: 50 }, (_, i) => ({ key: keyOf(i), value: Buffer.alloc(30, i) })),
    );
    await cluster.move(PARTITION, 1);
    await until(() => cluster.storeOf(0).meta(PARTITION).role === 'FOLLOWER', 'a follower');
    flipBit(cluster, 7);
    const recordNow = async () => (await cluster.loadMap()).records[PARTITION] as PartitionRecord;
    await until(async () => (await recordNow()).quarantine !== undefined, 'a quarantine');
    flipBit(cluster, 7);
    if (isWritten) cluster.write(1, [{ key: keyOf(8), value: Buffer.from('later') }]);
    await clearQuarantine(cluster);
    await cluster.waitUntilStable();
    check.is((await recordNow()).quarantine, undefined);
    check.is(cluster.storeOf(0).meta(PARTITION).role, 'NONE');
    const [evidence, ...others] = await evidenceOf(cluster);
    check.equal([evidence?.lsn, evidence?.differenceCount, others.length], [50, 1, 0]);
  });

test('a node of another digest format takes no part, on either side', async (context) => {
  const cluster = await open(context);
  const command = { partitionId: PARTITION, migrationId: 1, epoch: 1 };
  const prepare = {
    ...command,
    sourceNodeId: 0,
    targetNodeId: 1,
    sourceStoreId: cluster.storeOf(0).storeId,
    targetStoreId: cluster.storeOf(1).storeId,
    digestSeed: '0'.repeat(16),
    freeBytesMin: 0,
  };
  const asked: readonly [number, string, Record<string, unknown>][] = [
    [0, 'replicate.prepare', { ...prepare, side: 'source' }], // of a coordinator that knows of no formats
    [1, 'replicate.prepare', { ...prepare, side: 'target', digestFormat: 3 }],
    [0, 'replicate.openSnapshot', { ...command, digestFormat: 3 }],
  ];
  for (const [nodeId, operation, body] of asked) {
    const handle = cluster.nodes.get(nodeId)?.hooks.replicate;
    try {
      await handle?.(operation, body);
      check.unreachable(operation);
    } catch (error) {
      check.is((error as ForeshardError).code, 'FORESHARD_CONFIG', operation);
      check.match((error as Error).message, /all nodes must be of one version/);
    }
    check.is(cluster.storeOf(nodeId).meta(PARTITION).migrationId, 0);
  }
});

/** Behind the store's back: what a failing disk does, and what mends it. The running digest knows nothing of it. */
function flipBit(cluster: MigrationCluster, i: number): void {
  const { environment } = cluster.storeOf(0);
  const key = encodedKey(physicalKeyOf(keyOf(i)));
  environment.write(() => {
    const value = new Uint8Array(environment.data.getBinary(key) as Uint8Array);
    value[value.length - 1] ^= 1;
    environment.data.put(key, value);
  });
}

/** As an operator's command does it. */
async function clearQuarantine({ metadata }: MigrationCluster): Promise<void> {
  const codec = recordCodec('local');
  const key = codec.keys.map(PARTITION);
  await until(async () => {
    const entry = await metadata.get(key);
    if (!entry) return false;
    const value = codec.encodePartition(withoutQuarantine(codec.decodePartition(PARTITION, entry.value)));
    const { isCommitted } = await metadata.commit({
      conditions: [{ key, revisionIs: entry.revision }],
      writes: [{ kind: 'put', key, value }],
    });
    return isCommitted;
  }, 'a quarantine that is cleared');
}

async function until(claim: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadlineMs = performance.now() + 10_000;
  while (!(await claim())) {
    if (performance.now() > deadlineMs) throw new Error(`not within 10 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test.run();

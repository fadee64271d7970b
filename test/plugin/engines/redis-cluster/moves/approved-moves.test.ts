/** What operators approve, reject and pause, against an executor on a model of a cluster. */
import calculateSlot from 'cluster-key-slot';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { MapMirror } from '../../../../../plugin/engines/redis-cluster/moves/map-mirror.ts';
import { readOpenSlotMoves } from '../../../../../plugin/engines/redis-cluster/moves/move-record.ts';
import { SlotExecutor } from '../../../../../plugin/engines/redis-cluster/moves/slot-executor.ts';
import { proposalKey } from '../../../../../plugin/host/records/record-keys.ts';
import { clusterKeys } from '../../../../../plugin/metadata/cluster-keys.ts';
import { readDecisions } from '../../../../../plugin/metadata/decisions.ts';
import { decodeHistory } from '../../../../../plugin/metadata/record-codec.ts';
import { approve } from '../../../../../plugin/operator/approval/approve.ts';
import { reject } from '../../../../../plugin/operator/approval/reject.ts';
import { readAudit } from '../../../../../plugin/operator/migration/audit-command.ts';
import { setPaused } from '../../../../../plugin/operator/migration/pause-command.ts';
import { systemClock } from '../../../../../src/base/clock.ts';
import { silentLogger } from '../../../../../src/base/logger.ts';
import type { Proposal } from '../../../../../src/model/proposal.ts';
import type { MetadataStore } from '../../../../../src/ports/metadata-store.ts';
import { DEFAULT_SETTINGS, type Settings } from '../../../../../src/settings.ts';
import { MemoryRedisCluster } from '../../../../support/memory-redis-cluster.ts';
import { memoryView } from '../../../../support/memory-redis-view.ts';
import { PlainMetadata } from '../../../../support/plain-metadata.ts';

const test = suite('redis-cluster: approved moves');
const NAME = 'approved-moves';
const PARTITIONS = 16;
const SLOTS = 16_384 / PARTITIONS;
const ALL = { partitionIds: null, isNow: true, fromMs: null, untilMs: null, reason: 'seen' };

interface Asked {
  readonly partitionId: number;
  readonly targetNodeId?: number;
  readonly epoch?: number;
  readonly after?: readonly number[];
}

const SETTINGS: Settings = {
  ...DEFAULT_SETTINGS,
  cluster: { ...DEFAULT_SETTINGS.cluster, name: NAME, partitionCount: PARTITIONS },
  migration: { ...DEFAULT_SETTINGS.migration, residenceMs: 0 },
};

/** An executor that leads, the map formed, and some keys in each of the first three partitions. */
async function start({ isInWindow = true } = {}) {
  const cluster = new MemoryRedisCluster(3);
  const metadata = new PlainMetadata() as unknown as MetadataStore;
  for (let n = 0, left = 30; left > 0; n++) {
    if (calculateSlot(`key${n}`) >= 3 * SLOTS) continue;
    cluster.increment(`key${n}`);
    left--;
  }
  await metadata.commit({
    conditions: [],
    writes: [{ kind: 'put', key: 'office', value: new Uint8Array() }],
  });
  const fence = { key: 'office', revisionIs: (await metadata.get('office'))?.revision as number };
  const newExecutor = () =>
    new SlotExecutor(SETTINGS, {
      clock: systemClock(),
      logger: silentLogger,
      metadata,
      view: memoryView(cluster),
      mirror: new MapMirror(metadata, { clusterName: NAME, partitionCount: PARTITIONS }),
      leadership: () => ({ fence, isHeld: () => true }) as never,
      planNowMs: () => Date.now(),
      isInWindow: () => isInWindow,
      isStopping: () => false,
    });
  const executor = newExecutor();
  await executor.tick();
  return { cluster, metadata, executor, newExecutor };
}

/** As a cycle writes it: for people to read. */
async function propose(metadata: MetadataStore, moves: readonly Asked[]): Promise<void> {
  const nowMs = Date.now();
  const proposal = {
    v: 4,
    atMs: nowMs,
    expiresAtMs: nowMs + 3_600_000,
    ignoredForecasts: [],
    moves: moves.map(({ partitionId, targetNodeId = 1, epoch = 1 }) => ({
      partitionId,
      sourceNodeId: 0,
      targetNodeId,
      epoch,
      sizeBytes: 100,
      gain: 1,
      cost: 0,
      reason: 'node 0 is hot',
      schedule: null,
    })),
    evidence: { moves: moves.map(({ partitionId, after = [] }) => ({ partitionId, after })) },
  };
  const value = new TextEncoder().encode(JSON.stringify(proposal));
  await metadata.commit({ conditions: [], writes: [{ kind: 'put', key: proposalKey(NAME), value }] });
}

/** As a cycle in mode `auto` hands it over. */
const planOf = (moves: readonly Asked[]): Proposal =>
  ({
    moves: moves.map(({ partitionId, targetNodeId = 1 }) => ({
      partitionId,
      sourceNodeId: 0,
      targetNodeId,
      sizeBytes: 100,
      reason: 'planned',
      schedule: null,
    })),
    baseOwnerOf: new Int32Array(PARTITIONS),
    baseEpochOf: new Uint32Array(PARTITIONS).fill(1),
  }) as unknown as Proposal;

const ownerOf = (cluster: MemoryRedisCluster, partition: number): number =>
  cluster.servers.findIndex(({ nodeId }) => nodeId === cluster.servers[0]?.ownerOf[partition * SLOTS]);

const history = async (metadata: MetadataStore) =>
  (await metadata.list(clusterKeys(NAME).historyPrefix)).entries.map(({ value }) => decodeHistory(value));

test('an approved move is carried out without a plan, by whoever leads then, and used up', async () => {
  const { cluster, metadata, newExecutor } = await start();
  await propose(metadata, [{ partitionId: 0 }, { partitionId: 2, targetNodeId: 2 }]);
  await approve(metadata, NAME, { ...ALL, partitionIds: [2] }, Date.now());
  const successor = newExecutor();
  await successor.tick();
  check.is(ownerOf(cluster, 2), 2);
  check.is(ownerOf(cluster, 0), 0, 'nobody has approved the other');
  check.equal((await readDecisions(metadata, NAME, Date.now())).approvals, []);
  check.equal(await readOpenSlotMoves(metadata, NAME), []);
  const [done] = await history(metadata);
  check.is(done?.outcome, 'done');
  check.match(done?.reason as string, /^approved by .*: node 0 is hot$/);
});

test('moves of a plan outside the windows wait, approved ones do not', async () => {
  const { cluster, metadata, executor } = await start({ isInWindow: false });
  const { queued } = await executor.admit(planOf([{ partitionId: 0 }, { partitionId: 1 }]));
  check.is(queued.length, 2);
  await propose(metadata, [{ partitionId: 1 }]);
  await approve(metadata, NAME, ALL, Date.now());
  await executor.tick();
  await executor.tick();
  check.equal(
    [0, 1].map((partition) => ownerOf(cluster, partition)),
    [0, 1],
  );
  check.is(executor.status().queuedMoveCount, 1, 'what was approved is no plan’s business');
});

test('a rejected move stays, whether a plan or an approval wanted it', async () => {
  const { cluster, metadata, executor } = await start();
  await propose(metadata, [{ partitionId: 0 }, { partitionId: 1 }]);
  await approve(metadata, NAME, { ...ALL, partitionIds: [1] }, Date.now());
  await reject(metadata, NAME, { partitionIds: [0, 1], forMs: 3_600_000, reason: 'not now' }, Date.now());
  const { refused } = await executor.admit(planOf([{ partitionId: 0 }]));
  check.equal(
    refused.map(({ refusal }) => refusal),
    ['rejected'],
  );
  await executor.tick();
  check.equal(
    [0, 1].map((partition) => ownerOf(cluster, partition)),
    [0, 0],
  );
});

test('a move that was queued is not begun when it is rejected a moment before', async () => {
  const { cluster, metadata, executor } = await start();
  await propose(metadata, [{ partitionId: 0 }]);
  await executor.admit(planOf([{ partitionId: 0 }]));
  await reject(metadata, NAME, { partitionIds: [0], forMs: 3_600_000, reason: 'not now' }, Date.now());
  await executor.tick();
  check.is(ownerOf(cluster, 0), 0);
  check.is(executor.status().queuedMoveCount, 0);
});

test('an approval of a partition that has changed since is void, and the audit says why', async () => {
  const { cluster, metadata, executor } = await start();
  await propose(metadata, [{ partitionId: 0, epoch: 7 }]);
  await approve(metadata, NAME, ALL, Date.now());
  await executor.tick();
  check.is(ownerOf(cluster, 0), 0);
  check.equal((await readDecisions(metadata, NAME, Date.now())).approvals, []);
  const last = (await readAudit(metadata, NAME)).find(({ outcome }) => outcome === 'refused');
  check.match(last?.message as string, /partition 0 is void: the partition has changed since/);
});

test('what needs room goes after what makes it', async () => {
  const { cluster, metadata, executor } = await start();
  await propose(metadata, [{ partitionId: 1, after: [0] }, { partitionId: 0 }]);
  await approve(metadata, NAME, ALL, Date.now());
  await executor.tick();
  check.equal(
    [0, 1].map((partition) => ownerOf(cluster, partition)),
    [1, 0],
  );
  await executor.tick();
  check.equal(
    [0, 1].map((partition) => ownerOf(cluster, partition)),
    [1, 1],
  );
});

test('what needs room that nobody makes any more is void', async () => {
  const { cluster, metadata, executor } = await start();
  await propose(metadata, [
    { partitionId: 1, after: [0] },
    { partitionId: 0, epoch: 7 },
  ]);
  await approve(metadata, NAME, ALL, Date.now());
  // The room-maker is found void first, then what needs it.
  await executor.tick();
  await executor.tick();
  check.is(ownerOf(cluster, 1), 0);
  check.equal((await readDecisions(metadata, NAME, Date.now())).approvals, []);
});

test('a pause holds what is approved, a resume lets it go', async () => {
  const { cluster, metadata, executor } = await start();
  await propose(metadata, [{ partitionId: 0 }]);
  await setPaused(metadata, NAME, { isPaused: true, partitionId: null, reason: 'peak' });
  await approve(metadata, NAME, ALL, Date.now());
  await executor.tick();
  check.is(ownerOf(cluster, 0), 0);
  await setPaused(metadata, NAME, { isPaused: false, partitionId: null, reason: 'over' });
  await executor.tick();
  check.is(ownerOf(cluster, 0), 1);
});

test('an approved move that a guard refuses is void, with the guard’s reason', async () => {
  const { cluster, metadata, executor } = await start();
  for (const [key] of [...(cluster.servers[0]?.keys ?? [])]) cluster.sizes.set(key, 1 << 30);
  await propose(metadata, [{ partitionId: 0 }]);
  await approve(metadata, NAME, ALL, Date.now());
  await executor.tick();
  check.is(ownerOf(cluster, 0), 0);
  const refused = (await readAudit(metadata, NAME)).find(({ outcome }) => outcome === 'refused');
  check.match(refused?.message as string, /would hold both servers for too long/);
  check.is((await history(metadata))[0]?.outcome, 'aborted');
});

test('a move that plans ask for again and again, and that is refused for the same, is history once', async () => {
  const { cluster, metadata, executor, newExecutor } = await start();
  const sizeAll = (bytes: number): void => {
    for (const [key] of [...(cluster.servers[0]?.keys ?? [])]) cluster.sizes.set(key, bytes);
  };
  sizeAll(1 << 30);
  for (const each of [executor, executor, newExecutor()]) {
    await each.admit(planOf([{ partitionId: 0 }]));
    await each.tick();
    sizeAll((1 << 30) + 77);
  }
  check.is((await history(metadata)).length, 1);
  check.is(executor.status().abortedCount, 1);
  check.not.match(
    executor.status().abortReasons[0]?.reason as string,
    /\d/,
    'kinds, not one for each number',
  );
  await executor.admit(planOf([{ partitionId: 0, targetNodeId: 2 }]));
  await executor.tick();
  check.is((await history(metadata)).length, 2, 'another target is another move');
  await propose(metadata, [{ partitionId: 0, targetNodeId: 2 }]);
  await approve(metadata, NAME, ALL, Date.now());
  await executor.tick();
  check.is((await history(metadata)).length, 3, 'who approves it reads what came of it');
});

test.run();

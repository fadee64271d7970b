/** What holds a move: guards over what the cluster says of itself. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import {
  clusterRefusal,
  hasBlindReaders,
  isNamedBy,
  moveRefusal,
  type SidesState,
} from '../../../../../plugin/engines/redis-cluster/moves/guards.ts';
import { MapMirror } from '../../../../../plugin/engines/redis-cluster/moves/map-mirror.ts';
import type { SlotMoveRecord } from '../../../../../plugin/engines/redis-cluster/moves/move-record.ts';
import { SlotExecutor } from '../../../../../plugin/engines/redis-cluster/moves/slot-executor.ts';
import type {
  RedisCommand,
  RedisReply,
} from '../../../../../plugin/engines/redis-cluster/server/redis-node.ts';
import { waitForReplicas } from '../../../../../plugin/engines/redis-cluster/slots/replica-wait.ts';
import { SlotMoveStopped } from '../../../../../plugin/engines/redis-cluster/steps/slot-move.ts';
import type { ClusterTopology } from '../../../../../plugin/engines/redis-cluster/topology/topology.ts';
import { VirtualClock } from '../../../../../src/base/clock.ts';
import { silentLogger } from '../../../../../src/base/logger.ts';
import type { Proposal } from '../../../../../src/model/proposal.ts';
import type { MetadataStore } from '../../../../../src/ports/metadata-store.ts';
import { DEFAULT_SETTINGS } from '../../../../../src/settings.ts';
import { MemoryRedisCluster } from '../../../../support/memory-redis-cluster.ts';
import { memoryView } from '../../../../support/memory-redis-view.ts';
import { PlainMetadata } from '../../../../support/plain-metadata.ts';

const test = suite('redis-cluster: guards');

const FINE: SidesState = {
  sizeBytes: 1_000,
  targetMemoryMax: 0,
  targetMemoryUsed: 5_000,
  targetReplicaCount: 1,
  replicaReaderCount: 0,
  isReplicaBlindToAsk: true,
};
const LIMITS = { replicasMin: 1, replicaReads: 'refuse' } as const;

test('clients that read from replicas which do not redirect are refused, or warned about', () => {
  check.is(moveRefusal(FINE, LIMITS), null);
  const read = { ...FINE, replicaReaderCount: 2 };
  check.match(moveRefusal(read, LIMITS) as string, /2 clients read from replicas, .*redis#11312/);
  check.is(moveRefusal(read, { ...LIMITS, replicaReads: 'warn' }), null);
  check.ok(hasBlindReaders(read), 'there is something to warn about');
  check.is(moveRefusal({ ...read, isReplicaBlindToAsk: false }, LIMITS), null, 'Valkey 8 redirects');
});

test('a target without room, or with too few replicas, gets nothing', () => {
  const full = { ...FINE, targetMemoryMax: 6_200 };
  check.match(moveRefusal(full, LIMITS) as string, /has 1200 bytes of maxmemory left, 1300 are needed/);
  check.is(moveRefusal({ ...full, targetMemoryMax: 6_300 }, LIMITS), null);
  check.match(moveRefusal({ ...FINE, targetReplicaCount: 0 }, LIMITS) as string, /0 replicas, .*is 1/);
});

test('an open slot is one of ours only within the slots and between the servers of a move that is recorded', () => {
  const record = {
    firstSlot: 100,
    lastSlot: 199,
    sourceIds: ['a', 'b'],
    targetIds: ['t'],
  } as unknown as SlotMoveRecord;
  const migrating = { slot: 150, kind: 'migrating', nodeId: 'b', peerId: 't' } as const;
  check.is(isNamedBy(record, migrating), true);
  check.is(isNamedBy(record, { ...migrating, kind: 'importing', nodeId: 't', peerId: 'b' }), true);
  for (const slot of [99, 200]) check.is(isNamedBy(record, { ...migrating, slot }), false, `${slot}`);
  check.is(isNamedBy(record, { ...migrating, nodeId: 'c' }), false, 'from another');
  check.is(isNamedBy(record, { ...migrating, peerId: 'c' }), false, 'to another');
  check.is(isNamedBy(record, { ...migrating, kind: 'importing' }), false, 'the other way round');
});

test('an open slot that names the replica which has taken over from a side of a recorded move is ours', () => {
  const record = {
    ...{ firstSlot: 100, lastSlot: 199, sourceIds: ['a'], targetIds: ['t'] },
  } as unknown as SlotMoveRecord;
  const shards = [
    { nodeId: 0, masterId: 'a2', memberIds: ['a', 'a2', 'b'] },
    { nodeId: 1, masterId: 't2', memberIds: ['t', 't2'] },
    { nodeId: 2, masterId: 'b', memberIds: ['b'] },
  ];
  const refused = (nodeId: string, peerId: string): string | null => {
    const openSlots = [{ slot: 150, kind: 'importing', nodeId, peerId }];
    const topology = { troubles: [], contestedSlots: [], openSlots } as unknown as ClusterTopology;
    return clusterRefusal(topology, [record], shards);
  };
  for (const target of ['t', 't2'])
    for (const source of ['a', 'a2']) check.is(refused(target, source), null, `${source} to ${target}`);
  check.match(
    refused('t', 'b') as string,
    /no move of ours/,
    'a former replica is the master of another shard',
  );
  check.match(refused('b', 'a2') as string, /no move of ours/, 'to a third shard');
});

/** Answers INFO with one look after the other; WAIT with 0. @returns how often it was waited. */
function waitWith(looks: readonly string[], limits: { replicasMin: number; replicaWaitMs: number }): number {
  const steps = waitForReplicas('target', limits);
  let waits = 0;
  let next = 0;
  const answer = ([name]: RedisCommand): RedisReply => {
    if (name !== 'INFO') {
      waits++;
      return 0;
    }
    return Buffer.from(looks[Math.min(next++, looks.length - 1)] as string);
  };
  for (let turn = steps.next(); turn.done !== true; )
    turn = steps.next([turn.value.commands.map((command) => answer(command))]);
  return waits;
}

const replication = (offset: number, ...replicas: readonly number[]): string =>
  [
    `master_repl_offset:${offset}`,
    ...replicas.map((at, i) => `slave${i}:ip=10.0.0.${i},port=1,state=online,offset=${at},lag=0`),
  ].join('\r\n');

test('replicas of the target have what it has before it becomes the owner', () => {
  const limits = { replicasMin: 1, replicaWaitMs: 20 };
  check.is(waitWith([replication(100, 100)], limits), 0);
  check.is(
    waitWith([replication(100, 40, 100), replication(120, 90, 120), replication(130, 100, 130)], limits),
    2,
  );
  const stopped = (looks: readonly string[]) => {
    try {
      waitWith(looks, limits);
    } catch (error) {
      check.instance(error, SlotMoveStopped);
      return (error as Error).message;
    }
    return 'it was not stopped';
  };
  check.match(stopped([replication(100)]), /0 replicas online, not 1/);
  check.match(stopped([replication(100, 40)]), /1 replicas of target target are behind after 20 ms/);
  check.match(
    stopped([replication(100, 40, 40), replication(100, 40)]),
    /a replica of target target has gone/,
  );
});

/** Nothing is sent by an executor that does not lead, nor by one whose lease ends while it moves. */
test('never two agents: whoever is not the leader, or no longer, sends nothing more', async () => {
  const cluster = new MemoryRedisCluster(3);
  for (let n = 0; n < 400; n++) cluster.increment(`key${n}`);
  const metadata = new PlainMetadata() as unknown as MetadataStore;
  await metadata.commit({
    conditions: [],
    writes: [{ kind: 'put', key: 'office', value: new Uint8Array() }],
  });
  const fence = { key: 'office', revisionIs: (await metadata.get('office'))?.revision as number };
  let isHeld = false;
  const settings = {
    ...DEFAULT_SETTINGS,
    cluster: { ...DEFAULT_SETTINGS.cluster, name: 'guards', partitionCount: 16 },
  };
  const executor = new SlotExecutor(settings, {
    clock: new VirtualClock(1_000_000),
    logger: silentLogger,
    metadata,
    view: memoryView(cluster),
    mirror: new MapMirror(metadata, { clusterName: 'guards', partitionCount: 16 }),
    leadership: () => ({ fence, isHeld: () => isHeld }) as never,
    planNowMs: () => 1_000_000,
    isInWindow: () => true,
    isStopping: () => false,
  });
  const sent: string[] = [];
  cluster.onCommand = (command) => sent.push(String(command[0]));
  await executor.tick();
  check.equal(sent, [], 'it looks at nothing before it leads');
  isHeld = true;
  await executor.tick();
  await executor.admit({
    moves: [
      { partitionId: 0, sourceNodeId: 0, targetNodeId: 1, sizeBytes: 1, reason: 'test', schedule: null },
    ],
    baseOwnerOf: new Int32Array(16),
    baseEpochOf: new Uint32Array(16).fill(1),
  } as unknown as Proposal);
  sent.length = 0;
  cluster.onCommand = (command) => {
    sent.push(command.join(' '));
    // Another agent is elected as soon as the first key has left.
    if (command[0] === 'MIGRATE') isHeld = false;
  };
  await executor.tick();
  const first = sent.findIndex((command) => command.startsWith('MIGRATE'));
  check.ok(first >= 0, 'it had begun');
  const after = sent.slice(first + 1).filter((command) => !command.startsWith('PING'));
  // What is in the same write is on its way already.
  check.not.ok(
    after.some((command) => command.includes('SETSLOT')),
    after.join('\n'),
  );
});

test.run();

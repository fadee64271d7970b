/** What is read of a cluster, and what it holds back. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { clusterRefusal } from '../../../../../plugin/engines/redis-cluster/moves/guards.ts';
import { parseClusterNodes } from '../../../../../plugin/engines/redis-cluster/server/cluster-nodes.ts';
import type { RedisNode } from '../../../../../plugin/engines/redis-cluster/server/redis-node.ts';
import { Pace } from '../../../../../plugin/engines/redis-cluster/steps/pace.ts';
import { numberShards } from '../../../../../plugin/engines/redis-cluster/topology/shards.ts';
import {
  type ClusterTopology,
  type MasterNode,
  readTopology,
  topologyOf,
} from '../../../../../plugin/engines/redis-cluster/topology/topology.ts';
import { REDIS_DEFAULTS } from '../../../../../src/redis-settings.ts';

const test = suite('redis-cluster: topology');
const [A, B, C] = ['a', 'b', 'c'].map((letter) => letter.repeat(40)) as [string, string, string];

const line = (id: string, flags: string, rest: string, port = 7_000): string =>
  `${id} 10.0.0.1:${port}@1${port},host.example ${flags} ${rest}`;

test('roles, health, ranges and open slots are read; a line that cannot be read is named', () => {
  const [first, second] = parseClusterNodes(
    [
      line(A, 'myself,master', `- 0 0 3 connected 0-5 9 [7->-${B}] [8-<-${C}]`),
      line(B, 'slave,fail?', `${A} 0 0 3 connected`),
    ].join('\n'),
    '10.0.0.1',
  );
  check.equal(first?.slots, [
    [0, 5],
    [9, 9],
  ]);
  check.equal(first?.openSlots, [
    { slot: 7, kind: 'migrating', peerId: B },
    { slot: 8, kind: 'importing', peerId: C },
  ]);
  check.is(second?.health, 'pfail');
  check.is(second?.masterId, A);
  check.throws(() => parseClusterNodes('nonsense', ''), /this line cannot be read: nonsense/);
});

test('a server without a cluster is named', async () => {
  const addresses = [7_000, 7_001].map((port) => ({ host: '10.0.0.1', port }));
  const alone = {
    pipeline: () => Promise.reject(new Error('ERR This instance has cluster support disabled')),
    close() {},
  } as unknown as RedisNode;
  const silent = { ...alone, pipeline: () => Promise.reject(new Error('connect ECONNREFUSED')) } as RedisNode;
  const failure = await readTopology({
    seeds: addresses,
    connect: ({ port }) => (port === 7_000 ? silent : alone),
    onAddresses() {},
    node: () => alone,
  }).catch((error: Error) => error);
  check.match((failure as Error).message, /^redis\.nodes: 10\.0\.0\.1:7001 is not part of a cluster/);
});

test('a node in FAIL holds everything, and so does a slot that somebody else has opened', () => {
  const healthy = (open: string) =>
    parseClusterNodes(line(A, 'myself,master', `- 0 0 1 connected 0-16383${open}`), '');
  const seen = (open: string) => topologyOf(healthy(open), new Map([[A, healthy(open)]]));
  check.is(clusterRefusal(seen(''), [], []), null);
  check.match(
    String(clusterRefusal(seen(` [7->-${B}]`), [], [])),
    /slot 7 is migrating at node a+, and no move of ours/,
  );
  const sick = [
    ...healthy(''),
    ...parseClusterNodes(line(B, 'slave,fail', `${A} 0 0 1 connected`, 7_001), ''),
  ];
  check.match(
    String(clusterRefusal(topologyOf(sick, new Map([[A, sick]])), [], [])),
    /10\.0\.0\.1:7001 .* is in state FAIL/,
  );
});

test('a shard keeps its number when its replica takes over', () => {
  const before = parseClusterNodes(
    [line(A, 'myself,master', '- 0 0 1 connected 0-16383'), line(B, 'slave', `${A} 0 0 1 connected`)].join(
      '\n',
    ),
    '',
  );
  const after = parseClusterNodes(line(B, 'myself,master', '- 0 0 2 connected 0-16383'), '');
  const known = numberShards([], topologyOf(before, new Map([[A, before]])));
  const [shard] = numberShards(known, topologyOf(after, new Map([[B, after]])));
  check.is(shard?.nodeId, 0);
  check.is(shard?.masterId, B);
});

test('a replica that has gone over to another master, and takes over from it, leads the shard that it has joined', () => {
  const master = (nodeId: string, replicaIds: readonly string[]): MasterNode => ({
    ...{ nodeId, replicaIds, host: '10.0.0.1', port: 7_000, configEpoch: 1, slotCount: 2 },
  });
  /** @param ownerOf index in masters of four slots. */
  const seen = (masters: readonly MasterNode[], ownerOf: readonly number[]): ClusterTopology => {
    const { addresses, openSlots, contestedSlots, troubles } = topologyOf([], new Map());
    return { masters, ownerOf: Int16Array.from(ownerOf), addresses, openSlots, contestedSlots, troubles };
  };
  const [a, b] = [master('a', ['r1', 'r2']), master('b', ['s'])];
  for (const owners of [
    [0, 0, 1, 1],
    [1, 1, 0, 0],
  ]) {
    const begun = numberShards([], seen([a, b], [0, 0, 1, 1]));
    const migrated = numberShards(begun, seen([master('a', ['r1']), master('b', ['s', 'r2'])], owners));
    check.not.ok(migrated[0]?.memberIds.includes('r2'), 'it has left');
    const promoted = numberShards(migrated, seen([master('a', ['r1']), master('r2', ['s'])], owners));
    check.equal(
      promoted.map(({ nodeId, masterId }) => [nodeId, masterId]),
      [
        [0, 'a'],
        [1, 'r2'],
      ],
    );
    const missed = numberShards(begun, seen([master('a', ['r1']), master('r2', ['s'])], owners));
    check.is(missed[0]?.masterId, 'a', 'whoever leads a shard goes on leading it');
  }
});

test('the pace falls at once when clients wait, down to pauses, and comes back slowly', () => {
  const pace = new Pace(REDIS_DEFAULTS.slotMove);
  const [windowSlots, pieceKeys] = [pace.windowSlots, pace.pieceKeys];
  pace.onLatency(1);
  pace.onLatency(100);
  check.is(pace.windowSlots, windowSlots / 2);
  check.is(pace.pieceKeys, pieceKeys / 2);
  for (let i = 0; i < 20; i++) pace.onLatency(100);
  check.is(pace.pauseMs, REDIS_DEFAULTS.slotMove.pauseMsMax);
  for (let i = 0; i < 60; i++) pace.onLatency(1);
  check.is(pace.pauseMs, 0);
  check.is(pace.windowSlots, windowSlots);
});

test('pieces of large values become small, and those that a busy machine delays do not', () => {
  const large = new Pace(REDIS_DEFAULTS.slotMove);
  for (let i = 0; i < 30; i++) large.onPiece({ keyCount: large.pieceKeys, elapsedMs: large.pieceKeys });
  check.is(large.pieceKeys, 2, 'of a millisecond each, in two milliseconds');
  const delayed = new Pace(REDIS_DEFAULTS.slotMove);
  const { pieceKeys } = delayed;
  for (let i = 0; i < 60; i++) delayed.onPiece({ keyCount: 12, elapsedMs: i % 3 === 0 ? 0.5 : 5 });
  check.is(delayed.pieceKeys, pieceKeys);
  for (let i = 0; i < 60; i++) delayed.onPiece({ keyCount: 12, elapsedMs: 50 });
  check.ok(delayed.pieceKeys < pieceKeys, 'most of them take far too long');
});

test('a machine that is slow by itself does not slow a move down for ever', () => {
  const pace = new Pace(REDIS_DEFAULTS.slotMove);
  const { windowSlots, pieceKeys } = pace;
  for (let i = 0; i < 30; i++) pace.onLatency(40 + (i % 3) * 5);
  check.equal([pace.windowSlots, pace.pieceKeys, pace.pauseMs], [windowSlots, pieceKeys, 0]);
  pace.onLatency(100);
  check.is(pace.pieceKeys, pieceKeys / 2, 'what is well above that is our doing');
});

test.run();

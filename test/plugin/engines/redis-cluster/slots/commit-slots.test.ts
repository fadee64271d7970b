/** How a target is told that slots are its own. */
import calculateSlot from 'cluster-key-slot';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import {
  hasRedisServer,
  LocalRedisCluster,
} from '../../../../../plugin/engines/redis-cluster/local-redis-cluster.ts';
import { parseClusterNodes } from '../../../../../plugin/engines/redis-cluster/server/cluster-nodes.ts';
import { RedisConnections } from '../../../../../plugin/engines/redis-cluster/server/redis-connections.ts';
import type {
  RedisCommand,
  RedisNode,
  RedisNodes,
} from '../../../../../plugin/engines/redis-cluster/server/redis-node.ts';
import { commitSlots } from '../../../../../plugin/engines/redis-cluster/slots/commit-slots.ts';
import { SlotMover } from '../../../../../plugin/engines/redis-cluster/slots/slot-mover.ts';
import { Pace } from '../../../../../plugin/engines/redis-cluster/steps/pace.ts';
import {
  type SlotMove,
  type SlotMoveOutcome,
  SlotMoveStopped,
} from '../../../../../plugin/engines/redis-cluster/steps/slot-move.ts';
import { runSteps } from '../../../../../plugin/engines/redis-cluster/steps/step-runner.ts';
import { systemClock } from '../../../../../src/base/clock.ts';
import { REDIS_DEFAULTS } from '../../../../../src/redis-settings.ts';
import { openIoredis } from '../../../../support/redis-clients.ts';
import { requireOrSkip } from '../../../../support/require.ts';
import { sleep } from '../../../../support/scenario.ts';

const test = suite('redis-cluster: commits of slots');

const [S, T, O] = ['a', 'b', 'c'].map((letter) => letter.repeat(40)) as [string, string, string];
const MOVE = {
  ...{ sourceId: S, targetId: T, otherMasterIds: [O], formerIds: [] },
  ...{ isSourcePromoted: false, sourceRunId: 'run1' },
} as unknown as SlotMove;
const VALKEY = 'redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.0.1\r\n';
const REDIS = 'redis_version:7.0.15\r\n';

/** Lines of CLUSTER NODES, by the node of each. */
type Lines = Readonly<Record<string, string>>;

const LINES: Lines = {
  [S]: 'master - 0 0 5 connected 0-20',
  [T]: 'master - 0 0 4 connected 21',
  [O]: 'master - 0 0 3 connected',
};

const nodesText = (viewerId: string, lines: Lines, migrating: readonly number[]): Buffer => {
  const open = migrating.map((slot) => ` [${slot}->-${T}]`).join('');
  const own = (line: string): string => `myself,${line}${open}`;
  return Buffer.from(
    Object.entries(lines)
      .map(([id, line]) => `${id} 127.0.0.1:7000@17000 ${id === viewerId ? own(line) : line}\n`)
      .join(''),
  );
};

interface Seen {
  readonly server?: string;
  readonly replicas?: number;
  readonly runId?: string;
  readonly atSource?: Lines;
  readonly atTarget?: Lines;
  /** To the target, as the source says; those that are asked for where it is left out. */
  readonly migrating?: readonly number[];
}

/** @returns what the target is told, after both sides have said how things stand. */
function told(
  slots: readonly number[],
  { server = REDIS, replicas = 0, runId = 'run1', atSource = {}, atTarget = {}, migrating }: Seen = {},
  move = MOVE,
): readonly RedisCommand[] {
  const steps = commitSlots(move, { drained: slots, taken: [], done: [] });
  const first = steps.next();
  if (first.done === true) throw new Error('nothing was sent');
  check.equal(first.value.to, [S, T]);
  check.equal(
    first.value.commands.filter(([name, verb]) => name !== 'INFO' && verb !== 'NODES'),
    [],
  );
  const said = (viewerId: string, lines: Lines): readonly Buffer[] =>
    first.value.commands.map((command) =>
      command[0] === 'CLUSTER'
        ? nodesText(viewerId, { ...LINES, ...lines }, viewerId === S ? (migrating ?? slots) : [])
        : Buffer.from(`${server}run_id:${runId}\r\nrole:master\r\nconnected_slaves:${replicas}\r\n`),
    );
  const second = steps.next([said(S, atSource), said(T, atTarget)]);
  if (second.done === true) throw new Error('nothing was sent');
  check.equal(second.value.to, [T], 'the target first');
  return second.value.commands;
}

const node = (slot: number): RedisCommand => ['CLUSTER', 'SETSLOT', slot, 'NODE', T];
const importing = (slot: number): RedisCommand => ['CLUSTER', 'SETSLOT', slot, 'IMPORTING', S];
const stable = (slot: number): RedisCommand => ['CLUSTER', 'SETSLOT', slot, 'STABLE'];

test('all slots but the last are closed and taken in one transaction', () => {
  const together = [['MULTI'], stable(7), node(7), stable(8), node(8), importing(9), node(9), ['EXEC']];
  check.equal(told([7, 8, 9]), together);
  check.equal(told([7, 8, 9], { replicas: 2 }), together);
  check.equal(told([7, 8, 9], { server: VALKEY }), together);
});

test('one slot is opened once more before it is taken, too', () => {
  check.equal(told([7]), [['MULTI'], importing(7), node(7), ['EXEC']]);
});

test('slots of a Valkey whose replicas have to agree to each are taken one by one', () => {
  check.equal(told([7, 8], { server: VALKEY, replicas: 1 }), [node(7), node(8)]);
});

const WITH_EPOCHS: SlotMove = { ...MOVE, settledEpochs: { source: 5, target: 4 } };

test('a target that would not be believed is told nothing, and the reason names who stands against it', () => {
  const epochOfSource = (epoch: number): Lines => ({ [S]: `master - 0 0 ${epoch} connected 0-20` });
  const refused: readonly (readonly [RegExp, Seen, SlotMove?])[] = [
    [
      /^source a+ does not own slot 8 any more: .* let it end/,
      { atSource: { [S]: 'master - 0 0 5 connected 0-7' } },
    ],
    [/^source a+ is not migrating slot 8 to target b+ any more: .* SETSLOT STABLE/, { migrating: [7] }],
    [
      /^source a+ is not migrating slot 8 to target b+ any more/,
      { atSource: { [S]: `master - 0 0 5 connected 0-20 [8->-${O}]` }, migrating: [7] },
    ],
    [
      /^target b+ takes slot 8 to be node c+'s: somebody else/,
      { atTarget: { [S]: 'master - 0 0 5 connected 0-7', [O]: 'master - 0 0 3 connected 8' } },
    ],
    [/^target b+ knows epoch 4 of source a+, which has 5: .* bus ports/, { atTarget: epochOfSource(4) }],
    [
      /^target b+ cannot reach source a+, .* bus ports/,
      { atTarget: { [S]: 'master,fail? - 0 0 5 connected 0-20' } },
    ],
    [/^node b+ and source a+ both have epoch 5,/, { atTarget: { [T]: 'master - 0 0 5 connected 21' } }],
    [/^node c+ and source a+ both have epoch 5,/, { atSource: { [O]: 'master - 0 0 5 connected' } }],
    [/^source a+ is no master any more/, { atSource: { [S]: `slave ${T} 0 0 5 connected` } }],
    [/^target b+ is no master any more/, { atTarget: { [T]: `slave ${O} 0 0 5 connected` } }],
    [/^source a+ was restarted/, { runId: 'run2' }],
    [
      /^epoch of source a+ was 5 when the move began and is 6: somebody else/,
      { atSource: epochOfSource(6), atTarget: epochOfSource(6) },
      WITH_EPOCHS,
    ],
    [
      /^epoch of target b+ was 4 when the move began and is 2: .* older nodes.conf/,
      { atTarget: { [T]: 'master - 0 0 2 connected 21' } },
      WITH_EPOCHS,
    ],
  ];
  for (const [reason, seen, move] of refused)
    check.throws(
      () => told([7, 8], seen, move),
      (error: Error) => error instanceof SlotMoveStopped && reason.test(error.message),
      `${reason}`,
    );
});

test('what says nothing against a target does not stop its commit', () => {
  const former = 'd'.repeat(40);
  const passed: readonly (readonly [Seen, SlotMove?])[] = [
    // It has taken slots of the same move before.
    [{ atTarget: { [T]: 'master - 0 0 6 connected 21' } }, WITH_EPOCHS],
    [{ atTarget: { [O]: 'master,fail - 0 0 5 connected' }, atSource: { [O]: 'slave - 0 0 5 connected' } }],
    // After a failover of the source, slots that are imported are known as their former owner's, or as nobody's.
    [
      { atTarget: { [S]: 'master - 0 0 5 connected', [former]: 'master,fail - 0 0 2 connected 7-8' } },
      { ...MOVE, formerIds: [former] },
    ],
    [{ atTarget: { [S]: 'master - 0 0 5 connected' } }],
    [{ runId: 'run2' }, { ...MOVE, isSourcePromoted: true }],
  ];
  for (const [seen, move] of passed) check.is(told([7, 8], seen, move).length, 6);
});

if (requireOrSkip('redis', hasRedisServer())) {
  test('a source that takes a new epoch while its keys move keeps its slots, and the move goes on when it is asked again', async () => {
    const cluster = await LocalRedisCluster.start();
    const nodes = new RedisConnections(REDIS_DEFAULTS);
    try {
      nodes.setAddresses(new Map(cluster.nodeIds.map((id, index) => [id, cluster.address(index)])));
      const [sourceId, targetId, otherId] = cluster.nodeIds as [string, string, string];
      const slot = calculateSlot('k2');
      await cluster.command(0, 'SET', 'k2', 'v');
      let isBumped = false;
      const bumping: RedisNodes = {
        node: (nodeId): RedisNode => ({
          close: () => undefined,
          pipeline: async (commands) => {
            if (!isBumped && commands.some(([name]) => name === 'MIGRATE')) {
              isBumped = true;
              await cluster.command(1, 'CLUSTER', 'BUMPEPOCH');
              // It takes none while it thinks that its own is the greatest.
              while (!String(await cluster.command(0, 'CLUSTER', 'BUMPEPOCH')).startsWith('BUMPED'))
                await sleep(10);
            }
            return nodes.node(nodeId).pipeline(commands);
          },
        }),
      };
      const mover = new SlotMover(REDIS_DEFAULTS, {
        nodes: Object.assign(bumping, { dedicated: (nodeId: string) => nodes.dedicated(nodeId) }),
        clock: systemClock(),
        assertMaySend: () => undefined,
      });
      const move: SlotMove = {
        ...{ sourceId, targetId, targetAddress: cluster.address(1), otherMasterIds: [otherId] },
        ...{ slots: [slot], formerIds: [], isSourcePromoted: false, sourceRunId: null },
      };
      const attempt = mover.move(move, { mayOpenWindow: () => true });
      await attempt.then(
        () => check.unreachable('committed'),
        (error: Error) =>
          check.match(error.message, /^(epoch of source|target .* knows epoch|node .* both have epoch)/),
      );
      const client = await openIoredis(cluster);
      check.is(await client.get('k2'), 'v');
      // The two nodes may have taken the same epoch: one of them takes another soon, until when nothing is committed.
      const again = async (attemptsLeft: number): Promise<readonly SlotMoveOutcome[]> => {
        try {
          return await mover.move(move, { mayOpenWindow: () => true });
        } catch (error) {
          if (attemptsLeft === 0 || !(error as Error).message.includes('both have epoch')) throw error;
          await sleep(100);
          return again(attemptsLeft - 1);
        }
      };
      const [outcome] = await again(100);
      check.equal(outcome?.committedSlots, [slot]);
      check.is(await client.get('k2'), 'v');
      check.is(String(await cluster.command(1, 'GET', 'k2')), 'v');
      client.disconnect();
    } finally {
      nodes.close();
      await cluster.stop();
    }
  });

  test('a key that is made at a source where somebody has closed the slot is not deleted, and moves when it is asked again', async () => {
    const cluster = await LocalRedisCluster.start();
    const nodes = new RedisConnections(REDIS_DEFAULTS);
    try {
      nodes.setAddresses(new Map(cluster.nodeIds.map((id, index) => [id, cluster.address(index)])));
      const [sourceId, targetId, otherId] = cluster.nodeIds as [string, string, string];
      const slot = calculateSlot('k2');
      await cluster.command(0, 'SET', '{k2}before', 'v');
      let isClosed = false;
      const closing: RedisNodes = {
        node: (nodeId): RedisNode => ({
          close: () => undefined,
          pipeline: async (commands) => {
            // The last look before the commit: whether keys are left was asked before.
            const isLast = commands[0]?.[1] === 'NODES' && commands.some(([, of]) => of === 'replication');
            if (!isClosed && nodeId === sourceId && isLast) {
              isClosed = true;
              await cluster.command(0, 'CLUSTER', 'SETSLOT', slot, 'STABLE');
              check.is(String(await cluster.command(0, 'SET', '{k2}after', 'v')), 'OK');
            }
            return nodes.node(nodeId).pipeline(commands);
          },
        }),
      };
      const mover = new SlotMover(REDIS_DEFAULTS, {
        nodes: Object.assign(closing, { dedicated: (nodeId: string) => nodes.dedicated(nodeId) }),
        clock: systemClock(),
        assertMaySend: () => undefined,
      });
      const move: SlotMove = {
        ...{ sourceId, targetId, targetAddress: cluster.address(1), otherMasterIds: [otherId] },
        ...{ slots: [slot], formerIds: [], isSourcePromoted: false, sourceRunId: null },
      };
      await mover.move(move, { mayOpenWindow: () => true }).then(
        () => check.unreachable('committed'),
        (error: Error) => check.match(error.message, `source ${sourceId} is not migrating slot ${slot} to`),
      );
      await mover.move(move, { mayOpenWindow: () => true });
      for (const key of ['{k2}before', '{k2}after'])
        check.is(String(await cluster.command(1, 'GET', key)), 'v', key);
    } finally {
      nodes.close();
      await cluster.stop();
    }
  });

  for (const slots of [[6_000, 6_001], [6_001]])
    test(`a target whose last of ${slots.length} slots somebody has closed takes an epoch nevertheless`, async () => {
      const cluster = await LocalRedisCluster.start();
      const nodes = new RedisConnections(REDIS_DEFAULTS);
      try {
        nodes.setAddresses(new Map(cluster.nodeIds.map((id, index) => [id, cluster.address(index)])));
        const [targetId, sourceId, otherId] = cluster.nodeIds as [string, string, string];
        const move = {
          ...{ sourceId, targetId, otherMasterIds: [otherId] },
          ...{ formerIds: [], isSourcePromoted: false, sourceRunId: null },
        } as unknown as SlotMove;
        for (const slot of slots) {
          await cluster.command(0, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', sourceId);
          await cluster.command(1, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', targetId);
        }
        await cluster.command(0, 'CLUSTER', 'SETSLOT', 6_001, 'STABLE');
        await runSteps(commitSlots(move, { drained: slots, taken: [], done: [] }), {
          ...{ nodes, clock: systemClock(), assertMaySend: () => undefined },
          pace: new Pace(REDIS_DEFAULTS.slotMove),
        });
        const views = parseClusterNodes(String(await cluster.command(0, 'CLUSTER', 'NODES')), '');
        const epochOf = (id: string): number =>
          views.find(({ nodeId }) => nodeId === id)?.configEpoch as number;
        check.ok(epochOf(targetId) > epochOf(sourceId), `${epochOf(targetId)}, source ${epochOf(sourceId)}`);
      } finally {
        nodes.close();
        await cluster.stop();
      }
    });
}

test.run();

/** Slots of a real cluster are copied first, told and done, while two libraries write. */
import { setTimeout as sleep } from 'node:timers/promises';
import calculateSlot from 'cluster-key-slot';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { compareCopies } from '../../../../../plugin/engines/redis-cluster/copy-first/compare-copies.ts';
import {
  type CopiesRecord,
  CopyFirstMover,
} from '../../../../../plugin/engines/redis-cluster/copy-first/copy-first-mover.ts';
import {
  DIGEST_SCRIPT,
  HAND_OVER_SCRIPT,
} from '../../../../../plugin/engines/redis-cluster/copy-first/scripts.ts';
import { copySlots, dropCopies } from '../../../../../plugin/engines/redis-cluster/copy-first/slot-copies.ts';
import {
  commandText,
  DryRunNodes,
} from '../../../../../plugin/engines/redis-cluster/dry-run/dry-run-nodes.ts';
import {
  hasRedisServer,
  LocalRedisCluster,
} from '../../../../../plugin/engines/redis-cluster/local-redis-cluster.ts';
import { RedisConnections } from '../../../../../plugin/engines/redis-cluster/server/redis-connections.ts';
import {
  numberOf,
  type RedisCommand,
  type RedisReply,
  textOf,
} from '../../../../../plugin/engines/redis-cluster/server/redis-node.ts';
import {
  SlotMover,
  type SlotMoverComponents,
} from '../../../../../plugin/engines/redis-cluster/slots/slot-mover.ts';
import type {
  SlotMove,
  SlotMoveOutcome,
} from '../../../../../plugin/engines/redis-cluster/steps/slot-move.ts';
import { systemClock } from '../../../../../src/base/clock.ts';
import { REDIS_DEFAULTS } from '../../../../../src/redis-settings.ts';
import { RedisLoad } from '../../../../scenarios/faults/redis-load.ts';
import { requireOrSkip } from '../../../../support/require.ts';

const test = suite<{ cluster: LocalRedisCluster; nodes: RedisConnections }>(
  'redis-cluster: copy first, real servers',
);

const SLOTS = Array.from({ length: 40 }, (_, i) => 1_000 + i);

/** Hash tags of these slots. */
function tagsOf(slots: readonly number[]): readonly string[] {
  const tags = new Map<number, string>();
  for (let i = 0; tags.size < slots.length; i++) {
    const slot = calculateSlot(`t${i}`);
    if (slots.includes(slot) && !tags.has(slot)) tags.set(slot, `t${i}`);
  }
  return [...tags.values()];
}

function moveOf({ nodeIds, ports }: LocalRedisCluster): SlotMove {
  const [sourceId, targetId, otherId] = nodeIds as [string, string, string];
  return {
    sourceId,
    targetId,
    targetAddress: { host: '127.0.0.1', port: ports[1] as number },
    otherMasterIds: [otherId],
    slots: SLOTS,
    formerIds: [],
    isSourcePromoted: false,
    sourceRunId: null,
  };
}

async function moveAll(
  cluster: LocalRedisCluster,
  nodes: SlotMoverComponents['nodes'],
  { note = () => undefined }: { readonly note?: (copies: CopiesRecord) => void } = {},
): Promise<readonly SlotMoveOutcome[]> {
  const clock = systemClock();
  const mover = new SlotMover(REDIS_DEFAULTS, { nodes, clock, assertMaySend: () => undefined });
  const copyFirst = new CopyFirstMover({ mover, clock });
  return mover.move(moveOf(cluster), {
    mayOpenWindow: () => true,
    moveWindow: (window, scanned) =>
      copyFirst.moveWindow(window, scanned, {
        note: async (copies) => note(copies),
        mayHandOver: async () => true,
      }),
  });
}

const sum = (outcomes: readonly SlotMoveOutcome[], of: (outcome: SlotMoveOutcome) => number): number =>
  outcomes.reduce((total, outcome) => total + of(outcome), 0);

if (requireOrSkip('redis', hasRedisServer())) {
  test.before(async (context) => {
    context.cluster = await LocalRedisCluster.start();
    const { nodeIds, ports } = context.cluster;
    context.nodes = new RedisConnections(REDIS_DEFAULTS);
    context.nodes.setAddresses(
      new Map(nodeIds.map((id, index) => [id, { host: '127.0.0.1', port: ports[index] as number }])),
    );
    const commands = tagsOf(SLOTS).flatMap((tag): RedisCommand[] => [
      ['SET', `{${tag}}string`, 'value', 'PX', 600_000],
      ['HSET', `{${tag}}hash`, ...Array.from({ length: 600 }, (_, i) => String(i))],
      ['SADD', `{${tag}}set`, ...Array.from({ length: 700 }, (_, i) => `member${i}`)],
      ['ZADD', `{${tag}}zset`, 1, 'one', 2, 'two'],
      ['RPUSH', `{${tag}}list`, 'a', 'b', 'c'],
      ['XADD', `{${tag}}stream`, '1-1', 'f', 'v'],
    ]);
    await context.cluster.pipeline(0, commands);
  });
  test.after(async ({ cluster, nodes }) => {
    nodes?.close();
    await cluster?.stop();
  });

  test('a dry run tells it in order, and sends nothing that changes anything', async ({ cluster, nodes }) => {
    const told: string[] = [];
    await moveAll(cluster, new DryRunNodes(nodes, (_, command) => told.push(commandText(command))));
    const firstOf = (part: string): number => told.findIndex((line) => line.includes(part));
    const order = ['IMPORTING', ' COPY ', '(hand-over)', ' NODE '].map(firstOf);
    check.ok(order[0] !== -1, told.slice(0, 5).join('\n'));
    check.equal(
      order,
      [...order].sort((a, b) => a - b),
    );
    check.is(numberOf(await cluster.command(1, 'DBSIZE')), 0);
    check.not.match(String(await cluster.command(1, 'CLUSTER', 'NODES')), /\[\d+-/);
  });

  test('a hand-over takes an expiry for a change, and tells of no refusal once it has deleted a key', async ({
    cluster,
  }) => {
    const [tag] = tagsOf([2_000]) as [string];
    const keys = [`{${tag}}a`, `{${tag}}b`] as const;
    await cluster.pipeline(
      0,
      keys.map((key) => ['SET', key, 'v']),
    );
    const told = await cluster.command(0, 'EVAL_RO', DIGEST_SCRIPT, 2, ...keys);
    const [digest] = (told as readonly RedisReply[]).map(textOf) as [string];
    const handOver = (...named: readonly string[]): Promise<RedisReply> => {
      const about = [2_000, cluster.nodeIds[1] as string, 9e15, ...named.flatMap(() => [digest, -1])];
      return cluster.command(0, 'EVAL', HAND_OVER_SCRIPT, named.length, ...named, ...about);
    };
    await cluster.command(0, 'PEXPIRE', keys[1], 600_000);
    check.equal(await handOver(...keys), [-1, 2], 'nothing is done');
    check.is(numberOf(await cluster.command(0, 'EXISTS', ...keys)), 2);
    // The second deletion of a key is refused: its slot is open, and it is not there. Copies would be removed after a refusal.
    check.equal(await handOver(keys[0], keys[0]), [1], 'one key is left, and moves by itself');
    await cluster.command(0, 'CLUSTER', 'SETSLOT', 2_000, 'STABLE');
    await cluster.command(0, 'DEL', keys[1]);
  });

  test('a copy with another expiry, or none, is not handed over', async ({ cluster, nodes }) => {
    const move = { ...moveOf(cluster), slots: [2_000] };
    const [tag] = tagsOf(move.slots) as [string];
    const keys = ['same', 'later', 'never'].map((name) => `{${tag}}${name}`);
    for (const key of keys) await cluster.command(0, 'SET', key, 'v', 'PX', 600_000);
    const mover = new SlotMover(REDIS_DEFAULTS, {
      nodes,
      clock: systemClock(),
      assertMaySend: () => undefined,
    });
    const keysOf = new Map([[2_000, keys.map((key) => Buffer.from(key))]]);
    const copies = await mover.run(copySlots(move, keysOf, mover.limits()));
    await cluster.pipeline(1, [
      ...[['ASKING'], ['PEXPIRE', keys[1] as string, 900_000]],
      ...[['ASKING'], ['PERSIST', keys[2] as string]],
    ]);
    const { alike, report } = await mover.run(compareCopies(move, copies));
    check.equal(
      alike.get(2_000)?.map(({ key }) => String(key)),
      [keys[0]],
    );
    check.equal(report.differing.map(String), keys.slice(1));
    await mover.run(dropCopies(move, move.slots));
    await cluster.command(0, 'DEL', ...keys);
  });

  test('every type arrives, compared, while two libraries count and append', async ({ cluster, nodes }) => {
    const load = await RedisLoad.start(cluster, { tags: tagsOf(SLOTS).slice(0, 8), perSecond: 500 });
    await sleep(300);
    const stages: string[] = [];
    const outcomes = await moveAll(cluster, nodes, { note: ({ stage }) => stages.push(stage) });
    await sleep(100);
    await load.stop();
    check.is(load.failedWrites, 0);
    check.ok(load.acknowledgedWrites > 50, `${load.acknowledgedWrites} writes`);
    check.equal(await load.findWrong(cluster), []);
    check.equal(
      outcomes.flatMap(({ committedSlots }) => committedSlots),
      SLOTS,
    );
    check.equal(
      outcomes.flatMap(({ sample }) => sample.differing.map(String)),
      [],
    );
    check.ok(sum(outcomes, ({ sample }) => sample.checkedCount) >= SLOTS.length * 6);
    check.equal(stages.slice(0, 2), ['copying', 'handing-over']);
    check.is(numberOf(await cluster.command(0, 'DBSIZE')), 0);
    const [tag] = tagsOf(SLOTS) as [string];
    check.is(numberOf(await cluster.command(1, 'HLEN', `{${tag}}hash`)), 300);
    check.is(numberOf(await cluster.command(1, 'SCARD', `{${tag}}set`)), 700);
    const leftMs = numberOf(await cluster.command(1, 'PTTL', `{${tag}}string`));
    check.ok(leftMs > 500_000 && leftMs <= 600_000, `${leftMs} ms`);
  });
}

test.run();

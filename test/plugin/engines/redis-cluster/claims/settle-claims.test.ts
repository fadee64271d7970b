/** What a target must have heard before it takes slots: fakes that answer CLUSTER NODES, and a real server that doubts a claim. */
import calculateSlot from 'cluster-key-slot';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import {
  type Settled,
  settleClaims,
} from '../../../../../plugin/engines/redis-cluster/claims/settle-claims.ts';
import { SettledPairs } from '../../../../../plugin/engines/redis-cluster/claims/settled-pairs.ts';
import {
  hasRedisServer,
  LocalRedisCluster,
} from '../../../../../plugin/engines/redis-cluster/local-redis-cluster.ts';
import { parseClusterNodes } from '../../../../../plugin/engines/redis-cluster/server/cluster-nodes.ts';
import { RedisConnections } from '../../../../../plugin/engines/redis-cluster/server/redis-connections.ts';
import {
  numberOf,
  type RedisCommand,
  type RedisNode,
  type RedisNodes,
  RedisRefusal,
  type RedisReply,
} from '../../../../../plugin/engines/redis-cluster/server/redis-node.ts';
import { SlotMover } from '../../../../../plugin/engines/redis-cluster/slots/slot-mover.ts';
import { Pace } from '../../../../../plugin/engines/redis-cluster/steps/pace.ts';
import {
  type SlotMove,
  SlotMoveStopped,
} from '../../../../../plugin/engines/redis-cluster/steps/slot-move.ts';
import { runSteps } from '../../../../../plugin/engines/redis-cluster/steps/step-runner.ts';
import type { Steps } from '../../../../../plugin/engines/redis-cluster/steps/steps.ts';

import { systemClock } from '../../../../../src/base/clock.ts';
import { ForeshardError } from '../../../../../src/base/errors.ts';
import { REDIS_DEFAULTS } from '../../../../../src/redis-settings.ts';
import { requireOrSkip } from '../../../../support/require.ts';

const test = suite('redis-cluster: what a target has heard of its source');

const [S, T, O, R] = ['a', 'b', 'c', 'd'].map((letter) => letter.repeat(40)) as [
  string,
  string,
  string,
  string,
];

/** Three masters of which each has one slot, as source and target see them; `onMeet` is what a message of the source does. */
class Fakes {
  version = '7.0.15';
  readonly epochs: Record<string, number> = { [S]: 5, [T]: 4, [O]: 3 };
  heardSourceEpoch = 5;
  /** Whose slot 0 is, as the target sees it. */
  ownerAtTarget = S;
  onMeet = (): void => {
    this.heardSourceEpoch = this.epochs[S] as number;
    this.ownerAtTarget = S;
  };
  /** Slots of the source beside slot 0, as both see it. */
  sourceSlots = '1';
  mode: 'auto' | 'off' = 'auto';
  nodeTimeoutMs = 15_000;
  /** What the target takes to be its own address. */
  ownHost = '127.0.0.1';
  others: readonly string[] = [O];
  /** What the replica of the source knows of its master; null without one. */
  epochAtReplica: number | null = null;
  onSleep = (): void => undefined;
  /** What the target says of the source. */
  flagsOfSource = 'master';
  pingSentMs = 0;
  flagsOfOther = 'master';
  /** As the source knows it; null: as all do. */
  epochOfOtherAtSource: number | null = null;
  /** By who says it. */
  readonly openSlots: Record<string, string> = {};
  namedSlot: number | null = null;
  slotsOfOther = '12';
  /** A node that does not answer. */
  silent = '';
  /** A command that our user may not send. */
  refuses = '';
  readonly sent: string[] = [];
  nowMs = 0;
  readonly clock = {
    ...systemClock(),
    monotonicMs: () => this.nowMs,
    sleep: async (ms: number) => {
      this.nowMs += ms;
      this.onSleep();
    },
  };

  settle(pairs?: SettledPairs): Promise<Settled> {
    const run = async <Result>(steps: Steps<Result>): Promise<Result> => {
      let turn = steps.next();
      while (turn.done !== true) {
        const { to, commands } = turn.value;
        if (to.includes(this.silent)) {
          turn = steps.throw(new ForeshardError('FORESHARD_UNAVAILABLE', 'retry', 'no answer'));
          continue;
        }
        turn = steps.next(to.map((nodeId) => commands.map((command) => this.#answer(nodeId, command))));
      }
      return turn.value;
    };
    const [ends, components] = [
      { sourceId: S, targetId: T },
      { run, clock: this.clock, mode: this.mode },
    ];
    return pairs === undefined ? settleClaims(ends, components) : pairs.settle(ends, components);
  }

  #answer(nodeId: string, command: RedisCommand): RedisReply {
    const text = command.join(' ');
    if (text === 'INFO server') return Buffer.from(`redis_version:${this.version}\r\n`);
    if (text === 'CLUSTER NODES') return Buffer.from(this.#nodes(nodeId));
    if (command[0] === 'CONFIG')
      return this.refuses === 'CONFIG'
        ? new RedisRefusal('NOPERM no permissions')
        : [Buffer.from(String(command[2])), Buffer.from(String(this.nodeTimeoutMs))];
    if (command[0] === 'EVAL') {
      this.namedSlot = Number(command[3]);
      return this.#named(String(command[5]));
    }
    this.sent.push(`${nodeId[0]}: ${text.replace(/([abc])\1{39}/g, '$1')}`);
    if (text.startsWith('CLUSTER MEET')) this.onMeet();
    if (text === 'CLUSTER BUMPEPOCH' && this.refuses !== text)
      this.epochs[S] = Math.max(...Object.values(this.epochs)) + 1;
    if (text === this.refuses) return new RedisRefusal('NOPERM no permissions');
    if (text.startsWith('CLUSTER SETSLOT')) this.ownerAtTarget = String(command[4]);
    return Buffer.from('OK');
  }

  #named(witness: string): RedisReply {
    if (this.refuses === 'EVAL') return new RedisRefusal('NOPERM no permissions');
    this.sent.push(`b: names ${witness[0]}`);
    this.ownerAtTarget = witness;
    return 1;
  }

  #nodes(viewerId: string): string {
    const owner = viewerId === T ? this.ownerAtTarget : S;
    const replica = `${R} 127.0.0.1:7009@17009 slave ${S} 0 0 0 connected`;
    return [S, T, ...this.others]
      .map((id, index) => {
        const epoch = this.#epochOf(id, viewerId);
        const own = id === S ? this.sourceSlots : id === O ? this.slotsOfOther : `${index + 10}`;
        const open = id === viewerId ? this.openSlots[id] : undefined;
        const slots = [...(id === owner ? ['0'] : []), own, open ?? ''].filter((field) => field !== '');
        const host = id === T && viewerId === T ? this.ownHost : '127.0.0.1';
        const ofSource = id === S && viewerId === T;
        const told = ofSource ? this.flagsOfSource : id === O ? this.flagsOfOther : 'master';
        const flags = id === viewerId ? 'myself,master' : told;
        const pinged = ofSource ? this.pingSentMs : 0;
        return `${id} ${host}:${7_000 + index}@${17_000 + index} ${flags} - ${pinged} 0 ${epoch} connected ${slots.join(' ')}`;
      })
      .concat(this.epochAtReplica === null ? [] : [replica])
      .join('\n');
  }

  #epochOf(id: string, viewerId: string): number {
    const heard = viewerId === T ? this.heardSourceEpoch : viewerId === R ? this.epochAtReplica : null;
    const ofOther = viewerId === S ? this.epochOfOtherAtSource : null;
    return (id === S ? heard : id === O ? ofOther : null) ?? (this.epochs[id] as number);
  }
}

const MEET = 'a: CLUSTER MEET 127.0.0.1 7001 17001';

test('the target is made to look at all claims of the source again', async () => {
  const fakes = new Fakes();
  await fakes.settle();
  check.equal(fakes.sent, ['b: names c', MEET]);
  check.is(fakes.ownerAtTarget, S);
});

test('a source of the least epoch takes a new one first, and the target hears of it', async () => {
  const fakes = new Fakes();
  Object.assign(fakes.epochs, { [S]: 1 });
  fakes.heardSourceEpoch = 1;
  await fakes.settle();
  check.equal(fakes.sent, ['a: CLUSTER BUMPEPOCH', MEET, 'b: names c', MEET]);
  check.is(fakes.heardSourceEpoch, 5);
});

test('a replica that has not heard of the epoch that its master has taken is greeted, and waited for', async () => {
  const fakes = new Fakes();
  Object.assign(fakes.epochs, { [S]: 1 });
  Object.assign(fakes, { heardSourceEpoch: 1, epochAtReplica: 1 });
  fakes.onSleep = () => {
    if (fakes.nowMs > 700) fakes.epochAtReplica = fakes.epochs[S] as number;
    else check.not.ok(fakes.sent.includes('b: names c'));
  };
  await fakes.settle();
  check.ok(fakes.sent.includes('a: CLUSTER MEET 127.0.0.1 7009 17009'));
  check.is(fakes.sent.at(-2), 'b: names c');
});

test('a second attempt, after one that took an epoch, waits for the replica as well', async () => {
  const fakes = new Fakes();
  Object.assign(fakes.epochs, { [S]: 1 });
  Object.assign(fakes, { heardSourceEpoch: 1, epochAtReplica: 1 });
  for (const attempt of [1, 2]) {
    await fakes.settle().then(
      () => check.unreachable(`attempt ${attempt}`),
      (error: Error) =>
        check.match(error.message, /^replica d+ has not heard of the epoch that its master a+/),
    );
    check.is(fakes.sent.filter((text) => text === 'a: CLUSTER MEET 127.0.0.1 7009 17009').length, attempt);
  }
  check.is(fakes.sent.filter((text) => text === 'a: CLUSTER BUMPEPOCH').length, 1);
  fakes.epochAtReplica = fakes.epochs[S] as number;
  check.is((await fakes.settle()).unprotected, null);
});

test('a replica that does not answer us holds nothing up', async () => {
  const fakes = Object.assign(new Fakes(), { epochAtReplica: 1 });
  fakes.silent = R;
  check.is((await fakes.settle()).unprotected, null);
});

test('a third master that is out of reach for a moment is waited for, without a new epoch', async () => {
  for (const health of ['fail?', 'fail']) {
    const fakes = new Fakes();
    fakes.flagsOfOther = `master,${health}`;
    fakes.onSleep = () => {
      if (fakes.nowMs > 700) fakes.flagsOfOther = 'master';
      else check.not.ok(fakes.sent.some((text) => !text.startsWith('a: CLUSTER MEET 127.0.0.1 7001')));
    };
    check.is((await fakes.settle()).unprotected, null, health);
    check.ok(fakes.nowMs > 700 && fakes.nowMs < 1_000, `${fakes.nowMs} ms`);
    check.equal(fakes.sent.slice(-2), ['b: names c', MEET]);
  }
  const gone = Object.assign(new Fakes(), { flagsOfOther: 'master,fail?' });
  await gone.settle().then(
    () => check.unreachable(),
    (error: Error) => check.match(error.message, /^target b+ cannot reach a third master, for 30000 ms/),
  );
  // Its successor has its slots: it comes back as a replica, if at all.
  const succeeded = Object.assign(new Fakes(), { flagsOfOther: 'master,fail', slotsOfOther: '' });
  check.is((await succeeded.settle()).unprotected, 'the cluster has no third master');
});

test('what the source has yet to answer to the target is waited for before a slot is named', async () => {
  const fakes = Object.assign(new Fakes(), { pingSentMs: 1_790_000_000_000 });
  fakes.onSleep = () => {
    if (fakes.nowMs > 700) fakes.pingSentMs = 0;
    else check.is(fakes.namedSlot, null);
  };
  await fakes.settle();
  check.ok(fakes.nowMs > 700);
  check.is(fakes.namedSlot, 0);
});

test('no slot that is open on either side is named', async () => {
  for (const [nodeId, open] of [
    [S, `[0->-${T}]`],
    [T, `[0-<-${S}]`],
  ] as const) {
    const fakes = new Fakes();
    fakes.openSlots[nodeId] = open;
    await fakes.settle();
    check.is(fakes.namedSlot, 1, open);
  }
});

test('nobody is named of whose epoch source and target think differently', async () => {
  const fakes = new Fakes();
  const P = 'e'.repeat(40);
  Object.assign(fakes.epochs, { [P]: 2 });
  Object.assign(fakes, { others: [O, P], epochOfOtherAtSource: 7 });
  await fakes.settle();
  check.equal(fakes.sent, ['b: names e', MEET]);
});

test('a source that the target cannot reach is waited for, on any version', async () => {
  const fakes = Object.assign(new Fakes(), { version: '8.0.1', flagsOfSource: 'master,fail?' });
  fakes.onSleep = () => {
    if (fakes.nowMs > 700) fakes.flagsOfSource = 'master';
  };
  await fakes.settle();
  check.ok(fakes.nowMs > 700, `${fakes.nowMs} ms`);
  fakes.flagsOfSource = 'master,fail?';
  fakes.onSleep = () => undefined;
  await fakes.settle().then(
    () => check.unreachable(),
    (error: Error) => check.match(error.message, /^target b+ cannot reach source a+, for 30000 ms/),
  );
});

test('a pair that was not protected is not remembered: it is tried again with the next move', async () => {
  const pairs = new SettledPairs();
  const fakes = Object.assign(new Fakes(), { refuses: 'EVAL' });
  check.is((await fakes.settle(pairs)).unprotected, 'scripts (EVAL) are refused');
  fakes.refuses = '';
  check.is((await fakes.settle(pairs)).unprotected, null);
  check.ok(fakes.sent.includes('b: names c'));
});

test('nothing is sent to servers that keep no doubts and have heard', async () => {
  for (const version of ['7.0.11', '6.2.6', '7.4.0', '8.0.1', '7.2.4\r\nvalkey_version:8.0.1']) {
    const fakes = new Fakes();
    fakes.version = version;
    await fakes.settle();
    check.equal(fakes.sent, [], version);
  }
});

test('who may not name a witness, or take an epoch, moves nevertheless', async () => {
  const unscripted = new Fakes();
  unscripted.refuses = 'EVAL';
  await unscripted.settle();
  check.equal(unscripted.sent, []);
  const unbumped = new Fakes();
  unbumped.refuses = 'CLUSTER BUMPEPOCH';
  unbumped.epochs[S] = 1;
  unbumped.heardSourceEpoch = 1;
  await unbumped.settle();
  check.equal(unbumped.sent, ['a: CLUSTER BUMPEPOCH']);
});

test('an epoch that the target has not heard of, or that another has too, is waited for, and never slept away', async () => {
  const behind = new Fakes();
  behind.heardSourceEpoch = 2;
  const equal = new Fakes();
  Object.assign(equal.epochs, { [O]: 5 });
  equal.onMeet = () => {
    Object.assign(equal.epochs, { [O]: equal.nowMs > 500 ? 6 : 5 });
  };
  equal.version = '6.2.6';
  behind.version = '6.2.6';
  await Promise.all([behind.settle(), equal.settle()]);
  check.is(behind.heardSourceEpoch, 5);
  check.ok(equal.nowMs > 500 && equal.nowMs < 1_000, `${equal.nowMs} ms`);
});

test('who never hears stops the move, with nothing left behind', async () => {
  const deaf = new Fakes();
  deaf.heardSourceEpoch = 2;
  deaf.onMeet = () => undefined;
  const marked = new Fakes();
  marked.onMeet = () => undefined;
  for (const fakes of [deaf, marked]) {
    try {
      await fakes.settle();
      check.unreachable();
    } catch (error) {
      check.instance(error, SlotMoveStopped);
      check.match(
        (error as Error).message,
        /^target b+ has not heard .* for 30000 ms: nothing has been moved; see that/,
      );
    }
    check.is(fakes.ownerAtTarget, S);
  }
});

test('what is wrong is said: an epoch of two nodes, no master to name', async () => {
  const shared = new Fakes();
  Object.assign(shared.epochs, { [O]: 5 });
  const unnamed = new Fakes();
  unnamed.epochs[S] = 1;
  unnamed.heardSourceEpoch = 1;
  unnamed.onMeet = () => {
    unnamed.heardSourceEpoch = unnamed.epochs[S] as number;
    // Its epoch rises again and again.
    unnamed.epochs[O] = (unnamed.epochs[S] as number) + 1;
  };
  for (const [fakes, reason] of [
    [shared, /^node c+ and source a+ both have epoch 5, for/],
    [unnamed, /^source a+ and target b+ agree on no third master of a lesser epoch/],
  ] as const)
    await fakes.settle().then(
      () => check.unreachable(),
      (error: Error) => check.match(error.message, reason),
    );
});

test('how long is waited follows the node timeout of the servers, where they tell it', async () => {
  for (const [nodeTimeoutMs, refuses, waitedMs] of [
    [60_000, '', 120_000],
    [1_000, '', 10_000],
    [60_000, 'CONFIG', 30_000],
  ] as const) {
    const deaf = Object.assign(new Fakes(), { nodeTimeoutMs, refuses, heardSourceEpoch: 2 });
    deaf.onMeet = () => undefined;
    await deaf.settle().then(
      () => check.unreachable(),
      (error: Error) => check.match(error.message, ` for ${waitedMs} ms`),
    );
    check.ok(deaf.nowMs >= waitedMs && deaf.nowMs < waitedMs + 200, `${deaf.nowMs} ms`);
  }
});

test('a target that takes itself to be elsewhere is not met: it would take a new address', async () => {
  for (const ownHost of ['10.0.0.7', '']) {
    const fakes = Object.assign(new Fakes(), { ownHost });
    fakes.onSleep = () => {
      if (fakes.nowMs > 3_000) fakes.ownerAtTarget = S;
    };
    await fakes.settle();
    check.equal(fakes.sent, ['b: names c'], ownHost);
    check.ok(fakes.nowMs > 3_000, 'its next heartbeat was waited for');
  }
});

test('with "off" nothing is sent, and the epoch of the source is waited for all the same', async () => {
  const fakes = Object.assign(new Fakes(), { mode: 'off', heardSourceEpoch: 2 });
  fakes.onSleep = () => {
    if (fakes.nowMs > 3_000) fakes.heardSourceEpoch = 5;
  };
  check.equal((await fakes.settle()).epochs, { source: 5, target: 4 });
  check.equal(fakes.sent, []);
  check.ok(fakes.nowMs > 3_000);
});

test('it is told why nothing protects a move', async () => {
  const two = Object.assign(new Fakes(), { others: [] });
  const unscripted = Object.assign(new Fakes(), { refuses: 'EVAL' });
  const fine = new Fakes();
  const sound = Object.assign(new Fakes(), { others: [], version: '7.4.0' });
  const told = await Promise.all([two, unscripted, fine, sound].map((fakes) => fakes.settle()));
  check.equal(
    told.map(({ unprotected }) => unprotected),
    ['the cluster has no third master', 'scripts (EVAL) are refused', null, null],
  );
});

test('a pair that was settled is settled again only when its source has other claims, or in half a minute', async () => {
  const pairs = new SettledPairs();
  const fakes = new Fakes();
  fakes.sourceSlots = '1-3';
  const settled = async (): Promise<boolean> => {
    fakes.sent.length = 0;
    const { epochs } = await fakes.settle(pairs);
    check.equal(epochs, { source: fakes.epochs[S], target: fakes.epochs[T] });
    return fakes.sent.length > 0;
  };
  check.ok(await settled(), 'the first time');
  check.not(await settled(), 'a moment later');
  fakes.sourceSlots = '2-3';
  Object.assign(fakes.epochs, { [T]: 6 });
  check.not(await settled(), 'when slots have moved');
  fakes.sourceSlots = '1-4';
  check.ok(await settled(), 'when it has got another slot');
  Object.assign(fakes.epochs, { [S]: 7 });
  fakes.heardSourceEpoch = 7;
  check.ok(await settled(), 'when it has got a slot back, and an epoch with it');
  fakes.nowMs += 29_000;
  check.not(await settled(), 'soon');
  fakes.nowMs += 31_000;
  check.ok(await settled(), 'after a while');
});

/** For a heartbeat to arrive that still claims what the target has just taken. */
const HELD_S = 0.4;

/** Three servers, by their roles: indices in the cluster, whose slots are in this order. */
interface Roles {
  readonly source: number;
  readonly target: number;
  readonly other: number;
  /** Whether the source has no slots at first. */
  readonly isSourceEmpty?: boolean;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const keyIn = (slot: number): string =>
  Array.from({ length: 200_000 }, (_, i) => `k${i}`).find((name) => calculateSlot(name) === slot) as string;

/** @param slot is of the target at first: the source gets it, and a key, and the target doubts that it is the source's. */
async function withDoubtOf(
  slot: number,
  { source, target, other, isSourceEmpty = false }: Roles,
  use: (found: {
    readonly cluster: LocalRedisCluster;
    readonly nodes: RedisConnections;
    readonly move: Omit<SlotMove, 'slots'>;
    readonly speak: (from: number) => Promise<RedisReply>;
  }) => Promise<void>,
): Promise<void> {
  // A master that has lost its last slot would be a replica.
  const staysMaster = ['--cluster-allow-replica-migration', isSourceEmpty ? 'no' : 'yes'];
  const cluster = await LocalRedisCluster.start({
    serverArguments: ['--enable-debug-command', 'yes', ...staysMaster],
  });
  const nodes = new RedisConnections(REDIS_DEFAULTS);
  try {
    nodes.setAddresses(new Map(cluster.nodeIds.map((id, index) => [id, cluster.address(index)])));
    const [sourceId, targetId, otherId] = [source, target, other].map((index) => cluster.nodeIds[index]) as [
      string,
      string,
      string,
    ];
    const busPort = /@(\d+) myself/.exec(String(await cluster.command(target, 'CLUSTER', 'NODES')))?.[1];
    const port = cluster.ports[target] as number;
    const speak = (from: number): Promise<RedisReply> =>
      cluster.command(from, 'CLUSTER', 'MEET', '127.0.0.1', port, busPort as string);
    if (isSourceEmpty) {
      const own = parseClusterNodes(String(await cluster.command(source, 'CLUSTER', 'NODES')), '');
      const [first, last] = own.find(({ nodeId }) => nodeId === sourceId)?.slots[0] ?? [0, -1];
      for (const index of [other, target, source])
        await cluster.pipeline(
          index,
          Array.from({ length: last - first + 1 }, (_, i) => [
            'CLUSTER',
            'SETSLOT',
            first + i,
            'NODE',
            otherId,
          ]),
        );
    }
    // The target thinks that the slot is the source's, and hears that the source does not claim it; then it does.
    await cluster.command(target, 'CLUSTER', 'SETSLOT', slot, 'NODE', sourceId);
    await speak(source);
    await pause(500);
    for (const index of [source, other])
      await cluster.command(index, 'CLUSTER', 'SETSLOT', slot, 'NODE', sourceId);
    await cluster.command(source, 'SET', keyIn(slot), 'v');
    const move = {
      ...{ sourceId, targetId, targetAddress: cluster.address(target), otherMasterIds: [otherId] },
      ...{ formerIds: [], isSourcePromoted: false, sourceRunId: null },
    };
    await use({ cluster, nodes, move, speak });
  } finally {
    nodes.close();
    await cluster.stop();
  }
}

if (requireOrSkip('redis', hasRedisServer())) {
  for (const [what, slot, roles] of [
    ['a claim', 5_500, { source: 0, target: 1, other: 2 }],
    ['the first claim', 5_460, { source: 1, target: 0, other: 2 }],
    ['the only claim', 5_500, { source: 0, target: 1, other: 2, isSourceEmpty: true }],
  ] as const)
    test(`a target that doubts ${what} of its source keeps slots and keys nevertheless`, () =>
      withDoubtOf(slot, roles, async ({ cluster, nodes, move, speak }) => {
        const { targetId } = move;
        const held: RedisNodes = {
          node: (nodeId): RedisNode => ({
            close: () => undefined,
            pipeline: async (commands) => {
              const takes = commands.some(([, , of, , owner]) => of === slot && owner === targetId);
              if (nodeId !== targetId || !takes) return nodes.node(nodeId).pipeline(commands);
              void speak(roles.source);
              check.equal(commands.at(-1), ['EXEC']);
              const all = [...commands.slice(0, -1), ['DEBUG', 'SLEEP', HELD_S], ['EXEC']];
              const replies = await nodes.node(nodeId).pipeline(all);
              return [...replies.slice(0, -2), (replies.at(-1) as readonly RedisReply[]).slice(0, -1)];
            },
          }),
        };
        const mover = new SlotMover(REDIS_DEFAULTS, {
          nodes: Object.assign(held, { dedicated: (nodeId: string) => nodes.dedicated(nodeId) }),
          clock: systemClock(),
          assertMaySend: () => undefined,
        });
        await mover.move({ ...move, slots: [slot] }, { mayOpenWindow: () => true });
        await pause(300);
        check.is(numberOf(await cluster.command(roles.target, 'CLUSTER', 'COUNTKEYSINSLOT', slot)), 1);
        check.is(String(await cluster.command(roles.target, 'GET', keyIn(slot))), 'v');
      }));

  test('a witness whose epoch rises before it is named does not get the slot, with its keys, from the source', () =>
    withDoubtOf(10_923, { source: 1, target: 2, other: 0 }, async ({ cluster, nodes, move, speak }) => {
      const named = 5_461;
      await cluster.command(1, 'SET', keyIn(named), 'v');
      const { targetId, sourceId, otherMasterIds } = move;
      const clock = systemClock();
      const targetKnows = async (epoch: string): Promise<boolean> =>
        String(await cluster.command(2, 'CLUSTER', 'NODES'))
          .split('\n')
          .some((line) => line.startsWith(otherMasterIds[0] as string) && line.split(' ')[6] === epoch);
      const run = <Result>(steps: Steps<Result>): Promise<Result> =>
        runSteps(steps, {
          ...{ clock, assertMaySend: () => undefined, pace: new Pace(REDIS_DEFAULTS.slotMove) },
          nodes: {
            node: (nodeId): RedisNode => ({
              close: () => undefined,
              pipeline: async (commands) => {
                if (commands.some((words) => words.includes(otherMasterIds[0] as string))) {
                  // Somebody else moves a slot to it, of which the source has not heard.
                  await cluster.command(0, 'CLUSTER', 'BUMPEPOCH');
                  await speak(0);
                  while (!(await targetKnows('4'))) await pause(1);
                  process.kill(cluster.pid(0), 'SIGSTOP');
                }
                return nodes.node(nodeId).pipeline(commands);
              },
            }),
          },
        });
      await settleClaims({ sourceId, targetId }, { run, clock, mode: 'auto' }).catch(() => undefined);
      process.kill(cluster.pid(0), 'SIGCONT');
      check.match(String(await cluster.command(1, 'CLUSTER', 'NODES')), /myself,master .* 5461-10923/);
      check.is(numberOf(await cluster.command(1, 'CLUSTER', 'COUNTKEYSINSLOT', named)), 1);
    }));

  test('a slot that somebody opens before it is named is not named', () =>
    withDoubtOf(10_923, { source: 1, target: 2, other: 0 }, async ({ cluster, nodes, move }) => {
      const { targetId, sourceId, otherMasterIds } = move;
      const clock = systemClock();
      const opened: number[] = [];
      const run = <Result>(steps: Steps<Result>): Promise<Result> =>
        runSteps(steps, {
          ...{ clock, assertMaySend: () => undefined, pace: new Pace(REDIS_DEFAULTS.slotMove) },
          nodes: {
            node: (nodeId): RedisNode => ({
              close: () => undefined,
              pipeline: async (commands) => {
                const [name, , , slot] = commands[0] as RedisCommand;
                if (name === 'EVAL') {
                  opened.push(Number(slot));
                  await cluster.command(2, 'CLUSTER', 'SETSLOT', slot as number, 'IMPORTING', sourceId);
                }
                return nodes.node(nodeId).pipeline(commands);
              },
            }),
          },
        });
      const settling = settleClaims({ sourceId, targetId }, { run, clock, mode: 'auto' });
      const why = await settling.then(
        () => null,
        (error: Error) => error.message,
      );
      // Servers that keep no doubts need nobody named.
      if (why !== null) check.match(why, /epochs or slots have changed while it was made to hear/);
      check.is(why === null, opened.length === 0);
      const seen = parseClusterNodes(String(await cluster.command(2, 'CLUSTER', 'NODES')), '');
      const ofOther = seen.find(({ nodeId }) => nodeId === otherMasterIds[0])?.slots ?? [];
      for (const slot of opened)
        check.not.ok(
          ofOther.some(([first, last]) => first <= slot && slot <= last),
          "it is the source's still",
        );
    }));
}

test.run();

/** Moves of slots on a model of a cluster: killed after any command, gone on with by another agent, under load. */
import calculateSlot from 'cluster-key-slot';
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import {
  type RedisCommand,
  RedisRefusal,
} from '../../../../../plugin/engines/redis-cluster/server/redis-node.ts';
import { closeUnmoved, moveSlots } from '../../../../../plugin/engines/redis-cluster/slots/move-slots.ts';
import { Pace } from '../../../../../plugin/engines/redis-cluster/steps/pace.ts';
import {
  type MoveLimits,
  type SlotMove,
  SlotMoveStopped,
} from '../../../../../plugin/engines/redis-cluster/steps/slot-move.ts';
import { runSteps } from '../../../../../plugin/engines/redis-cluster/steps/step-runner.ts';
import type { Steps } from '../../../../../plugin/engines/redis-cluster/steps/steps.ts';
import { VirtualClock } from '../../../../../src/base/clock.ts';
import { ForeshardError } from '../../../../../src/base/errors.ts';
import { REDIS_DEFAULTS } from '../../../../../src/redis-settings.ts';
import { keysOfFourSlots, MemoryRedisCluster } from '../../../../support/memory-redis-cluster.ts';
import { testSeed } from '../../../../support/seed.ts';

const test = suite('redis-cluster: moves of slots, a model');
const seed = Number(testSeed('move-slots') % 2n ** 31n);

const LIMITS: MoveLimits = {
  ...REDIS_DEFAULTS.slotMove,
  keysPerMigrate: () => 2,
  migrateLogin: [],
};

const KEYS_OF = keysOfFourSlots();
const KEYS = [...KEYS_OF.values()].flat();

function moveOf(cluster: MemoryRedisCluster): SlotMove {
  const [source, target, other] = cluster.servers;
  return {
    sourceId: source?.nodeId as string,
    targetId: target?.nodeId as string,
    targetAddress: { host: '127.0.0.1', port: target?.port as number },
    otherMasterIds: [other?.nodeId as string],
    slots: [...KEYS_OF.keys()],
    formerIds: [],
    isSourcePromoted: false,
    sourceRunId: null,
  };
}

const run = <Result>(cluster: MemoryRedisCluster, steps: Steps<Result>): Promise<Result> =>
  runSteps(steps, {
    nodes: cluster,
    clock: new VirtualClock(),
    pace: new Pace(REDIS_DEFAULTS.slotMove),
    assertMaySend: () => undefined,
  });

/** Runs an agent that may die. @returns null if it did. */
async function runMortal<Result>(
  cluster: MemoryRedisCluster,
  steps: Steps<Result>,
  {
    afterCommands,
    isMigrateHalfDone,
  }: { readonly afterCommands: number; readonly isMigrateHalfDone: boolean },
): Promise<Result | null> {
  cluster.faults = { commandsMax: cluster.commandCount + afterCommands, isMigrateHalfDone };
  try {
    return await run(cluster, steps);
  } catch (error) {
    if ((error as { code?: string }).code !== 'FORESHARD_UNAVAILABLE') throw error;
    return null;
  } finally {
    cluster.faults = { commandsMax: Number.POSITIVE_INFINITY, isMigrateHalfDone: false };
  }
}

/** A cluster with counters and clients that count while the agent works. */
function clusterUnderLoad(turns: readonly number[]): {
  cluster: MemoryRedisCluster;
  counted: Map<string, number>;
} {
  const cluster = new MemoryRedisCluster(3);
  const counted = new Map<string, number>();
  const count = (key: string): void => {
    if (cluster.increment(key) !== null) counted.set(key, (counted.get(key) ?? 0) + 1);
  };
  // Half of the keys are there before, the others are made while their slot moves.
  for (const [index, key] of KEYS.entries()) if (index % 2 === 0) count(key);
  let turn = 0;
  cluster.onTurn = () => {
    const drawn = turns[turn++ % turns.length] as number;
    if (drawn < KEYS.length) count(KEYS[drawn] as string);
    const deleted = KEYS[drawn - KEYS.length];
    if (deleted !== undefined && cluster.delete(deleted) !== null) counted.delete(deleted);
  };
  return { cluster, counted };
}

/** Every counter once, as acknowledged, where all servers take its owner to be. */
function assertSound(cluster: MemoryRedisCluster, counted: ReadonlyMap<string, number>): void {
  for (const server of cluster.servers) {
    check.is(server.migratingTo.size + server.importingFrom.size, 0, 'no slot is left open');
    check.equal(server.ownerOf, cluster.servers[0]?.ownerOf, 'all servers agree on the owners');
  }
  for (const key of KEYS) if (!counted.has(key)) check.equal(cluster.copiesOf(key), [], `${key} is deleted`);
  for (const [key, value] of counted) {
    const owner = cluster.servers[0]?.ownerOf[calculateSlot(key)] as string;
    check.equal(cluster.copiesOf(key), [{ nodeId: owner, value: String(value) }], key);
  }
}

const turnsOf = fc.array(fc.integer({ min: 0, max: KEYS.length * 3 }), { minLength: 1, maxLength: 60 });
const deathOf = fc.record({
  afterCommands: fc.integer({ min: 0, max: 90 }),
  isMigrateHalfDone: fc.boolean(),
  isGossipHeard: fc.boolean(),
});

test('slots move whole: every key once, all servers agree', async () => {
  const { cluster, counted } = clusterUnderLoad([0, 99, 5, 99, 99, 11]);
  const outcome = await run(cluster, moveSlots(moveOf(cluster), LIMITS));
  check.equal(
    outcome.committedSlots,
    [...KEYS_OF.keys()].sort((a, b) => a - b),
  );
  check.ok(outcome.movedKeyCount >= KEYS.length / 2);
  assertSound(cluster, counted);
  check.ok(
    KEYS.filter((key) => counted.has(key)).every(
      (key) => cluster.copiesOf(key)[0]?.nodeId === '1'.repeat(40),
    ),
  );
});

test('a target tells the others of all slots of a window at once, also where transactions are refused', async () => {
  for (const allowsTransactions of [true, false]) {
    const { cluster, counted } = clusterUnderLoad([0, 99, 5, 99, 99, 11]);
    cluster.allowsTransactions = allowsTransactions;
    const outcome = await run(cluster, moveSlots(moveOf(cluster), LIMITS));
    check.is(outcome.committedSlots.length, KEYS_OF.size);
    check.is(cluster.broadcastCount, 1);
    assertSound(cluster, counted);
  }
});

test('whoever dies, and however often, the next agent goes on, and no count is lost or doubled', async () => {
  await fc.assert(
    fc.asyncProperty(turnsOf, fc.array(deathOf, { maxLength: 4 }), async (turns, deaths) => {
      const { cluster, counted } = clusterUnderLoad(turns);
      for (const death of deaths) {
        await runMortal(cluster, moveSlots(moveOf(cluster), LIMITS), death);
        if (death.isGossipHeard) cluster.gossip();
      }
      const outcome = await run(cluster, moveSlots(moveOf(cluster), LIMITS));
      check.is(outcome.committedSlots.length, KEYS_OF.size);
      assertSound(cluster, counted);
    }),
    { seed, numRuns: 150 },
  );
});

test('a cancel closes what no key has left, and finishes the rest', async () => {
  await fc.assert(
    fc.asyncProperty(turnsOf, deathOf, deathOf, async (turns, death, second) => {
      const { cluster, counted } = clusterUnderLoad(turns);
      await runMortal(cluster, moveSlots(moveOf(cluster), LIMITS), death);
      if (death.isGossipHeard) cluster.gossip();
      await runMortal(cluster, closeUnmoved(moveOf(cluster)), second);
      const slots = await run(cluster, closeUnmoved(moveOf(cluster)));
      await run(cluster, moveSlots({ ...moveOf(cluster), slots }, LIMITS));
      cluster.gossip();
      assertSound(cluster, counted);
    }),
    { seed, numRuns: 150 },
  );
});

test('a key that clients make during a cancel is not hidden by one that they make after it', async () => {
  const { cluster, counted } = clusterUnderLoad([99]);
  const [slot] = [...KEYS_OF.keys()] as [number];
  const key = (KEYS_OF.get(slot) as string[]).find((one) => !counted.has(one)) as string;
  cluster.servers[0]?.migratingTo.set(slot, '1'.repeat(40));
  cluster.servers[1]?.importingFrom.set(slot, '0'.repeat(40));
  let acknowledged = 0;
  let countsSeen = 0;
  // After the look by which the slot is found untouched, and after each command from then on.
  cluster.onCommand = (command) => {
    if (command[1] === 'COUNTKEYSINSLOT') countsSeen++;
    if (countsSeen > 0 && cluster.increment(key) !== null) acknowledged++;
  };
  const slots = await run(cluster, closeUnmoved({ ...moveOf(cluster), slots: [slot] }));
  check.equal(slots, [slot], 'it has a key, and goes on');
  await run(cluster, moveSlots({ ...moveOf(cluster), slots }, LIMITS));
  cluster.onCommand = () => undefined;
  cluster.gossip();
  check.equal(cluster.copiesOf(key), [{ nodeId: '1'.repeat(40), value: String(acknowledged) }]);
});

test('a key that goes away before it is sampled holds nothing up', async () => {
  const { cluster, counted } = clusterUnderLoad([99]);
  const gone = KEYS.find((one) => counted.has(one)) as string;
  cluster.onCommand = (command) => {
    if (command.includes('MIGRATING')) {
      cluster.delete(gone);
      counted.delete(gone);
    }
  };
  await run(cluster, moveSlots(moveOf(cluster), { ...LIMITS, sampleShare: 1 }));
  assertSound(cluster, counted);
});

test('many batches that are refused in one round are one futile round', async () => {
  const { cluster, counted } = clusterUnderLoad([99]);
  const tag = '{tag0}';
  const slot = calculateSlot(tag);
  const [source, target] = cluster.servers;
  // Nothing else is there that could move in the first round.
  for (const key of KEYS_OF.get(slot) ?? []) if (counted.delete(key)) source?.keys.delete(key);
  for (let n = 0; n < 40; n++) {
    source?.keys.set(`${tag}copy${n}`, '1');
    target?.keys.set(`${tag}copy${n}`, '1');
    counted.set(`${tag}copy${n}`, 1);
  }
  source?.migratingTo.set(slot, '1'.repeat(40));
  target?.importingFrom.set(slot, '0'.repeat(40));
  const outcome = await run(cluster, moveSlots({ ...moveOf(cluster), slots: [slot] }, LIMITS));
  check.equal(outcome.committedSlots, [slot]);
});

test('after a failover of the source, keys that moved or are alike are no conflict, and none hides another', async () => {
  const { cluster } = clusterUnderLoad([99]);
  const [slot] = [...KEYS_OF.keys()] as [number];
  const [source, target] = cluster.servers;
  for (const key of KEYS_OF.get(slot) as string[]) source?.keys.delete(key);
  const tag = (KEYS_OF.get(slot) as string[])[0]?.match(/^\{.*\}/)?.[0];
  // Batches of two: a pair alike, a pair that was handed over in part, and one of which a key differs.
  for (const name of ['a', 'b', 'c', 'd', 'e']) source?.keys.set(`${tag}${name}`, '1');
  for (const [name, value] of [
    ['a', '1'],
    ['c', '1'],
    ['e', '2'],
  ])
    target?.keys.set(`${tag}${name}`, value as string);
  target?.importingFrom.set(slot, '0'.repeat(40));
  const move = { ...moveOf(cluster), slots: [slot], isSourcePromoted: true };
  const outcome = await run(cluster, moveSlots(move, { ...LIMITS, sampleShare: 0 }));
  check.equal(outcome.conflictingKeys, [{ slot, key: Buffer.from(`${tag}e`) }]);
  check.is(target?.keys.get(`${tag}e`), '2', 'nothing is overwritten');
});

test('a source that comes back with older data overwrites nothing of what the target has', async () => {
  await fc.assert(
    fc.asyncProperty(deathOf, deathOf, async (death, second) => {
      const { cluster } = clusterUnderLoad([99]);
      const [source, target] = cluster.servers as [
        MemoryRedisCluster['servers'][0],
        MemoryRedisCluster['servers'][0],
      ];
      const saved = new Map(source.keys);
      const begun = { ...moveOf(cluster), sourceRunId: String(source.runNumber) };
      await runMortal(cluster, moveSlots(begun, LIMITS), death);
      const isOpen = source.migratingTo.size > 0;
      const open = new Map([...saved].filter(([key]) => source.migratingTo.has(calculateSlot(key))));
      // Clients write on at the target, which never dies.
      for (const key of target.keys.keys()) if (!source.keys.has(key)) cluster.increment(key);
      const acknowledged = new Map([...target.keys].filter(([key]) => !source.keys.has(key)));
      if (isOpen) cluster.restart(source, new Map([...source.keys, ...open]));
      const move = { ...begun, isSourcePromoted: isOpen };
      // A slot that the target has taken already is left to gossip, by which the source drops what it has again.
      const ifItMay = (error: unknown): void => check.instance(error, SlotMoveStopped);
      await runMortal(cluster, moveSlots(move, LIMITS), second).catch(ifItMay);
      await run(cluster, moveSlots(move, LIMITS)).catch(ifItMay);
      for (const [key, value] of acknowledged) check.is(target.keys.get(key), value, key);
    }),
    { seed, numRuns: 150 },
  );
});

test('a source that was restarted stops the move that does not know of it', async () => {
  const { cluster } = clusterUnderLoad([99]);
  const move = { ...moveOf(cluster), sourceRunId: '1' };
  const [source, target] = cluster.servers;
  const [key, value] = [...(source?.keys ?? [])][0] as [string, string];
  let isRestarted = false;
  cluster.onCommand = (command) => {
    // Its first key has moved, and clients have written to it: the source comes back with what it was.
    if (isRestarted || target?.keys.get(key) !== value || command[0] !== 'MIGRATE') return;
    isRestarted = true;
    target.keys.set(key, '77');
    const saved = new Map(source?.keys).set(key, value);
    if (source !== undefined) cluster.restart(source, saved);
  };
  try {
    await run(cluster, moveSlots(move, LIMITS));
    check.unreachable();
  } catch (error) {
    check.instance(error, SlotMoveStopped);
    check.match((error as Error).message, /was restarted/);
  }
  check.is(target?.keys.get(key), '77');
});

test('nothing is sent to migrate while the target is silent, and little at a time', async () => {
  const { cluster } = clusterUnderLoad([99]);
  const move = moveOf(cluster);
  const writes: number[] = [];
  let isSilent = false;
  const nodes = {
    node: (nodeId: string) => ({
      close: () => undefined,
      pipeline: (commands: readonly RedisCommand[]) => {
        const migrates = commands.filter(([name]) => name === 'MIGRATE').length;
        if (migrates > 0) writes.push(migrates);
        if (isSilent && nodeId === move.targetId)
          return Promise.reject(new ForeshardError('FORESHARD_UNAVAILABLE', 'retry', 'silent'));
        isSilent ||= migrates > 0;
        if (migrates > 0)
          return Promise.resolve(commands.map(() => new RedisRefusal('IOERR error or timeout reading')));
        return cluster.node(nodeId).pipeline(commands);
      },
    }),
  };
  const pace = new Pace(REDIS_DEFAULTS.slotMove);
  // Nobody asks anything: pieces are as large as they get.
  pace.onClients(0);
  try {
    await runSteps(moveSlots(move, { ...LIMITS, keysPerMigrate: () => 1 }), {
      nodes,
      clock: new VirtualClock(),
      pace,
      assertMaySend: () => undefined,
    });
    check.unreachable();
  } catch (error) {
    check.is((error as Error).message, 'silent');
  }
  check.equal(writes, [4], 'of twelve');
});

test('a slot with more keys than can be looked at is not opened', async () => {
  const { cluster } = clusterUnderLoad([99]);
  const [slot] = [...KEYS_OF.keys()] as [number];
  const counts = cluster.servers[0] as MemoryRedisCluster['servers'][0];
  const tag = (KEYS_OF.get(slot) as string[])[0]?.match(/^\{.*\}/)?.[0];
  for (let n = 0; n < 50_001; n++) counts.keys.set(`${tag}many${n}`, '1');
  const outcome = await run(cluster, moveSlots({ ...moveOf(cluster), slots: [slot] }, LIMITS));
  check.is(outcome.fullSlots[0]?.slot, slot);
  check.equal(outcome.committedSlots, []);
  check.is(counts.migratingTo.size, 0);
});

test('a slot that somebody else has opened is not touched', async () => {
  const { cluster, counted } = clusterUnderLoad([99]);
  const [slot] = KEYS_OF.keys();
  cluster.servers[0]?.migratingTo.set(slot as number, '2'.repeat(40));
  const before = JSON.stringify(
    cluster.servers.map(({ migratingTo, ownerOf }) => [[...migratingTo], ownerOf]),
  );
  try {
    await run(cluster, moveSlots(moveOf(cluster), LIMITS));
    check.unreachable();
  } catch (error) {
    check.instance(error, SlotMoveStopped);
    check.match((error as Error).message, /somebody else/);
  }
  check.is(
    JSON.stringify(cluster.servers.map(({ migratingTo, ownerOf }) => [[...migratingTo], ownerOf])),
    before,
  );
  check.is(counted.size, KEYS.length / 2);
});

test('after a failover of the source, keys on both sides that differ stop their slot alone', async () => {
  const { cluster, counted } = clusterUnderLoad([99]);
  const [slot, other] = [...KEYS_OF.keys()] as [number, number];
  const key = (KEYS_OF.get(slot) as string[]).find((one) => counted.has(one)) as string;
  const [, target] = cluster.servers;
  target?.importingFrom.set(slot, '0'.repeat(40));
  target?.keys.set(key, '77');
  const move = { ...moveOf(cluster), isSourcePromoted: true };
  const outcome = await run(cluster, moveSlots(move, LIMITS));
  check.equal(outcome.conflictingKeys, [{ slot, key: Buffer.from(key) }]);
  check.not.ok(outcome.committedSlots.includes(slot));
  check.ok(outcome.committedSlots.includes(other));
  check.is(cluster.copiesOf(key).length, 2, 'nothing is thrown away');
});

test.run();

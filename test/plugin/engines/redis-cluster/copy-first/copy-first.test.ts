/** Moves that copy first, on a model of a cluster: killed after any command, gone on with by another agent, under load. */
import calculateSlot from 'cluster-key-slot';
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import {
  type CopiesRecord,
  CopyFirstMover,
} from '../../../../../plugin/engines/redis-cluster/copy-first/copy-first-mover.ts';
import { scanForBigKeys } from '../../../../../plugin/engines/redis-cluster/slots/big-keys.ts';
import { moveSlots } from '../../../../../plugin/engines/redis-cluster/slots/move-slots.ts';
import { standingsOf } from '../../../../../plugin/engines/redis-cluster/slots/slot-standing.ts';
import { Pace } from '../../../../../plugin/engines/redis-cluster/steps/pace.ts';
import {
  type MoveLimits,
  type SlotMove,
  SlotMoveStopped,
} from '../../../../../plugin/engines/redis-cluster/steps/slot-move.ts';
import { runSteps } from '../../../../../plugin/engines/redis-cluster/steps/step-runner.ts';
import type { Steps } from '../../../../../plugin/engines/redis-cluster/steps/steps.ts';
import { VirtualClock } from '../../../../../src/base/clock.ts';
import { REDIS_DEFAULTS } from '../../../../../src/redis-settings.ts';
import {
  type Faults,
  keysOfFourSlots,
  MemoryRedisCluster,
} from '../../../../support/memory-redis-cluster.ts';
import { testSeed } from '../../../../support/seed.ts';

const test = suite('redis-cluster: copy first, a model');
const seed = Number(testSeed('copy-first') % 2n ** 31n);

const LIMITS: MoveLimits = { ...REDIS_DEFAULTS.slotMove, keysPerMigrate: () => 2, migrateLogin: [] };

const KEYS_OF = keysOfFourSlots();
const KEYS = [...KEYS_OF.values()].flat();
const SLOTS = [...KEYS_OF.keys()];

/** What outlives an agent. */
interface World {
  readonly cluster: MemoryRedisCluster;
  /** By key: what clients were told. */
  readonly counted: Map<string, number>;
  /** In the metadata store. */
  copies: CopiesRecord | null;
}

/** @param turns before each command of the agent one of them: clients count a key, or delete it. */
function worldUnderLoad(turns: readonly number[]): World {
  const world: World = { cluster: new MemoryRedisCluster(3), counted: new Map(), copies: null };
  const { cluster, counted } = world;
  const count = (key: string): void => {
    if (cluster.increment(key) === null) throw new Error('a client gave up');
    counted.set(key, (counted.get(key) ?? 0) + 1);
  };
  // Half of the keys are there before, the others are made while their slot moves.
  for (const [index, key] of KEYS.entries()) if (index % 2 === 0) count(key);
  let turn = 0;
  cluster.onTurn = () => {
    const drawn = turns[turn++ % turns.length] as number;
    if (drawn < KEYS.length) count(KEYS[drawn] as string);
    const deleted = KEYS[drawn - KEYS.length];
    if (deleted === undefined) return;
    cluster.delete(deleted);
    counted.delete(deleted);
  };
  return world;
}

/** As PartitionMove does: first what was left behind, then what is open, then the rest. */
async function runAgent(
  world: World,
  orders: { readonly mayHandOver?: boolean; readonly move?: Partial<SlotMove> } = {},
): Promise<number[]> {
  const { cluster } = world;
  const [source, target, other] = cluster.servers as [Server, Server, Server];
  const move: SlotMove = {
    sourceId: source.nodeId,
    targetId: target.nodeId,
    targetAddress: { host: '127.0.0.1', port: target.port },
    otherMasterIds: [other.nodeId],
    slots: SLOTS,
    formerIds: [],
    isSourcePromoted: false,
    sourceRunId: null,
    ...orders.move,
  };
  const clock = new VirtualClock();
  const run = <Result>(steps: Steps<Result>): Promise<Result> =>
    runSteps(steps, {
      nodes: cluster,
      clock,
      pace: new Pace(REDIS_DEFAULTS.slotMove),
      assertMaySend: () => undefined,
    });
  const sleep = async (ms: number): Promise<void> => {
    cluster.nowMs += ms;
  };
  const mover = new CopyFirstMover({
    mover: { run, limits: () => LIMITS },
    clock: { sleep } as unknown as VirtualClock,
  });
  if (world.copies !== null) await mover.reclaim(move, world.copies);
  world.copies = null;
  const { standingOf } = await run(standingsOf(move));
  const open = SLOTS.filter((slot) => ['open', 'taken'].includes(standingOf.get(slot) as string));
  if (open.length > 0) await run(moveSlots({ ...move, slots: open }, LIMITS));
  const slots = SLOTS.filter((slot) => standingOf.get(slot) === 'closed');
  const scanned = await run(scanForBigKeys(move.sourceId, slots, LIMITS));
  const outcome = await mover.moveWindow({ ...move, slots }, scanned, {
    note: async (copies) => {
      world.copies = copies;
    },
    mayHandOver: async () => orders.mayHandOver ?? true,
  });
  return [...open, ...outcome.committedSlots];
}

type Server = MemoryRedisCluster['servers'][number];

/** An agent that dies after some of its commands. */
async function runMortal(world: World, { afterCommands, ...faults }: Death): Promise<void> {
  const { cluster } = world;
  cluster.faults = { ...faults, commandsMax: cluster.commandCount + afterCommands };
  try {
    await runAgent(world);
  } catch (error) {
    if ((error as { code?: string }).code !== 'FORESHARD_UNAVAILABLE') throw error;
  } finally {
    cluster.faults = { commandsMax: Number.POSITIVE_INFINITY, isMigrateHalfDone: false };
    for (const server of cluster.servers) Object.assign(server, { isAsking: false, queued: null });
  }
}

type Death = Omit<Faults, 'commandsMax'> & { readonly afterCommands: number };

const turnsOf = fc.array(fc.integer({ min: 0, max: KEYS.length * 3 }), { minLength: 1, maxLength: 60 });
const deathOf: fc.Arbitrary<Death> = fc.record({
  afterCommands: fc.integer({ min: 0, max: 200 }),
  isMigrateHalfDone: fc.boolean(),
  scriptIsLateBy: fc.integer({ min: 1, max: 40 }),
});

/** Every counter once, as acknowledged, at its owner; what was deleted is nowhere. */
function assertSound({ cluster, counted }: World): void {
  cluster.gossip();
  for (const server of cluster.servers) {
    check.is(server.migratingTo.size + server.importingFrom.size, 0, 'no slot is left open');
    check.equal(server.ownerOf, cluster.servers[0]?.ownerOf, 'all servers agree on the owners');
  }
  for (const key of KEYS) {
    const owner = cluster.servers[0]?.ownerOf[calculateSlot(key)] as string;
    const value = counted.get(key);
    const copies = value === undefined ? [] : [{ nodeId: owner, value: String(value) }];
    check.equal(cluster.copiesOf(key), copies, key);
  }
}

test('slots are copied, and handed over at one moment each: hardly a key moves while they are open', async () => {
  const world = worldUnderLoad([999]);
  const { cluster } = world;
  let openMigrates = 0;
  cluster.onCommand = (command) => {
    if (command[0] === 'MIGRATE' && cluster.servers[0]?.migratingTo.size !== 0) openMigrates++;
  };
  check.equal(new Set(await runAgent(world)), new Set(SLOTS));
  check.is(openMigrates, 0, 'nobody wrote: every copy was still its key');
  assertSound(world);
});

test('a key that was written after its copy, and is deleted while its slot is open, does not come back', async () => {
  const world = worldUnderLoad([999]);
  const { cluster, counted } = world;
  const key = KEYS[0] as string;
  const slot = calculateSlot(key);
  cluster.onCommand = ([name]) => {
    // Its copy has arrived: it is stale from now on.
    if (name === 'EXEC' && cluster.copiesOf(key).length === 2 && counted.get(key) === 1) {
      cluster.increment(key);
      counted.set(key, 2);
    }
    if (cluster.servers[0]?.migratingTo.has(slot) && counted.delete(key)) cluster.delete(key);
  };
  await runAgent(world);
  check.not.ok(counted.has(key), 'it was deleted while its slot was open');
  assertSound(world);
});

test('clients that count and delete meanwhile lose nothing, and nothing comes back', async () => {
  await fc.assert(
    fc.asyncProperty(turnsOf, async (turns) => {
      const world = worldUnderLoad(turns);
      check.is((await runAgent(world)).length, SLOTS.length);
      assertSound(world);
    }),
    { seed, numRuns: 40 },
  );
});

test('whoever dies, and however often, the next agent finds no orphan and loses nothing', async () => {
  await fc.assert(
    fc.asyncProperty(turnsOf, fc.array(deathOf, { maxLength: 4 }), async (turns, deaths) => {
      const world = worldUnderLoad(turns);
      for (const death of deaths) await runMortal(world, death);

      await runAgent(world);
      assertSound(world);
    }),
    { seed, numRuns: 60 },
  );
});

/** An agent dies with its first command of the hand-over, or with the last of it. */
async function dieHandingOver(world: World, { isHandedOver }: { isHandedOver: boolean }): Promise<void> {
  const { cluster } = world;
  let left = SLOTS.length;
  cluster.onCommand = ([name]) => {
    const isTime = isHandedOver ? name === 'EVAL' && --left === 0 : world.copies?.stage === 'handing-over';
    if (isTime) cluster.faults = { commandsMax: cluster.commandCount, isMigrateHalfDone: false };
  };
  await runMortal(world, { afterCommands: Number.POSITIVE_INFINITY, isMigrateHalfDone: false });
  cluster.onCommand = () => undefined;
  check.is(world.copies?.stage, 'handing-over');
}

test('a source that is restarted before anything was handed over counts, whatever copies are at the target', async () => {
  const world = worldUnderLoad([999]);
  const { cluster, counted } = world;
  await dieHandingOver(world, { isHandedOver: false });
  const [deleted, written] = KEYS.filter((key) => counted.has(key)) as [string, string];
  cluster.delete(deleted);
  counted.delete(deleted);
  cluster.increment(written);
  counted.set(written, 2);
  const [source] = cluster.servers as [Server];
  cluster.restart(source, new Map(source.keys));
  await runAgent(world, { move: { isSourcePromoted: true } });
  assertSound(world);
});

test('a source that was a replica in between, or has lost its config file, knows nothing of its hand-over', async () => {
  for (const isRestarted of [false, true]) {
    const world = worldUnderLoad([999]);
    await dieHandingOver(world, { isHandedOver: true });
    const [source] = world.cluster.servers as [Server];
    source.migratingTo.clear();
    if (isRestarted) world.cluster.restart(source, new Map(source.keys));
    else source.configEpoch = 10;
    await runAgent(world, { move: { isSourcePromoted: isRestarted } });
    assertSound(world);
  }
});

test('a target that was restarted since its copies arrived is given nothing for them', async () => {
  const world = worldUnderLoad([999]);
  const { cluster } = world;
  const target = cluster.servers[1] as Server;
  cluster.onCommand = ([, what]) => {
    // They have just been looked at.
    if (world.copies?.stage === 'handing-over' && what === 'GETKEYSINSLOT' && target.runNumber === 1)
      cluster.restart(target, new Map());
  };
  const stopped = await runAgent(world).catch((error: unknown) => error);
  check.instance(stopped, SlotMoveStopped, String(stopped));
  check.is(target.keys.size, 0);
  await runAgent(world);
  assertSound(world);
});

test('before a slot is handed over, replicas of the target have got rid of copies that are stale', async () => {
  const world = worldUnderLoad([999]);
  const { cluster, counted } = world;
  const key = [...counted.keys()][0] as string;
  let isRemoved = false;
  cluster.onCommand = ([name, what]) => {
    if (name === 'EXEC' && cluster.copiesOf(key).length === 2 && counted.get(key) === 1) {
      cluster.increment(key);
      counted.set(key, 2);
    }
    if (name === 'UNLINK') isRemoved = true;
    if (name === 'INFO' && what === 'replication') isRemoved = false;
    if (name === 'EVAL') check.not(isRemoved, 'a slot is opened before replicas have been waited for');
  };
  await runAgent(world);
  assertSound(world);
});

test('an agent that may not run scripts moves key by key', async () => {
  const world = worldUnderLoad([0, 30, 99, 7]);
  world.cluster.allowsScripts = false;
  check.is((await runAgent(world)).length, SLOTS.length);
  assertSound(world);
});

test('given up before the hand-over, nothing has happened', async () => {
  await fc.assert(
    fc.asyncProperty(turnsOf, fc.option(deathOf, { nil: null }), async (turns, death) => {
      const world = worldUnderLoad(turns);
      if (death !== null)
        await runMortal(world, { ...death, afterCommands: Math.min(death.afterCommands, 40) });
      const before = world.cluster.servers.map(({ ownerOf }) => [...ownerOf]);
      const moved = await runAgent(world, { mayHandOver: false });
      assertSound(world);
      if (moved.length === 0)
        check.equal(
          world.cluster.servers.map(({ ownerOf }) => ownerOf),
          before,
        );
    }),
    { seed, numRuns: 30 },
  );
});

test.run();

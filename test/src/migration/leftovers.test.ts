import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { recordCodec } from '../../../plugin/metadata/record-codec.ts';
import { VirtualClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import type { CoordinatorParts } from '../../../src/migration/coordinator-parts.ts';
import { LeftoverSweeper } from '../../../src/migration/leftovers.ts';
import type { CleanupRecord } from '../../../src/migration/records/records.ts';
import { DEFAULT_MIGRATION_SETTINGS } from '../../../src/migration/settings.ts';
import { asNodeId, asPartitionId } from '../../../src/model/ids.ts';
import type { PartitionRecord } from '../../../src/model/migration.ts';
import { recordIn, STABLE_RECORD } from '../../support/migration-record.ts';

const test = suite('left-overs of migrations');

const codec = recordCodec('test');
const OF_PARTITION = { partitionId: asPartitionId(3) };
const STABLE: PartitionRecord = { ...STABLE_RECORD, ...OF_PARTITION, migrationSeq: 4 };
const OPENED: PartitionRecord = recordIn('COPY', {}, OF_PARTITION);

interface World {
  /** As the coordinator has read the map before; then as it is. */
  readonly known: PartitionRecord;
  readonly now: PartitionRecord | null;
  readonly isRetired: (storeId: string) => boolean;
  readonly cleanup: CleanupRecord;
  /** What the owner, node 1, says of itself. */
  readonly owner: { readonly role: string; readonly epoch: number };
  /** What node 2 is after it was told to abort, whether it is done, and whose store it has. */
  readonly roleLeft: string;
  readonly isAborted: boolean;
  readonly storeId: string;
  readonly isAway: boolean;
}

const WORLD: World = {
  known: STABLE,
  now: STABLE,
  isRetired: () => false,
  cleanup: { kind: 'staging', policy: 'on-failure', sinceMs: 0, nodeId: 2 },
  owner: { role: 'OWNER', epoch: 7 },
  roleLeft: 'NONE',
  isAborted: true,
  storeId: 'store-2',
  isAway: false,
};

/** A sweeper of a world with a clean-up record of migration 4 at node 2, and what it has asked for and said. */
function sweeperOf(change: Partial<World> = {}) {
  const world = { ...WORLD, ...change };
  const events: string[] = [];
  const clock = new VirtualClock();
  const key = codec.keys.cleanup(3, 4, 'store-2');
  const value = codec.encodeCleanup(world.cleanup);
  const components = {
    clock,
    logger: { ...silentLogger, error: () => events.push('alarm') },
    codec,
    metadata: {
      list: async () => ({ entries: [{ key, value, revision: 9, createRevision: 9 }], revision: 9 }),
      get: async () => (world.now ? { value: codec.encodePartition(world.now) } : undefined),
    },
    engine: {
      status: async (nodeId: number) => (nodeId === 1 ? world.owner : { role: world.roleLeft, epoch: 7 }),
      nodeStatistics: async () => {
        if (world.isAway) throw new Error('nobody answers');
        return { storeId: world.storeId };
      },
      abort: async () => {
        events.push('abort');
        return world.isAborted;
      },
    },
    committer: {
      commit: async () => {
        events.push('forget');
        return 10;
      },
    },
  } as unknown as CoordinatorParts;
  const sweeper = new LeftoverSweeper(DEFAULT_MIGRATION_SETTINGS, components);
  const records: (PartitionRecord | null)[] = [];
  records[3] = world.known;
  return {
    clock,
    events,
    async look() {
      sweeper.tick(records, world.isRetired);
      await sweeper.settled();
    },
  };
}

/** @returns what one sweep asks the nodes for, and what it forgets. */
async function sweep(change: Partial<World> = {}): Promise<string[]> {
  const { events, look } = sweeperOf(change);
  await look();
  return events;
}

test('a copy of a migration that is over is dropped, and its clean-up forgotten', async () => {
  check.equal(await sweep(), ['abort', 'forget']);
});

test('a copy of a migration that was opened since the map was read is left alone', async () => {
  check.equal(await sweep({ known: { ...STABLE, migrationSeq: 3 }, now: OPENED }), []);
});

test('what the map still counts on, or does not tell of, is left alone', async () => {
  const own = recordIn('CLEANUP', {}, OF_PARTITION);
  check.equal(await sweep({ known: own, now: own }), [], 'its migration is open');
  const other = recordIn('COPY', { migrationId: 5 }, OF_PARTITION);
  check.equal(
    await sweep({ known: other, now: other }),
    [],
    'another migration is open, maybe to this very store',
  );
  check.equal(await sweep({ now: null }), [], 'the partition has no record');
  check.equal(await sweep({ isRetired: (storeId) => storeId === 'store-1' }), [], 'its owner is given up');
});

test('what cannot be removed, or need not be, is forgotten without a word to its node', async () => {
  check.equal(await sweep({ isRetired: (storeId) => storeId === 'store-2' }), ['forget'], 'its disk is lost');
  const owns = { ...STABLE, ownerNodeId: asNodeId(2), ownerStoreId: 'store-2' };
  check.equal(await sweep({ known: owns, now: owns }), ['forget'], 'it owns the partition by now');
  check.equal(await sweep({ storeId: 'another' }), ['forget'], 'its node has another disk');
});

test('nothing is removed before the owner has said that it is the owner by this map', async () => {
  check.equal(await sweep({ owner: { role: 'FENCED', epoch: 7 } }), []);
  check.equal(await sweep({ owner: { role: 'OWNER', epoch: 6 } }), []);
});

test('a clean-up stands until its node has done it, and where a whole copy was left', async () => {
  check.equal(await sweep({ isAborted: false }), ['abort']);
  check.equal(await sweep({ isAway: true }), []);
  for (const roleLeft of ['FOLLOWER', 'FENCED']) check.equal(await sweep({ roleLeft }), ['abort'], roleLeft);
  check.equal(await sweep({ cleanup: { kind: 'staging', policy: 'on-failure', sinceMs: 0 } }), []);
});

test('it is looked now and then, and what is overdue is told once', async () => {
  const { clock, events, look } = sweeperOf({ isAway: true });
  const { graceMs, cleanupAlarmMs } = DEFAULT_MIGRATION_SETTINGS;
  clock.advanceTo(graceMs + cleanupAlarmMs);
  await look();
  check.equal(events, [], 'as long as a grace explains');
  clock.advanceTo(clock.nowMs() + 1);
  await look();
  check.equal(events, [], 'it has just been looked');
  clock.advanceTo(clock.nowMs() + 5_000);
  await look();
  clock.advanceTo(clock.nowMs() + 5_000);
  await look();
  check.equal(events, ['alarm']);
});

test.run();

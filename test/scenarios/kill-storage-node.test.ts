/**
 * kill -9 of a storage node in the middle of a migration, under write load through the real query node: afterwards the map
 * is whole, every role agrees with it, and no acknowledged write is missing. The coordinator holds short phases by a
 * failpoint, and the metadata store is read before and after each kill: the phase stood while the process died.
 */
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { RpcStorageEngine } from '../../plugin/engines/migration-agent/rpc-storage-engine.ts';
import { RpcTransport } from '../../plugin/engines/migration-agent/rpc-transport.ts';
import { clusterKeys } from '../../plugin/metadata/cluster-keys.ts';
import { ClusterMapReader } from '../../plugin/metadata/cluster-map.ts';
import { openEmbeddedMetadata } from '../../plugin/metadata/embedded.ts';
import { NodeDirectory } from '../../plugin/metadata/node-directory.ts';
import { LocalCluster } from '../../plugin/node/local/local-cluster.ts';
import { asEpoch, asNodeId, asPartitionId } from '../../src/model/ids.ts';
import type { MigrationPhase, PartitionRecord } from '../../src/model/migration.ts';
import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import { CLUSTER, keysOf, NumberedWrites, openMigration, sleep, until } from '../support/scenario.ts';

const NODE_COUNT = 3;
const PARTITION_COUNT = 16;
/** Has some 300 KiB of filler, copied in about three quarters of a second: a copy that can be interrupted. */
const LARGE = 2;
const SMALL = 0;
/** Are held in one phase each. The fence stands so long that a node is usually back before it ends. */
const HELD_IN_VERIFY = 5;
const HELD_IN_FENCED = 9;
const HELD_IN_SWITCHED = 12;
const HOLD_PHASE = `VERIFY@${HELD_IN_VERIFY}:400,FENCED@${HELD_IN_FENCED}:1600,SWITCHED@${HELD_IN_SWITCHED}:400`;
const BYSTANDER = 15;
const DOWN_MS = 100;
const FILLER_COUNT = 300;
const FILLER_BYTES = 1_000;
/** A machine that is busy may be too late with the kill; such a case does not count, and is done again. */
const TRIES_MAX = 3;

const test = suite('a storage node is killed in the middle of a migration');

async function rolesOf(metadata: MetadataStore, record: PartitionRecord): Promise<string[]> {
  const directory = await NodeDirectory.open(metadata, CLUSTER);
  const transport = new RpcTransport({
    identity: { clusterId: CLUSTER, nodeId: 20_000, role: 'operator' },
    addressOf: (nodeId) => directory.addressOf(nodeId),
  });
  const engine = new RpcStorageEngine(transport);
  const command = {
    partitionId: asPartitionId(record.partitionId),
    migrationId: Math.max(1, record.migrationSeq),
    epoch: asEpoch(record.epoch),
  };
  const roles: string[] = [];
  for (let nodeId = 0; nodeId < NODE_COUNT; nodeId++)
    roles.push((await engine.status(asNodeId(nodeId), command)).role);
  await transport.close();
  directory.close();
  return roles;
}

interface Case {
  readonly victim: 'source' | 'target';
  readonly phase: MigrationPhase;
  readonly partitionId: number;
  /** Who owns the partition afterwards, where only one is right. */
  readonly ownerAfter?: 'source' | 'target';
  /** The victim stays away until the record is in this phase. */
  readonly isDownUntil?: MigrationPhase;
}

const CASES: readonly Case[] = [
  { victim: 'target', phase: 'COPY', partitionId: LARGE },
  { victim: 'source', phase: 'COPY', partitionId: LARGE },
  { victim: 'target', phase: 'VERIFY', partitionId: HELD_IN_VERIFY },
  { victim: 'source', phase: 'VERIFY', partitionId: HELD_IN_VERIFY },
  { victim: 'source', phase: 'SHIFT', partitionId: SMALL },
  // Whether the switch or the abort comes first depends on how much of the fence's budget the restart leaves.
  { victim: 'source', phase: 'FENCED', partitionId: HELD_IN_FENCED },
  { victim: 'target', phase: 'FENCED', partitionId: HELD_IN_FENCED },
  {
    victim: 'target',
    phase: 'FENCED',
    partitionId: HELD_IN_FENCED,
    isDownUntil: 'ABORT',
    ownerAfter: 'source',
  },
  { victim: 'source', phase: 'SWITCHED', partitionId: HELD_IN_SWITCHED, ownerAfter: 'target' },
  { victim: 'target', phase: 'SWITCHED', partitionId: HELD_IN_SWITCHED, ownerAfter: 'target' },
  { victim: 'target', phase: 'GRACE', partitionId: SMALL, ownerAfter: 'target' },
];

/** The cluster under load, and its metadata store as it is. */
class Scene {
  readonly cluster: LocalCluster;
  readonly metadata: MetadataStore;
  readonly reader: ClusterMapReader;
  /** Writers of one partition each. */
  readonly loads: ReadonlyMap<number, NumberedWrites>;

  constructor(cluster: LocalCluster, metadata: MetadataStore, client: Redis) {
    this.cluster = cluster;
    this.metadata = metadata;
    this.reader = new ClusterMapReader(metadata, CLUSTER);
    this.loads = new Map(
      [LARGE, SMALL, HELD_IN_VERIFY, HELD_IN_FENCED, HELD_IN_SWITCHED, BYSTANDER].map((partitionId) => {
        const keys = keysOf(partitionId, { partitionCount: PARTITION_COUNT, count: 3 });
        return [partitionId, new NumberedWrites(client, keys)];
      }),
    );
  }

  /** Migrates, kills, restarts and waits for the end. @returns whether the phase stood before and after the kill. */
  async play({ victim, phase, partitionId, ownerAfter, isDownUntil }: Case): Promise<boolean> {
    const record = await this.#record(partitionId);
    const sourceNodeId = record.ownerNodeId as number;
    const targetNodeId = (sourceNodeId + 1) % NODE_COUNT;
    const victimId = victim === 'source' ? sourceNodeId : targetNodeId;
    const label = `${victim} died in ${phase}`;
    const migrationNow = async () => (await this.#record(partitionId)).migration;
    await openMigration(this.metadata, { partitionId, targetNodeId });
    await until(async () => {
      const migration = await migrationNow();
      return (
        migration === null || (migration.phase === phase && (phase !== 'SHIFT' || migration.readWeight > 0))
      );
    }, `phase ${phase}`);
    if ((await migrationNow())?.phase !== phase) return this.#tooLate(partitionId);
    await this.cluster.kill(victimId);
    const hasHeld = (await migrationNow())?.phase === phase;

    if (isDownUntil === undefined || !hasHeld) await sleep(DOWN_MS);
    else {
      await until(async () => (await migrationNow())?.phase === isDownUntil, `${isDownUntil}: ${label}`);
      await this.#writesGoOn(partitionId, `while the victim is away: ${label}`);
    }
    await this.cluster.restart(victimId);
    if (phase === 'FENCED') await this.#checkFence(partitionId, sourceNodeId);
    await until(async () => (await migrationNow()) === null, `the end of the migration: ${label}`);
    for (const written of this.loads.keys()) await this.#writesGoOn(written, label);

    const after = await this.#record(partitionId);
    const possible = ownerAfter === undefined ? ['source', 'target'] : [ownerAfter];
    const owner = after.ownerNodeId === targetNodeId ? 'target' : 'source';
    check.ok(possible.includes(owner) || !hasHeld, `${label}: the ${owner} owns it`);
    check.is(after.epoch, record.epoch + (owner === 'target' ? 1 : 0), label);
    const roles = [0, 1, 2].map((nodeId) => (nodeId === after.ownerNodeId ? 'OWNER' : 'NONE'));
    check.equal(await rolesOf(this.metadata, after), roles, label);
    return hasHeld;
  }

  /** While the record says FENCED so does the source, whoever has been restarted: it does not open by itself. */
  async #checkFence(partitionId: number, sourceNodeId: number): Promise<void> {
    const roles = await rolesOf(this.metadata, await this.#record(partitionId));
    const { migration } = await this.#record(partitionId);
    if (migration?.phase === 'FENCED')
      check.is(roles[sourceNodeId], 'FENCED', 'the source after the restart');
  }

  async #tooLate(partitionId: number): Promise<boolean> {
    await until(
      async () => (await this.#record(partitionId)).migration === null,
      'the end of what was missed',
    );
    return false;
  }

  async #record(partitionId: number): Promise<PartitionRecord> {
    const record = await this.reader.readPartition(partitionId);
    if (!record) throw new Error(`partition ${partitionId} has no record`);
    return record;
  }

  async #writesGoOn(partitionId: number, label: string): Promise<void> {
    const load = this.loads.get(partitionId) as NumberedWrites;
    const before = load.acknowledgedCount;
    await until(
      async () => load.acknowledgedCount > before + 8,
      `writes of partition ${partitionId} go on: ${label}`,
    );
  }
}

test('the map stays whole and every acknowledged write is there, whichever side dies in whichever phase', async () => {
  const cluster = await LocalCluster.start({
    storageNodeCount: NODE_COUNT,
    partitionCount: PARTITION_COUNT,
    environment: { FORESHARD_HOLD_PHASE: HOLD_PHASE },
    settings: {
      migration: {
        copyBytesPerSecond: FILLER_COUNT * FILLER_BYTES,
        readWeightSteps: [0.25, 1],
        readWeightHoldMs: 80,
        graceMs: 300,
        unreachableMs: 10_000,
        prepareTimeoutMs: 10_000,
        fenceBudgetMs: 2_600,
        fenceRetriesMax: 0, // the cases are about one fence each
        retryMsMax: 100,
        freeBytesReserve: 0,
      },
    },
  });
  const metadata = openEmbeddedMetadata({ path: join(cluster.folder, 'metadata') });
  const client = new Redis({ host: cluster.host, port: cluster.port, lazyConnect: true });
  try {
    await client.connect();
    const filler = keysOf(LARGE, { partitionCount: PARTITION_COUNT, count: FILLER_COUNT });
    await Promise.all(filler.map((key) => client.set(`${key}:filler`, 'x'.repeat(FILLER_BYTES))));
    const scene = new Scene(cluster, metadata, client);
    for (const one of CASES) {
      let tries = 1;
      while (!(await scene.play(one))) check.ok(tries++ < TRIES_MAX, `never killed in time: ${one.phase}`);
    }
    for (const load of scene.loads.values()) {
      await load.end();
      check.equal(await load.findLost(), []);
      check.ok(load.acknowledgedCount > 100, `${load.acknowledgedCount} writes`);
    }
    for (const key of filler) check.is((await client.get(`${key}:filler`))?.length, FILLER_BYTES);
    const { map, quarantined, records } = await scene.reader.load();
    check.equal(quarantined, []);
    check.ok(map.ownerOf.every((owner) => owner >= 0 && owner < NODE_COUNT));
    check.ok(records.every((record) => record?.migration === null));
    const { entries } = await metadata.list(clusterKeys(CLUSTER).cleanupPrefix);
    check.equal(entries, []);
  } finally {
    client.disconnect();
    await metadata.close();
    await cluster.stop();
  }
});

test.run();

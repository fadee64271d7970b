/** `foreshard resync` on a plain store: whom it asks, whom it may do without, and under what it writes. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import type { MigrationTransport } from '../../../../plugin/engines/migration-agent/migration-transport.ts';
import { putMember } from '../../../../plugin/metadata/members.ts';
import { decodeAudit, recordCodec } from '../../../../plugin/metadata/record-codec.ts';
import { encodeStoreRecord } from '../../../../plugin/metadata/store-records.ts';
import type { HeldPartition } from '../../../../plugin/node/storage/partition-inventory.ts';
import { removeStorageNode } from '../../../../plugin/operator/nodes/remove.ts';
import { type ResyncOptions, resync } from '../../../../plugin/operator/resync/resync-command.ts';
import { ForeshardError } from '../../../../src/base/errors.ts';
import { asEpoch, asNodeId, asPartitionId } from '../../../../src/model/ids.ts';
import type { MetadataStore } from '../../../../src/ports/metadata-store.ts';
import { PlainMetadata } from '../../../support/plain-metadata.ts';

const test = suite('foreshard resync');

const codec = recordCodec('test');
const { keys } = codec;
const OLD_TTL_MS = 30;
const CONFIRMED: ResyncOptions = { isConfirmed: true, reason: 'restored', without: [] };
const NONE: HeldPartition = {
  partitionId: 0,
  role: 'NONE',
  epoch: 0,
  epochMax: 0,
  closedMigrationId: 0,
  migrationId: 0,
  lsn: 0,
  fencedBy: null,
};
/** Node 0 was the owner until migration 7, to node 2, whose switch it has not heard of. */
const FENCED = { ...NONE, role: 'FENCED', epoch: 4, epochMax: 4, migrationId: 7, fencedBy: 7 } as const;
const NEWER = { ...NONE, role: 'OWNER', epoch: 5, epochMax: 5, closedMigrationId: 7 } as const;

type Answers = Readonly<Record<number, readonly HeldPartition[]>>;

class World {
  readonly metadata = new PlainMetadata();
  readonly asked: number[] = [];

  /** 16 partitions of the founders 0 and 1 by the backup, partition p of node p % 2. */
  constructor() {
    this.metadata.put(keys.cluster, new TextEncoder().encode(JSON.stringify({ v: 1, partitionCount: 16 })));
    for (let p = 0; p < 16; p++) this.own(p, p % 2);
  }

  own(partitionId: number, nodeId: number): void {
    const record = {
      partitionId: asPartitionId(partitionId),
      ownerNodeId: asNodeId(nodeId),
      ownerStoreId: `s${nodeId}`,
      epoch: asEpoch(4),
      ownedSinceMs: 0,
      migrationSeq: 6,
      migration: null,
    };
    this.metadata.put(keys.map(partitionId), codec.encodePartition(record));
  }

  get store(): MetadataStore {
    return this.metadata as unknown as MetadataStore;
  }

  async join(...nodeIds: readonly number[]): Promise<this> {
    for (const nodeId of nodeIds)
      await putMember(this.store, 'test', {
        nodeId,
        role: 'storage',
        host: 'h',
        port: 1,
        storeId: `s${nodeId}`,
        incarnation: 'i',
        version: '1',
        startedAtMs: 1,
      });
    return this;
  }

  resync(answers: Answers, options: Partial<ResyncOptions> = {}): Promise<string[]> {
    const transport: Pick<MigrationTransport, 'request'> = {
      request: async (nodeId) => {
        this.asked.push(nodeId);
        const partitions = answers[nodeId];
        if (!partitions) throw new ForeshardError('FORESHARD_UNAVAILABLE', 'retry', 'it is silent');
        return { body: { storeId: `s${nodeId}`, nextAfter: null, partitions: [...partitions] } };
      },
    };
    const cluster = { name: 'test', storageNodeCount: 2 };
    return resync(
      { cluster },
      { metadata: this.store, transport: transport as MigrationTransport },
      { ...CONFIRMED, ...options },
    );
  }

  /** Owner's store of partition 0. */
  get owner(): string {
    return codec.decodePartition(0, this.metadata.entries.get(keys.map(0))?.value as Uint8Array).ownerStoreId;
  }

  get audit(): string[] {
    return [...this.metadata.entries.values()]
      .filter(({ key }) => key.startsWith(keys.auditPrefix))
      .map(({ value }) => decodeAudit(value).message);
  }
}

async function refusalOf(doing: Promise<unknown>): Promise<ForeshardError> {
  const error = await doing.then(
    () => null,
    (fault: unknown) => fault,
  );
  if (error instanceof ForeshardError) return error;
  throw new Error(`no refusal but ${error}`);
}

test('a node that has joined is asked, and what it owns stays its own', async () => {
  const world = await new World().join(0, 1, 2);
  await world.resync({ 0: [FENCED], 1: [], 2: [NEWER] });
  check.is(world.owner, 's2');
});

test('who is named by a clean-up or a migration alone is asked as well', async () => {
  const world = await new World().join(0, 1);
  const cleanup = { kind: 'staging', policy: 'on-failure', sinceMs: 1, nodeId: 2 } as const;
  world.metadata.put(keys.cleanup(0, 7, 's2'), codec.encodeCleanup(cleanup));
  const { message } = await refusalOf(world.resync({ 0: [FENCED], 1: [] }));
  check.match(message, /storage node 2 does not say what it holds/);
  await world.resync({ 0: [FENCED], 1: [], 2: [NEWER] });
  check.is(world.owner, 's2');
});

test('a fence to a node of which nothing is known leaves the partition as it is', async () => {
  const world = await new World().join(0, 1);
  const lines = await world.resync({ 0: [FENCED], 1: [] });
  check.match(lines.join('\n'), /partition 0: left as it is: .*may be the owner/);
  check.match(lines.at(-1) ?? '', /^0 of 16/);
  check.is(world.owner, 's0');
});

test('a founder that was removed in order need not answer', async () => {
  const world = await new World().join(0, 1, 2);
  for (let p = 1; p < 16; p += 2) world.own(p, 2);
  world.metadata.put(
    keys.store('s1'),
    encodeStoreRecord({ state: 'draining', sinceMs: 1, partitionCount: 8 }),
  );
  const gone = { nodeStatistics: () => Promise.reject(new Error('it is gone')) };
  await removeStorageNode(world.store, gone, 'test', { nodeId: 1, reason: 'old' });
  await world.resync({ 0: [FENCED], 2: [NEWER] });
  check.is(world.owner, 's2');
});

test('a retired store that still owns something has to be given up by name', async () => {
  const world = await new World().join(0, 1, 2);
  world.metadata.put(keys.store('s1'), codec.encodeStoreState('retired'));
  const { message } = await refusalOf(world.resync({ 0: [FENCED], 2: [NEWER] }));
  check.match(message, /storage node 1 .*--without 1/);
  const lines = await world.resync({ 0: [FENCED], 2: [NEWER] }, { without: [1] });
  check.match(lines.join('\n'), /node 1 is passed over/);
  check.is(world.owner, 's2');
  check.match(world.audit.join('\n'), /without nodes 1$/);
});

test('who gives the target of a fence up is told what is risked, and the audit keeps it', async () => {
  const world = await new World().join(0, 1, 2);
  const cleanup = { kind: 'staging', policy: 'on-failure', sinceMs: 1, nodeId: 2 } as const;
  world.metadata.put(keys.cleanup(0, 7, 's2'), codec.encodeCleanup(cleanup));
  const options = { without: [2], isConfirmed: false };
  const told = await world.resync({ 0: [{ ...FENCED, epoch: 4 }], 1: [] }, options);
  check.match(told.join('\n'), /partition 0: AT RISK: if store s2 of node 2/);
  await world.resync({ 0: [FENCED], 1: [] }, { without: [2] });
  check.match(world.audit.join('\n'), /without nodes 2; partition 0: AT RISK/);
});

test('nothing is given to a store that is retired, or that is about to be', async () => {
  const answers = { 0: [FENCED], 1: [], 2: [NEWER] };
  const retired = await new World().join(0, 1, 2);
  retired.metadata.put(keys.store('s2'), codec.encodeStoreState('retired'));
  check.match((await retired.resync(answers)).join('\n'), /left as it is: store s2 .* was retired/);
  check.is(retired.owner, 's0');
  const asked = await new World().join(0, 1, 2);
  asked.metadata.put(keys.retirement('s2'), new TextEncoder().encode('{}'));
  check.match((await refusalOf(asked.resync(answers))).message, /ctl\/retire\/s2 has changed/);
  check.is(asked.owner, 's0');
});

const beat = (count: number): Uint8Array =>
  new TextEncoder().encode(
    JSON.stringify({ candidate: 'query-10000', ttlMs: OLD_TTL_MS, beat: count, atMs: 1 }),
  );

test('nothing is written while there is a coordinator', async () => {
  const world = await new World().join(0, 1, 2);
  let count = 0;
  const beating = setInterval(() => world.metadata.put(keys.coordinator, beat(++count)), OLD_TTL_MS / 5);
  try {
    world.metadata.put(keys.coordinator, beat(0));
    const { message } = await refusalOf(world.resync({ 0: [FENCED], 1: [], 2: [NEWER] }));
    check.match(message, /query-10000 is the coordinator.*stop all query nodes/);
    check.is(world.owner, 's0');
  } finally {
    clearInterval(beating);
  }
});

test('a coordinator that the backup has brought back is dead, and its office is taken away', async () => {
  const world = await new World().join(0, 1, 2);
  world.metadata.put(keys.coordinator, beat(0));
  await world.resync({ 0: [FENCED], 1: [], 2: [NEWER] });
  check.is(world.owner, 's2');
  check.not(world.metadata.entries.has(keys.coordinator));
});

test.run();

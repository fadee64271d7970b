import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { encodeMember, type Member, putMember } from '../../../../plugin/metadata/members.ts';
import { recordCodec } from '../../../../plugin/metadata/record-codec.ts';
import { readStoreRecord } from '../../../../plugin/metadata/store-records.ts';
import { setDraining } from '../../../../plugin/operator/nodes/drain.ts';
import { ForeshardError } from '../../../../src/base/errors.ts';
import { asEpoch, asNodeId, asPartitionId } from '../../../../src/model/ids.ts';
import type { PartitionRecord } from '../../../../src/model/migration.ts';
import type { MetadataStore } from '../../../../src/ports/metadata-store.ts';
import { PlainMetadata } from '../../../support/plain-metadata.ts';

const test = suite('foreshard drain');

const CLUSTER = 'test';
const codec = recordCodec(CLUSTER);
const { keys } = codec;
const PARTITION_COUNT = 16;

const memberOf = (nodeId: number): Member => ({
  ...{ nodeId, role: 'storage', host: 'localhost', port: 1, storeId: `store-${nodeId}` },
  ...{ incarnation: 'i', version: '1', startedAtMs: 1 },
});

const recordOf = (partitionId: number): PartitionRecord => ({
  partitionId: asPartitionId(partitionId),
  ...{ ownerNodeId: asNodeId(0), ownerStoreId: 'store-0', epoch: asEpoch(1) },
  ...{ ownedSinceMs: 0, migrationSeq: 0, migration: null },
});

/** A cluster of storage nodes, of which node 0 owns all. */
async function clusterOf(nodeCount: number) {
  const plain = new PlainMetadata();
  const metadata = plain as unknown as MetadataStore;
  plain.put(
    keys.cluster,
    new TextEncoder().encode(JSON.stringify({ v: 1, partitionCount: PARTITION_COUNT })),
  );
  for (let p = 0; p < PARTITION_COUNT; p++) plain.put(keys.map(p), codec.encodePartition(recordOf(p)));
  for (let nodeId = 0; nodeId < nodeCount; nodeId++) await putMember(metadata, CLUSTER, memberOf(nodeId));
  const drain = (nodeId: number) =>
    setDraining(metadata, CLUSTER, { nodeId, isDraining: true, reason: 'it goes', nowMs: 1 });
  return {
    plain,
    drain,
    stateOf: async (nodeId: number) =>
      (await readStoreRecord(metadata, CLUSTER, `store-${nodeId}`)).record.state,
    /** Something else is done between what a drain reads and what it writes. */
    meanwhile(work: () => unknown): void {
      const { commit } = plain;
      plain.commit = async (transaction) => {
        plain.commit = commit;
        await work();
        return commit.call(plain, transaction);
      };
    },
  };
}

async function refusalOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => null,
    (caught: unknown) => caught,
  );
  check.instance(error, ForeshardError);
  return (error as ForeshardError).message;
}

test('of two drains at once that count on each other’s node the second is refused', async () => {
  const { drain, stateOf, meanwhile } = await clusterOf(2);
  meanwhile(() => drain(1));
  check.match(await refusalOf(drain(0)), /or that of another node; nothing was done/);
  check.equal([await stateOf(0), await stateOf(1)], ['active', 'draining']);
  check.match(await refusalOf(drain(0)), /no other storage node is left/);
});

test('a drain is refused when the node that it counts on stops, or is removed, meanwhile', async () => {
  const stopped = await clusterOf(2);
  stopped.meanwhile(() =>
    stopped.plain.put(keys.member(1), encodeMember({ ...memberOf(1), stoppedAtMs: 2 })),
  );
  check.match(await refusalOf(stopped.drain(0)), /nothing was done/);
  const removed = await clusterOf(2);
  removed.meanwhile(() => removed.plain.entries.delete(keys.member(1)));
  check.match(await refusalOf(removed.drain(0)), /nothing was done/);
  check.is(await removed.stateOf(0), 'active');
});

test('with a third node two drains at once are both carried out', async () => {
  const { drain, stateOf, meanwhile } = await clusterOf(3);
  meanwhile(() => drain(1));
  await refusalOf(drain(0)); // It counted on node 1, and says so.
  await drain(0);
  check.equal([await stateOf(0), await stateOf(1), await stateOf(2)], ['draining', 'draining', 'active']);
});

test.run();

/** Who may come as a storage node: founders, members, who has partitions, and whom an operator has let in. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { putMember } from '../../../../plugin/metadata/members.ts';
import { registerNode } from '../../../../plugin/metadata/node-registrations.ts';
import { recordCodec } from '../../../../plugin/metadata/record-codec.ts';
import { assertBelongs, type StartingStorageNode } from '../../../../plugin/node/storage/assert-belongs.ts';
import { allowJoin } from '../../../../plugin/operator/nodes/join.ts';
import { ForeshardError } from '../../../../src/base/errors.ts';
import { asEpoch, asNodeId, asPartitionId } from '../../../../src/model/ids.ts';
import type { PartitionRecord } from '../../../../src/model/migration.ts';
import type { MetadataStore } from '../../../../src/ports/metadata-store.ts';
import { PlainMetadata } from '../../../support/plain-metadata.ts';

const test = suite('who belongs to a cluster');

const CLUSTER = 'test';
const { keys } = recordCodec(CLUSTER);
const DAY_MS = 86_400_000;

const identityOf = (nodeId: number, storeId = `store-${nodeId}`) => ({
  ...{ nodeId, role: 'storage' as const, host: 'localhost', port: 7_400, storeId },
  ...{ incarnation: 'i', version: '1', startedAtMs: 1 },
});

/** A cluster of nodes 0 and 1. */
async function clusterOfTwo() {
  const plain = new PlainMetadata();
  const metadata = plain as unknown as MetadataStore;
  plain.put(keys.cluster, new TextEncoder().encode('{"v":1,"partitionCount":16}'));
  for (const nodeId of [0, 1]) await putMember(metadata, CLUSTER, identityOf(nodeId));
  const refusal = async (
    node: Partial<StartingStorageNode>,
    records: readonly PartitionRecord[] = [],
  ): Promise<string> => {
    const whole = {
      nodeId: 1,
      storeId: 'store-1',
      hasPartitions: false,
      isFounder: false,
      nowMs: 0,
      ...node,
    };
    try {
      await assertBelongs(metadata, CLUSTER, whole, records);
      return '';
    } catch (error) {
      check.instance(error, ForeshardError);
      return `${(error as ForeshardError).code} ${(error as ForeshardError).message}`;
    }
  };
  return { plain, metadata, refusal };
}

test('a slip in the number is no new node', async () => {
  const { refusal } = await clusterOfTwo();
  check.is(await refusal({ nodeId: 1 }), '');
  check.match(
    await refusal({ nodeId: 11 }),
    /^FORESHARD_CONFIG node 11: cluster test has no such storage node, but 0, 1: name the right node\.id.*`foreshard join 11 --reason TEXT`/,
  );
  check.is(await refusal({ nodeId: 11, isFounder: true }), '');
  check.is(await refusal({ nodeId: 11, hasPartitions: true }), '', 'of a map that is older than its store');
  const owned = {
    ...{ partitionId: asPartitionId(3), ownerNodeId: asNodeId(11), ownerStoreId: 's', epoch: asEpoch(1) },
    ...{ ownedSinceMs: 0, migrationSeq: 0, migration: null },
  };
  check.is(await refusal({ nodeId: 11 }, [owned]), '', 'of a version that knew no members');
});

test('whom an operator lets in may come, for a day; the audit says who and why', async () => {
  const { plain, metadata, refusal } = await clusterOfTwo();
  const order = { nodeId: 2, reason: 'a machine more', nowMs: 5 };
  check.match(await allowJoin(metadata, CLUSTER, order), /^storage node 2 may join: start it within a day/);
  check.is(await refusal({ nodeId: 2, storeId: 'store-2', nowMs: DAY_MS }), '');
  check.match(await refusal({ nodeId: 2, storeId: 'store-2', nowMs: DAY_MS + 5 }), /^FORESHARD_CONFIG/);
  check.match(await refusal({ nodeId: 3 }), /^FORESHARD_CONFIG/);
  const [audit] = (await plain.list(keys.auditPrefix)).entries;
  check.match(
    new TextDecoder().decode(audit?.value),
    /"action":"join".*a machine more|a machine more.*"join"/,
  );
  const again = allowJoin(metadata, CLUSTER, { ...order, nodeId: 1 });
  check.match(await again.catch(({ message }: Error) => message), /belongs to cluster test already/);
  plain.entries.delete(keys.cluster);
  check.match(await allowJoin(metadata, CLUSTER, order).catch(({ message }) => message), /is not formed yet/);
});

test('two processes with one number are told apart by their stores', async () => {
  const { metadata, refusal } = await clusterOfTwo();
  await registerNode(metadata, CLUSTER, identityOf(1));
  check.is(await refusal({ nodeId: 1 }), '', 'its own start before');
  check.match(
    await refusal({ nodeId: 1, storeId: 'another' }),
    /^FORESHARD_UNAVAILABLE node 1: localhost:7400 is registered as this node, with store store-1/,
  );
  check.is(await refusal({ nodeId: 1, storeId: null }), '', 'with --replace-store');
});

test.run();

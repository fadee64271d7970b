import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { REQUESTS } from '../../../../plugin/engines/migration-agent/migration-messages.ts';
import { assertMayQuery, PeerRights } from '../../../../plugin/node/storage/peer-rights.ts';
import { PEER_ROLES, type PeerIdentity, type PeerRole } from '../../../../plugin/rpc/connection.ts';
import type { PartitionRecord } from '../../../../src/model/migration.ts';

const test = suite('rights of peers');

const peer = (role: PeerRole, nodeId = 1): PeerIdentity => ({ clusterId: 'c', nodeId, role });
const record = (migrationId: number, source: number, target: number): PartitionRecord =>
  ({ migration: { migrationId, sourceNodeId: source, targetNodeId: target } }) as unknown as PartitionRecord;

/** Of all operations there are, those that a role may ask for. */
async function allowed(role: PeerRole, map: PartitionRecord | undefined): Promise<string[]> {
  const rights = new PeerRights(async () => map);
  const may: string[] = [];
  for (const operation of Object.keys(REQUESTS))
    await rights.assertMayAsk(peer(role), operation, { partitionId: 7, migrationId: 3 }).then(
      () => may.push(operation),
      () => {},
    );
  return may;
}

test('only the coordinator commands, and it pulls nothing', async () => {
  const pulls = ['replicate.openSnapshot', 'replicate.readSnapshot', 'replicate.readLog'];
  const looks = ['replicate.status', 'replicate.statistics'];
  const all = Object.keys(REQUESTS);
  check.equal(
    await allowed('coordinator', record(3, 1, 2)),
    all.filter((operation) => !pulls.includes(operation)),
  );
  check.equal((await allowed('storage', record(3, 2, 1))).sort(), [...looks, ...pulls].sort());
  check.equal((await allowed('operator', record(3, 1, 2))).sort(), looks.sort());
  check.equal(await allowed('query', record(3, 1, 2)), []);
});

test('a storage node pulls as an end of that migration, and of no other', async () => {
  const ask = async (map: PartitionRecord | undefined, nodeId: number): Promise<string> => {
    try {
      const body = { partitionId: 7, migrationId: 3 };
      await new PeerRights(async () => map).assertMayAsk(peer('storage', nodeId), 'replicate.readLog', body);
      return 'allowed';
    } catch (error) {
      return (error as Error).message;
    }
  };
  check.is(await ask(record(3, 1, 2), 2), 'allowed');
  check.is(await ask(record(3, 1, 2), 1), 'allowed'); // the reverse stream
  check.match(await ask(record(3, 1, 2), 5), /node 5 \(storage\): the map names it as no end of migration 3/);
  check.match(await ask(record(4, 1, 2), 2), /no end of migration 3 of partition 7/);
  check.match(await ask(undefined, 2), /no end/);
});

test('the map is asked once for a migration and its target, and again for the next', async () => {
  let reads = 0;
  const rights = new PeerRights(async () => {
    reads++;
    return record(3, 1, 2);
  });
  for (let i = 0; i < 5; i++)
    await rights.assertMayAsk(peer('storage', 2), 'replicate.readLog', { partitionId: 7, migrationId: 3 });
  check.is(reads, 1);
  await rights
    .assertMayAsk(peer('storage', 2), 'replicate.readLog', { partitionId: 7, migrationId: 4 })
    .catch(() => {});
  check.is(reads, 2);
});

test('data requests are taken from query nodes only', () => {
  assertMayQuery(peer('query'));
  for (const role of PEER_ROLES.filter((other) => other !== 'query'))
    check.throws(() => assertMayQuery(peer(role)), /only query nodes read and write/);
  check.throws(() => assertMayQuery(null), /role unknown/);
});

test.run();

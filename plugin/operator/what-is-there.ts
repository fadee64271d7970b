/**
 * What an order names is looked for before anything is asked or written: a partition, a node or a store that the cluster does
 * not have is a mistake of the command line (exit code 2), whoever would have found it out later.
 */
import { ForeshardError } from '../../src/base/errors.ts';
import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import type { Settings } from '../../src/settings.ts';
import { MapMirror } from '../engines/redis-cluster/moves/map-mirror.ts';
import { clusterKeys } from '../metadata/cluster-keys.ts';
import { type LoadedMap, loadMap, readPartitionCount } from '../metadata/cluster-map.ts';
import { listMembers, type Member } from '../metadata/members.ts';
import { listStoreRecords } from '../metadata/store-records.ts';

/**
 * @param wanted null: all of them, or none in particular.
 * @throws ForeshardError FORESHARD_CONFIG naming the first that there is not, FORESHARD_NOT_READY until the cluster has been formed.
 */
export async function assertPartitions(
  metadata: MetadataStore,
  clusterName: string,
  wanted: readonly number[] | null,
): Promise<void> {
  if (wanted === null) return;
  const count = await readPartitionCount(metadata, clusterKeys(clusterName).cluster);
  const stranger = wanted.find((partitionId) => partitionId >= count);
  if (stranger !== undefined)
    throw mistake(`there is no partition ${stranger}: partitions are numbered 0..${count - 1}`);
}

/** @throws ForeshardError FORESHARD_CONFIG where the cluster has no such storage node. */
export async function storageMember(
  metadata: MetadataStore,
  clusterName: string,
  nodeId: number,
): Promise<Member> {
  const members = (await listMembers(metadata, clusterName)).filter(({ role }) => role === 'storage');
  const member = members.find((node) => node.nodeId === nodeId);
  if (member === undefined)
    throw noSuchNode(
      nodeId,
      members.map((node) => node.nodeId),
    );
  return member;
}

/** Of the embedded engine a node that belongs to the cluster or owns something; of a Redis Cluster a shard. @throws as `storageMember`. */
export async function assertDataNode(
  metadata: MetadataStore,
  { cluster: { name, partitionCount } }: Settings,
  nodeId: number,
): Promise<void> {
  const members = (await listMembers(metadata, name)).filter(({ role }) => role === 'storage');
  const shards = await new MapMirror(metadata, { clusterName: name, partitionCount }).shards();
  const { map } = await loadMap(metadata, name);
  const known = new Set([...[...members, ...shards].map((node) => node.nodeId), ...map.ownerOf]);
  if (!known.has(nodeId))
    throw noSuchNode(
      nodeId,
      [...known].filter((id) => id >= 0).sort((a, b) => a - b),
    );
}

/** @throws ForeshardError FORESHARD_CONFIG for a store that nothing names. */
export async function assertStore(
  metadata: MetadataStore,
  clusterName: string,
  storeId: string,
): Promise<void> {
  const { records } = await loadMap(metadata, clusterName);
  const { entries: cleanups } = await metadata.list(clusterKeys(clusterName).cleanupPrefix);
  const isKnown =
    storesOf(records).has(storeId) ||
    (await listStoreRecords(metadata, clusterName)).has(storeId) ||
    (await listMembers(metadata, clusterName)).some((member) => member.storeId === storeId) ||
    cleanups.some(({ key }) => key.endsWith(`/${storeId}`));
  if (!isKnown)
    throw mistake(
      `there is no store ${storeId}: \`foreshard map\` and \`foreshard migrations\` name those that there are`,
    );
}

const storesOf = (records: LoadedMap['records']): Set<string> =>
  new Set(
    records.flatMap((record) =>
      record === null
        ? []
        : [
            record.ownerStoreId,
            ...(record.migration ? [record.migration.sourceStoreId, record.migration.targetStoreId] : []),
          ],
    ),
  );

/** What a Redis Cluster keeps is Redis's own: for these commands there is another way. */
const BESIDE_REDIS = {
  verify: 'what a Redis Cluster keeps is read back by Redis alone',
  rollback:
    'the source keeps no copy of what has moved: the way back is another move (`affinity.rules.pinned` keeps a partition where it is, `foreshard reject` one that is proposed)',
  takeover: 'who owns a slot Redis decides: `redis-cli --cluster fix`, or CLUSTER FAILOVER to a replica',
  retire: 'a master that is gone for good is taken out by CLUSTER FORGET at the others',
  join: '`redis-cli --cluster add-node` adds a master, and plans may give it slots',
  drain:
    '`foreshard pause`, then `redis-cli --cluster rebalance HOST:PORT --cluster-weight NODE-ID=0` empties a master, and `redis-cli --cluster del-node` takes it out',
  undrain:
    'nothing is drained; `redis-cli --cluster rebalance` gives an empty master slots, and so may plans',
  remove: '`redis-cli --cluster del-node` takes an empty master out',
  resync: 'the agent writes the map anew from what the masters own, whenever it begins',
} as const;

/** @throws ForeshardError FORESHARD_CONFIG with what does it beside a Redis Cluster. */
export function assertEmbedded({ redis }: Settings, command: keyof typeof BESIDE_REDIS): void {
  if (redis.nodes.length > 0)
    throw mistake(`${command} is of the embedded engine. Beside a Redis Cluster: ${BESIDE_REDIS[command]}`);
}

/** @param known those that there are. */
export function noSuchNode(nodeId: number, known: readonly number[]): ForeshardError {
  const there = known.length === 0 ? 'it has none at all' : `it has ${known.join(', ')}`;
  return mistake(`there is no storage node ${nodeId} in the cluster: ${there}`);
}

const mistake = (message: string): ForeshardError =>
  new ForeshardError('FORESHARD_CONFIG', 'fix-config', `${message}; nothing was done`);

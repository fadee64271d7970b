/** Mistakes of the coordinator: what it believes of the metadata store and of the nodes. */
import type { Digest, Lsn } from '../../src/model/migration.ts';
import type { MetadataTransaction } from '../../src/ports/metadata-store.ts';
import type { NodeMigrationStatus, StorageEngine } from '../../src/ports/storage-engine.ts';
import { partitionOfKey } from './map-records.ts';
import type { CoordinatorSeam, Mutant } from './mutants.ts';

const ANY_LSN = 1;

/** The record of the map that a transaction writes, if it does. */
function recordIn({ codec }: CoordinatorSeam, { writes }: MetadataTransaction) {
  const put = writes[0];
  if (put?.kind !== 'put' || !put.key.startsWith(codec.keys.mapPrefix)) return null;
  return codec.decodePartition(partitionOfKey(codec, put.key), put.value);
}

/** The engine, but for its statuses. */
const withStatus = (
  engine: StorageEngine,
  change: (
    status: NodeMigrationStatus,
    partitionId: number,
    include?: 'digest' | 'verify',
  ) => NodeMigrationStatus,
): StorageEngine =>
  new Proxy(engine, {
    get(target, property) {
      if (property === 'status')
        return async (...[nodeId, command, include]: Parameters<StorageEngine['status']>) =>
          change(await target.status(nodeId, command, include), command.partitionId, include);
      const member = Reflect.get(target, property);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });

export const COORDINATOR_MUTANTS: readonly Mutant[] = [
  {
    // F5, FoundationDB commit_unknown_result: what timed out is taken as not done, by the coordinator and by the source.
    name: 'commit-timeout-taken-as-failure',
    shownBy: ['ownership'],
    metadata: (metadata, seam) => ({
      ...metadata,
      commit: async (transaction) => {
        try {
          return await metadata.commit(transaction);
        } catch (error) {
          const record = recordIn(seam, transaction);
          if (record?.migration?.phase === 'SWITCHED') {
            const { sourceNodeId, migrationId } = record.migration;
            const command = { partitionId: record.partitionId, migrationId, epoch: record.epoch - 1 };
            void seam.transport.request(sourceNodeId, 'redirect.abort', command).catch(() => {});
          }
          throw error;
        }
      },
    }),
    record: (record) =>
      record.migration?.phase === 'SWITCHED'
        ? { ...record, migration: { ...record.migration, phase: 'ABORT' } }
        : record,
  },
  {
    // F6, a lock without fencing: whoever believes to be the leader writes.
    name: 'coordinator-without-conditions',
    shownBy: ['order', 'ownership'],
    metadata: (metadata) => ({
      ...metadata,
      commit: ({ writes }) => metadata.commit({ conditions: [], writes }),
    }),
  },
  {
    // F5: the term is checked, the record's revision is not: a commit that comes late undoes what was done since.
    name: 'commit-without-revision',
    shownBy: ['order', 'ownership'],
    metadata: (metadata) => ({
      ...metadata,
      commit: ({ conditions, writes }) =>
        metadata.commit({ conditions: conditions.filter((each) => 'createRevisionIs' in each), writes }),
    }),
  },
  {
    // F11: another change of the map gives the same epoch out again.
    name: 'epoch-not-raised',
    shownBy: ['ownership', 'liveness'],
    metadata: (metadata, seam) => ({
      ...metadata,
      commit: (transaction) => {
        const record = recordIn(seam, transaction);
        const [put, ...others] = transaction.writes;
        if (record?.migration?.phase !== 'SWITCHED' || put?.kind !== 'put')
          return metadata.commit(transaction);
        const value = seam.codec.encodePartition({
          ...record,
          epoch: (record.epoch - 1) as typeof record.epoch,
        });
        return metadata.commit({ ...transaction, writes: [{ ...put, value }, ...others] });
      },
    }),
  },
  {
    // F24: each side is scanned where it stands, and positions are not compared.
    name: 'verify-at-different-lsns',
    shownBy: ['verification', 'data'],
    handle: (handle, store) => async (operation, body) => {
      const { role, lsn } = store.meta(Number(body.partitionId));
      const isCopy = operation === 'verify.begin' && role !== 'OWNER';
      return handle(operation, isCopy ? { ...body, barrierLsn: lsn } : body);
    },
    engine: (engine) =>
      withStatus(engine, (status) =>
        status.verify ? { ...status, verify: { ...status.verify, lsn: ANY_LSN } } : status,
      ),
  },
  {
    // I6: the target is taken at its word that it will soon be there.
    name: 'switch-before-the-copy-is-whole',
    shownBy: ['switch'],
    engine: (engine) => {
      const fences = new Map<number, { lsn: Lsn; digest: Digest }>();
      const trusting = withStatus(engine, (status, partitionId, include) => {
        const fence = fences.get(partitionId);
        return include === 'digest' && fence ? { ...status, ...fence } : status;
      });
      return new Proxy(trusting, {
        get(target, property) {
          if (property !== 'fence') return Reflect.get(target, property);
          return async (...parameters: Parameters<StorageEngine['fence']>) => {
            const fence = await engine.fence(...parameters);
            fences.set(parameters[1].partitionId, fence);
            return fence;
          };
        },
      });
    },
  },
];

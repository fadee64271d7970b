/** Mistakes about what a copy holds: snapshot, log, digests. */
import type { Digest } from '../../src/model/migration.ts';
import type { PartitionSnapshot, PartitionStore } from '../../src/ports/partition-store.ts';
import type { SimStore } from './disk.ts';
import type { Mutant } from './mutants.ts';
import { withMethods } from './mutants-of-nodes.ts';

const BLIND: Digest = { entryCount: 0, sizeBytes: 0, buckets: [] };

/** No verification at all: every digest is equal to every other. */
const unverified = (store: SimStore): Partial<PartitionStore> => ({
  runningDigest: (partitionId) => ({ lsn: store.meta(partitionId).lsn, digest: BLIND }),
  updateMeta: (partitionId, change) => store.updateMeta(partitionId, (meta) => change(meta, () => BLIND)),
  openSnapshot: (partitionId) => ({
    ...snapshotOf(store.openSnapshot(partitionId)),
    runningDigest: BLIND,
    digest: async () => BLIND,
  }),
  adoptDigest: async () => {},
});

/** A snapshot as a plain object, so that parts of it can be replaced. */
const snapshotOf = (snapshot: PartitionSnapshot): PartitionSnapshot => ({
  lsn: snapshot.lsn,
  runningDigest: snapshot.runningDigest,
  read: (cursor, bytesMax) => snapshot.read(cursor, bytesMax),
  digest: (seed, signal) => snapshot.digest(seed, signal),
  list: (seed, options) => snapshot.list(seed, options),
  close: () => snapshot.close(),
});

/** F14, MongoDB SERVER-128130: a delete is a position in the log, and nothing more. */
const withoutDeletes =
  (store: SimStore): PartitionStore['applyLog'] =>
  async (partitionId, migrationId, entries) => {
    const kept = entries.map((entry) => {
      if (entry.kind === 'put') return entry;
      const value = store.get(partitionId, Buffer.from(entry.key).toString('latin1'));
      return value ? { ...entry, kind: 'put' as const, value } : entry;
    });
    return store.applyLog(partitionId, migrationId, kept);
  };

/** F13, MongoDB SERVER-78414 kind: the scan began before the position was taken. */
function lateSnapshotLsn(store: SimStore): Partial<PartitionStore> {
  const early = new Map<number, PartitionSnapshot>();
  const { openSnapshot } = unverified(store);
  return {
    ...unverified(store),
    startChangeLog: (partitionId, options) => {
      early.set(partitionId, store.openSnapshot(partitionId));
      return store.startChangeLog(partitionId, options);
    },
    openSnapshot: (partitionId) => {
      const now = (openSnapshot as PartitionStore['openSnapshot'])(partitionId);
      const before = early.get(partitionId);
      return before ? { ...now, read: (cursor, bytesMax) => before.read(cursor, bytesMax) } : now;
    },
  };
}

const BUFFERED_MS = 8;

export const COPY_MUTANTS: readonly Mutant[] = [
  {
    name: 'deletes-not-shipped',
    shownBy: ['verification'],
    store: (store) => withMethods(store, { applyLog: withoutDeletes(store) }),
  },
  {
    name: 'deletes-not-shipped-unverified',
    shownBy: ['data'],
    store: (store) => withMethods(store, { ...unverified(store), applyLog: withoutDeletes(store) }),
  },
  {
    name: 'snapshot-lsn-late-unverified',
    shownBy: ['data'],
    store: (store) => withMethods(store, lateSnapshotLsn(store)),
  },
  {
    // F16: entries of one piece are applied last first.
    name: 'log-applied-out-of-order',
    shownBy: ['verification'],
    store: (store) =>
      withMethods(store, {
        applyLog: (partitionId, migrationId, entries) => {
          const lsns = entries.map(({ lsn }) => lsn);
          const turned = [...entries].reverse().map((entry, i) => ({ ...entry, lsn: lsns[i] as number }));
          return store.applyLog(partitionId, migrationId, turned);
        },
      }),
  },
  {
    // F17: the log is trimmed beyond its reader, and neither side looks whether a position is missing.
    name: 'log-gap-not-noticed',
    shownBy: ['verification', 'data'],
    store: (store) =>
      withMethods(store, {
        trimChangeLog: (partitionId, upToLsn) => store.trimChangeLog(partitionId, upToLsn + 2),
        readChangeLog: (partitionId, afterLsn) =>
          store.partition(partitionId).log.filter(({ lsn }) => lsn > afterLsn),
        applyLog: async (partitionId, migrationId, entries) => {
          const partition = store.partition(partitionId);
          for (const entry of entries) {
            partition.meta = { ...partition.meta, lsn: entry.lsn - 1 };
            await store.applyLog(partitionId, migrationId, [entry]);
          }
          return partition.meta.lsn;
        },
      }),
  },
  {
    // R8: the cursor says that a piece is there while the piece is still on its way to the disk.
    name: 'cursor-ahead-of-its-entries',
    shownBy: ['verification', 'data'],
    store: (store, life) =>
      withMethods(store, {
        applySnapshot: async (partitionId, migrationId, entries, cursor) => {
          await store.updateMeta(partitionId, (meta) => {
            if (meta.staging?.migrationId !== migrationId) return meta;
            const staging = { ...meta.staging, cursor: cursor ?? meta.staging.cursor };
            return { ...meta, staging: { ...staging, isComplete: cursor === null } };
          });
          await life.clock.sleep(BUFFERED_MS);
          return store.applySnapshot(partitionId, migrationId, entries, cursor);
        },
      }),
  },
  {
    // F26: what is compared is what was sent, not what is on the disk; a torn entry goes unseen.
    name: 'verify-trusts-the-running-digest',
    shownBy: ['data'],
    store: (store) =>
      withMethods(store, {
        openSnapshot: (partitionId) => {
          const snapshot = store.openSnapshot(partitionId);
          const { runningDigest } = snapshot;
          return runningDigest ? { ...snapshotOf(snapshot), digest: async () => runningDigest } : snapshot;
        },
      }),
  },
];

/** Mistakes about ownership, durability and answers: on storage nodes and in sessions. */
import type { PartitionStore } from '../../src/ports/partition-store.ts';
import type { SimStore } from './disk.ts';
import type { Mutant } from './mutants.ts';
import { cancelled, toAndFro } from './worlds.ts';

/** The store, but for some of its methods. */
export function withMethods(store: SimStore, methods: Partial<PartitionStore>): PartitionStore {
  return new Proxy<PartitionStore>(store, {
    get(target, property) {
      const member = Reflect.get(methods, property) ?? Reflect.get(target, property);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}

const FENCE_TIMER_MS = 100;
const SLOW_FENCE_MS = 6;

export const NODE_MUTANTS: readonly Mutant[] = [
  {
    // F1, Redis #15629: the write pause times out, and the source goes on while the target takes over.
    name: 'fence-lifted-by-timer',
    shownBy: ['ownership'],
    store: (store, life) =>
      withMethods(store, {
        updateMeta: async (partitionId, change) => {
          const after = await store.updateMeta(partitionId, change);
          if (after.role !== 'FENCED') return after;
          void life.clock
            .sleep(FENCE_TIMER_MS)
            .then(() =>
              store.updateMeta(partitionId, (meta) =>
                meta.role === 'FENCED' ? { ...meta, role: 'OWNER', fence: null } : meta,
              ),
            );
          return after;
        },
      }),
  },
  {
    // F2, Redis #4627: the state of a migration is in memory only.
    name: 'fence-not-durable',
    shownBy: ['ownership'],
    onCrash: (disk) => {
      for (const partition of disk.partitions.values())
        if (partition.meta.role === 'FENCED')
          partition.meta = { ...partition.meta, role: 'OWNER', fence: null };
    },
  },
  {
    // F3, MongoDB SERVER-26885, Vitess #16572.
    name: 'owner-check-at-receipt',
    shownBy: ['ownership'],
    data: { checksOwnerAtReceipt: true },
  },
  {
    // F4: the position is taken first, and writes go on until the lock is there.
    name: 'fence-position-early',
    shownBy: ['verification'],
    store: (store, life) =>
      withMethods(store, {
        updateMeta: async (partitionId, change) => {
          const before = store.meta(partitionId);
          if (before.role !== 'OWNER') return store.updateMeta(partitionId, change);
          const { fence } = change(before, () => store.runningDigest(partitionId).digest);
          if (!fence) return store.updateMeta(partitionId, change);
          await life.clock.sleep(SLOW_FENCE_MS);
          return store.updateMeta(partitionId, (meta, digest) => {
            const after = change(meta, digest);
            return after.role === 'FENCED' ? { ...after, fence } : after;
          });
        },
      }),
  },
  {
    // F9, TiKV #14699: requests carry no epoch, so a late one is taken for one of today.
    name: 'no-epoch-in-requests',
    shownBy: ['data'],
    world: toAndFro,
    data: { ignoresEpoch: true },
  },
  {
    // F9: a read is answered by whoever has the data and knows the epoch of old.
    name: 'reads-by-former-owners',
    shownBy: ['data', 'session'],
    data: { readsAnyRole: true },
  },
  {
    // Kafka KIP-570: any copy that is being filled becomes the owner when told so, whoever says it, about whatever.
    name: 'stale-activate-accepted',
    shownBy: ['ownership'],
    world: toAndFro,
    handle: (handle, store) => async (operation, body) => {
      const [partitionId, epoch, migrationId] = [body.partitionId, body.epoch, body.migrationId].map(
        Number,
      ) as [number, number, number];
      const { role, staging } = store.meta(partitionId);
      const isStale = role === 'STAGING' && staging?.migrationId !== migrationId;
      if (operation !== 'redirect.activate' || !isStale) return handle(operation, body);
      await store.updateMeta(partitionId, (meta) => ({
        ...meta,
        role: 'OWNER',
        epoch,
        epochMax: Math.max(epoch, meta.epochMax),
        closedMigrationId: Math.max(migrationId, meta.closedMigrationId),
        staging: null,
      }));
      return { body: {} };
    },
  },
  {
    // F30, Citus #4909, MongoDB SERVER-2068: a drop is carried out by its name: after A -> B -> A on the owner's data.
    name: 'stale-remove-accepted',
    shownBy: ['verification', 'data'],
    world: toAndFro,
    handle: (handle, store) => async (operation, body) => {
      const { partitionId, migrationId } = body;
      const { closedMigrationId } = store.meta(Number(partitionId));
      if (operation === 'remove.run' && Number(migrationId) <= closedMigrationId)
        store.partition(Number(partitionId)).entries.clear();
      return handle(operation, body);
    },
  },
  {
    // R6: a node does not remember which migrations are over, so a late command begins one anew.
    name: 'closed-migrations-forgotten',
    shownBy: ['leftovers', 'liveness'],
    store: (store) =>
      withMethods(store, {
        updateMeta: (partitionId, change) =>
          store.updateMeta(partitionId, (meta, digest) => {
            const after = change({ ...meta, closedMigrationId: 0 }, digest);
            return { ...after, closedMigrationId: Math.max(after.closedMigrationId, meta.closedMigrationId) };
          }),
      }),
  },
  {
    // F33: the target says that its copy is gone, and forgets it.
    name: 'abort-leaves-the-copy',
    shownBy: ['leftovers'],
    handle: (handle, store) => async (operation, body) =>
      operation === 'redirect.abort' && store.meta(Number(body.partitionId)).role === 'STAGING'
        ? { body: { isDone: true } }
        : handle(operation, body),
  },
  {
    // Log positions begin anew with each owner: tokens of sessions mean nothing then.
    name: 'lsn-reset-at-switch',
    shownBy: ['order', 'session'],
    store: (store) =>
      withMethods(store, {
        updateMeta: (partitionId, change) =>
          store.updateMeta(partitionId, (meta, digest) => {
            const after = change(meta, digest);
            return meta.role === 'STAGING' && after.role === 'OWNER' ? { ...after, lsn: 0 } : after;
          }),
      }),
  },
  { name: 'copy-ignores-min-lsn', shownBy: ['session'], data: { ignoresMinLsn: true } },
  {
    // I8: a copy answers whoever asks, also while it is being filled.
    name: 'copy-serves-unasked',
    shownBy: ['session'],
    world: cancelled,
    data: { servesCopiesUnasked: true },
  },
  {
    // A session's token grows by what it reads, not by what it writes.
    name: 'session-forgets-its-writes',
    shownBy: ['session'],
    session: { forgetsWrites: true },
  },
  {
    // F20: a write without an answer is sent again, and nothing tells the two apart.
    name: 'unanswered-write-sent-again',
    shownBy: ['data'],
    session: { resendsUnanswered: true },
  },
  {
    // Acknowledged in memory, on the disk a little later (noSync, an append-only file synced now and then).
    name: 'acknowledged-before-synced',
    shownBy: ['data', 'order'],
    disk: { syncsAfterMs: 20 },
  },
  {
    // F46, lmdb: after a failed sync the next write succeeds, and what failed can still be read.
    name: 'goes-on-after-commit-error',
    shownBy: ['data', 'order', 'acknowledgement'],
    disk: { goesOnAfterError: true },
  },
];

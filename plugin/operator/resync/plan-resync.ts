/** What a map that has gone back is to become, by what the stores say: pure. */
import { asEpoch, asNodeId } from '../../../src/model/ids.ts';
import type { MigrationRecord, PartitionRecord } from '../../../src/model/migration.ts';
import { whyBehind } from '../../metadata/map-behind.ts';
import type { HeldPartition } from '../../node/partition-inventory.ts';

export interface StoreInventory {
  readonly nodeId: number;
  readonly storeId: string;
  /** By partition. */
  readonly held: ReadonlyMap<number, HeldPartition>;
}

export type ResyncDecision =
  | { readonly kind: 'right' }
  | { readonly kind: 'change'; readonly record: PartitionRecord; readonly what: string }
  /** Nobody but an operator can say: the partition is left as it is. */
  | { readonly kind: 'unclear'; readonly why: string };

interface Holder {
  readonly nodeId: number;
  readonly storeId: string;
  readonly held: HeldPartition;
}

/**
 * The owner is who says so at the highest epoch, since ownership moved only by the map's own word; of a partition that nobody
 * owns it is who has fenced itself, since no other can have been opened. Epochs and numbers of migrations become the highest that any
 * store has heard: none is given out again. What is open at the nodes is aborted, which leaves the owner as it is.
 */
export function planResync(
  record: PartitionRecord,
  stores: readonly StoreInventory[],
  { nowMs, digestSeed }: { readonly nowMs: number; readonly digestSeed: string },
): ResyncDecision {
  const holders = stores.flatMap(({ nodeId, storeId, held: all }): Holder[] => {
    const held = all.get(record.partitionId);
    return held ? [{ nodeId, storeId, held }] : [];
  });
  const reasons = holders.flatMap(({ storeId, held }) => whyBehind(held, record, storeId) ?? []);
  if (reasons.length === 0) return { kind: 'right' };

  const epochMax = Math.max(...holders.map(({ held }) => held.epochMax));
  const owners = holders.filter(({ held }) => held.role === 'OWNER');
  const [owner, second] = owners.length > 0 ? byEpoch(owners) : byEpoch(holders.filter(isFenced));
  if (owner === undefined)
    return {
      kind: 'unclear',
      why: 'no store says that it owns it: its machine may be lost (foreshard takeover)',
    };
  if (second !== undefined && second.held.epoch === owner.held.epoch)
    return {
      kind: 'unclear',
      why: `stores ${owner.storeId} and ${second.storeId} both say epoch ${owner.held.epoch}`,
    };
  if (owner.held.epoch < epochMax)
    return {
      kind: 'unclear',
      why: `epoch ${epochMax} has been seen, but the newest owner there is has ${owner.held.epoch}: another machine may be missing`,
    };

  const migrationSeq = Math.max(
    record.migrationSeq,
    ...holders.map(({ held }) => Math.max(held.closedMigrationId, held.migrationId)),
  );
  const migration = openAtNodes(owner, holders, stores, { nowMs, digestSeed });
  const changed: PartitionRecord = {
    ...record,
    ownerNodeId: asNodeId(owner.nodeId),
    ownerStoreId: owner.storeId,
    epoch: asEpoch(owner.held.epoch),
    migrationSeq,
    migration,
  };
  const end = migration ? `, migration ${migration.migrationId} is aborted` : '';
  const what =
    `owner ${record.ownerNodeId} at epoch ${record.epoch} becomes ${owner.nodeId} at epoch ${owner.held.epoch}, ` +
    `migrations up to ${migrationSeq}${end} (${reasons[0]})`;
  return { kind: 'change', record: changed, what };
}

const isFenced = ({ held }: Holder): boolean => held.role === 'FENCED' && held.fencedBy !== null;

const byEpoch = (holders: readonly Holder[]): Holder[] =>
  [...holders].sort((a, b) => b.held.epoch - a.held.epoch);

/** A copy that is being filled, or a fence that stands, is closed by nothing but the map's word that its migration is aborted. */
function openAtNodes(
  owner: Holder,
  holders: readonly Holder[],
  stores: readonly StoreInventory[],
  { nowMs, digestSeed }: { readonly nowMs: number; readonly digestSeed: string },
): MigrationRecord | null {
  const isOpen = ({ held }: Holder): boolean => held.migrationId > held.closedMigrationId;
  const staging = byMigration(
    holders.filter((holder) => holder.held.role === 'STAGING' && isOpen(holder)),
  )[0];
  const migrationId = owner.held.fencedBy ?? staging?.held.migrationId;
  if (migrationId === undefined) return null;
  const target =
    staging?.held.migrationId === migrationId
      ? staging
      : stores.find(({ nodeId }) => nodeId !== owner.nodeId);
  if (!target) return null;
  return {
    migrationId,
    sourceNodeId: asNodeId(owner.nodeId),
    sourceStoreId: owner.storeId,
    targetNodeId: asNodeId(target.nodeId),
    targetStoreId: target.storeId,
    phase: 'ABORT',
    phaseAtMs: nowMs,
    startedAtMs: nowMs,
    digestSeed,
    readWeight: 0,
    notBeforeMs: 0,
    reason: 'the map was restored from a backup while it was open',
    attempt: 0,
  };
}

const byMigration = (holders: readonly Holder[]): Holder[] =>
  [...holders].sort((a, b) => b.held.migrationId - a.held.migrationId);

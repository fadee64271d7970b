/** What a map that has gone back is to become, by what the stores say: pure. */
import { asEpoch, asNodeId } from '../../../src/model/ids.ts';
import type { MigrationRecord, PartitionRecord } from '../../../src/model/migration.ts';
import { whyBehind } from '../../metadata/map-behind.ts';
import type { HeldPartition } from '../../node/storage/partition-inventory.ts';

export interface StoreInventory {
  readonly nodeId: number;
  readonly storeId: string;
  /** By partition. */
  readonly held: ReadonlyMap<number, HeldPartition>;
}

export type ResyncDecision =
  | { readonly kind: 'right' }
  /** `risk`: what is lost by it if a store that did not answer has newer writes; null where none can have. */
  | {
      readonly kind: 'change';
      readonly record: PartitionRecord;
      readonly what: string;
      readonly risk: string | null;
    }
  /** Nobody but an operator can say: the partition is left as it is. */
  | { readonly kind: 'unclear'; readonly why: string };

export interface ResyncKnowledge {
  readonly nowMs: number;
  readonly digestSeed: string;
  /** To whom migrations of this partition were to bring it, by what the restored metadata still says besides the record. */
  readonly targets: readonly FenceTarget[];
  /** Nodes that an operator has given up by name. */
  readonly without: ReadonlySet<number>;
}

export interface FenceTarget {
  readonly migrationId: number;
  readonly storeId: string;
  /** Null where it is not known. */
  readonly nodeId: number | null;
}

interface Holder {
  readonly nodeId: number;
  readonly storeId: string;
  readonly held: HeldPartition;
}

/**
 * The owner is who says so at the highest epoch, since ownership moved only by the map's own word; of a partition that nobody
 * owns it is who has fenced itself, provided that the target of its fence has answered: it alone can have become the owner. Epochs and numbers of migrations become the highest that any
 * store has heard: none is given out again. What is open at the nodes is aborted, which leaves the owner as it is.
 */
export function planResync(
  record: PartitionRecord,
  stores: readonly StoreInventory[],
  knowledge: ResyncKnowledge,
): ResyncDecision {
  const holders = stores.flatMap(({ nodeId, storeId, held: all }): Holder[] => {
    const held = all.get(record.partitionId);
    return held ? [{ nodeId, storeId, held }] : [];
  });
  const reasons = holders.flatMap(({ storeId, held }) => whyBehind(held, record, storeId) ?? []);
  if (reasons.length === 0) return { kind: 'right' };

  const owners = holders.filter(({ held }) => held.role === 'OWNER');
  const candidates = byEpoch(owners.length > 0 ? owners : holders.filter(isFenced));
  const [owner] = candidates;
  const why = whyUnclear(record, candidates, holders);
  if (owner === undefined || why !== null) return { kind: 'unclear', why: why as string };
  const doubt = owners.length > 0 ? null : doubtOfFence(record, owner, { holders, stores, knowledge });
  if (doubt !== null && !doubt.isGivenUp) return { kind: 'unclear', why: doubt.why };

  const migrationSeq = Math.max(
    record.migrationSeq,
    ...holders.map(({ held }) => Math.max(held.closedMigrationId, held.migrationId)),
  );
  const migration = openAtNodes(owner, holders, stores, knowledge);
  if (owner.held.fencedBy !== null && migration === null)
    return {
      kind: 'unclear',
      why: `store ${owner.storeId} has fenced itself, and no second store answers by which the fence could be lifted: let a node join, then try again`,
    };
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
  return { kind: 'change', record: changed, what, risk: doubt?.risk ?? null };
}

function whyUnclear(
  record: PartitionRecord,
  [owner, second]: readonly Holder[],
  holders: readonly Holder[],
): string | null {
  if (owner === undefined)
    return 'no store that answers owns it: start the node whose store does, then try again; `foreshard takeover` is for a machine that is lost for good, and gives up what only it had';
  if (second !== undefined && second.held.epoch === owner.held.epoch)
    return `stores ${owner.storeId} and ${second.storeId} both say epoch ${owner.held.epoch}`;
  // What the map has given away counts as seen, also where nobody who answers has heard of it.
  const epochMax = Math.max(record.epoch, ...holders.map(({ held }) => held.epochMax));
  if (owner.held.epoch < epochMax)
    return `epoch ${epochMax} has been seen, but the newest owner there is has ${owner.held.epoch}: another store is newer; start its node, then try again (\`foreshard takeover\` would lose what that store has taken)`;
  return null;
}

interface Doubt {
  readonly isGivenUp: boolean;
  readonly why: string;
  readonly risk: string;
}

/**
 * A fence stands on the old owner until it hears of the switch: only the target's own store can say that there was none. It has
 * heard of this migration, or is named by the map or by a clean-up.
 *
 * @returns null where the target has answered, and has not said that it is the owner.
 */
function doubtOfFence(
  record: PartitionRecord,
  fenced: Holder,
  {
    holders,
    stores,
    knowledge: { targets, without },
  }: {
    readonly holders: readonly Holder[];
    readonly stores: readonly StoreInventory[];
    readonly knowledge: ResyncKnowledge;
  },
): Doubt | null {
  const migrationId = fenced.held.fencedBy as number;
  const isHeardBy = ({ storeId, held }: Holder): boolean =>
    storeId !== fenced.storeId &&
    (held.migrationId === migrationId || held.closedMigrationId === migrationId);
  const { migration } = record;
  const target: FenceTarget | undefined =
    migration?.migrationId === migrationId
      ? { migrationId, storeId: migration.targetStoreId, nodeId: migration.targetNodeId }
      : targets.find((each) => each.migrationId === migrationId && each.storeId !== fenced.storeId);
  const hasAnswered = target
    ? stores.some(({ storeId }) => storeId === target.storeId)
    : holders.some(isHeardBy);
  if (hasAnswered) return null;
  const place =
    target === undefined
      ? 'a store that is not known'
      : `store ${target.storeId} of node ${target.nodeId ?? '(not known)'}`;
  const nodeId = target?.nodeId ?? null;
  return {
    isGivenUp: nodeId === null ? without.size > 0 : without.has(nodeId),
    why:
      `store ${fenced.storeId} of node ${fenced.nodeId} has fenced itself for migration ${migrationId} to ${place}, which does not answer and may be the owner: ` +
      `start its node, then try again (\`foreshard takeover\` would lose what it has taken since); if it is gone for good, --without ${nodeId ?? 'its node'}`,
    risk: `if ${place} has become the owner by migration ${migrationId}, all that it has taken since is lost`,
  };
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

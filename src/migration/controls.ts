/** What operators have switched and asked for, as the coordinator reads it before each step. */
import type { Logger } from '../base/logger.ts';
import type { PartitionRecord } from '../model/migration.ts';
import type { MetadataCondition, MetadataStore } from '../ports/metadata-store.ts';
import { byTurn, type PendingApproval } from './approvals.ts';
import { mayPause } from './phases.ts';
import type { OpenRecord } from './record-changes.ts';
import type { ClusterKeys, OperatorRequest, RecordCodec, RetirementRequest } from './records.ts';

/** A request that waits for its answer; the answer ends it by the revision that was read. */
export interface Pending<Request> {
  readonly key: string;
  readonly revision: number;
  readonly request: Request;
}

export type PendingRequest = Pending<OperatorRequest>;
export type PendingRetirement = Pending<RetirementRequest>;

export interface StandingRejection {
  readonly revision: number;
  readonly untilMs: number;
}

export interface Controls {
  readonly isPaused: boolean;
  readonly pausedPartitionIds: ReadonlySet<number>;
  readonly requests: readonly PendingRequest[];
  /** In the order in which they should begin. */
  readonly approvals: readonly PendingApproval[];
  /** By partition, also those that have run out. */
  readonly rejections: ReadonlyMap<number, StandingRejection>;
  readonly retirements: readonly PendingRetirement[];
  readonly retiredStoreIds: ReadonlySet<string>;
  /** Metadata revision of each store's state, by store id. */
  readonly storeRevisions: ReadonlyMap<string, number>;
}

export const NO_CONTROLS: Controls = {
  isPaused: false,
  pausedPartitionIds: new Set(),
  requests: [],
  approvals: [],
  rejections: new Map(),
  retirements: [],
  retiredStoreIds: new Set(),
  storeRevisions: new Map(),
};

/** A pause of all does not hold what an operator has asked for by name since. */
export const isHeld = ({ partitionId, migration }: OpenRecord, controls: Controls): boolean =>
  controls.pausedPartitionIds.has(partitionId) || (controls.isPaused && migration.kind === undefined);

/**
 * Conditions under which a step is committed: that no pause has come since the controls were read. One drive makes many
 * steps, and none of them may reach the fence past a pause. The way back (ABORT, reads to the source) is always open.
 */
export function unlessPaused(
  before: OpenRecord,
  after: PartitionRecord,
  keys: ClusterKeys,
): readonly MetadataCondition[] {
  const { partitionId, migration } = before;
  const next = after.migration;
  const isWayBack = next?.phase === 'ABORT' || (next !== null && next.readWeight < migration.readWeight);
  if (isWayBack || !mayPause(migration.phase)) return [];
  const ofPartition = { key: keys.pauseOf(partitionId), revisionIs: 0 };
  return migration.kind === undefined ? [ofPartition, { key: keys.pause, revisionIs: 0 }] : [ofPartition];
}

/**
 * Under what a store becomes an owner: that its state is what it was when the controls were read, and that nobody asks for it
 * to be retired. So a retired store is given nothing, and while it is decided whether to retire one nothing changes about that. What
 * it owned when a takeover of one of its partitions retired it stays its own by the map, until each is taken over as well.
 *
 * @returns null for one that is known to be retired.
 */
export function unlessRetired(
  before: PartitionRecord,
  after: PartitionRecord,
  { storeRevisions, retiredStoreIds }: Controls,
  keys: ClusterKeys,
): readonly MetadataCondition[] | null {
  const { ownerStoreId } = after;
  if (ownerStoreId === before.ownerStoreId) return [];
  if (retiredStoreIds.has(ownerStoreId)) return null;
  return [
    { key: keys.store(ownerStoreId), revisionIs: storeRevisions.get(ownerStoreId) ?? 0 },
    { key: keys.retirement(ownerStoreId), revisionIs: 0 },
  ];
}

export async function readControls(
  metadata: MetadataStore,
  codec: RecordCodec,
  logger: Logger,
): Promise<Controls> {
  const { keys } = codec;
  const { entries } = await metadata.list(keys.controlPrefix);
  const pausePrefix = `${keys.pause}/`;
  const pausedPartitionIds = new Set<number>();
  const requests: PendingRequest[] = [];
  const retirements: PendingRetirement[] = [];
  const approvals: PendingApproval[] = [];
  const rejections = new Map<number, StandingRejection>();
  let isPaused = false;
  const orNothing = passingOver(logger);
  for (const { key, value, revision } of entries)
    if (key === keys.pause) isPaused = true;
    else if (key.startsWith(pausePrefix)) pausedPartitionIds.add(Number(key.slice(pausePrefix.length)));
    else if (key.startsWith(keys.requestPrefix))
      orNothing(key, () => requests.push({ key, revision, request: codec.decodeRequest(value) }));
    else if (key.startsWith(keys.retirementPrefix))
      orNothing(key, () => retirements.push({ key, revision, request: codec.decodeRetirement(value) }));
    else if (key.startsWith(keys.approvalPrefix))
      orNothing(key, () => approvals.push({ key, revision, approval: codec.decodeApproval(value) }));
    else if (key.startsWith(keys.rejectionPrefix)) {
      const partitionId = Number(key.slice(keys.rejectionPrefix.length));
      // One that nobody can read holds nothing back, as in the planner.
      rejections.set(partitionId, { revision, untilMs: 0 });
      orNothing(key, () =>
        rejections.set(partitionId, { revision, untilMs: codec.decodeRejection(value).untilMs }),
      );
    }
  return {
    isPaused,
    pausedPartitionIds,
    requests,
    retirements,
    approvals: approvals.sort(byTurn),
    rejections,
    ...(await readStores(metadata, codec, logger)),
  };
}

async function readStores(
  metadata: MetadataStore,
  codec: RecordCodec,
  logger: Logger,
): Promise<Pick<Controls, 'retiredStoreIds' | 'storeRevisions'>> {
  const { storePrefix } = codec.keys;
  const orNothing = passingOver(logger);
  const retiredStoreIds = new Set<string>();
  const storeRevisions = new Map<string, number>();
  const { entries } = await metadata.list(storePrefix);
  for (const { key, value, revision } of entries) {
    const storeId = key.slice(storePrefix.length);
    storeRevisions.set(storeId, revision);
    orNothing(key, () => {
      if (codec.decodeStoreState(value) === 'retired') retiredStoreIds.add(storeId);
    });
  }
  return { retiredStoreIds, storeRevisions };
}

/** A record that is not valid is passed over: it must not keep the others from being obeyed. */
const passingOver =
  (logger: Logger) =>
  (key: string, decode: () => void): void => {
    try {
      decode();
    } catch (error) {
      logger.error({ key, error: String(error) }, 'a control record is not valid, it is passed over');
    }
  };

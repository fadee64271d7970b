/** What operators have switched and asked for, as the coordinator reads it before each step. */
import type { Logger } from '../base/logger.ts';
import type { PartitionRecord } from '../model/migration.ts';
import type { MetadataCondition, MetadataStore } from '../ports/metadata-store.ts';
import { byTurn, type PendingApproval } from './approvals.ts';
import { mayPause } from './phases.ts';
import type { OpenRecord } from './record-changes.ts';
import type { ClusterKeys, OperatorRequest, RecordCodec } from './records.ts';

export interface PendingRequest {
  readonly key: string;
  readonly revision: number;
  readonly request: OperatorRequest;
}

export interface Controls {
  readonly isPaused: boolean;
  readonly pausedPartitionIds: ReadonlySet<number>;
  readonly requests: readonly PendingRequest[];
  /** In the order in which they should begin. */
  readonly approvals: readonly PendingApproval[];
  readonly retiredStoreIds: ReadonlySet<string>;
}

export const NO_CONTROLS: Controls = {
  isPaused: false,
  pausedPartitionIds: new Set(),
  requests: [],
  approvals: [],
  retiredStoreIds: new Set(),
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

export async function readControls(
  metadata: MetadataStore,
  codec: RecordCodec,
  logger: Logger,
): Promise<Controls> {
  const { keys } = codec;
  const { entries } = await metadata.list(keys.controlPrefix);
  const stores = await metadata.list(keys.storePrefix);
  const pausePrefix = `${keys.pause}/`;
  const pausedPartitionIds = new Set<number>();
  const requests: PendingRequest[] = [];
  const approvals: PendingApproval[] = [];
  const retiredStoreIds = new Set<string>();
  let isPaused = false;
  // A record that is not valid is passed over: it must not keep the others from being obeyed.
  const orNothing = (key: string, decode: () => void): void => {
    try {
      decode();
    } catch (error) {
      logger.error({ key, error: String(error) }, 'a control record is not valid, it is passed over');
    }
  };
  for (const { key, value, revision } of entries)
    if (key === keys.pause) isPaused = true;
    else if (key.startsWith(pausePrefix)) pausedPartitionIds.add(Number(key.slice(pausePrefix.length)));
    else if (key.startsWith(keys.requestPrefix))
      orNothing(key, () => requests.push({ key, revision, request: codec.decodeRequest(value) }));
    else if (key.startsWith(keys.approvalPrefix))
      orNothing(key, () => approvals.push({ key, revision, approval: codec.decodeApproval(value) }));
  for (const { key, value } of stores.entries)
    orNothing(key, () => {
      if (codec.decodeStoreState(value) === 'retired')
        retiredStoreIds.add(key.slice(keys.storePrefix.length));
    });
  return { isPaused, pausedPartitionIds, requests, approvals: approvals.sort(byTurn), retiredStoreIds };
}

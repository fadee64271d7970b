/** What operators have switched and asked for, as the coordinator reads it before each step. */
import type { Logger } from '../../base/logger.ts';
import type { PartitionRecord } from '../../model/migration.ts';
import type { MetadataCondition, MetadataEntry, MetadataStore } from '../../ports/metadata-store.ts';
import { mayPause } from '../phases.ts';
import { type Approval, byTurn, type PendingApproval, type Rejection } from '../queue/approvals.ts';
import { DecodeCache } from './decode-cache.ts';
import type { OpenRecord } from './record-changes.ts';
import type { ClusterKeys, OperatorRequest, RecordCodec, RetirementRequest, StoreState } from './records.ts';

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
  /** Null of one that nobody can read: it holds nothing back, as in the planner. */
  readonly untilMs: number | null;
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

/** Reads all of it at every tick. A record that is not valid is passed over: it must not keep the others from being obeyed. */
export class ControlReader {
  readonly #metadata: MetadataStore;
  readonly #keys: ClusterKeys;
  readonly #requests: DecodeCache<OperatorRequest>;
  readonly #retirements: DecodeCache<RetirementRequest>;
  readonly #approvals: DecodeCache<Approval>;
  readonly #rejections: DecodeCache<Rejection>;
  readonly #storeStates: DecodeCache<StoreState>;

  constructor(metadata: MetadataStore, codec: RecordCodec, logger: Logger) {
    this.#metadata = metadata;
    this.#keys = codec.keys;
    const cacheOf = <Value>(decode: (bytes: Uint8Array) => Value): DecodeCache<Value> =>
      new DecodeCache(
        ({ value }) => decode(value),
        (key, error) => logger.error({ key, error }, 'a control record is not valid, it is passed over'),
      );
    this.#requests = cacheOf(codec.decodeRequest);
    this.#retirements = cacheOf(codec.decodeRetirement);
    this.#approvals = cacheOf(codec.decodeApproval);
    this.#rejections = cacheOf(codec.decodeRejection);
    this.#storeStates = cacheOf(codec.decodeStoreState);
  }

  async read(): Promise<Controls> {
    const keys = this.#keys;
    const { entries } = await this.#metadata.list(keys.controlPrefix);
    const below = (prefix: string): MetadataEntry[] => entries.filter(({ key }) => key.startsWith(prefix));
    const pausePrefix = `${keys.pause}/`;
    const partitionOf = (key: string, prefix: string): number => Number(key.slice(prefix.length));
    const approvals = pendingOf(below(keys.approvalPrefix), this.#approvals);
    const rejected = below(keys.rejectionPrefix);
    const rejections = this.#rejections.all(rejected);
    return {
      isPaused: entries.some(({ key }) => key === keys.pause),
      pausedPartitionIds: new Set(below(pausePrefix).map(({ key }) => partitionOf(key, pausePrefix))),
      requests: pendingOf(below(keys.requestPrefix), this.#requests),
      retirements: pendingOf(below(keys.retirementPrefix), this.#retirements),
      approvals: approvals.map(({ request, ...entry }) => ({ ...entry, approval: request })).sort(byTurn),
      rejections: new Map(
        rejected.map(({ key, revision }, i) => [
          partitionOf(key, keys.rejectionPrefix),
          { revision, untilMs: rejections[i]?.untilMs ?? null },
        ]),
      ),
      ...(await this.#readStores()),
    };
  }

  async #readStores(): Promise<Pick<Controls, 'retiredStoreIds' | 'storeRevisions'>> {
    const { storePrefix } = this.#keys;
    const { entries } = await this.#metadata.list(storePrefix);
    const states = this.#storeStates.all(entries);
    const storeIds = entries.map(({ key }) => key.slice(storePrefix.length));
    return {
      retiredStoreIds: new Set(storeIds.filter((_, i) => states[i] === 'retired')),
      storeRevisions: new Map(entries.map(({ revision }, i) => [storeIds[i] as string, revision])),
    };
  }
}

const pendingOf = <Request>(
  entries: readonly MetadataEntry[],
  cache: DecodeCache<Request>,
): Pending<Request>[] =>
  cache.all(entries).flatMap((request, i) => {
    const { key, revision } = entries[i] as MetadataEntry;
    return request === null ? [] : [{ key, revision, request }];
  });

/**
 * The operator who is told that a machine is gone for good, with its disk: what its node owned is taken over, at a loss, and
 * when it owns nothing its store is retired. All by requests to the coordinator, as the commands leave them.
 */
import type { RecordCodec } from '../../src/migration/records/records.ts';
import type { PartitionRecord } from '../../src/model/migration.ts';
import type { SimClock } from './clock.ts';
import type { SimMetadata } from './metadata.ts';
import type { SimNode } from './storage-node.ts';

export interface LossWorld {
  readonly clock: SimClock;
  /** The operator's wall clock. */
  readonly wallMs: () => number;
  readonly metadata: SimMetadata;
  readonly codec: RecordCodec;
  readonly nodes: readonly SimNode[];
  readonly partitionCount: number;
  /** Those that are written: of any other nobody ever has a copy. */
  readonly partitionIds: readonly number[];
  readonly recordOf: (partitionId: number) => PartitionRecord | null;
  readonly isRetired: (storeId: string) => boolean;
}

/** How long an operator waits for an answer before another node is tried. */
const ASK_AGAIN_MS = 150;
const REQUEST_MS_MAX = 1_000;

export class LossOperator {
  readonly #world: LossWorld;
  #requestCount = 0;

  constructor(world: LossWorld) {
    this.#world = world;
  }

  /** Looks after all that the node owns, or comes to own, until its store is retired. */
  lost(node: SimNode): void {
    for (let id = 0; id < this.#world.partitionCount; id++) this.#takeOver(id, node, 0);
    this.#retireWhenDone(node, false);
  }

  /** Says once of a store that it is gone for good: of one that still owns something, or answers, that is a mistake. */
  retire(node: SimNode): void {
    this.#requestRetirement(node, true);
  }

  #retireWhenDone(node: SimNode, isConfirmed: boolean): void {
    const { clock, isRetired } = this.#world;
    const { storeId } = node.disk.memory;
    if (isRetired(storeId)) return;
    // Asked first what it would end.
    const isAsked = !this.#isOwner(storeId) && this.#requestRetirement(node, isConfirmed);
    clock.after(ASK_AGAIN_MS, () => this.#retireWhenDone(node, isConfirmed || isAsked));
  }

  #isOwner(storeId: string): boolean {
    const { partitionCount, recordOf } = this.#world;
    for (let id = 0; id < partitionCount; id++) if (recordOf(id)?.ownerStoreId === storeId) return true;
    return false;
  }

  /** @returns false while an earlier request waits. */
  #requestRetirement({ disk }: SimNode, isConfirmed: boolean): boolean {
    const { codec } = this.#world;
    const { storeId } = disk.memory;
    const request = { ...this.#head('retire'), storeId, isConfirmed };
    return this.#leave(codec.keys.retirement(storeId), codec.encodeRetirement(request));
  }

  #takeOver(partitionId: number, lost: SimNode, attempt: number): void {
    const { clock, codec, nodes, partitionIds, recordOf, isRetired } = this.#world;
    const record = recordOf(partitionId);
    const isOurs = record?.ownerNodeId === lost.nodeId;
    // A switch to the lost node may be on its way, but not any more when its store is retired.
    if (!isOurs && isRetired(lost.disk.memory.storeId)) return;
    clock.after(ASK_AGAIN_MS, () => this.#takeOver(partitionId, lost, isOurs ? attempt + 1 : 0));
    if (!isOurs || record.migration?.kind === 'takeover') return;
    // First whoever may have a copy; when all have said that they have none, anybody may begin with nothing.
    const targets = nodes.filter((node) => !node.isGone);
    const target = targets[attempt % targets.length] as SimNode;
    const isUnwritten = !partitionIds.includes(partitionId);
    const haveAllAnswered =
      attempt >= 3 * targets.length && targets.every(({ listening }) => listening !== null);
    const request = {
      ...this.#head('takeover'),
      action: 'takeover' as const,
      partitionId,
      takeover: {
        fromStoreId: record.ownerStoreId,
        targetNodeId: target.nodeId,
        lossAfterLsn: 0,
        // Nobody gives up what a node may have that is only being restarted.
        isEmptyAllowed: isUnwritten || haveAllAnswered,
      },
    };
    this.#leave(codec.keys.request(partitionId), codec.encodeRequest(request));
  }

  #head(what: string) {
    const { wallMs } = this.#world;
    return {
      requestId: `${what}-${++this.#requestCount}`,
      by: 'operator',
      reason: 'simulated',
      atMs: wallMs(),
      expiresAtMs: wallMs() + REQUEST_MS_MAX,
    };
  }

  #leave(key: string, value: Uint8Array): boolean {
    const { metadata } = this.#world;
    if (metadata.entries.has(key) || metadata.isFull) return false;
    return metadata.commitNow({ conditions: [], writes: [{ kind: 'put', key, value }] }).isCommitted;
  }
}

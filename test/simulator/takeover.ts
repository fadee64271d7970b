/** A machine is gone for good, with its disk: what its node owned is taken over by an operator's order, at a loss. */
import type { RecordCodec } from '../../src/migration/records.ts';
import type { PartitionRecord } from '../../src/model/migration.ts';
import type { SimClock } from './clock.ts';
import type { SimMetadata } from './metadata.ts';
import type { SimNode } from './storage-node.ts';

export interface TakeoverWorld {
  readonly clock: SimClock;
  readonly metadata: SimMetadata;
  readonly codec: RecordCodec;
  readonly nodes: readonly SimNode[];
  readonly partitionIds: readonly number[];
  readonly recordOf: (partitionId: number) => PartitionRecord | null;
}

/** How long an operator waits for an answer before another node is tried. */
const ASK_AGAIN_MS = 150;
const REQUEST_MS_MAX = 1_000;

export class TakeoverOperator {
  readonly #world: TakeoverWorld;
  #requestCount = 0;
  #isRetired = false;

  constructor(world: TakeoverWorld) {
    this.#world = world;
  }

  /** Looks after all that the node owns, or comes to own. */
  takeFrom(lost: SimNode): void {
    for (const partitionId of this.#world.partitionIds) this.#ask(partitionId, lost, 0);
  }

  /** What it no longer owns it may still have to follow or to remove: that is not waited for. */
  #retire(lost: SimNode): void {
    const { metadata, codec, partitionIds, recordOf } = this.#world;
    if (partitionIds.some((id) => recordOf(id)?.ownerNodeId === lost.nodeId)) return;
    const key = codec.keys.store(lost.disk.memory.storeId);
    if (this.#isRetired) return;
    this.#isRetired = true;
    const value = codec.encodeStoreState('retired');
    metadata.commitNow({ conditions: [], writes: [{ kind: 'put', key, value }] });
  }

  #ask(partitionId: number, lost: SimNode, attempt: number): void {
    const { clock, metadata, codec, nodes, recordOf } = this.#world;
    const record = recordOf(partitionId);
    if (record?.ownerNodeId !== lost.nodeId) {
      this.#retire(lost);
      // A switch to the lost node may have been on its way.
      clock.after(ASK_AGAIN_MS, () => this.#ask(partitionId, lost, 0));
      return;
    }
    const key = codec.keys.request(partitionId);
    clock.after(ASK_AGAIN_MS, () => this.#ask(partitionId, lost, attempt + 1));
    if (metadata.entries.has(key) || metadata.isFull || record.migration?.kind === 'takeover') return;
    // First whoever may have a copy; when all have said that they have none, anybody may begin with nothing.
    const targets = nodes.filter((node) => !node.isLost);
    const target = targets[attempt % targets.length] as SimNode;
    const request = {
      requestId: `takeover-${partitionId}-${++this.#requestCount}`,
      action: 'takeover' as const,
      partitionId,
      by: 'operator',
      reason: 'simulated',
      atMs: clock.nowMs(),
      expiresAtMs: clock.nowMs() + REQUEST_MS_MAX,
      takeover: {
        fromStoreId: record.ownerStoreId,
        targetNodeId: target.nodeId,
        lossAfterLsn: 0,
        // Nobody gives up what a node may have that is only being restarted.
        isEmptyAllowed: attempt >= 3 * targets.length && targets.every(({ listening }) => listening !== null),
      },
    };
    metadata.commitNow({
      conditions: [],
      writes: [{ kind: 'put', key, value: codec.encodeRequest(request) }],
    });
  }
}

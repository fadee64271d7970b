/** Of one partition: what a router sends in a hand-over of half a second at a few thousand queries a second. */
export const HELD_REQUESTS_MAX = 1000;
const HELD_BYTES_MAX = 4 * 1024 * 1024;

export interface HeldRequest<Channel> {
  readonly channel: Channel;
  /** The request as it came; memory of its own. */
  readonly request: Buffer;
}

interface PartitionQueue<Channel> {
  readonly requests: HeldRequest<Channel>[];
  sizeBytes: number;
  /** Requests held before the group that runs now. */
  keptCount: number;
  keptBytes: number;
}

/**
 * Requests for partitions that are fenced, in order of arrival. They wait there until the fence ends, one way or the
 * other; no timer lets them go, since only the migration knows who the owner will be.
 */
export class FenceQueue<Channel> {
  readonly #queues = new Map<number, PartitionQueue<Channel>>();
  readonly #inGroup = new Set<PartitionQueue<Channel>>();

  get count(): number {
    let count = 0;
    for (const queue of this.#queues.values()) count += queue.requests.length;
    return count;
  }

  /** @returns false when the partition's queue is full. */
  hold(partitionId: number, channel: Channel, request: Uint8Array): boolean {
    let queue = this.#queues.get(partitionId);
    if (!queue) {
      queue = { requests: [], sizeBytes: 0, keptCount: 0, keptBytes: 0 };
      this.#queues.set(partitionId, queue);
    }
    if (queue.requests.length >= HELD_REQUESTS_MAX || queue.sizeBytes + request.length > HELD_BYTES_MAX)
      return false;
    queue.requests.push({ channel, request: Buffer.from(request) });
    queue.sizeBytes += request.length;
    this.#inGroup.add(queue);
    return true;
  }

  /** The group that held them has ended well. */
  keepGroup(): void {
    for (const queue of this.#inGroup) {
      queue.keptCount = queue.requests.length;
      queue.keptBytes = queue.sizeBytes;
    }
    this.#inGroup.clear();
  }

  /** The group is run again: it will hold the same requests again. */
  dropGroup(): void {
    for (const queue of this.#inGroup) {
      queue.requests.length = queue.keptCount;
      queue.sizeBytes = queue.keptBytes;
    }
    this.#inGroup.clear();
  }

  /** Empties the queue of a partition. @returns what it held, oldest first. */
  release(partitionId: number): readonly HeldRequest<Channel>[] {
    const queue = this.#queues.get(partitionId);
    this.#queues.delete(partitionId);
    return queue?.requests ?? [];
  }
}

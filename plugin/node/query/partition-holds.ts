import type { RoutingTable } from '../../../src/routing/routing-table.ts';
import type { PendingQuery } from './query-pending.ts';
import type { RequestsInFlight } from './requests-in-flight.ts';
import { type StorageLink, type StorageLinks, takesQueries } from './storage-links.ts';

/** First pause before a refused request is tried again by the same map, doubled up to the second. */
const RETRY_PAUSE_MS_MIN = 5;
const RETRY_PAUSE_MS_MAX = 200;

/**
 * A partition for which nothing is sent for now.
 *
 *   (open) --status 1, new owner, node down--> (held) --drained, and owner reachable, and map newer or pause over--> (open)
 *
 * While requests of the old routing are still on their way, sending to a new owner could overtake them: so first everything
 * in flight is answered, then what is held goes out in its original order.
 */
interface PartitionHold {
  readonly queue: PendingQuery[];
  /** The highest epoch by which a storage node refused; -1 when the hold has another reason. */
  rejectedEpoch: number;
  retryAtMs: number;
  pauseMs: number;
}

/** What holds need of the router that sends for them. */
export interface HoldHost {
  readonly links: StorageLinks;
  readonly retryMs: number;
  readonly table: () => RoutingTable;
  readonly nowMs: () => number;
  readonly inFlight: RequestsInFlight;
  /** Something waits: `sweep` wants to be called every few milliseconds while `count` > 0. */
  readonly onHeld: () => void;
  /** Sends what was encoded before, to the owner by the present map. */
  readonly resend: (pending: PendingQuery, link: StorageLink) => void;
  /** Answers a query whose client has to hear of a loss first. @returns whether it was such a one. */
  readonly tellsLoss: (pending: PendingQuery) => boolean;
  /** Answers a query that has waited for too long. */
  readonly fail: (pending: PendingQuery) => void;
}

/** The partitions that are held now, and whether the owner of each is known to serve it. */
export class PartitionHolds {
  /** Partitions that are held now. */
  count = 0;
  readonly #host: HoldHost;
  readonly #holds: (PartitionHold | null)[];
  /**
   * u8[partition]: 1 until the owner by the present map has taken a request on the present connection. A new owner, or one that
   * has just started, refuses until it serves: of several requests on their way it could refuse the first and do the others.
   * So the first goes alone, and what follows it is held until it is answered.
   */
  readonly #isUnproven: Uint8Array;
  /** Partitions that were refused by the newest epoch there is: the pause before the next try. */
  readonly #pauses = new Map<number, number>();

  constructor(partitionCount: number, host: HoldHost) {
    this.#host = host;
    this.#holds = new Array<PartitionHold | null>(partitionCount).fill(null);
    this.#isUnproven = new Uint8Array(partitionCount).fill(1);
  }

  isHeld(partitionId: number): boolean {
    return this.#holds[partitionId] !== null;
  }

  /** A request was sent: to an owner that is not known to serve nothing follows until it is answered. */
  onSent(partitionId: number): void {
    if (this.#isUnproven[partitionId] === 1) this.open(partitionId);
  }

  /** The owner has taken a request that was sent by `sentEpoch`. */
  onTaken(partitionId: number, sentEpoch: number): void {
    if (this.#pauses.size > 0) this.#pauses.delete(partitionId);
    if (sentEpoch === this.#host.table().epochOf[partitionId]) this.#isUnproven[partitionId] = 0;
  }

  /** Its owner is another, has refused, or is connected anew. */
  onUnproven(partitionId: number): void {
    this.#isUnproven[partitionId] = 1;
  }

  open(partitionId: number): void {
    this.#opened(partitionId);
  }

  /** @param rejectedEpoch by which its owner refused; -1 where it waits for another reason. */
  add(pending: PendingQuery, rejectedEpoch: number): void {
    const hold = this.#opened(pending.partitionId);
    pending.nodeId = -1;
    hold.queue.push(pending);
    if (rejectedEpoch >= 0 && rejectedEpoch >= hold.rejectedEpoch) {
      hold.rejectedEpoch = rejectedEpoch;
      hold.retryAtMs = this.#host.nowMs() + hold.pauseMs;
    }
  }

  #opened(partitionId: number): PartitionHold {
    let hold = this.#holds[partitionId];
    if (hold === null) {
      hold = {
        queue: [],
        rejectedEpoch: -1,
        retryAtMs: 0,
        pauseMs: this.#pauses.get(partitionId) ?? RETRY_PAUSE_MS_MIN,
      };
      this.#holds[partitionId] = hold;
      this.count++;
      this.#host.onHeld();
    }
    return hold;
  }

  /** Sends what a partition holds, in order, if nothing stands against it any more; to an unproven owner the first of it. */
  tryOpen(partitionId: number): void {
    const hold = this.#holds[partitionId];
    const { links, inFlight } = this.#host;
    if (hold === null || inFlight.of(partitionId) > 0) return;
    const table = this.#host.table();
    const link = links.at(table.ownerOf[partitionId]);
    if (!takesQueries(link)) return;
    const isRefusedByThisMap = table.epochOf[partitionId] <= hold.rejectedEpoch;
    if (isRefusedByThisMap && this.#host.nowMs() < hold.retryAtMs) return;
    hold.queue.sort((a, b) => a.order - b.order);
    // Should the same epoch be refused again, the next pause is longer.
    if (isRefusedByThisMap) this.#pauses.set(partitionId, Math.min(RETRY_PAUSE_MS_MAX, hold.pauseMs * 2));
    if (this.#isUnproven[partitionId] === 1 && this.#resendFirst(hold, link)) return;
    this.#holds[partitionId] = null;
    this.count--;
    for (const pending of hold.queue) if (!this.#host.tellsLoss(pending)) this.#host.resend(pending, link);
  }

  /** @returns false if there is none to send: whatever comes next is the first, then. */
  #resendFirst(hold: PartitionHold, link: StorageLink): boolean {
    for (;;) {
      const first = hold.queue.shift();
      if (first === undefined) return false;
      if (this.#host.tellsLoss(first)) continue;
      this.#host.resend(first, link);
      return true;
    }
  }

  /** The connection to a node is made: what it owns has to be proven again, and may go out. */
  onNodeUp(nodeId: number): void {
    const { ownerOf } = this.#host.table();
    for (let p = 0; p < this.#holds.length; p++) if (ownerOf[p] === nodeId) this.#isUnproven[p] = 1;
    for (let p = 0; this.count > 0 && p < this.#holds.length; p++)
      if (this.#holds[p] !== null && ownerOf[p] === nodeId) this.tryOpen(p);
  }

  /** Gives up what has waited too long, opens what can be opened. */
  sweep(): void {
    for (let p = 0; this.count > 0 && p < this.#holds.length; p++) {
      const hold = this.#holds[p];
      if (hold === null) continue;
      this.#failExpired(hold);
      if (hold.queue.length === 0 && this.#host.inFlight.of(p) === 0) {
        this.#holds[p] = null;
        this.count--;
      } else this.tryOpen(p);
    }
  }

  #failExpired(hold: PartitionHold): void {
    const deadlineMs = this.#host.nowMs() - this.#host.retryMs;
    if (!hold.queue.some((pending) => pending.receivedMs < deadlineMs)) return;
    const expired = hold.queue.filter((pending) => pending.receivedMs < deadlineMs);
    const waiting = hold.queue.filter((pending) => pending.receivedMs >= deadlineMs);
    hold.queue.splice(0, hold.queue.length, ...waiting);
    for (const pending of expired) this.#host.fail(pending);
  }
}

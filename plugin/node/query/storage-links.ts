import type { RpcClient } from '../../rpc/client.ts';

/** One storage node, as the router sees it. */
export interface StorageLink {
  readonly nodeId: number;
  readonly rpc: RpcClient;
  inFlightCount: number;
  /** It has said that it ends: what is on its way is still answered, nothing more is sent. */
  isLeaving: boolean;
  /** Monotonic time since when it has been unreachable; NaN while connected. */
  downSinceMs: number;
  /** Monotonic time of its last answer, or of the first request after it had none open. */
  lastAnswerMs: number;
}

export const takesQueries = (link: StorageLink | undefined): link is StorageLink =>
  link?.rpc.isConnected === true && !link.isLeaving;

/** The connections to all storage nodes. */
export class StorageLinks {
  readonly byId = new Map<number, StorageLink>();
  /** Replies are not read for now, so that nobody who has not answered is thought to be stuck. */
  isReadingPaused = false;
  readonly #byNode: (StorageLink | undefined)[] = [];

  at(nodeId: number): StorageLink | undefined {
    return this.#byNode[nodeId];
  }

  add(nodeId: number, rpc: RpcClient, nowMs: number): StorageLink {
    const link: StorageLink = {
      nodeId,
      rpc,
      inFlightCount: 0,
      isLeaving: false,
      downSinceMs: nowMs,
      lastAnswerMs: nowMs,
    };
    this.byId.set(nodeId, link);
    this.#byNode[nodeId] = link;
    return link;
  }

  /** Lets replies wait in the network while a client has more of them than it can take. */
  pauseReading(): void {
    this.isReadingPaused = true;
    for (const { rpc } of this.byId.values()) rpc.pauseReading();
  }

  resumeReading(nowMs: number): void {
    this.isReadingPaused = false;
    for (const link of this.byId.values()) {
      link.lastAnswerMs = nowMs;
      link.rpc.resumeReading();
    }
  }

  /** A node that is connected but has not answered anything for long is as good as down: its connection is made anew. */
  resetStalled(nowMs: number, stallMs: number): void {
    if (this.isReadingPaused) return;
    for (const link of this.byId.values())
      if (link.inFlightCount > 0 && nowMs - link.lastAnswerMs > stallMs)
        link.rpc.reset(new Error(`storage node ${link.nodeId} has not answered for ${stallMs} ms`));
  }
}

import type { PendingQuery } from './query-pending.ts';
import type { StorageLink } from './storage-links.ts';

/** What was sent and is not answered yet, by partition; every link counts its own beside it. */
export class RequestsInFlight {
  readonly #all: Int32Array;
  readonly #writes: Int32Array;

  constructor(partitionCount: number) {
    this.#all = new Int32Array(partitionCount);
    this.#writes = new Int32Array(partitionCount);
  }

  of(partitionId: number): number {
    return this.#all[partitionId];
  }

  writesOf(partitionId: number): number {
    return this.#writes[partitionId];
  }

  sent(pending: PendingQuery, link: StorageLink, nowMs: number): void {
    if (link.inFlightCount++ === 0) link.lastAnswerMs = nowMs;
    this.#all[pending.partitionId]++;
    if (pending.isWrite) this.#writes[pending.partitionId]++;
  }

  /** Or nobody will answer it any more. */
  answered(pending: PendingQuery, link: StorageLink): void {
    link.inFlightCount--;
    this.#all[pending.partitionId]--;
    if (pending.isWrite) this.#writes[pending.partitionId]--;
  }
}

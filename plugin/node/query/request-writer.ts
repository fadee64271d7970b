import { DataRequestBatch, REQUEST_FLAG_RESP3 } from '../../rpc/data.ts';
import type { PendingQuery } from './query-pending.ts';
import type { StorageLink } from './storage-links.ts';

const flagsOf = (pending: PendingQuery): number => (pending.isResp3 ? REQUEST_FLAG_RESP3 : 0);

/** Encodes queries as requests, and keeps where each stands, so that it can be sent again as it is. */
export class RequestWriter {
  /** Encodes what cannot be sent yet; its frames go nowhere. */
  readonly #parkingBatch = new DataRequestBatch(() => {});

  /**
   * The caller appends the arguments to the batch, then calls `end`.
   *
   * @param link null: it has to wait.
   */
  begin(
    pending: PendingQuery,
    link: StorageLink | null,
    minLsn: number,
    argumentCount: number,
    argumentBytes: number,
  ): DataRequestBatch {
    const batch = link === null ? this.#parkingBatch : link.rpc.requests;
    batch.begin(
      pending.id,
      pending.partitionId,
      pending.commandIndex,
      flagsOf(pending),
      pending.sentEpoch,
      minLsn,
      argumentCount,
      argumentBytes,
    );
    return batch;
  }

  end(pending: PendingQuery, batch: DataRequestBatch): void {
    pending.request = batch.buffer;
    pending.requestStart = batch.requestStart;
    pending.requestEnd = batch.length;
    batch.end();
    if (batch === this.#parkingBatch) batch.takeFrames();
  }

  /** Sends what was encoded before, by the epoch that it has now. */
  resend(pending: PendingQuery, link: StorageLink): void {
    const { request, requestStart, requestEnd, sentEpoch } = pending;
    link.rpc.requests.resend(request, requestStart, requestEnd, flagsOf(pending), sentEpoch, 0);
  }
}

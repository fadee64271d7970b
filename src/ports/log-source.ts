import type { QueryRecord } from '../model/query-log.ts';

/** Where query records come from: the capture ring of a query node, or a reader of a foreign log. */
export interface LogSource {
  /** Hands over, in order, what has come since the last call. */
  drain(onRecord: (record: QueryRecord) => void): DrainResult;
}

export interface DrainResult {
  readonly recordCount: number;
  /** Queries that were offered but not recorded since the last call: the ring was full. */
  readonly droppedCount: number;
}

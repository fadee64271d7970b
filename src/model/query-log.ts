/** How a query ended. The number is its code in the capture ring. */
export const QUERY_OUTCOMES = ['ok', 'error', 'redirected', 'unavailable'] as const;
export type QueryOutcome = (typeof QUERY_OUTCOMES)[number];

/**
 * One captured query, decoded. A query over several partitions is one record for each of them.
 * Values are never recorded; the key only as a truncated prefix, for finding its template, and as a hash, for finding hot keys.
 */
export interface QueryRecord {
  /** Wall clock at which the query was received, milliseconds (at a resolution of about one event-loop turn). */
  readonly timeMs: number;
  /** Upper-case command name. */
  readonly command: string;
  /** The first bytes of the (first) key, latin-1; at most KEY_PREFIX_BYTES. */
  readonly keyPrefix: string;
  /** 32 bits of the whole key, the same on every query node; 0 where hashes are not recorded. */
  readonly keyHash: number;
  readonly partitionId: number;
  readonly nodeId: number;
  /** A number for the client's connection or name, stable while the process lives. */
  readonly clientId: number;
  readonly latencyUs: number;
  readonly requestBytes: number;
  readonly replyBytes: number;
  readonly isWrite: boolean;
  readonly outcome: QueryOutcome;
}

export const KEY_PREFIX_BYTES = 24;

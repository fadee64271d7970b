import type { OpenRecord } from '../step.ts';
import type { ReadVerdict } from './read-guard.ts';

/** Who tells the executor how reads at a migration's target fare; the edge implements it from what query nodes publish. */
export interface ReadWatch {
  /**
   * @param lagEntries log entries the target has yet to apply.
   * Never throws: what cannot be learnt speaks neither for nor against the target.
   */
  verdictOf(record: OpenRecord, lagEntries: number): Promise<ReadVerdict>;
  /** As far as this coordinator has looked; null before. */
  summaryOf(partitionId: number, migrationId: number): ReadSummary | null;
}

/** Counts since the migration's reads began, over all query nodes. */
export interface ReadSummary {
  /** Query nodes that have measured reads, and those of them that route by the present weight. */
  readonly queryNodeCount: number;
  readonly weightKnownCount: number;
  readonly sourceReadCount: number;
  readonly targetReadCount: number;
  readonly targetErrorCount: number;
  readonly targetBehindCount: number;
  readonly shadowComparedCount: number;
  readonly shadowUnequalCount: number;
  /** 99th percentiles, milliseconds; null of no reads. */
  readonly sourceP99Ms: number | null;
  readonly targetP99Ms: number | null;
  /** Why reads should not go to the target, null when they may. */
  readonly redReason: string | null;
}

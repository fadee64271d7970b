import { LATENCY_BUCKET_COUNT, latencyBucket } from '../../../src/migration/reads/read-latency.ts';

/** Reads at one side of a migration. */
export class SideMeter {
  /** All that ended, in whatever way. */
  readCount = 0;
  /** Refused by the node, lost with its connection, or not answered in time. */
  errorCount = 0;
  /** u32[bucket] of those that were answered. */
  readonly latencyCounts = new Uint32Array(LATENCY_BUCKET_COUNT);

  answered(latencyMs: number): void {
    this.readCount++;
    this.latencyCounts[latencyBucket(latencyMs)]++;
  }

  failed(): void {
    this.readCount++;
    this.errorCount++;
  }
}

/** What a query node has measured of one migration's reads since it learnt that its copy can be read. Counts only grow. */
export class ReadMeter {
  readonly partitionId: number;
  readonly migrationId: number;
  /** Wall clock, milliseconds: tells this meter from one of the node's life before. */
  readonly openedAtMs: number;
  readonly source = new SideMeter();
  readonly target = new SideMeter();
  behindCount = 0;
  shadowComparedCount = 0;
  shadowUnequalCount = 0;
  /** Mirrored, but not comparable: a write came between, an expiry, or no answer. */
  shadowSkippedCount = 0;
  evidence = '';
  readWeight = 0;
  /** Monotonic time at which the newest query was read that the owner has answered: copies are no older than it. */
  ownerSeenMs = Number.NEGATIVE_INFINITY;
  /** No read goes to the copy before: it has just failed to answer several. */
  skipUntilMs = Number.NEGATIVE_INFINITY;
  lateInARow = 0;

  constructor(partitionId: number, migrationId: number, openedAtMs: number) {
    this.partitionId = partitionId;
    this.migrationId = migrationId;
    this.openedAtMs = openedAtMs;
  }

  behind(): void {
    this.target.readCount++;
    this.behindCount++;
  }
}

import { z } from 'zod';
import { ForeshardError } from '../../src/base/errors.ts';
import { addCounts } from '../../src/migration/reads/read-guard.ts';
import { LATENCY_BUCKET_COUNT, latencyQuantileMs } from '../../src/migration/reads/read-latency.ts';
import type { ReadSummary } from '../../src/migration/reads/read-watch.ts';
import { clusterKeys } from './cluster-keys.ts';

const count = z.number().int().nonnegative();
const side = {
  readCount: count,
  errorCount: count,
  /** [bucket] of read-latency.ts, without the zeros at the end. */
  latencyCounts: z.array(count).max(LATENCY_BUCKET_COUNT),
};
const migration = z.object({
  partitionId: count,
  migrationId: count.min(1),
  openedAtMs: z.number(),
  readWeight: z.number().min(0).max(1),
  source: z.object(side),
  target: z.object({ ...side, behindCount: count }),
  shadow: z.object({
    comparedCount: count,
    unequalCount: count,
    skippedCount: count,
    evidence: z.string().max(200),
  }),
});
const latencies = z.array(z.number().nonnegative()).max(LATENCY_BUCKET_COUNT);
/** [bucket] of read-latency.ts, without the zeros at the end: since `openedAtMs`, and those without a migration. */
const node = z.object({
  nodeId: count,
  openedAtMs: z.number(),
  reads: latencies,
  writes: latencies,
  calmReads: latencies,
  calmWrites: latencies,
  calmPerSecond: z.number().nonnegative(),
});
const report = z.object({
  v: z.literal(1),
  atMs: z.number(),
  migrations: z.array(migration).max(16_384),
  /** Storage nodes that a migration reads from or writes to. */
  nodes: z.array(node).max(4096).default([]),
});

/**
 * `reads/<query node>`: what a query node has measured of the reads of each migration whose copy can be read, and of the
 * storage nodes that copies burden. Counts only grow for as long as `openedAtMs` stays; there while such migrations are open,
 * and no longer.
 */
export type ReadReport = z.output<typeof report>;
export type MigrationReads = z.output<typeof migration>;
export type NodeLatencyReport = z.output<typeof node>;

export const readReportPrefix = (clusterName: string): string =>
  clusterKeys(clusterName).mapPrefix.replace(/map\/$/, 'reads/');
export const readReportKey = (clusterName: string, nodeId: number): string =>
  `${readReportPrefix(clusterName)}${nodeId}`;

export const encodeReadReport = (value: ReadReport): Uint8Array =>
  new TextEncoder().encode(JSON.stringify(value));

/** @throws ForeshardError FORESHARD_CORRUPT naming the key. */
export function decodeReadReport(key: string, bytes: Uint8Array): ReadReport {
  try {
    return report.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)));
  } catch (cause) {
    throw new ForeshardError('FORESHARD_CORRUPT', 'report', `${key} is not a report of reads`, { cause });
  }
}

/** @param reads of one migration, by each query node that has measured any. */
export function summariseReads(
  reads: readonly MigrationReads[],
  { readWeight, redReason }: { readonly readWeight: number; readonly redReason: string | null },
): ReadSummary {
  const sum = (pick: (of: MigrationReads) => number): number =>
    reads.reduce((total, of) => total + pick(of), 0);
  const p99Ms = (side: 'source' | 'target'): number | null => {
    const counts = reads.map((of) => of[side].latencyCounts).reduce<readonly number[]>(addCounts, []);
    const quantile = latencyQuantileMs(counts, 0.99);
    return Number.isNaN(quantile) ? null : quantile;
  };
  return {
    queryNodeCount: reads.length,
    weightKnownCount: reads.filter((of) => of.readWeight === readWeight).length,
    sourceReadCount: sum(({ source }) => source.readCount),
    targetReadCount: sum(({ target }) => target.readCount),
    targetErrorCount: sum(({ target }) => target.errorCount),
    targetBehindCount: sum(({ target }) => target.behindCount),
    shadowComparedCount: sum(({ shadow }) => shadow.comparedCount),
    shadowUnequalCount: sum(({ shadow }) => shadow.unequalCount),
    sourceP99Ms: p99Ms('source'),
    targetP99Ms: p99Ms('target'),
    redReason,
  };
}

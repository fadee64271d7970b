import { z } from 'zod';
import { ForeshardError } from '../../src/base/errors.ts';
import { LATENCY_BUCKET_COUNT } from '../../src/migration/read-latency.ts';
import { clusterKeys } from './cluster-map.ts';

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
const report = z.object({ v: z.literal(1), atMs: z.number(), migrations: z.array(migration).max(16_384) });

/**
 * `reads/<query node>`: what a query node has measured of the reads of each migration whose copy can be read. Counts only
 * grow for as long as `openedAtMs` stays; there while such migrations are open, and no longer.
 */
export type ReadReport = z.output<typeof report>;
export type MigrationReads = z.output<typeof migration>;

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

import type { Logger } from '../../src/base/logger.ts';
import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import { decodeRecord, encodeRecord } from '../host/records/json-record.ts';
import { capturePrefix } from '../host/records/record-keys.ts';
import { LatencyBuckets, type LatencyCounts } from './latency-buckets.ts';

/** How often a captured application says that it is there. */
export const PULSE_INTERVAL_MS = 1_000;
/** An application that has been silent for so long has gone, or cannot reach the store. */
const PULSE_FRESH_MS = 5_000;

/** `capture/<capture id>` in the metadata store, as JSON: one captured application process, a second ago. */
export interface PulseRecord {
  readonly v: 1;
  readonly atMs: number;
  /** What the application calls itself. */
  readonly application: string;
  readonly host: string;
  readonly pid: number;
  readonly startedMs: number;
  /** Why nothing is captured any more; null while all is well. */
  readonly fault: string | null;
  /** Since it started. */
  readonly capturedCount: number;
  readonly droppedCount: number;
  readonly keylessCount: number;
  /** Of the queries since the last pulse that do not wait for other clients. */
  readonly intervalMs: number;
  readonly latency: LatencyCounts;
}

export const encodePulse = (pulse: PulseRecord): Uint8Array => encodeRecord(pulse);

/** @throws ForeshardError FORESHARD_CORRUPT when it is not what encodePulse wrote. */
export const decodePulse = (key: string, bytes: Uint8Array): PulseRecord =>
  decodeRecord(key, bytes, (record: PulseRecord) => record.v === 1 && Array.isArray(record.latency));

export interface CapturedProcess extends PulseRecord {
  readonly captureId: number;
}

/** What the captured applications of a cluster see of it now, for whoever moves its data. */
export interface ClientView {
  readonly processes: readonly CapturedProcess[];
  readonly queriesPerSecond: number;
  /** Over all processes, exact but for the buckets' width; null where nothing was asked. */
  readonly p50Us: number | null;
  readonly p99Us: number | null;
}

/** @param options.nowMs processes that have been silent for longer than PULSE_FRESH_MS are left out. */
export async function readClientView(
  metadata: Pick<MetadataStore, 'list'>,
  options: { readonly clusterName: string; readonly nowMs: number; readonly logger: Logger },
): Promise<ClientView> {
  const prefix = capturePrefix(options.clusterName);
  const { entries } = await metadata.list(prefix);
  const processes = entries.flatMap(({ key, value }): CapturedProcess[] => {
    try {
      return [{ captureId: Number(key.slice(prefix.length)), ...decodePulse(key, value) }];
    } catch (error) {
      // One bad value costs its process, not the view.
      options.logger.warn({ key, fault: (error as Error).message }, 'a captured process cannot be read');
      return [];
    }
  });
  const fresh = processes.filter(({ atMs }) => options.nowMs - atMs <= PULSE_FRESH_MS);
  const buckets = new LatencyBuckets();
  let queriesPerSecond = 0;
  for (const { latency, intervalMs } of fresh) {
    buckets.addCounts(latency);
    queriesPerSecond += (latency.reduce((sum, [, count]) => sum + count, 0) * 1000) / Math.max(1, intervalMs);
  }
  return {
    processes: fresh,
    queriesPerSecond,
    p50Us: buckets.quantileUs(0.5),
    p99Us: buckets.quantileUs(0.99),
  };
}

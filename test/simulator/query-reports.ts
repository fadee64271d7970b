/**
 * What clients measure of reads at copies, as query nodes do for theirs, with the real meters; and what a coordinator reads of
 * it: the newest counts, as long as the metadata store answers it.
 */
import type { KeyedReport } from '../../plugin/host/coordinator/read-reports.ts';
import { ReadMeter } from '../../plugin/node/query/read-meter.ts';
import { readsOf } from '../../plugin/node/query/read-reporter.ts';
import type { Random } from '../../src/base/random.ts';
import { LATENCY_BUCKET_COUNT } from '../../src/migration/reads/read-latency.ts';
import type { ClientWatch, LatencyCounts } from '../../src/migration/throttle/client-latency.ts';
import type { PartitionRecord } from '../../src/model/migration.ts';
import type { SimClock } from './clock.ts';

/** How a read at a migration's target ended. */
interface CopyRead {
  readonly atMs: number;
  readonly isLost: boolean;
}

export class QueryReports {
  readonly #clock: SimClock;
  readonly #wallMs: () => number;
  /** By client, and `partition/migration`. */
  readonly #meters = new Map<string, Map<string, ReadMeter>>();
  readonly #copyReads = new Map<string, CopyRead[]>();

  constructor(clock: SimClock, wallMs: () => number) {
    this.#clock = clock;
    this.#wallMs = wallMs;
  }

  /** @returns null where no copy can be read, and nothing has to be measured. */
  meterOf(client: string, { partitionId, migration }: PartitionRecord): ReadMeter | null {
    if (migration?.phase !== 'SHIFT') return null;
    const meters = this.#meters.get(client) ?? new Map<string, ReadMeter>();
    this.#meters.set(client, meters);
    const name = `${partitionId}/${migration.migrationId}`;
    const meter = meters.get(name) ?? new ReadMeter(partitionId, migration.migrationId, this.#wallMs());
    meters.set(name, meter);
    meter.readWeight = migration.readWeight;
    return meter;
  }

  copyRead({ partitionId, migrationId }: ReadMeter, isLost: boolean): void {
    const name = `${partitionId}/${migrationId}`;
    const reads = this.#copyReads.get(name) ?? [];
    this.#copyReads.set(name, reads);
    reads.push({ atMs: this.#clock.nowMs(), isLost });
  }

  /** How many reads at the target were lost in that time, if all were; else 0. */
  lostInARow(
    partitionId: number,
    migrationId: number,
    [sinceMs, untilMs]: readonly [number, number],
  ): number {
    const reads = this.#copyReads.get(`${partitionId}/${migrationId}`) ?? [];
    const within = reads.filter(({ atMs }) => atMs >= sinceMs && atMs < untilMs);
    return within.every(({ isLost }) => isLost) ? within.length : 0;
  }

  read(): readonly KeyedReport[] {
    return [...this.#meters].map(([client, meters]) => [
      client,
      { v: 1, atMs: this.#wallMs(), migrations: [...meters.values()].map(readsOf), nodes: [] },
    ]);
  }
}

const QUERIES_A_LOOK = 200;
const [CALM_BUCKET, SLOW_BUCKET] = [20, 40];

/** Clients are too few here to say anything of a 99th percentile: whether a copy hurts them is drawn. */
export function drawnDistress(random: Random, distressShare: number): ClientWatch {
  const counts = (bucket: number): number[] =>
    Array.from({ length: LATENCY_BUCKET_COUNT }, (_, i) => (i === bucket ? QUERIES_A_LOOK : 0));
  const calm: LatencyCounts = { reads: counts(CALM_BUCKET), writes: counts(CALM_BUCKET) };
  let total = calm;
  return {
    latencyOf: async () => {
      const bucket = random.nextFloat() < distressShare ? SLOW_BUCKET : CALM_BUCKET;
      const grown = (before: readonly number[]): number[] =>
        before.map((count, i) => count + (i === bucket ? QUERIES_A_LOOK : 0));
      total = { reads: grown(total.reads), writes: grown(total.writes) };
      return { total, calm, calmPerSecond: QUERIES_A_LOOK };
    },
  };
}

import type { Clock } from '../../src/base/clock.ts';
import type { Logger } from '../../src/base/logger.ts';
import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import { encodeReadReport, type MigrationReads, readReportKey } from '../metadata/read-report.ts';
import type { ReadMeter, SideMeter } from './read-meter.ts';

/** The coordinator judges windows twice as long. */
const REPORT_MS = 250;

export interface ReadReporterComponents {
  readonly clusterId: string;
  readonly nodeId: number;
  readonly metadata: MetadataStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meters: () => Iterable<ReadMeter>;
}

/** Publishes what a query node measures of reads in migrations, while there are any and when it has changed. */
export class ReadReporter {
  readonly #components: ReadReporterComponents;
  readonly #timer: NodeJS.Timeout;
  readonly #key: string;
  #published = '';
  #publishing: Promise<void> | null = null;

  constructor(components: ReadReporterComponents) {
    this.#components = components;
    this.#key = readReportKey(components.clusterId, components.nodeId);
    this.#timer = setInterval(() => this.#onTimer(), REPORT_MS);
    this.#timer.unref();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#publishing;
  }

  #onTimer(): void {
    if (this.#publishing !== null) return;
    const migrations = [...this.#components.meters()].map(readsOf);
    const text = migrations.length === 0 ? '' : JSON.stringify(migrations);
    if (text === this.#published) return;
    this.#publishing = this.#publish(migrations)
      .then(() => {
        this.#published = text;
      })
      .catch((error: Error) =>
        this.#components.logger.warn(
          { error: error.message },
          'what this node measures of reads at copies could not be published',
        ),
      )
      .finally(() => {
        this.#publishing = null;
      });
  }

  async #publish(migrations: readonly MigrationReads[]): Promise<void> {
    const { metadata, clock } = this.#components;
    const key = this.#key;
    const value = encodeReadReport({ v: 1, atMs: clock.nowMs(), migrations: [...migrations] });
    await metadata.commit({
      conditions: [],
      writes: [migrations.length === 0 ? { kind: 'delete', key } : { kind: 'put', key, value }],
    });
  }
}

function readsOf(meter: ReadMeter): MigrationReads {
  return {
    partitionId: meter.partitionId,
    migrationId: meter.migrationId,
    openedAtMs: meter.openedAtMs,
    // f32 in the routing table: 0.05 comes back as 0.05000000074505806
    readWeight: Number(meter.readWeight.toFixed(6)),
    source: sideOf(meter.source),
    target: { ...sideOf(meter.target), behindCount: meter.behindCount },
    shadow: {
      comparedCount: meter.shadowComparedCount,
      unequalCount: meter.shadowUnequalCount,
      skippedCount: meter.shadowSkippedCount,
      evidence: meter.evidence,
    },
  };
}

function sideOf({ readCount, errorCount, latencyCounts }: SideMeter): MigrationReads['source'] {
  const last = latencyCounts.findLastIndex((count) => count > 0);
  return { readCount, errorCount, latencyCounts: [...latencyCounts.subarray(0, last + 1)] };
}

import type { Clock } from '../../../src/base/clock.ts';
import type { Logger } from '../../../src/base/logger.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import type { RoutingTable } from '../../../src/routing/routing-table.ts';
import {
  encodeReadReport,
  type MigrationReads,
  type NodeLatencyReport,
  readReportKey,
} from '../../metadata/read-report.ts';
import type { NodeLatencies, NodeLatencyMeter } from './node-latency.ts';
import type { ReadMeter, SideMeter } from './read-meter.ts';

/** The coordinator judges windows twice as long. */
const REPORT_MS = 250;
/** In a grace nobody is hurt: it is only seen where the load has gone. */
const GRACE_REPORT_MS = 5_000;

export interface ReadReporterComponents {
  readonly clusterId: string;
  readonly nodeId: number;
  readonly metadata: MetadataStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meters: () => Iterable<ReadMeter>;
  readonly latencies: NodeLatencies;
  readonly table: () => Pick<RoutingTable, 'busyNodes' | 'movedNodes'>;
}

/** Publishes what a query node measures of migrations and of their nodes, while there are any and when it has changed. */
export class ReadReporter {
  readonly #components: ReadReporterComponents;
  readonly #timer: NodeJS.Timeout;
  readonly #key: string;
  #published = '';
  #publishedAtMs = Number.NEGATIVE_INFINITY;
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
    const { clock, latencies, meters, table } = this.#components;
    const { busyNodes, movedNodes } = table();
    const nowMs = clock.monotonicMs();
    latencies.learn(nowMs, busyNodes);
    const isSlow = busyNodes.size === 0 && movedNodes.size > 0;
    if (this.#publishing !== null || (isSlow && nowMs - this.#publishedAtMs < GRACE_REPORT_MS)) return;
    this.#publishedAtMs = nowMs;
    const measured = {
      migrations: [...meters()].map(readsOf),
      nodes: latencies.of(movedNodes).map(latencyOf),
    };
    const isNothing = measured.migrations.length === 0 && measured.nodes.length === 0;
    const text = isNothing ? '' : JSON.stringify(measured);
    if (text === this.#published) return;
    this.#publishing = this.#publish(isNothing ? null : measured)
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

  /** @param measured null: the report is taken away. */
  async #publish(
    measured: { readonly migrations: MigrationReads[]; readonly nodes: NodeLatencyReport[] } | null,
  ): Promise<void> {
    const { metadata, clock } = this.#components;
    const key = this.#key;
    const value = measured && encodeReadReport({ v: 1, atMs: clock.nowMs(), ...measured });
    await metadata.commit({
      conditions: [],
      writes: [value === null ? { kind: 'delete', key } : { kind: 'put', key, value }],
    });
  }
}

/** As it is published. */
export function readsOf(meter: ReadMeter): MigrationReads {
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

function latencyOf(meter: NodeLatencyMeter): NodeLatencyReport {
  const { nodeId, openedAtMs, calmPerSecond } = meter;
  return {
    nodeId,
    openedAtMs,
    reads: withoutTail(meter.reads),
    writes: withoutTail(meter.writes),
    calmReads: withoutTail(meter.calmReads.map(Math.round)),
    calmWrites: withoutTail(meter.calmWrites.map(Math.round)),
    calmPerSecond: Math.round(calmPerSecond),
  };
}

const sideOf = ({ readCount, errorCount, latencyCounts }: SideMeter): MigrationReads['source'] => ({
  readCount,
  errorCount,
  latencyCounts: withoutTail(latencyCounts),
});

const withoutTail = (counts: Uint32Array | Float64Array): number[] => [
  ...counts.subarray(0, counts.findLastIndex((count) => count > 0) + 1),
];

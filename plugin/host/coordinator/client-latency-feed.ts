import { addCounts } from '../../../src/migration/reads/read-guard.ts';
import type { ClientWatch, NodeLatency } from '../../../src/migration/throttle/client-latency.ts';
import type { NodeId } from '../../../src/model/ids.ts';
import type { ReadReports } from './read-reports.ts';

const NOTHING = { reads: [] as readonly number[], writes: [] as readonly number[] };

/** Adds up what all query nodes have published of a storage node's latencies. */
export class ClientLatencyFeed implements ClientWatch {
  readonly #reports: ReadReports;

  constructor(reports: ReadReports) {
    this.#reports = reports;
  }

  async latencyOf(nodeId: NodeId): Promise<NodeLatency | null> {
    const reports = (await this.#reports.read()) ?? [];
    const told = reports.flatMap(([, { nodes }]) => nodes.filter((node) => node.nodeId === nodeId));
    if (told.length === 0) return null;
    let [total, calm, calmPerSecond] = [NOTHING, NOTHING, 0];
    for (const node of told) {
      total = { reads: addCounts(total.reads, node.reads), writes: addCounts(total.writes, node.writes) };
      calm = {
        reads: addCounts(calm.reads, node.calmReads),
        writes: addCounts(calm.writes, node.calmWrites),
      };
      calmPerSecond += node.calmPerSecond;
    }
    return { total, calm, calmPerSecond };
  }
}

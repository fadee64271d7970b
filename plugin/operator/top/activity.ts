/** What storage nodes are asked right now: two readings of their counts, and the time between. */
import type { MigrationTransport } from '../../engines/migration-agent/migration-transport.ts';
import {
  ACTIVITY_OPERATION,
  type NodeActivity,
  parseActivity,
} from '../../node/storage/partition-activity.ts';

/** Null: it did not answer. */
export type Reading = ReadonlyMap<number, NodeActivity | null>;

export interface NodeRate {
  readonly cpuShare: number;
  /** f64[partition], requests a second. */
  readonly perSecondOf: Float64Array;
}

export async function readActivity(
  transport: MigrationTransport,
  nodeIds: readonly number[],
  partitionCount: number,
): Promise<Reading> {
  return new Map(
    await Promise.all(
      nodeIds.map(async (nodeId): Promise<[number, NodeActivity | null]> => {
        try {
          const reply = await transport.request(nodeId, ACTIVITY_OPERATION, {});
          return [nodeId, parseActivity(reply, partitionCount)];
        } catch {
          return [nodeId, null]; // shown as silent: the others are worth looking at
        }
      }),
    ),
  );
}

/** Null where it did not answer twice, or was started anew between. */
export function rateOf(
  before: NodeActivity | null | undefined,
  after: NodeActivity | null | undefined,
): NodeRate | null {
  if (!before || !after || before.servedOf.length !== after.servedOf.length) return null;
  const seconds = (after.atMs - before.atMs) / 1000;
  const perSecondOf = after.servedOf.map((served, p) => (served - (before.servedOf[p] as number)) / seconds);
  if (!(seconds > 0) || perSecondOf.some((rate) => rate < 0)) return null;
  return { cpuShare: Math.max(0, (after.cpuSeconds - before.cpuSeconds) / seconds), perSecondOf };
}

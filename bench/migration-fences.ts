/** How long writes wait at the fence, by the stores' own role changes: nodes and coordinator in one process. */
import type { PartitionMeta } from '../src/ports/partition-store.ts';
import { keySlot } from '../src/routing/key-slot.ts';
import { MigrationCluster, QUICK_SETTINGS } from './migration-cluster.ts';
import type { BenchResult } from './types.ts';

const VALUE_BYTES = 200;
/** Of 16 partitions, one of the first node's. */
const PARTITION = 4;
const KEY_COUNT = 50;

/** Moves a small partition to and fro under writes: the length of a fence does not depend on the size. */
export async function measureFences(rounds: number): Promise<BenchResult[]> {
  const cluster = await MigrationCluster.open(2, { ...QUICK_SETTINGS, readWeightSteps: [], graceMs: 10 });
  try {
    const { durationsMs, syncMs } = watchFences(cluster);
    fillFew(cluster, tagOf(PARTITION));
    for (let round = 0, owner = 0; round < rounds; round++, owner = 1 - owner)
      await moveUnderWrites(cluster, PARTITION, owner);
    const baselineValue = quantile(syncMs, 0.5);
    return ([0.5, 0.99] as const).map((share) => {
      const value = quantile(durationsMs, share);
      return {
        name: 'time a partition is fenced',
        metric: `p${share * 100}`,
        value,
        unit: 'ms',
        baseline: 'one synced transaction of the source store',
        baselineValue,
        ratio: value / baselineValue,
        settings: { fenceCount: durationsMs.length },
        // Nothing is computed here but times; how many hand-overs there were is what two runs have in common.
        hash: durationsMs.length.toString(16).padStart(4, '0'),
      };
    });
  } finally {
    await cluster.close();
  }
}

/** From the fence on the source to the new owner on the target, by the stores' own role changes. */
function watchFences(cluster: MigrationCluster): {
  readonly durationsMs: number[];
  readonly syncMs: number[];
} {
  const durationsMs: number[] = [];
  const syncMs: number[] = [];
  const fencedAtMs = new Map<number, number>();
  for (const nodeId of [0, 1]) {
    const store = cluster.storeOf(nodeId);
    const updateMeta = store.updateMeta.bind(store);
    store.updateMeta = async (partitionId, change) => {
      const before: PartitionMeta = store.meta(partitionId);
      const startMs = performance.now();
      const after = await updateMeta(partitionId, change);
      const nowMs = performance.now();
      if (before.role === after.role) return after;
      syncMs.push(nowMs - startMs);
      if (after.role === 'FENCED') fencedAtMs.set(partitionId, startMs);
      const fencedMs = fencedAtMs.get(partitionId);
      if (after.role === 'OWNER' && fencedMs !== undefined) {
        durationsMs.push(nowMs - fencedMs);
        fencedAtMs.delete(partitionId);
      }
      return after;
    };
  }
  return { durationsMs, syncMs };
}

async function moveUnderWrites(cluster: MigrationCluster, partitionId: number, owner: number): Promise<void> {
  await cluster.move(partitionId, 1 - owner);
  const tag = tagOf(partitionId);
  const asked = cluster.waitUntilStable(60_000).then(() => true);
  for (let i = 0, isOver = false; !isOver; i++) {
    const nodeId = [0, 1].find((id) => cluster.storeOf(id).meta(partitionId).role === 'OWNER');
    if (nodeId !== undefined)
      cluster.write(nodeId, [{ key: `${tag}:${i % KEY_COUNT}`, value: Buffer.alloc(VALUE_BYTES, i) }]);
    const pause = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 4));
    isOver = await Promise.race([asked, pause]);
  }
}

function fillFew(cluster: MigrationCluster, tag: string): void {
  cluster.write(
    0,
    Array.from({ length: KEY_COUNT }, (_, i) => ({ key: `${tag}:${i}`, value: Buffer.alloc(VALUE_BYTES) })),
  );
}

function tagOf(partitionId: number): string {
  for (let i = 0; ; i++) {
    const tag = Buffer.from(`{t${i}}`);
    if (keySlot(tag, 0, tag.length) >> 10 === partitionId) return String(tag);
  }
}

const quantile = (values: readonly number[], share: number): number =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] as number;

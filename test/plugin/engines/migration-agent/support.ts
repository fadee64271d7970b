/** Two real LMDB stores over real sockets in one process, of which the first owns what is moved. */
import { suite, type Test } from 'uvu';
import { MigrationCluster, QUICK_SETTINGS } from '../../../../bench/migration-cluster.ts';
import type { MigrationSettings } from '../../../../src/migration/settings.ts';
import { keySlot } from '../../../../src/routing/key-slot.ts';

/** Node 0 of two owns partitions 0..7 of 16. */
export const PARTITION = 3;

export interface ClusterContext {
  cluster: MigrationCluster | null;
}

/** Whatever a test opens is closed after it. */
export function clusterSuite(name: string): Test<ClusterContext> {
  const test = suite<ClusterContext>(name);
  test.before.each((context) => {
    context.cluster = null;
  });
  test.after.each(async (context) => {
    await context.cluster?.close();
  });
  return test;
}

export async function open(
  context: ClusterContext,
  settings: Partial<MigrationSettings> = {},
): Promise<MigrationCluster> {
  context.cluster = await MigrationCluster.open(2, { ...QUICK_SETTINGS, ...settings });
  return context.cluster;
}

/** A tag whose slot lies in the partition. */
export function tagOf(partitionId: number): string {
  for (let i = 0; ; i++) {
    const tag = Buffer.from(`{t${i}}`);
    if (keySlot(tag, 0, tag.length) >> 10 === partitionId) return String(tag);
  }
}

export const TAG = tagOf(PARTITION);

/** How long a query node that has just started takes to know the map: 16,384 records, read, validated, made a routing table. */
import { createHash } from 'node:crypto';
import { ClusterMapReader } from '../plugin/metadata/cluster-map.ts';
import { bootstrapCluster } from '../plugin/metadata/form-cluster.ts';
import type { MetadataStore } from '../src/ports/metadata-store.ts';
import { buildRoutingTable } from '../src/routing/routing-table.ts';
import { median } from './median.ts';
import type { BenchResult } from './types.ts';

const CLUSTER = 'bench';
const MAP_PREFIX = `/foreshard/v1/${CLUSTER}/map/`;
const NODE_COUNT = 8;

/**
 * @param open a new handle, as a process that starts has.
 * @param readRaw reads the same keys and values by the store's own client and looks at none. @returns how many there were.
 */
export async function coldRouter(
  name: string,
  isSmall: boolean,
  {
    open,
    readRaw,
    baseline,
  }: {
    readonly open: () => MetadataStore;
    readonly readRaw: (prefix: string) => Promise<number>;
    readonly baseline: string;
  },
): Promise<BenchResult> {
  const partitionCount = isSmall ? 1_024 : 16_384;
  const rounds = isSmall ? 2 : 5;
  const former = open();
  const nodes = Array.from({ length: NODE_COUNT }, (_, nodeId) => ({ nodeId, storeId: `store-${nodeId}` }));
  await bootstrapCluster(former, CLUSTER, { partitionCount, nodes });
  await former.close();
  const loadMs: number[] = [];
  const rawMs: number[] = [];
  let hash = '';
  for (let round = 0; round < rounds; round++) {
    const rawStartMs = performance.now();
    const count = await readRaw(MAP_PREFIX);
    rawMs.push(performance.now() - rawStartMs);
    if (count !== partitionCount)
      throw new Error(`${count} records were read, ${partitionCount} were written`);
    const startMs = performance.now();
    const store = open();
    const { records, map, quarantined } = await new ClusterMapReader(store, CLUSTER).load();
    buildRoutingTable(records, partitionCount);
    loadMs.push(performance.now() - startMs);
    if (quarantined.length > 0) throw new Error('a record of the bench is not valid');
    hash = createHash('sha256').update(map.ownerOf).digest('hex').slice(0, 8);
    await store.close();
  }
  const [value, baselineValue] = [median(loadMs), median(rawMs)];
  return {
    name: `${name}: the map of a cold router`,
    metric: 'open, read, validate, build the routing table',
    value,
    unit: 'ms',
    baseline,
    baselineValue,
    ratio: value / baselineValue,
    settings: { partitionCount, rounds },
    hash,
  };
}

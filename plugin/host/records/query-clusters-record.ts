import type { Association } from '../../../src/analyzer/patterns/associations.ts';
import type { ClusterEvent } from '../../../src/analyzer/patterns/cluster-names.ts';
import type { CoAccessReport } from '../../../src/analyzer/patterns/co-access.ts';
import type { TypeCluster } from '../../../src/analyzer/patterns/window-patterns.ts';
import { decodeRecord, encodeRecord } from './json-record.ts';
import { packHours } from './query-hours-record.ts';

/** So that the largest record stays below the 64 KiB a metadata value may have. */
const CLUSTERS_MAX = 16;
const TEMPLATES_MAX = 8;
const EVENTS_MAX = 12;
const PAIRS_MAX = 64;

/**
 * `query-clusters/<query node>` in the metadata store, as JSON: which query types come at the same hours or are about the same
 * things, what became of these clusters, and which partitions are used together.
 */
export interface QueryClustersRecord {
  readonly v: 1;
  readonly atMs: number;
  readonly shape: PublishedClusters;
  readonly terms: PublishedClusters;
  /** [partition, partition, recent count, lift]: of one query, of one client, of one query and the client's next. */
  readonly together: readonly PublishedPair[];
  readonly sameClient: readonly PublishedPair[];
  readonly next: readonly PublishedPair[];
}

export interface PublishedClusters {
  readonly clusterCount: number;
  readonly clusters: readonly {
    readonly name: string;
    /** Of all recent queries, 0..1. */
    readonly share: number;
    /** The largest first; there may be more: `templateCount`. */
    readonly templates: readonly string[];
    readonly templateCount: number;
    /** As in `PublishedHours`. */
    readonly peak: number;
    readonly hours: string;
  }[];
  /** The newest last. */
  readonly events: readonly ClusterEvent[];
}

type PublishedPair = readonly [partitionA: number, partitionB: number, recentCount: number, lift: number];

export function encodeQueryClusters(
  clusters: Pick<QueryClustersRecord, 'shape' | 'terms'>,
  coAccess: CoAccessReport,
  about: Pick<QueryClustersRecord, 'atMs'>,
): Uint8Array {
  const record: QueryClustersRecord = {
    v: 1,
    ...about,
    shape: clusters.shape,
    terms: clusters.terms,
    together: publishedPairs(coAccess.together),
    sameClient: publishedPairs(coAccess.sameClient),
    next: publishedPairs(coAccess.next),
  };
  return encodeRecord(record);
}

/** @throws ForeshardError FORESHARD_CORRUPT when it is not what encodeQueryClusters wrote. */
export const decodeQueryClusters = (key: string, bytes: Uint8Array): QueryClustersRecord =>
  decodeRecord(
    key,
    bytes,
    (record: QueryClustersRecord) => record.v === 1 && Array.isArray(record.shape?.clusters),
  );

export function publishedClusters({
  clusters,
  events,
}: {
  readonly clusters: readonly TypeCluster[];
  readonly events: readonly ClusterEvent[];
}): PublishedClusters {
  return {
    clusterCount: clusters.length,
    clusters: clusters.slice(0, CLUSTERS_MAX).map(({ name, share, templates, hours }) => {
      const { template: _, ...packed } = packHours({ template: name, hours });
      return {
        name,
        share: Number(share.toFixed(4)),
        templates: templates.slice(0, TEMPLATES_MAX),
        templateCount: templates.length,
        ...packed,
      };
    }),
    events: events.slice(-EVENTS_MAX),
  };
}

const publishedPairs = (pairs: readonly Association[]): PublishedPair[] =>
  pairs
    .slice(0, PAIRS_MAX)
    .map(({ row, column, count, lift }) => [
      row,
      column,
      Number(count.toFixed(1)),
      Number(lift.toPrecision(3)),
    ]);

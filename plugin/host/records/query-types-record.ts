import type { QueryTypeSummary, TypeNode } from '../../../src/analyzer/patterns/query-type-summary.ts';
import { decodeRecord, encodeRecord } from './json-record.ts';

/** What a query node publishes: so that the largest record stays below the 64 KiB a metadata value may have. */
export const PUBLISHED_LIMITS = { typesMax: 64, partitionsMax: 12, clientsMax: 4 } as const;
const PUBLISHED_NODES_MAX = 8;

/** [who, recent count], and the lift where the two go together more often than chance. */
export type PublishedCount<T> = readonly [T, number] | readonly [T, number, number];

/**
 * `query-types/<query node>` in the metadata store, as JSON: who asks what of which data. Pairs instead of objects keep the
 * largest record below what a value may have. Names are patterns of keys: no key is written.
 */
export interface QueryTypesRecord {
  readonly v: 2;
  readonly atMs: number;
  readonly windowMs: number;
  readonly halfLifeWindows: number;
  readonly typeCount: number;
  readonly recentCount: number;
  readonly totalCount: number;
  readonly forgottenCount: number;
  /** Queries that were not captured since the node started. */
  readonly droppedCount: number;
  readonly types: readonly {
    readonly template: string;
    readonly recentCount: number;
    readonly totalCount: number;
    /** The largest first; there may be more: `partitionCount`. */
    readonly partitions: readonly PublishedCount<number>[];
    readonly partitionCount: number;
    /** By the map when it was published. */
    readonly nodes: readonly PublishedCount<number>[];
    readonly nodeCount: number;
    readonly clients: readonly PublishedCount<string>[];
    readonly clientCount: number;
  }[];
}

/** @param nodesOf storage nodes by template, the largest first. */
export function encodeQueryTypes(
  summary: QueryTypeSummary,
  nodesOf: ReadonlyMap<string, readonly TypeNode[]>,
  about: Pick<QueryTypesRecord, 'atMs' | 'windowMs' | 'halfLifeWindows' | 'droppedCount'>,
): Uint8Array {
  const record: QueryTypesRecord = {
    v: 2,
    ...about,
    typeCount: summary.typeCount,
    recentCount: rounded(summary.recentCount),
    totalCount: summary.totalCount,
    forgottenCount: rounded(summary.forgottenCount),
    types: summary.types.map((type) => {
      const nodes = nodesOf.get(type.template) ?? [];
      return {
        template: type.template,
        recentCount: rounded(type.recentCount),
        totalCount: type.totalCount,
        partitions: type.partitions.map((partition) => published(partition.partitionId, partition)),
        partitionCount: type.partitionCount,
        nodes: nodes.slice(0, PUBLISHED_NODES_MAX).map((node) => published(node.nodeId, node)),
        nodeCount: nodes.length,
        clients: type.clients.map((client) => published(client.client, client)),
        clientCount: type.clientCount,
      };
    }),
  };
  return encodeRecord(record);
}

/** @throws ForeshardError FORESHARD_CORRUPT when it is not what encodeQueryTypes wrote. */
export const decodeQueryTypes = (key: string, bytes: Uint8Array): QueryTypesRecord =>
  decodeRecord(key, bytes, (record: QueryTypesRecord) => record.v === 2 && Array.isArray(record.types));

function published<T>(
  who: T,
  { recentCount, lift }: { readonly recentCount: number; readonly lift?: number },
): PublishedCount<T> {
  return lift === undefined
    ? [who, rounded(recentCount)]
    : [who, rounded(recentCount), Number(lift.toPrecision(3))];
}

/** To a tenth of a query: the digits behind it would be most of the record. */
const rounded = (count: number): number => Math.round(count * 10) / 10;

import type { QueryTypeSummary } from '../../src/analyzer/patterns/query-types.ts';
import { ForeshardError } from '../../src/base/errors.ts';

/** What a query node publishes: so that the largest record stays below the 64 KiB a metadata value may have. */
export const PUBLISHED_LIMITS = { typesMax: 64, partitionsMax: 16, clientsMax: 4 } as const;

/**
 * `query-types/<query node>` in the metadata store, as JSON: who asks what of which data. Pairs instead of objects keep the
 * largest record at two thirds of what a value may have. Names are patterns of keys: no key is written.
 */
export interface QueryTypesRecord {
  readonly v: 1;
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
    /** [partition, recent count], the largest first; there may be more: `partitionCount`. */
    readonly partitions: readonly (readonly [number, number])[];
    readonly partitionCount: number;
    /** [client, recent count]. */
    readonly clients: readonly (readonly [string, number])[];
    readonly clientCount: number;
  }[];
}

export function encodeQueryTypes(
  summary: QueryTypeSummary,
  about: Pick<QueryTypesRecord, 'atMs' | 'windowMs' | 'halfLifeWindows' | 'droppedCount'>,
): Uint8Array {
  const record: QueryTypesRecord = {
    v: 1,
    ...about,
    typeCount: summary.typeCount,
    recentCount: rounded(summary.recentCount),
    totalCount: summary.totalCount,
    forgottenCount: rounded(summary.forgottenCount),
    types: summary.types.map((type) => ({
      template: type.template,
      recentCount: rounded(type.recentCount),
      totalCount: type.totalCount,
      partitions: type.partitions.map(
        ({ partitionId, recentCount }) => [partitionId, rounded(recentCount)] as const,
      ),
      partitionCount: type.partitionCount,
      clients: type.clients.map(({ client, recentCount }) => [client, rounded(recentCount)] as const),
      clientCount: type.clientCount,
    })),
  };
  return new TextEncoder().encode(JSON.stringify(record));
}

/** @throws ForeshardError FORESHARD_CORRUPT when it is not what encodeQueryTypes wrote. */
export function decodeQueryTypes(key: string, bytes: Uint8Array): QueryTypesRecord {
  try {
    const record = JSON.parse(new TextDecoder().decode(bytes)) as QueryTypesRecord;
    if (record.v === 1 && Array.isArray(record.types)) return record;
  } catch (cause) {
    throw new ForeshardError('FORESHARD_CORRUPT', 'report', `${key} cannot be read`, { cause });
  }
  throw new ForeshardError('FORESHARD_CORRUPT', 'report', `${key} is of an unknown version`);
}

/** To a tenth of a query: the digits behind it would be most of the record. */
const rounded = (count: number): number => Math.round(count * 10) / 10;

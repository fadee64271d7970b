import { HOURS_PER_WEEK } from '../../../src/analyzer/patterns/hour-of-week.ts';
import type { TypeHours } from '../../../src/analyzer/patterns/window-patterns.ts';
import { decodeRecord, encodeRecord } from './json-record.ts';

/** Types told apart of one storage node, besides "(other)": with 224 characters of hours each, a record stays below 64 KiB. */
export const PUBLISHED_HOURS_TYPES_MAX = 63;
/** Storage nodes that records are published of: with so many, some 3 MB a window. */
export const PUBLISHED_HOURS_NODES_MAX = 128;

/**
 * `query-hours/<storage node>/<query node>` in the metadata store, as JSON: when each query type comes to one storage node, through
 * one query node. All partitions that the storage node owned when it was published.
 */
export interface QueryHoursRecord {
  readonly v: 1;
  readonly atMs: number;
  readonly windowMs: number;
  readonly halfLifeMs: number;
  /** Whether an hour of the week has been watched at all: 168 digits, 0 or 1, Monday 00:00 UTC first. */
  readonly watched: string;
  /** Where it remembers processes that have gone, under `gone` for a query node's id: [hour], when the last such hour that one of them watched began; 0 for none. */
  readonly heardMs?: readonly number[];
  readonly types: readonly PublishedHours[];
}

/** Base64 of one byte for each hour of the week, Monday 00:00 UTC first, as shares of the peak in steps of 1/255. */
export interface PublishedHours {
  readonly template: string;
  /** Queries an hour. */
  readonly peak: number;
  readonly hours: string;
}

export const encodeQueryHours = (
  types: readonly TypeHours[],
  about: Omit<QueryHoursRecord, 'v' | 'types'>,
): Uint8Array => {
  const record: QueryHoursRecord = { v: 1, ...about, types: types.map(packHours) };
  return encodeRecord(record);
};

/** @throws ForeshardError FORESHARD_CORRUPT when it is not what encodeQueryHours wrote. */
export const decodeQueryHours = (key: string, bytes: Uint8Array): QueryHoursRecord =>
  decodeRecord(key, bytes, (record: QueryHoursRecord) => record.v === 1 && Array.isArray(record.types));

export function packHours({ template, hours }: TypeHours): PublishedHours {
  const peak = Number(hours.reduce((max, rate) => Math.max(max, rate), 0).toPrecision(6));
  const bytes = Uint8Array.from(hours, (rate) =>
    peak > 0 ? Math.min(255, Math.round((255 * rate) / peak)) : 0,
  );
  return { template, peak, hours: Buffer.from(bytes).toString('base64') };
}

/** f64[hour], queries an hour. */
export function unpackHours({ peak, hours }: Pick<PublishedHours, 'peak' | 'hours'>): Float64Array {
  const bytes = Buffer.from(hours, 'base64');
  return Float64Array.from({ length: HOURS_PER_WEEK }, (_, h) => (peak * (bytes[h] ?? 0)) / 255);
}

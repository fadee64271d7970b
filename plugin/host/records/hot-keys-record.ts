import type { HotKey } from '../../../src/analyzer/patterns/hot-keys.ts';
import { decodeRecord, encodeRecord } from './json-record.ts';

/**
 * A fifth of a partition on one key makes it lopsided; below a hundred queries a share says nothing.
 */
export const PUBLISHED_HOT_KEYS = { shareMin: 0.2, queriesMin: 100 } as const;
const HOT_KEYS_MAX = 256;

/** `hot-keys/<query node>` in the metadata store, as JSON. */
export interface HotKeysRecord {
  readonly v: 1;
  readonly atMs: number;
  readonly hotKeys: readonly {
    readonly partitionId: number;
    /** The first bytes, as far as capture.keyPrefixBytes goes. */
    readonly keyPrefix: string;
    /** Eight hex digits; tells apart keys of one prefix. */
    readonly keyHash: string;
    readonly queries: number;
    readonly shareMin: number;
    readonly shareMax: number;
  }[];
}

/** @param hotKeys the hottest first. */
export function encodeHotKeys(hotKeys: readonly HotKey[], { atMs }: { readonly atMs: number }): Uint8Array {
  const record: HotKeysRecord = {
    v: 1,
    atMs,
    hotKeys: hotKeys.slice(0, HOT_KEYS_MAX).map((key) => ({
      partitionId: key.partitionId,
      keyPrefix: key.keyPrefix,
      keyHash: key.keyHash.toString(16).padStart(8, '0'),
      queries: Math.round(key.queries),
      shareMin: Number(key.shareMin.toFixed(4)),
      shareMax: Number(key.shareMax.toFixed(4)),
    })),
  };
  return encodeRecord(record);
}

/** @throws ForeshardError FORESHARD_CORRUPT when it is not what encodeHotKeys wrote. */
export const decodeHotKeys = (key: string, bytes: Uint8Array): HotKeysRecord =>
  decodeRecord(key, bytes, (record: HotKeysRecord) => record.v === 1 && Array.isArray(record.hotKeys));

import { z } from 'zod';
import { STORE_STATES } from '../../src/migration/records/records.ts';
import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import { clusterKeys } from './cluster-keys.ts';
import { decodeJson, encodeJson, orNothing } from './json-values.ts';

const storeRecord = z.object({
  state: z.enum(STORE_STATES),
  /** Of one that is being drained: since when, and how many partitions it owned then. */
  sinceMs: z.number().exactOptional(),
  partitionCount: z.number().int().nonnegative().exactOptional(),
  /** Of one that `foreshard remove` has retired: the node that had it, of which nothing else is left. */
  nodeId: z.number().int().nonnegative().exactOptional(),
});
/** `store/<store id>`; a store of which nothing is written is active. */
export type StoreRecord = z.output<typeof storeRecord>;

export const encodeStoreRecord = (value: StoreRecord): Uint8Array => encodeJson(value);

/** @returns the record and its revision; active and 0 where there is none. */
export async function readStoreRecord(
  metadata: MetadataStore,
  clusterName: string,
  storeId: string,
): Promise<{ readonly record: StoreRecord; readonly revision: number }> {
  const entry = await metadata.get(clusterKeys(clusterName).store(storeId));
  if (entry === undefined) return { record: { state: 'active' }, revision: 0 };
  return {
    record: decodeJson(storeRecord, `state of store ${storeId}`, entry.value),
    revision: entry.revision,
  };
}

/** By store id. Records that are not valid are left out. */
export async function listStoreRecords(
  metadata: MetadataStore,
  clusterName: string,
): Promise<Map<string, StoreRecord>> {
  const prefix = clusterKeys(clusterName).storePrefix;
  const { entries } = await metadata.list(prefix);
  return new Map(
    entries.flatMap(({ key, value }) =>
      orNothing(() => decodeJson(storeRecord, key, value)).map(
        (record) => [key.slice(prefix.length), record] as const,
      ),
    ),
  );
}

/** Stores that an operator wants empty. Records that are not valid are left out. */
export async function listDrainingStores(metadata: MetadataStore, clusterName: string): Promise<Set<string>> {
  const stores = await listStoreRecords(metadata, clusterName);
  return new Set([...stores].flatMap(([storeId, { state }]) => (state === 'draining' ? [storeId] : [])));
}

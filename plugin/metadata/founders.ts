import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import { listNodes, type NodeRegistration } from './node-registrations.ts';

/** A cluster is formed once storage nodes 0..storageNodeCount-1 have registered. */
export interface Founders {
  readonly present: readonly NodeRegistration[];
  /** Ids, in order. */
  readonly missing: readonly number[];
}

export async function readFounders(
  metadata: MetadataStore,
  clusterName: string,
  storageNodeCount: number,
): Promise<Founders> {
  const present = (await listNodes(metadata, clusterName)).filter(
    ({ role, nodeId }) => role === 'storage' && nodeId < storageNodeCount,
  );
  const isThere = new Set(present.map(({ nodeId }) => nodeId));
  const ids = Array.from({ length: storageNodeCount }, (_, nodeId) => nodeId);
  return { present, missing: ids.filter((nodeId) => !isThere.has(nodeId)) };
}

/** More names say no more. */
const NAMES_MAX = 8;

/** Such as `1 of 3 storage nodes has registered; waiting for 1, 2`. */
export function awaitedText({ present, missing }: Founders): string {
  const all = present.length + missing.length;
  const have = present.length === 1 ? 'has' : 'have';
  const more = missing.length > NAMES_MAX ? ' and more' : '';
  const waiting =
    missing.length === 0
      ? 'the cluster is being formed'
      : `waiting for ${missing.slice(0, NAMES_MAX).join(', ')}${more}`;
  return `${present.length} of ${all} storage nodes ${have} registered; ${waiting}`;
}

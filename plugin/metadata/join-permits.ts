import { z } from 'zod';
import type { MetadataStore, MetadataWrite } from '../../src/ports/metadata-store.ts';
import { clusterKeys } from './cluster-keys.ts';
import { decodeJson, encodeJson } from './json-values.ts';

/** Long enough to put a machine up by; a slip that nobody has noticed does not let somebody in a year later. */
const HOLDS_MS = 24 * 3_600_000;

const permit = z.object({ atMs: z.number() });

/** `join/<id>`: an operator has said that a storage node of this id is to come. Of use until it has; then it is a member. */
export const joinPermit = (clusterName: string, nodeId: number, atMs: number): MetadataWrite => ({
  kind: 'put',
  key: clusterKeys(clusterName).join(nodeId),
  value: encodeJson({ atMs }),
});

/** @throws ForeshardError FORESHARD_CORRUPT. */
export async function mayJoin(
  metadata: MetadataStore,
  clusterName: string,
  { nodeId, nowMs }: { readonly nodeId: number; readonly nowMs: number },
): Promise<boolean> {
  const key = clusterKeys(clusterName).join(nodeId);
  const entry = await metadata.get(key);
  if (entry === undefined) return false;
  return nowMs - decodeJson(permit, key, entry.value).atMs < HOLDS_MS;
}

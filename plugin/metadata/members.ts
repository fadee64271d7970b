import { z } from 'zod';
import { LOAD_DIMENSIONS } from '../../src/model/load-profile.ts';
import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import { clusterKeys } from './cluster-keys.ts';
import { decodeJson, encodeJson, orNothing } from './json-values.ts';
import { nodeIdentity } from './node-registrations.ts';

/** Where it listened is of its last start. */
const member = nodeIdentity.extend({
  /** When it ended by its own will; absent while it runs, and after a crash. */
  stoppedAtMs: z.number().exactOptional(),
  zone: z.string().max(64).exactOptional(),
  /** Of a query node that takes clients of its own machine only: which that is, and where it listens there. */
  local: z
    .object({ machine: z.string().max(255), host: z.string().min(1).max(255), port: z.number().int() })
    .exactOptional(),
  /** Per second; null where it is as all others. */
  capacity: z.record(z.enum(LOAD_DIMENSIONS), z.number().positive().nullable()).exactOptional(),
});
/**
 * `member/<id>`: who belongs to the cluster, whether it runs now or not. Its registration (`node/<id>`) goes with the process;
 * this stays, with what a storage node can carry and where it stands, until an operator removes the node.
 */
export type Member = z.output<typeof member>;

export const encodeMember = (value: Member): Uint8Array => encodeJson(value);
export const decodeMember = (bytes: Uint8Array): Member => decodeJson(member, 'member record', bytes);

/** Sorted by node; those that do not validate are left out. */
export async function listMembers(store: MetadataStore, clusterName: string): Promise<Member[]> {
  const { entries } = await store.list(clusterKeys(clusterName).memberPrefix);
  return entries
    .flatMap(({ value }) => orNothing(() => decodeMember(value)))
    .sort((a, b) => a.nodeId - b.nodeId);
}

/** Each start overwrites what the one before said. */
export async function putMember(store: MetadataStore, clusterName: string, value: Member): Promise<void> {
  const key = clusterKeys(clusterName).member(value.nodeId);
  await store.commit({ conditions: [], writes: [{ kind: 'put', key, value: encodeMember(value) }] });
}

/**
 * Of a node that ends by its own will: a storage node is marked as stopped, since its partitions are still its own; of a query
 * node nothing is left. What another process of the same node has written since is left alone.
 */
export async function endMember(
  store: MetadataStore,
  clusterName: string,
  ending: { readonly nodeId: number; readonly incarnation: string; readonly atMs: number },
): Promise<void> {
  const key = clusterKeys(clusterName).member(ending.nodeId);
  const entry = await store.get(key);
  if (entry === undefined) return;
  const found = decodeMember(entry.value);
  if (found.incarnation !== ending.incarnation) return;
  const value = encodeMember({ ...found, stoppedAtMs: ending.atMs });
  await store.commit({
    conditions: [{ key, revisionIs: entry.revision }],
    writes: [found.role === 'storage' ? { kind: 'put', key, value } : { kind: 'delete', key }],
  });
}

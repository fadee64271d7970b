import { z } from 'zod';
import type { Announcement, MetadataStore } from '../../src/ports/metadata-store.ts';
import { clusterKeys } from './cluster-keys.ts';
import { decodeJson, encodeJson, orNothing } from './json-values.ts';

const count = z.number().int().nonnegative();
/** What a process says of itself, in its registration and of its membership. */
export const nodeIdentity = z.object({
  nodeId: count.max(65_535),
  role: z.enum(['storage', 'query']),
  host: z.string().min(1).max(255),
  port: count.max(65_535),
  /** Of a storage node; a query node has none. */
  storeId: z.string().max(128),
  /** Differs at every start of the process. */
  incarnation: z.string().max(64),
  version: z.string().max(64),
  startedAtMs: z.number(),
});
/** `node/<id>`: where a node listens. A hint of liveness, never proof. */
export type NodeRegistration = z.output<typeof nodeIdentity>;

const encodeRegistration = (node: NodeRegistration): Uint8Array => encodeJson(node);
export const decodeRegistration = (bytes: Uint8Array): NodeRegistration =>
  decodeJson(nodeIdentity, 'node registration', bytes);

/** A node that has died is no longer listed after this, or twice as long. */
const REGISTRATION_TTL_MS = 10_000;

/** Announces a node for as long as its process lives; each start overwrites what the one before said. */
export function announceNode(
  store: MetadataStore,
  clusterName: string,
  node: NodeRegistration,
): Promise<Announcement> {
  const key = clusterKeys(clusterName).node(node.nodeId);
  return store.announce({ key, value: encodeRegistration(node), ttlMs: REGISTRATION_TTL_MS });
}

/** Says by hand where a node is: it stays so until the node starts again. */
export async function registerNode(
  store: MetadataStore,
  clusterName: string,
  node: NodeRegistration,
): Promise<void> {
  const key = clusterKeys(clusterName).node(node.nodeId);
  await store.commit({ conditions: [], writes: [{ kind: 'put', key, value: encodeRegistration(node) }] });
}

/** Registrations sorted by node; those that do not validate are left out. */
export async function listNodes(store: MetadataStore, clusterName: string): Promise<NodeRegistration[]> {
  const { entries } = await store.list(clusterKeys(clusterName).nodePrefix);
  return entries
    .flatMap(({ value }) => orNothing(() => decodeRegistration(value)))
    .sort((a, b) => a.nodeId - b.nodeId);
}

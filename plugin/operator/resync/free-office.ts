import { setTimeout as delay } from 'node:timers/promises';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { MetadataCondition, MetadataStore, MetadataWrite } from '../../../src/ports/metadata-store.ts';
import { clusterKeys } from '../../metadata/cluster-keys.ts';
import { readCoordinator } from '../../metadata/coordinator-status.ts';

/** Of an office whose record cannot be read. */
const TTL_MS_DEFAULT = 10_000;

export interface FreeOffice {
  /** That there is no coordinator; of the first commit, which takes away what a dead one has left. */
  readonly first: { readonly condition: MetadataCondition; readonly writes: readonly MetadataWrite[] };
  /** Of each commit after it. */
  readonly next: { readonly condition: MetadataCondition; readonly writes: readonly MetadataWrite[] };
}

/**
 * Under what commits are made that only hold while nobody is the coordinator. A backup brings the record of the coordinator
 * of its time back: one that shows no heartbeat for its time to live is taken for dead, as any candidate would.
 *
 * @throws ForeshardError FORESHARD_CONFLICT when there is a coordinator.
 */
export async function whileOfficeIsFree(metadata: MetadataStore, clusterName: string): Promise<FreeOffice> {
  const key = clusterKeys(clusterName).coordinator;
  const absent = { condition: { key, revisionIs: 0 }, writes: [] };
  const found = await metadata.get(key);
  if (found === undefined) return { first: absent, next: absent };
  const { candidate, ttlMs } = await readCoordinator(metadata, clusterName, Date.now());
  await delay(ttlMs ?? TTL_MS_DEFAULT);
  if ((await metadata.get(key))?.revision !== found.revision)
    throw new ForeshardError(
      'FORESHARD_CONFLICT',
      're-read',
      `${candidate ?? 'somebody'} is the coordinator, so nothing was done: stop all query nodes, then run it again`,
    );
  const dead = { condition: { key, revisionIs: found.revision }, writes: [{ kind: 'delete' as const, key }] };
  return { first: dead, next: absent };
}

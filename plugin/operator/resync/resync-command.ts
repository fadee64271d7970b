import { randomBytes } from 'node:crypto';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { MetadataCondition, MetadataStore, MetadataWrite } from '../../../src/ports/metadata-store.ts';
import type { Settings } from '../../../src/settings.ts';
import type { MigrationTransport } from '../../engines/lmdb/migration-transport.ts';
import { type LoadedMap, loadMap } from '../../metadata/cluster-map.ts';
import { recordCodec } from '../../metadata/record-codec.ts';
import { type HeldPartition, INVENTORY_OPERATION, parseInventory } from '../../node/partition-inventory.ts';
import { withMetadata } from '../cluster-commands.ts';
import { auditWrite } from '../migration/order.ts';
import { withNodes } from '../operator-transport.ts';
import { printLine } from '../output.ts';
import { planResync, type StoreInventory } from './plan-resync.ts';

export interface ResyncOptions {
  readonly isConfirmed: boolean;
  readonly reason: string;
}

/** Records of one commit: a condition and a write each, and the audit; below the 128 operations of a transaction. */
const BATCH = 50;

/** `foreshard resync`. */
export async function resyncCommand(settings: Settings, options: ResyncOptions): Promise<void> {
  await withMetadata(settings, (metadata) =>
    withNodes(settings, metadata, async (transport) => {
      for (const line of await resync(settings, { metadata, transport }, options)) printLine(line);
    }),
  );
}

/**
 * Brings a map that was restored from a backup in line with what the stores of all storage nodes say. Without `isConfirmed` it
 * only says what it would do.
 *
 * @returns lines to tell.
 * @throws ForeshardError FORESHARD_UNAVAILABLE while a storage node does not answer: what it owns is not known; FORESHARD_CONFLICT
 * when a record has changed meanwhile: a coordinator runs.
 */
export async function resync(
  { cluster }: Pick<Settings, 'cluster'>,
  { metadata, transport }: { readonly metadata: MetadataStore; readonly transport: MigrationTransport },
  { isConfirmed, reason }: ResyncOptions,
): Promise<string[]> {
  const codec = recordCodec(cluster.name);
  const loaded = await loadMap(metadata, cluster.name);
  const stores = await Promise.all(
    nodesOf(loaded, cluster.storageNodeCount).map((nodeId) => readInventory(transport, nodeId)),
  );
  const lines: string[] = loaded.quarantined.map(
    ({ partitionId, why }) => `partition ${partitionId}: left as it is: ${why}`,
  );
  const changes: { readonly condition: MetadataCondition; readonly write: MetadataWrite }[] = [];
  for (const record of loaded.records) {
    if (!record) continue;
    const { partitionId } = record;
    const digestSeed = randomBytes(8).toString('hex');
    const decision = planResync(record, stores, { nowMs: Date.now(), digestSeed });
    if (decision.kind === 'unclear') lines.push(`partition ${partitionId}: left as it is: ${decision.why}`);
    if (decision.kind !== 'change') continue;
    lines.push(`partition ${partitionId}: ${decision.what}`);
    const key = codec.keys.map(partitionId);
    changes.push({
      condition: { key, revisionIs: loaded.revisions[partitionId] as number },
      write: { kind: 'put', key, value: codec.encodePartition(decision.record) },
    });
  }
  const total = `${changes.length} of ${loaded.records.length} records ${isConfirmed ? 'were' : 'would be'} changed`;
  if (!isConfirmed || changes.length === 0)
    return [
      ...lines,
      changes.length === 0 ? total : `${total}: nothing was done, add --confirm --reason TEXT`,
    ];
  for (let done = 0; done < changes.length; done += BATCH) {
    const batch = changes.slice(done, done + BATCH);
    const message = `${batch.length} records by what the stores say`;
    const audit = auditWrite(codec, { action: 'resync', partitionId: null, reason, message });
    const { isCommitted } = await metadata.commit({
      conditions: batch.map(({ condition }) => condition),
      writes: [...batch.map(({ write }) => write), audit],
    });
    if (!isCommitted)
      throw new ForeshardError(
        'FORESHARD_CONFLICT',
        're-read',
        `the map has changed meanwhile, ${done} records were written: stop all query nodes, then run it again`,
      );
  }
  return [...lines, `${total}; storage nodes that waited for it serve within a second`];
}

function nodesOf({ map }: LoadedMap, storageNodeCount: number): number[] {
  const expected = Array.from({ length: storageNodeCount }, (_, nodeId) => nodeId);
  return [...new Set([...expected, ...map.ownerOf])].filter((nodeId) => nodeId >= 0).sort((a, b) => a - b);
}

async function readInventory(transport: MigrationTransport, nodeId: number): Promise<StoreInventory> {
  const held = new Map<number, HeldPartition>();
  try {
    for (let after = -1; ; ) {
      const { body } = await transport.request(nodeId, INVENTORY_OPERATION, { after });
      const { storeId, nextAfter, partitions } = parseInventory(body);
      for (const partition of partitions) held.set(partition.partitionId, partition);
      if (nextAfter === null) return { nodeId, storeId, held };
      after = nextAfter;
    }
  } catch (cause) {
    if (!(cause instanceof ForeshardError) || cause.code === 'FORESHARD_CORRUPT') throw cause;
    throw new ForeshardError(
      'FORESHARD_UNAVAILABLE',
      'retry',
      `storage node ${nodeId} does not say what it holds, so nothing was done: start it (it waits for this command), then try again: ${cause.message}`,
      { cause },
    );
  }
}

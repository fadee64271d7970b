/** What a storage node says of all that it holds: answered to operators also before the node serves. */
import { z } from 'zod';
import type { PartitionMeta, PartitionStore } from '../../../src/ports/partition-store.ts';
import { parseBody } from '../../engines/migration-agent/migration-messages.ts';
import type { ControlReply } from '../../hooks.ts';

export const INVENTORY_OPERATION = 'inventory.list';

/** A page is some 20 KB, a third of what a control message may be. */
const PAGE_PARTITIONS = 128;

const count = z.number().int().nonnegative();
const request = z.object({ after: z.number().int().min(-1) });
const held = z.object({
  partitionId: count.max(16_383),
  role: z.enum(['NONE', 'STAGING', 'OWNER', 'FENCED', 'FOLLOWER', 'RETIRED']),
  epoch: count,
  epochMax: count,
  closedMigrationId: count,
  migrationId: count,
  lsn: count,
  /** Of its fence, if it has one. */
  fencedBy: count.nullable(),
});
const reply = z.object({
  storeId: z.string().min(1).max(128),
  /** The last of the page; null on the last page. */
  nextAfter: count.nullable(),
  partitions: z.array(held).max(PAGE_PARTITIONS),
});

/** One partition as a store has it, where it has ever heard of it. */
export type HeldPartition = z.output<typeof held>;
export type InventoryPage = z.output<typeof reply>;

export function answerInventory(
  store: Pick<PartitionStore, 'storeId' | 'meta'>,
  partitionCount: number,
  body: Record<string, unknown>,
): ControlReply {
  const { after } = parseBody<{ after: number }>(request, INVENTORY_OPERATION, body);
  const partitions: HeldPartition[] = [];
  let partitionId = after + 1;
  for (; partitionId < partitionCount && partitions.length < PAGE_PARTITIONS; partitionId++) {
    const meta = store.meta(partitionId);
    if (meta.role !== 'NONE' || meta.epochMax > 0 || meta.closedMigrationId > 0)
      partitions.push(heldOf(partitionId, meta));
  }
  const nextAfter = partitionId < partitionCount ? partitionId - 1 : null;
  return { body: { storeId: store.storeId, nextAfter, partitions } };
}

/** @throws ForeshardError FORESHARD_CORRUPT. */
export const parseInventory = (body: Record<string, unknown>): InventoryPage =>
  parseBody<InventoryPage>(reply, `${INVENTORY_OPERATION} reply`, body);

const heldOf = (partitionId: number, meta: PartitionMeta): HeldPartition => ({
  partitionId,
  role: meta.role,
  epoch: meta.epoch,
  epochMax: meta.epochMax,
  closedMigrationId: meta.closedMigrationId,
  migrationId: meta.migrationId,
  lsn: meta.lsn,
  fencedBy: meta.fence?.migrationId ?? null,
});

import type { MetadataStore } from '../../../../src/ports/metadata-store.ts';
import { decodeRecord, encodeRecord } from '../../../host/records/json-record.ts';
import { clusterKeys } from '../../../metadata/cluster-keys.ts';
import { orNothing } from '../../../metadata/json-values.ts';
import type { CopiesRecord } from '../copy-first/copy-first-mover.ts';

const redisRoot = (clusterName: string): string =>
  `${clusterKeys(clusterName).mapPrefix.replace(/map\/$/, '')}redis/`;

export const shardsKey = (clusterName: string): string => `${redisRoot(clusterName)}shards`;
export const clusterSeenKey = (clusterName: string): string => `${redisRoot(clusterName)}seen`;
export const slotMovesPrefix = (clusterName: string): string => `${redisRoot(clusterName)}moves/`;

/**
 * `redis/moves/<partition>` in the metadata store: written before the first slot is opened, removed after the last is
 * committed. Open slots that no such record names are somebody else's.
 */
export interface SlotMoveRecord {
  readonly v: 1;
  readonly partitionId: number;
  readonly moveId: number;
  /** Shards, by number. */
  readonly sourceNodeId: number;
  readonly targetNodeId: number;
  /** The slots of the partition, whoever owns them. */
  readonly firstSlot: number;
  readonly lastSlot: number;
  /** The target's master when slots were opened, and every one before it. */
  readonly targetIds: readonly string[];
  /** The masters that slots come from, and those before them. */
  readonly sourceIds: readonly string[];
  /** `run_id` of each source before its first slot was opened, by node id; records of earlier versions have none. */
  readonly sourceRunIds?: Readonly<Record<string, string>>;
  /** Config epoch of each source then, by node id: it changes when a source is a replica in between, which forgets what is open. */
  readonly sourceEpochs?: Readonly<Record<string, number>>;
  /** A source was replaced or restarted while slots were open: see SlotMove.isSourcePromoted. */
  readonly isSourcePromoted: boolean;
  readonly startedAtMs: number;
  /** Slots of the range that the target owned when it was last written down; of earlier versions there is none. */
  readonly movedSlots?: number;
  /** Slots of which copies may be at the target while the source owns them alone: see CopiesRecord. */
  readonly copies?: CopiesRecord;
  readonly sizeBytes: number;
  readonly reason: string;
  /** Why it is being given up: nothing more is opened. */
  readonly cancelledFor: string | null;
}

export const slotMoveKey = (clusterName: string, partitionId: number): string =>
  `${slotMovesPrefix(clusterName)}${partitionId}`;

export const encodeSlotMove = (record: SlotMoveRecord): Uint8Array => encodeRecord(record);

/** @throws ForeshardError FORESHARD_CORRUPT: a record of another version, whose slots must not be touched. */
export const decodeSlotMove = (key: string, bytes: Uint8Array): SlotMoveRecord =>
  decodeRecord(key, bytes, (record: SlotMoveRecord) => record.v === 1 && Array.isArray(record.targetIds));

/** The moves of slots that are open, for people to look at: a record of another version is left out. */
export async function readOpenSlotMoves(
  metadata: Pick<MetadataStore, 'list'>,
  clusterName: string,
): Promise<readonly SlotMoveRecord[]> {
  const { entries } = await metadata.list(slotMovesPrefix(clusterName));
  return entries.flatMap(({ key, value }) => orNothing(() => decodeSlotMove(key, value)));
}

import type { PartitionRecord } from '../model/migration.ts';
import type { MismatchEvidence } from './mismatch.ts';

/** Names of the metadata keys of one cluster. */
export interface ClusterKeys {
  /** `{version, partitionCount}`: written last when a cluster is formed, so its presence means that the map is whole. */
  readonly cluster: string;
  /** The election of the coordinator. */
  readonly coordinator: string;
  readonly mapPrefix: string;
  map(partitionId: number): string;
  readonly nodePrefix: string;
  node(nodeId: number): string;
  readonly storePrefix: string;
  store(storeId: string): string;
  readonly cleanupPrefix: string;
  cleanup(partitionId: number, migrationId: number, storeId: string): string;
  readonly historyPrefix: string;
  history(partitionId: number, migrationId: number): string;
  readonly evidencePrefix: string;
  evidence(partitionId: number, migrationId: number): string;
  /** Operator switch: while the key exists no migration is opened and none goes beyond a phase that may wait. */
  readonly pause: string;
}

/** How records become bytes; the edge implements it with a validating schema. */
export interface RecordCodec {
  readonly keys: ClusterKeys;
  encodePartition(record: PartitionRecord): Uint8Array;
  /** @throws ForeshardError FORESHARD_CORRUPT: the caller quarantines that partition, and only that. */
  decodePartition(partitionId: number, bytes: Uint8Array): PartitionRecord;
  encodeHistory(history: MigrationHistory): Uint8Array;
  encodeCleanup(cleanup: CleanupRecord): Uint8Array;
  encodeEvidence(evidence: MismatchEvidence): Uint8Array;
}

/** What became of a migration; written once, when it ends. */
export interface MigrationHistory {
  readonly partitionId: number;
  readonly migrationId: number;
  readonly sourceNodeId: number;
  readonly targetNodeId: number;
  readonly outcome: 'done' | 'aborted';
  readonly reason: string;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly epoch: number;
  readonly fenceLsn: number | null;
  readonly verifiedLsn: number | null;
  readonly copiedBytes: number;
  /** In COPY, and from the fence to the switch: null where this coordinator did not see both ends. */
  readonly copySeconds: number | null;
  readonly fenceSeconds: number | null;
}

/** Written before the thing to clean exists, deleted only after the node's durable acknowledgement. */
export interface CleanupRecord {
  readonly kind: 'staging' | 'source';
  readonly policy: 'on-failure' | 'deferred';
  readonly sinceMs: number;
}

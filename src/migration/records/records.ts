import type { MigrationOutcome, MigrationPhase, PartitionRecord } from '../../model/migration.ts';
import type { MismatchEvidence } from '../mismatch.ts';
import type { Scorecard } from '../progress/scorecard.ts';
import type { Approval, Rejection } from '../queue/approvals.ts';

/** Names of the metadata keys of one cluster. */
export interface ClusterKeys {
  /** `{version, partitionCount}`: written last when a cluster is formed, so its presence means that the map is whole. */
  readonly cluster: string;
  /** The election of the coordinator. */
  readonly coordinator: string;
  /** Who was elected last, and whether it has left the office by its own will. */
  readonly lastCoordinator: string;
  readonly mapPrefix: string;
  map(partitionId: number): string;
  readonly nodePrefix: string;
  node(nodeId: number): string;
  /** Who belongs to the cluster, running or not. */
  readonly memberPrefix: string;
  member(nodeId: number): string;
  /** That a storage node of a new number may join. */
  join(nodeId: number): string;
  readonly storePrefix: string;
  store(storeId: string): string;
  readonly cleanupPrefix: string;
  /** The prefix of one partition's. */
  cleanupOf(partitionId: number): string;
  cleanup(partitionId: number, migrationId: number, storeId: string): string;
  readonly historyPrefix: string;
  history(partitionId: number, migrationId: number): string;
  readonly evidencePrefix: string;
  evidence(partitionId: number, migrationId: number): string;
  /** Everything an operator has switched or asked for, read at every step. */
  readonly controlPrefix: string;
  /** While the key exists no migration is opened and none goes beyond a phase that may wait; of one partition, or of all. */
  readonly pause: string;
  pauseOf(partitionId: number): string;
  readonly requestPrefix: string;
  /** What an operator asks of the coordinator: one request a partition at a time. */
  request(partitionId: number): string;
  readonly approvalPrefix: string;
  approval(partitionId: number): string;
  readonly rejectionPrefix: string;
  rejection(partitionId: number): string;
  readonly retirementPrefix: string;
  /** What an operator asks of the coordinator about a store. */
  retirement(storeId: string): string;
  readonly auditPrefix: string;
  audit(requestId: string): string;
}

/** How records become bytes; the edge implements it with a validating schema. A decoder throws FORESHARD_CORRUPT. */
export interface RecordCodec {
  readonly keys: ClusterKeys;
  encodePartition(record: PartitionRecord): Uint8Array;
  /** @throws ForeshardError FORESHARD_CORRUPT: the caller quarantines that partition, and only that. */
  decodePartition(partitionId: number, bytes: Uint8Array): PartitionRecord;
  encodeHistory(history: MigrationHistory): Uint8Array;
  encodeCleanup(cleanup: CleanupRecord): Uint8Array;
  decodeCleanup(bytes: Uint8Array): CleanupRecord;
  encodeEvidence(evidence: MismatchEvidence): Uint8Array;
  encodeRequest(request: OperatorRequest): Uint8Array;
  decodeRequest(bytes: Uint8Array): OperatorRequest;
  encodeRetirement(request: RetirementRequest): Uint8Array;
  decodeRetirement(bytes: Uint8Array): RetirementRequest;
  encodeApproval(approval: Approval): Uint8Array;
  decodeApproval(bytes: Uint8Array): Approval;
  encodeRejection(rejection: Rejection): Uint8Array;
  decodeRejection(bytes: Uint8Array): Rejection;
  encodeAudit(audit: AuditRecord): Uint8Array;
  encodeStoreState(state: StoreState): Uint8Array;
  decodeStoreState(bytes: Uint8Array): StoreState;
}

export const STORE_STATES = ['active', 'draining', 'retired'] as const;
/** A retired store owns nothing any more, for good: its node refuses to start on it, and to go on. */
export type StoreState = (typeof STORE_STATES)[number];

/** What became of a migration; written once, when it ends. */
export interface MigrationHistory {
  readonly partitionId: number;
  readonly migrationId: number;
  readonly sourceNodeId: number;
  readonly targetNodeId: number;
  readonly outcome: MigrationOutcome;
  /** Why it was aborted, else why it was opened. */
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
  readonly kind?: 'rollback' | 'takeover';
  /** Of one that was aborted: why it was opened, and where it stood. */
  readonly openedFor?: string;
  readonly abortedIn?: MigrationPhase;
  /** The migration that goes on with its copy. */
  readonly continuedBy?: number;
  /** Of a move that a plan has asked for and that was carried out. */
  readonly scorecard?: Scorecard;
}

/** Written before the thing to clean exists, deleted only after the node's durable acknowledgement. */
export interface CleanupRecord {
  readonly kind: 'staging' | 'source';
  readonly policy: 'on-failure' | 'deferred';
  readonly sinceMs: number;
  /** Where the store was. Absent in records of before version 0.2. */
  readonly nodeId?: number;
}

export const OPERATOR_ACTIONS = ['cancel', 'rollback', 'takeover'] as const;
export type OperatorAction = (typeof OPERATOR_ACTIONS)[number];

/** Only the coordinator changes the map, so an operator asks it, and reads its answer in the audit. */
export interface CoordinatorRequest {
  /** Names the audit record; sorts by time. */
  readonly requestId: string;
  readonly by: string;
  readonly reason: string;
  readonly atMs: number;
  /** A request that nobody took up in time must not take anybody by surprise later. */
  readonly expiresAtMs: number;
}

/** `ctl/request/<partition>` */
export interface OperatorRequest extends CoordinatorRequest {
  readonly action: OperatorAction;
  readonly partitionId: number;
  readonly takeover?: TakeoverRequest;
}

/** `ctl/retire/<store id>` */
export interface RetirementRequest extends CoordinatorRequest {
  readonly storeId: string;
  /** False: the operator wants to know first what it would end. */
  readonly isConfirmed: boolean;
}

export interface TakeoverRequest {
  readonly fromStoreId: string;
  readonly targetNodeId: number;
  /** Null: the operator has not yet accepted any loss, and wants to know what it would be. */
  readonly lossAfterLsn: number | null;
  readonly isEmptyAllowed: boolean;
}

/** Besides what the coordinator is asked for: what an operator's command writes by itself. */
export const AUDITED_ACTIONS = [
  ...OPERATOR_ACTIONS,
  'retire',
  'pause',
  'resume',
  'clear-quarantine',
  'approve',
  'reject',
  'join',
  'drain',
  'undrain',
  'remove',
  'resync',
  // By a config, not by a command.
  'mode',
  // By the coordinator: moves between cycles.
  'relief',
] as const;
export type AuditedAction = (typeof AUDITED_ACTIONS)[number];

/** `audit/<request id>`: who asked what, why and when, and what came of it. */
export interface AuditRecord {
  readonly requestId: string;
  readonly atMs: number;
  readonly action: AuditedAction;
  /** Null: of the whole cluster. */
  readonly partitionId: number | null;
  readonly by: string;
  readonly reason: string;
  readonly outcome: 'done' | 'refused';
  readonly message: string;
}

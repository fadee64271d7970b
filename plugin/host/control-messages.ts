import type {
  QueryType,
  QueryTypeSummary,
  TypeNode,
} from '../../src/analyzer/patterns/query-type-summary.ts';
import type { CycleReport } from '../../src/controller.ts';
import type { ReadSummary } from '../../src/migration/reads/read-watch.ts';
import type { MigrationPhase } from '../../src/model/migration.ts';

/**
 * What a parent process may ask of a query node it has spawned with an IPC channel (`serialization: 'advanced'`, so that
 * typed arrays travel as they are): replays, tests, `plugin/node/local/local-cluster.ts`. The query node's main thread passes a
 * request on to one of its threads and sends the answer back. Every request has an id, and gets exactly one answer with
 * that id: a reply, or an error.
 *
 *   parent --ControlRequest--> query node main thread --postMessage--> analysis thread, coordinator thread
 *   parent <--ControlReply---- query node main thread <--postMessage-- the same
 *
 * Unasked, a node sends one `{ kind: 'ready', … }` when it serves (see plugin/node/main.ts).
 */
export interface ControlRequest {
  readonly kind: 'control';
  readonly id: number;
  readonly body: ControlBody;
}

export type ControlReply =
  | { readonly kind: 'control-reply'; readonly id: number; readonly body: unknown }
  | { readonly kind: 'control-error'; readonly id: number; readonly code: string; readonly message: string };

/** What can be asked, and (ControlReplies) what is answered. */
export type ControlBody =
  /**
   * From now on records bear this time (and what follows from the next setClock on, that one), not the machine's:
   * windows are closed by it, and the automatic drain, cycle and publish timers stop: `advance` does their work.
   * Time never goes back: an earlier one is refused.
   */
  | { readonly operation: 'setClock'; readonly nowMs: number }
  /** Puts measured load into the profile as if it had been captured; windows must end before the present one. */
  | { readonly operation: 'loadHistory'; readonly history: LoadHistory }
  /**
   * Drains the ring fully, closes all windows that end at or before `toMs`, publishes them, moves the clock to `toMs`
   * and, if this node is the coordinator, runs one cycle (unless `isCycleSkipped`). Answers when all of that is done;
   * admitted migrations go on by themselves.
   */
  | { readonly operation: 'advance'; readonly toMs: number; readonly isCycleSkipped?: boolean }
  | { readonly operation: 'migrationStatus' }
  /** The measured load of every closed window, history included. */
  | { readonly operation: 'profile' }
  | { readonly operation: 'ownership' }
  /** Who asks what of which data: the largest templates of the windows that this query node has closed. */
  | { readonly operation: 'queryTypes' }
  | { readonly operation: 'captureStatus' };

export interface ControlReplies {
  readonly setClock: { readonly nowMs: number };
  readonly loadHistory: { readonly windowCount: number };
  readonly advance: AdvanceReport;
  readonly migrationStatus: MigrationStatusReport;
  readonly profile: ProfileReport;
  readonly ownership: OwnershipReport;
  readonly queryTypes: QueryTypesReport;
  readonly captureStatus: CaptureStatus;
}

/**
 * Load per window and partition, columnar. Dimensions that are left out are 0 (queries) or estimated from nothing: give
 * at least `queries`.
 */
export interface LoadHistory {
  /** Wall clock of the start of window 0, a multiple of `windowMs`. */
  readonly startMs: number;
  readonly windowMs: number;
  readonly windowCount: number;
  readonly partitionCount: number;
  /** f64[window][partition] each; per window: count, seconds, bytes, bytes. */
  readonly queries: Float64Array;
  readonly cpuSeconds?: Float64Array;
  readonly readBytes?: Float64Array;
  readonly writeBytes?: Float64Array;
}

export interface AdvanceReport {
  readonly nowMs: number;
  readonly closedWindowCount: number;
  readonly isCoordinator: boolean;
  /** Null when this node is not the coordinator, or no cycle was asked for. */
  readonly cycle: CycleSummary | null;
  readonly capture: CaptureStatus;
  readonly openMigrationCount: number;
}

/** A CycleReport without its large arrays. */
export interface CycleSummary extends Pick<CycleReport, 'atMs' | 'outcome' | 'forecastMs' | 'planMs'> {
  readonly proposedCount: number;
  readonly admittedCount: number;
  readonly queuedCount: number;
  readonly scheduledCount: number;
  readonly refusal: string | null;
  readonly costBefore: number;
  readonly costAfter: number;
  readonly lowerBound: number;
}

export interface CaptureStatus {
  /** Records that reached the profile since the node started. */
  readonly capturedCount: number;
  /** Queries that found the ring full, or whose plugin was detached. */
  readonly droppedCount: number;
  readonly isAttached: boolean;
}

export interface MigrationStatusReport {
  readonly open: readonly {
    readonly partitionId: number;
    readonly migrationId: number;
    readonly sourceNodeId: number;
    readonly targetNodeId: number;
    readonly phase: MigrationPhase;
    /** Share of reads at the target. */
    readonly readWeight: number;
    readonly reason: string;
    /** How reads at the target fare, while or after some were; null before. */
    readonly reads: ReadSummary | null;
  }[];
  readonly queuedCount: number;
  /** Moves whose hour by the timetable is still to come. */
  readonly scheduledCount: number;
  readonly doneCount: number;
  readonly abortedCount: number;
  /** Most frequent first, with fences that were tried again; numbers in the reasons are left out. */
  readonly abortReasons: readonly { readonly reason: string; readonly count: number }[];
  readonly movedBytes: number;
}

export interface ProfileReport {
  readonly startMs: number;
  readonly windowMs: number;
  readonly windowCount: number;
  readonly partitionCount: number;
  /** f64[window][partition] each. */
  readonly queries: Float64Array;
  readonly cpuSeconds: Float64Array;
  readonly readBytes: Float64Array;
  readonly writeBytes: Float64Array;
  /** f64[window], captured / offered. */
  readonly coverage: Float64Array;
}

export interface OwnershipReport {
  /** i32[partition] and u32[partition]. */
  readonly ownerOf: Int32Array;
  readonly epochOf: Uint32Array;
}

export interface QueryTypesReport extends Omit<QueryTypeSummary, 'types'> {
  readonly nowMs: number;
  readonly windowMs: number;
  readonly halfLifeWindows: number;
  /** Queries that were not captured, and are in no count. */
  readonly droppedCount: number;
  readonly types: readonly (QueryType & {
    /** By the map in effect, whoever answered at the time; the largest first. */
    readonly storageNodes: readonly TypeNode[];
  })[];
}

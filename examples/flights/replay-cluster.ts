import type {
  CaptureStatus,
  CycleSummary,
  LoadHistory,
  MigrationStatusReport,
} from '../../plugin/host/control-messages.ts';
import type { ReplayClock } from '../../plugin/redis/capture-cluster.ts';
import type { ReadBackClient } from './ledger.ts';
import type { RedisCommands } from './workload.ts';

/** What a replay needs of the cluster that it plays against, whichever engine that is. */
export interface ReplayCluster {
  /** For people: what was started. */
  readonly description: string;
  /** Who owned each partition when the cluster had been started: i32[partition]. */
  readonly startOwnerOf: Int32Array;
  /** @param replay how late it is for what clients ask. */
  openClients(replay: ReplayClock): Promise<ReplayClients>;
  /** From now on queries count for the window of this time. */
  setClock(nowMs: number): Promise<void>;
  loadHistory(history: LoadHistory): Promise<void>;
  /** Closes the windows that end by then, and plans unless told not to. Moves go on by themselves. @returns null where no plan was made. */
  advance(toMs: number, options?: { readonly isCycleSkipped: boolean }): Promise<CycleSummary | null>;
  migrationStatus(): Promise<MigrationStatusReport>;
  /** i32[partition], now. */
  owners(): Promise<Int32Array>;
  /** Measured load of every closed window, history included: f64[window][partition], queries. */
  measuredQueries(): Promise<Float64Array>;
  captured(): Promise<CaptureStatus>;
  queryTypes(): Promise<readonly { readonly template: string; readonly totalCount: number }[]>;
  /** Resident memory of its processes, bytes. */
  memoryBytes(): number;
  stop(): Promise<void>;
}

export interface ReplayClients {
  /** Captured clients that play departures; an airport always uses the same one. */
  readonly load: readonly RedisCommands[];
  /** Writes what is there at first, and reads back what is there in the end. */
  readonly store: StoreClient;
  close(): Promise<void>;
}

export interface StoreClient extends ReadBackClient {
  set(key: string, value: string): Promise<unknown>;
  hSet(key: string, fields: Readonly<Record<string, string>>): Promise<unknown>;
}

/** Replies come in order on a connection, so one slow answer holds up what is behind it: applications keep a few. */
export const CLIENT_COUNT = 8;

/** Real time and trace time differ by the factor 5,000: what waits by the clock on the wall is scaled down to fit. */
export const REPLAY_MIGRATION_SETTINGS = {
  graceMs: 1_000,
  residenceMs: 2_000,
  readWeightHoldMs: 20,
  fenceRetryMs: 200,
};

export interface ReplayClusterOptions {
  readonly nodeCount: number;
  readonly partitionCount: number;
  /** Queries a trace hour that each node is said to carry. */
  readonly capacity: number;
  readonly seed: bigint;
}

/** What every engine's planner is told: moves are carried out, and what a node carries is a rate, by the second. */
export const replaySettings = ({ capacity, seed }: Pick<ReplayClusterOptions, 'capacity' | 'seed'>) => ({
  plugin: { mode: 'auto' as const },
  cluster: { nodeCapacity: { queries: capacity / 3600 } },
  migration: REPLAY_MIGRATION_SETTINGS,
  // A replay plans hundreds of times in minutes: a disk need not have all of it.
  controller: { seed: String(seed), plansKept: 0 },
});

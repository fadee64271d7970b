import { assertConsistent, type Inconsistency, integerFrom, numberFrom, outOfRange } from '../base/claims.ts';
import {
  DEFAULT_READ_GUARD,
  READ_GUARD_RANGES,
  type ReadGuardSettings,
} from './reads/read-guard-settings.ts';
import { DEFAULT_THROTTLE, THROTTLE_RANGES, type ThrottleSettings } from './throttle/throttle-settings.ts';

/** What an operator tunes about migrations. */
export interface MigrationSettings {
  /** Most bytes a second that one copy pulls. */
  readonly copyBytesPerSecond: number;
  /** How copies give way to clients, and what they may use together. */
  readonly throttle: ThrottleSettings;
  /** Open copies a node may be the source of, and as many it may be the target of. */
  readonly copiesPerNodeMax: number;
  /** Outside the windows for moves a copy that runs is held; else it goes on, and only no other begins. */
  readonly pausesOutsideWindows: boolean;
  /** A partition that has just moved stays for so long. */
  readonly residenceMs: number;
  /** Shares of the reads that go to the target before the switch, in order; empty: no reads are shifted. */
  readonly readWeightSteps: readonly number[];
  readonly readWeightHoldMs: number;
  /** Share of the reads that are mirrored to the copy in SHIFT, and their answers compared; 0 mirrors none. */
  readonly shadowReadShare: number;
  /** When reads go back to the source. */
  readonly readGuard: ReadGuardSettings;
  /** Log entries the target may be behind when VERIFY begins, and when the fence is put up. */
  readonly verifyLagMax: number;
  readonly fenceLagMax: number;
  /** A fence that stands for longer is aborted: writes to the partition wait meanwhile. */
  readonly fenceBudgetMs: number;
  /** Fences in a row that may stand too long and be tried again with the same copy, and the first pause before that. */
  readonly fenceRetriesMax: number;
  readonly fenceRetryMs: number;
  /** How long the old owner follows the new one before its copy is removed. */
  readonly graceMs: number;
  readonly prepareTimeoutMs: number;
  /** COPY, CATCHUP, VERIFY, SHIFT each: longer means that it will not end. */
  readonly phaseTimeoutMs: number;
  /** A node that does not answer for so long ends a migration that can still be aborted. */
  readonly unreachableMs: number;
  readonly retryMsMin: number;
  readonly retryMsMax: number;
  /** After so many failed migrations a partition is left alone for a while. */
  readonly attemptsMax: number;
  readonly quarantineMs: number;
  /** Free bytes a target must keep beyond 1.3 x the partition's size. */
  readonly freeBytesReserve: number;
  /** Of each partition so many ended migrations are remembered. */
  readonly historyPerPartition: number;
  /** So many orders of operators are remembered, with their answers. */
  readonly auditRecordsMax: number;
  /** A clean-up that is still to be done so long after it was due is an alarm. */
  readonly cleanupAlarmMs: number;
}

export const DEFAULT_MIGRATION_SETTINGS: MigrationSettings = {
  copyBytesPerSecond: 32 << 20,
  throttle: DEFAULT_THROTTLE,
  copiesPerNodeMax: 1, // MongoDB's rule: a node's disk and network serve its owner's load first
  pausesOutsideWindows: false,
  residenceMs: 600_000,
  readWeightSteps: [0.05, 0.25, 0.5, 1],
  readWeightHoldMs: 5_000,
  shadowReadShare: 0.01,
  readGuard: DEFAULT_READ_GUARD,
  verifyLagMax: 1_000,
  fenceLagMax: 50,
  fenceBudgetMs: 500,
  fenceRetriesMax: 3,
  fenceRetryMs: 5_000, // a burst of load that stretched one fence is often over by then
  graceMs: 900_000, // MongoDB's orphanCleanupDelaySecs
  prepareTimeoutMs: 10_000,
  phaseTimeoutMs: 3_600_000,
  unreachableMs: 15_000,
  retryMsMin: 50,
  retryMsMax: 10_000,
  attemptsMax: 5,
  quarantineMs: 600_000,
  freeBytesReserve: 64 << 20,
  historyPerPartition: 20,
  auditRecordsMax: 1_000, // a year of three a day; whoever has to keep more copies them out (foreshard audit --json)
  cleanupAlarmMs: 3_600_000,
};

const HOUR_MS = 3_600_000;
const MONTH_MS = 30 * 24 * HOUR_MS;

/** Generous: they refuse what is surely a slip of the unit (seconds for milliseconds), not what is unusual. */
export const MIGRATION_RANGES = {
  copyBytesPerSecond: integerFrom(1024, 2 ** 40),
  copiesPerNodeMax: integerFrom(1, 64),
  residenceMs: integerFrom(0, MONTH_MS),
  readWeightHoldMs: integerFrom(0, HOUR_MS),
  shadowReadShare: numberFrom(0, 1),
  ...READ_GUARD_RANGES,
  ...THROTTLE_RANGES,
  verifyLagMax: integerFrom(0, 1e9),
  fenceLagMax: integerFrom(0, 1e9),
  // Writes to the partition wait as long.
  fenceBudgetMs: integerFrom(10, 60_000),
  fenceRetriesMax: integerFrom(0, 100),
  fenceRetryMs: integerFrom(1, HOUR_MS),
  graceMs: integerFrom(0, MONTH_MS),
  prepareTimeoutMs: integerFrom(100, HOUR_MS),
  phaseTimeoutMs: integerFrom(1000, MONTH_MS),
  unreachableMs: integerFrom(100, HOUR_MS),
  retryMsMin: integerFrom(1, 60_000),
  retryMsMax: integerFrom(1, HOUR_MS),
  attemptsMax: integerFrom(1, 1000),
  quarantineMs: integerFrom(0, MONTH_MS),
  freeBytesReserve: integerFrom(0, 2 ** 50),
  historyPerPartition: integerFrom(1, 100),
  // An answer has to stay for as long as somebody waits for it.
  auditRecordsMax: integerFrom(100, 100_000),
  cleanupAlarmMs: integerFrom(1000, MONTH_MS),
};

/** What of the settings does not hold, paths from `migration` on. */
export function migrationInconsistencies(settings: MigrationSettings): Inconsistency[] {
  const found = outOfRange(settings, MIGRATION_RANGES);
  const { readWeightSteps, retryMsMin, retryMsMax } = settings;
  if (!readWeightSteps.every((share, i) => share > (readWeightSteps[i - 1] ?? 0) && share <= 1))
    found.push({
      path: 'readWeightSteps',
      expected: 'a list of shares above 0 and up to 1, each above the one before',
    });
  if (retryMsMax < retryMsMin)
    found.push({ path: 'retryMsMax', expected: `at least migration.retryMsMin (${retryMsMin})` });
  return found;
}

/** @throws ForeshardError FORESHARD_CONFIG naming the setting. */
export function assertMigrationSettings(settings: MigrationSettings): void {
  assertConsistent('migration', migrationInconsistencies(settings));
}

/** Targets need more than the source's size: log entries arrive while the copy runs, and LMDB copies pages on write. */
export const TARGET_SIZE_FACTOR = 1.3;

import { integerFrom, numberFrom, type Range } from '../../base/claims.ts';

/** Limits for reads at a migration's target: beyond one of them its reads go back to the source. */
export interface ReadGuardSettings {
  /** Reads that are judged together, at least; fewer say nothing. */
  readonly readsMin: number;
  /** How often the counts are looked at. */
  readonly windowMs: number;
  /** Windows in a row that must be bad before reads go back; errors need no second one. */
  readonly badWindowsMin: number;
  /** Share of the target's reads that failed or were not answered in time. */
  readonly errorShareMax: number;
  /** The target's 99th percentile over the source's. */
  readonly latencyRatioMax: number;
  /** A target this fast is fast enough, whatever the ratio. */
  readonly latencyMsMin: number;
  /** Share of the target's reads that it was behind for. */
  readonly behindShareMax: number;
  /** Log entries that the target has yet to apply. */
  readonly lagMax: number;
  /** Of the target's one serving thread. */
  readonly cpuShareMax: number;
  /** How late the target's event loop comes to its timers, 99th percentile of a second. */
  readonly loopLagMsMax: number;
  /** How long the target's disk takes for a commit, mean of a second. */
  readonly commitMsMax: number;
  /** Once back at the source, reads stay there for so long, and until every measure is well below its limit. */
  readonly holdMs: number;
  /** So often may reads go back; then the migration is aborted. */
  readonly redsMax: number;
}

export const DEFAULT_READ_GUARD: ReadGuardSettings = {
  readsMin: 100, // a 99th percentile of fewer is their maximum
  windowMs: 500,
  badWindowsMin: 2, // one pause of the garbage collector is no reason
  errorShareMax: 0.01,
  latencyRatioMax: 3,
  latencyMsMin: 20, // a commit to a common disk; two nodes that answer in microseconds differ by factors that nobody feels
  behindShareMax: 0.2, // each costs one more hop, and the hop is what reads at a copy are to save
  lagMax: 1_000,
  cpuShareMax: 0.9,
  loopLagMsMax: 50,
  commitMsMax: 100,
  holdMs: 10_000,
  redsMax: 3,
};

const HOUR_MS = 3_600_000;

export const READ_GUARD_RANGES: Readonly<Record<string, Range>> = {
  'readGuard.readsMin': integerFrom(1, 1e6),
  'readGuard.windowMs': integerFrom(10, HOUR_MS),
  'readGuard.badWindowsMin': integerFrom(1, 100),
  'readGuard.errorShareMax': numberFrom(0, 1),
  'readGuard.latencyRatioMax': numberFrom(1, 1000),
  'readGuard.latencyMsMin': numberFrom(0, 60_000),
  'readGuard.behindShareMax': numberFrom(0, 1),
  'readGuard.lagMax': integerFrom(0, 1e9),
  'readGuard.cpuShareMax': numberFrom(0, 64),
  'readGuard.loopLagMsMax': numberFrom(1, 60_000),
  'readGuard.commitMsMax': numberFrom(1, 60_000),
  'readGuard.holdMs': integerFrom(0, HOUR_MS),
  'readGuard.redsMax': integerFrom(1, 1000),
};

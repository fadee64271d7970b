import { type Inconsistency, numberFrom, outOfRange } from '../../base/claims.ts';
import { ForeshardError } from '../../base/errors.ts';
import { parseMoveWindows, WINDOW_FORMAT } from './windows.ts';

/** When moves may start, and what decides it. */
export interface TimetableSettings {
  /** Times of the week in which moves may run, UTC; none: any time. */
  readonly windows: readonly string[];
  /** Bytes a second that all copies of the cluster may take together. */
  readonly bandwidthBytesPerSecondMax: number;
  /** Seconds a migration takes besides its copy: verification, the shift of reads, the fence. */
  readonly fixedSeconds: number;
  /** A start of the last plan is kept unless another saves this share of the move's price. */
  readonly startKeepShare: number;
}

export const DEFAULT_TIMETABLE_SETTINGS: TimetableSettings = {
  windows: [],
  // Above what 64 nodes copy at the default rate; there to be lowered where nodes share a link.
  bandwidthBytesPerSecondMax: 2 ** 30,
  // Four steps of reads, five seconds each, and two scans.
  fixedSeconds: 30,
  // Arbitrary: between never (a better hour that has come up is missed) and always (each new forecast moves every start).
  startKeepShare: 0.5,
};

export const TIMETABLE_RANGES = {
  bandwidthBytesPerSecondMax: numberFrom(1024, 2 ** 50),
  fixedSeconds: numberFrom(0, 86_400),
  startKeepShare: numberFrom(0, 1e6),
};

/** Paths from `affinity.timetable` on. */
export function timetableInconsistencies(settings: TimetableSettings): Inconsistency[] {
  const found = outOfRange(settings, TIMETABLE_RANGES);
  try {
    parseMoveWindows(settings.windows);
  } catch (error) {
    if (!(error instanceof ForeshardError)) throw error;
    found.push({ path: 'windows', expected: `a list of windows such as ${WINDOW_FORMAT}` });
  }
  return found;
}

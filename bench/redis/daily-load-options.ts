import type { TraceReport } from './trace-client.ts';

/** What the outer and the inner half of the bench of a daily load tell each other. */
export const DAILY_POLICIES = ['stay', 'rebalance', 'reactive', 'predictive'] as const;
export type DailyPolicy = (typeof DAILY_POLICIES)[number];

/**
 * What somebody who looks at a page bears of one of its many reads. Hours are a second or less here, and so are backlogs: of a real
 * hour each would be thousands of times as long.
 */
export const PATIENCE_MS = 250;

export interface DailyOptions {
  readonly liveDays: number;
  readonly hourMs: number;
  /** Before the live days, to learn from. */
  readonly trainDays: number;
  /** Between two plans. */
  readonly cycleHours: number;
  /** Whether a server that is slower than it is held to ends the run: its figures would be the machine's. */
  readonly isRateChecked: boolean;
}

export interface DailyFigures extends TraceReport {
  readonly movedSlots: number;
}

export interface DailyReport {
  readonly policies: Readonly<Record<DailyPolicy, DailyFigures>>;
  /** Reads a second that one server can answer, as measured. */
  readonly nodeReadsPerSecond: number;
  readonly peakReadsPerSecond: number;
}

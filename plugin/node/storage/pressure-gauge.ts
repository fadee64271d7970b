import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type { NodePressure } from '../../../src/ports/storage-engine.ts';

const WINDOW_MS = 1_000;
/** What a copy gives way to at once. */
const SHORT_WINDOW_MS = 100;
/** How often the event loop's lateness is taken. */
const RESOLUTION_MS = 10;

/** Transactions of a store so far, and the time they took together. */
export interface CommitTimes {
  readonly commitCount: number;
  readonly commitMs: number;
}

/** How busy this process is, second by second: what it tells is of the last whole second. */
export class PressureGauge {
  readonly #commitTimes: () => CommitTimes;
  readonly #delay: IntervalHistogram;
  readonly #timer: NodeJS.Timeout;
  readonly #shortTimer: NodeJS.Timeout;
  /** The loop's lateness in the short window that is open, and in the one before. */
  #shortLagMs = { open: 0, before: 0 };
  #shortTurnMs = performance.now();
  #shortStartedMs = performance.now();
  #last: NodePressure = { cpuShare: 0, loopLagMs: 0, commitMs: 0 };
  #startedMs = performance.now();
  #cpu = process.cpuUsage();
  #commits: CommitTimes;

  constructor(commitTimes: () => CommitTimes) {
    this.#commitTimes = commitTimes;
    this.#commits = { ...commitTimes() };
    this.#delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    this.#delay.enable();
    this.#timer = setInterval(() => this.#take(), WINDOW_MS);
    this.#timer.unref();
    this.#shortTimer = setInterval(() => this.#takeShort(), RESOLUTION_MS);
    this.#shortTimer.unref();
  }

  read(): NodePressure {
    return this.#last;
  }

  /** How late the loop was at most in the last one or two tenths of a second. */
  loopLagMs(): number {
    return Math.max(this.#shortLagMs.open, this.#shortLagMs.before);
  }

  close(): void {
    clearInterval(this.#timer);
    clearInterval(this.#shortTimer);
    this.#delay.disable();
  }

  #takeShort(): void {
    const nowMs = performance.now();
    const lateMs = Math.max(0, nowMs - this.#shortTurnMs - RESOLUTION_MS);
    this.#shortTurnMs = nowMs;
    if (nowMs - this.#shortStartedMs >= SHORT_WINDOW_MS) {
      this.#shortLagMs = { open: 0, before: this.#shortLagMs.open };
      this.#shortStartedMs = nowMs;
    }
    this.#shortLagMs.open = Math.max(this.#shortLagMs.open, lateMs);
  }

  #take(): void {
    const nowMs = performance.now();
    const { user, system } = process.cpuUsage(this.#cpu);
    const { commitCount, commitMs } = this.#commitTimes();
    const count = commitCount - this.#commits.commitCount;
    this.#last = {
      cpuShare: (user + system) / 1000 / (nowMs - this.#startedMs),
      // The histogram holds whole intervals, nanoseconds; NaN if it holds none.
      loopLagMs: Math.max(0, (this.#delay.percentile(99) || 0) / 1e6 - RESOLUTION_MS),
      commitMs: count === 0 ? 0 : (commitMs - this.#commits.commitMs) / count,
    };
    this.#startedMs = nowMs;
    this.#cpu = process.cpuUsage();
    this.#commits = { commitCount, commitMs };
    this.#delay.reset();
  }
}

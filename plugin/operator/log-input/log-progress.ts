import type { LogReading } from '../../logs/read-log.ts';

/** Often enough to see that it goes on, seldom enough to cost nothing. */
const TERMINAL_INTERVAL_MS = 250;
const LINES_INTERVAL_MS = 5_000;
const MB = 1_000_000;

interface ProgressOutput {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/**
 * Tells on standard error how far a log has been read: one line that changes on a terminal; lines, where they are asked for,
 * elsewhere; nothing otherwise.
 */
export class LogProgress {
  readonly #reading: LogReading;
  readonly #output: ProgressOutput;
  readonly #nowMs: () => number;
  readonly #isTerminal: boolean;
  readonly #intervalMs: number;
  readonly #startedMs: number;
  #shownMs: number;
  #shownLength = 0;

  constructor(
    reading: LogReading,
    options: { readonly output: ProgressOutput; readonly isWanted: boolean; readonly nowMs: () => number },
  ) {
    this.#reading = reading;
    this.#output = options.output;
    this.#nowMs = options.nowMs;
    this.#isTerminal = options.output.isTTY === true;
    const lineInterval = options.isWanted ? LINES_INTERVAL_MS : Number.POSITIVE_INFINITY;
    this.#intervalMs = this.#isTerminal ? TERMINAL_INTERVAL_MS : lineInterval;
    this.#startedMs = options.nowMs();
    this.#shownMs = this.#startedMs;
  }

  /** As the flags of a command want it. */
  static onStandardError(reading: LogReading, { progress }: { readonly progress?: boolean }): LogProgress {
    return new LogProgress(reading, {
      output: process.stderr,
      isWanted: progress === true,
      nowMs: () => performance.now(),
    });
  }

  /** After each batch. */
  update(): void {
    const nowMs = this.#nowMs();
    if (nowMs - this.#shownMs < this.#intervalMs) return;
    this.#shownMs = nowMs;
    const { bytesRead, bytesTotal, recordCount, badCount } = this.#reading.summary();
    const seconds = (nowMs - this.#startedMs) / 1_000;
    const read =
      bytesTotal === null
        ? `${(bytesRead / MB).toFixed(0)} MB`
        : `${(bytesRead / MB).toFixed(0)} of ${(bytesTotal / MB).toFixed(0)} MB (${Math.floor((100 * bytesRead) / Math.max(1, bytesTotal))} %)`;
    const text = `${read}, ${recordCount} queries, ${Math.round(recordCount / seconds)} a second${badCount > 0 ? `, ${badCount} bad lines` : ''}`;
    if (this.#isTerminal) this.#output.write(`\r${text.padEnd(this.#shownLength)}`);
    else this.#output.write(`${text}\n`);
    this.#shownLength = text.length;
  }

  /** Takes the changing line away again. */
  end(): void {
    if (this.#isTerminal && this.#shownLength > 0) this.#output.write(`\r${' '.repeat(this.#shownLength)}\r`);
  }
}

import type { LogReading } from '../../logs/read-log.ts';
import { ProgressLine, type ProgressOptions } from '../progress-line.ts';

const MB = 1_000_000;

/** Tells how far a log has been read. */
export class LogProgress {
  readonly #reading: LogReading;
  readonly #line: ProgressLine;

  constructor(reading: LogReading, options: ProgressOptions) {
    this.#reading = reading;
    this.#line = new ProgressLine(options);
  }

  /** As the flags of a command want it. */
  static onStandardError(reading: LogReading, flags: { readonly progress?: boolean }): LogProgress {
    return new LogProgress(reading, ProgressLine.optionsOf(flags));
  }

  /** After each batch. */
  update(): void {
    this.#line.update((seconds) => {
      const { bytesRead, bytesTotal, recordCount, badCount } = this.#reading.summary();
      const read =
        bytesTotal === null
          ? `${(bytesRead / MB).toFixed(0)} MB`
          : `${(bytesRead / MB).toFixed(0)} of ${(bytesTotal / MB).toFixed(0)} MB (${Math.floor((100 * bytesRead) / Math.max(1, bytesTotal))} %)`;
      return `${read}, ${recordCount} queries, ${Math.round(recordCount / seconds)} a second${badCount > 0 ? `, ${badCount} bad lines` : ''}`;
    });
  }

  end(): void {
    this.#line.end();
  }
}

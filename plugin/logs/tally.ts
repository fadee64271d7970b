import { ForeshardError } from '../../src/base/errors.ts';
import type { NumberedReason, Rejection } from './log-record.ts';

const BAD_LINES_LISTED = 10;
/** Reasons are few and fixed texts; a format that made them up from its input would be kept in bounds as well. */
const SKIP_REASONS_MAX = 100;
const BAD_LINES_NAMED = 3;

/** Above both, reading stops: a wrong format or a damaged file, of which the rest is not worth the time. */
export interface BadLineLimit {
  readonly count: number;
  /** Of all lines so far, 0..1. */
  readonly share: number;
}

/** Counts what was not a record, and stops when it is too much. */
export class LineTally {
  readonly #name: string;
  readonly #limit: BadLineLimit;
  readonly badLines: NumberedReason[] = [];
  readonly skippedReasons = new Map<string, number>();
  badCount = 0;
  #strayCount = 0;
  skippedCount = 0;

  constructor(name: string, limit: BadLineLimit) {
    this.#name = name;
    this.#limit = limit;
  }

  /** @throws ForeshardError FORESHARD_CORRUPT when there are too many bad lines. */
  add({ kind, reason, isStray }: Rejection, line: number): void {
    if (kind === 'skipped') {
      this.skippedCount++;
      const known = this.skippedReasons.get(reason);
      if (known !== undefined || this.skippedReasons.size < SKIP_REASONS_MAX)
        this.skippedReasons.set(reason, (known ?? 0) + 1);
      return;
    }
    this.badCount++;
    if (isStray) this.#strayCount++;
    if (this.badLines.length < BAD_LINES_LISTED) this.badLines.push({ line, reason });
    if (this.badCount > this.#limit.count && this.badCount > this.#limit.share * line)
      throw this.#tooMany(line);
  }

  /** @throws ForeshardError FORESHARD_CORRUPT where lines were read and none was a record. */
  assertRecords(recordCount: number, lineCount: number): void {
    if (recordCount > 0) return;
    const skips = [...this.skippedReasons].map(([reason, count]) => `${count} ${reason}`).join('; ');
    throw new ForeshardError(
      'FORESHARD_CORRUPT',
      're-read',
      `${this.#name}: no query in ${lineCount} lines: ${this.badCount} bad${this.#samples()}${skips === '' ? '' : `; skipped: ${skips}`}`,
    );
  }

  #tooMany(line: number): ForeshardError {
    const remedy =
      2 * this.#strayCount > this.badCount
        ? 'sort the lines by time'
        : 'name the right --format, repair the file';
    return new ForeshardError(
      'FORESHARD_CORRUPT',
      're-read',
      `${this.#name}: ${this.badCount} of the first ${line} lines are bad${this.#samples()}: ${remedy}, or allow more with --bad-lines-max`,
    );
  }

  #samples(): string {
    const named = this.badLines
      .slice(0, BAD_LINES_NAMED)
      .map(({ line, reason }) => `line ${line}: ${reason}`);
    return named.length === 0 ? '' : ` (${named.join('; ')})`;
  }
}

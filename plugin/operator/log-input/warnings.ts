import type { LogSummary } from '../../logs/log-record.ts';
import { printRemark } from '../output.ts';

type Warnings = Omit<LogSummary, 'skippedReasons'>;

/** Says on standard error what a reader of the result should know. */
export function printLogWarnings(summary: Warnings): void {
  for (const line of warningsOf(summary)) printRemark(line);
}

/** What went wrong on the way, without stopping it. */
function* warningsOf({
  badCount,
  lineCount,
  badLines,
  clockStepCount,
  clockSteps,
  silenceCount,
  longestSilence,
  notes,
}: Warnings): Generator<string> {
  if (badCount > 0) {
    yield `${badCount} of ${lineCount} lines are bad and were left out`;
    for (const { line, reason } of badLines) yield `  line ${line}: ${reason}`;
  }
  if (clockStepCount > 0) {
    yield `the log's clock was put back ${clockStepCount === 1 ? 'once' : `${clockStepCount} times`}`;
    for (const { line, beforeMs, afterMs } of clockSteps)
      yield `  line ${line}: ${isoOf(beforeMs)} -> ${isoOf(afterMs)}`;
  }
  if (longestSilence !== null) {
    const { line, beforeMs, afterMs } = longestSilence;
    yield `no query for more than two hours: ${silenceCount === 1 ? 'once' : `${silenceCount} times, the longest`} before line ${line}, from ${isoOf(beforeMs)} to ${isoOf(afterMs)}`;
  }
  yield* notes;
}

const isoOf = (ms: number): string => new Date(ms).toISOString();

import type { LogSummary } from '../../logs/log-record.ts';

type Warnings = Omit<LogSummary, 'skippedReasons'>;

/** Says on standard error what a reader of the result should know. */
export function printLogWarnings(summary: Warnings): void {
  for (const line of warningsOf(summary)) process.stderr.write(`foreshard: ${line}\n`);
}

/** What went wrong on the way, without stopping it. */
function* warningsOf({
  badCount,
  lineCount,
  badLines,
  clockStepCount,
  clockSteps,
  notes,
}: Warnings): Generator<string> {
  if (badCount > 0) {
    yield `${badCount} of ${lineCount} lines are bad and were left out`;
    for (const { line, reason } of badLines) yield `  line ${line}: ${reason}`;
  }
  if (clockStepCount > 0) {
    yield `the log's clock jumps ${clockStepCount} times`;
    for (const { line, kind, beforeMs, afterMs } of clockSteps)
      yield `  line ${line}: ${kind === 'back' ? 'back' : 'gap'}, ${isoOf(beforeMs)} -> ${isoOf(afterMs)}`;
  }
  yield* notes;
}

const isoOf = (ms: number): string => new Date(ms).toISOString();

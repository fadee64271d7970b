import type { Settings } from '../../../src/settings.ts';
import { printJson, printLine } from '../output.ts';
import { findPatterns } from './find-patterns.ts';
import type { PatternFlags } from './flags.ts';
import { type PatternFindings, patternLines } from './patterns-table.ts';

/** `foreshard patterns FILE`. */
export async function describePatterns(
  file: string,
  flags: PatternFlags,
  settings: Pick<Settings, 'cluster'>,
): Promise<void> {
  const found = await findPatterns(file === '-' ? process.stdin : file, flags, settings);
  for (const line of warningsOf(found.log)) process.stderr.write(`foreshard: ${line}\n`);
  if (flags.json) return printJson(found);
  for (const line of patternLines(found)) printLine(line);
}

/** What went wrong on the way, without stopping it. */
function* warningsOf({
  badCount,
  lineCount,
  badLines,
  clockStepCount,
  clockSteps,
  notes,
}: PatternFindings['log']): Generator<string> {
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

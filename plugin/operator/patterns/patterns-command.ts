import type { Settings } from '../../../src/settings.ts';
import { printLogWarnings } from '../log-input/warnings.ts';
import { printJson, printLine } from '../output.ts';
import { findPatterns } from './find-patterns.ts';
import type { PatternFlags } from './flags.ts';
import { patternLines } from './patterns-table.ts';

/** `foreshard patterns FILE`. */
export async function describePatterns(
  file: string,
  flags: PatternFlags,
  settings: Pick<Settings, 'cluster'>,
): Promise<void> {
  const found = await findPatterns(file === '-' ? process.stdin : file, flags, settings);
  printLogWarnings(found.log);
  if (flags.json) return printJson(found);
  for (const line of patternLines(found)) printLine(line);
}

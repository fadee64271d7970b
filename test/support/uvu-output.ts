/** What uvu prints, read back: https://github.com/lukeed/uvu, the command line's format. Text without colours. */

export interface RunTotals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** uvu's own closing lines; a run that ended without them, or badly though all passed, counts as one failure. */
export function readTotals(output: string, exitCode: number | null): RunTotals {
  const figure = (name: string): number | undefined => {
    const match = output.match(new RegExp(`^\\s*${name}:\\s+(\\d+)`, 'm'));
    return match ? Number(match[1]) : undefined;
  };
  const total = figure('Total');
  const passed = figure('Passed');
  const skipped = figure('Skipped') ?? 0;
  if (total === undefined || passed === undefined) return { passed: 0, failed: 1, skipped };
  const failed = total - passed - skipped;
  return { passed, failed: failed === 0 && exitCode !== 0 ? 1 : failed, skipped };
}

/** The file that was begun last: where a run without its totals has stood still. */
export function fileBegunLast(output: string): string | undefined {
  return output.match(/^\S+\.test\.js$/gm)?.at(-1);
}

/** Each failed test, from the line that begins with FAIL to where another test, suite or file begins. */
export function failuresOf(output: string): string[] {
  const failures: string[][] = [];
  let isInside = false;
  for (const line of output.split('\n')) {
    if (/^\s+FAIL\s/.test(line)) {
      failures.push([]);
      isInside = true;
    } else if (/^\S+\.test\.js$|^ \S.*[•✘]|^\s+Total:/.test(line)) isInside = false;
    if (isInside) failures.at(-1)?.push(line);
  }
  return failures.map((lines) => lines.join('\n').trimEnd());
}

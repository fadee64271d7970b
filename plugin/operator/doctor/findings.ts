/** What `foreshard doctor` has looked at, and what it says of it. */
export type Verdict = 'ok' | 'warn' | 'fail';

export interface Finding {
  /** What was looked at, such as `open files`. */
  readonly check: string;
  readonly verdict: Verdict;
  readonly found: string;
  /** What to do about it; absent where all is well. */
  readonly remedy?: string;
}

export const ok = (check: string, found: string): Finding => ({ check, verdict: 'ok', found });
export const warn = (check: string, found: string, remedy: string): Finding => ({
  check,
  verdict: 'warn',
  found,
  remedy,
});
export const fail = (check: string, found: string, remedy: string): Finding => ({
  check,
  verdict: 'fail',
  found,
  remedy,
});

export function findingLines(findings: readonly Finding[]): string[] {
  const width = Math.max(...findings.map(({ check }) => check.length));
  const lines = findings.flatMap(({ check, verdict, found, remedy }) => {
    const head = `${verdict.padEnd(4)}  ${check.padEnd(width)}  ${found}`;
    return remedy === undefined ? [head] : [head, `${' '.repeat(width + 8)}-> ${remedy}`];
  });
  const count = (verdict: Verdict): number => findings.filter((of) => of.verdict === verdict).length;
  return [...lines, `${count('ok')} ok, ${count('warn')} to look at, ${count('fail')} wrong`];
}

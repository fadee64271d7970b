/**
 * `npm test`: the whole suite on the release kernels, then everything that can reach a kernel on the debug
 * kernels. What failed is said once more at the end; the last line is `N passed, N failed`.
 *
 * It runs what is built, since that is what users run, and a process that translates its sources first starts three times
 * as slowly: suites start some hundreds.
 */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { REPOSITORY } from './support/repository.ts';
import { failuresOf, fileBegunLast, type RunTotals, readTotals } from './support/uvu-output.ts';

const BUILT = join(REPOSITORY, 'dist/test');
const RUN_MS_MAX = 18 * 60_000;
/** Without a file that begins: the longest takes about a minute and a half on two slow cores. */
const FILE_MS_MAX = 5 * 60_000;
/** From the totals to the end of the process: longer, and a suite has left something open. */
const END_MS_MAX = 150_000;

interface RunResult extends RunTotals {
  /** To be said again at the end. */
  readonly failures: readonly string[];
}

/** @param isHeldBack what it prints comes at its end: two that run at once are not told apart otherwise. */
function runSuite(
  kernels: 'release' | 'debug',
  pattern: string,
  { isHeldBack = false } = {},
): Promise<RunResult> {
  const title = `\n# ${kernels} kernels, files matching ${pattern}`;
  if (!isHeldBack) console.log(title);
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['node_modules/uvu/bin.js', BUILT, `${pattern}.*\\.test\\.js$`], {
      cwd: REPOSITORY,
      env: { ...process.env, FORESHARD_KERNELS: kernels },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    let stopped: string | undefined;
    const timers = new Map<string, NodeJS.Timeout>();
    const killAfter = (ms: number, why: string): void => {
      const kill = (): void => {
        stopped ??= `The ${kernels} run was stopped in ${fileBegunLast(output)}: ${why} after ${ms / 60_000} minutes.`;
        child.kill('SIGKILL');
      };
      clearTimeout(timers.get(why));
      timers.set(why, setTimeout(kill, ms));
    };
    killAfter(RUN_MS_MAX, 'not at its end');
    killAfter(FILE_MS_MAX, 'the file is not at its end');
    child.stdout.on('data', (chunk: Buffer) => {
      if (!isHeldBack) process.stdout.write(chunk);
      const text = stripVTControlCharacters(String(chunk));
      output += text;
      if (fileBegunLast(text)) killAfter(FILE_MS_MAX, 'the file is not at its end');
      if (/^\s*Duration:/m.test(text))
        killAfter(END_MS_MAX, 'a suite has left something open, and the process lives on');
    });
    child.on('close', (exitCode, signal) => {
      for (const timer of timers.values()) clearTimeout(timer);
      if (isHeldBack) process.stdout.write(`${title}\n${output}`);
      const totals = readTotals(output, exitCode);
      const failures = failuresOf(output);
      if (stopped !== undefined) failures.push(stopped);
      else if (totals.failed > failures.length)
        failures.push(
          `The ${kernels} run of ${pattern} ended with ${signal ?? exitCode} in ${fileBegunLast(output)}.`,
        );
      resolve({ ...totals, failures });
    });
  });
}

/** A suite whose source is gone would run for ever. */
function removeStaleSuites(): void {
  for (const path of readdirSync(BUILT, { recursive: true, encoding: 'utf8' }))
    if (path.endsWith('.test.js') && !existsSync(join(REPOSITORY, 'test', path.replace(/js$/, 'ts'))))
      rmSync(join(BUILT, path));
}

removeStaleSuites();
// Of suites' paths: `npm test -- 'router|planner'`.
const pattern = process.argv[2] === undefined ? undefined : `(?:${process.argv[2]})`;
// Scenarios wait for processes most of the time: beside the other suites they cost little of it. What operators call goes with
// them, so that both take about as long.
const runs =
  pattern === undefined
    ? await Promise.all([
        runSuite('release', '^(?!scenarios/|plugin/operator/)'),
        runSuite('release', '^(?:scenarios|plugin/operator)/', { isHeldBack: true }),
      ])
    : [await runSuite('release', pattern)];
// What never loads a kernel would only repeat itself on the second build.
runs.push(await runSuite('debug', pattern ?? '^src/'));

const failures = runs.flatMap((run) => run.failures);
if (failures.length > 0) console.log(`\n# What failed\n${failures.join('\n\n')}`);
const passed = runs.reduce((sum, run) => sum + run.passed, 0);
const failed = runs.reduce((sum, run) => sum + run.failed, 0);
const skipped = runs.reduce((sum, run) => sum + run.skipped, 0);
console.log(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
process.exitCode = failed > 0 ? 1 : 0;

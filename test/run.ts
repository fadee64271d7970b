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
/** Without a file that begins: the longest took nearly three minutes on two slow cores. */
const FILE_MS_MAX = 8 * 60_000;
/** From the totals to the end of the process: longer, and a suite has left something open. */
const END_MS_MAX = 150_000;

interface RunResult extends RunTotals {
  /** To be said again at the end. */
  readonly failures: readonly string[];
}

interface Job {
  readonly kernels: 'release' | 'debug';
  /** Of suites' paths. */
  readonly pattern: string;
}

/** @param isHeldBack what it prints comes at its end: runs that go on at once are not told apart otherwise. */
function runSuite({ kernels, pattern }: Job, isHeldBack: boolean): Promise<RunResult> {
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
    child.stdout.setEncoding('utf8').on('data', (printed: string) => {
      const text = stripVTControlCharacters(printed);
      output += text;
      if (!isHeldBack) process.stdout.write(text);
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

/** Suites wait for processes, servers and clocks about half of the time: three runs at once keep two processors busy. Longest first. */
const LANES = 3;

async function runJobs(jobs: readonly Job[]): Promise<RunResult[]> {
  const results: RunResult[] = [];
  const waiting = [...jobs.entries()];
  const lane = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
      results[next[0]] = await runSuite(next[1], next[0] > 0);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return results;
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
const runs = await runJobs(
  pattern === undefined
    ? [
        { kernels: 'release', pattern: '^scenarios/' },
        { kernels: 'release', pattern: '^plugin/(?!operator/)' },
        { kernels: 'release', pattern: '^(?!scenarios/|plugin/)' },
        { kernels: 'release', pattern: '^plugin/operator/' },
        // What never loads a kernel would only repeat itself on the second build.
        { kernels: 'debug', pattern: '^src/' },
      ]
    : [
        { kernels: 'release', pattern },
        { kernels: 'debug', pattern },
      ],
);

const failures = runs.flatMap((run) => run.failures);
if (failures.length > 0) console.log(`\n# What failed\n${failures.join('\n\n')}`);
const passed = runs.reduce((sum, run) => sum + run.passed, 0);
const failed = runs.reduce((sum, run) => sum + run.failed, 0);
const skipped = runs.reduce((sum, run) => sum + run.skipped, 0);
console.log(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
process.exitCode = failed > 0 ? 1 : 0;

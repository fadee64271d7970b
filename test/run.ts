/**
 * `npm test`: the whole suite on the release kernels, then everything that can reach a kernel on the debug
 * kernels. The last line is `N passed, N failed`.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';

const REPOSITORY = fileURLToPath(new URL('..', import.meta.url));
/** A suite that takes longer than this hangs: it left something open. */
const RUN_MS_MAX = 18 * 60_000;

interface RunTotals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** @param isHeldBack what it prints comes at its end: two that run at once are not told apart otherwise. */
function runSuite(
  kernels: 'release' | 'debug',
  pattern: string,
  { isHeldBack = false } = {},
): Promise<RunTotals> {
  const title = `\n# ${kernels} kernels, files matching ${pattern}`;
  if (!isHeldBack) console.log(title);
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['--import', 'tsx', 'node_modules/uvu/bin.js', 'test', pattern], {
      cwd: REPOSITORY,
      env: { ...process.env, FORESHARD_KERNELS: kernels },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      if (!isHeldBack) process.stdout.write(chunk);
      output += chunk;
    });
    const hangTimer = setTimeout(() => {
      console.log(`\nthe ${kernels} run was stopped after ${RUN_MS_MAX / 60_000} minutes`);
      child.kill('SIGKILL');
    }, RUN_MS_MAX);
    child.on('close', (exitCode) => {
      clearTimeout(hangTimer);
      if (isHeldBack) process.stdout.write(`${title}\n${output}`);
      resolve(readTotals(output, exitCode));
    });
  });
}

/** uvu's own closing lines; a run that ended without them, or badly though all passed, counts as one failure. */
function readTotals(output: string, exitCode: number | null): RunTotals {
  const plain = stripVTControlCharacters(output);
  const figure = (name: string): number | undefined => {
    const match = plain.match(new RegExp(`^\\s*${name}:\\s+(\\d+)`, 'm'));
    return match ? Number(match[1]) : undefined;
  };
  const total = figure('Total');
  const passed = figure('Passed');
  const skipped = figure('Skipped') ?? 0;
  if (total === undefined || passed === undefined) return { passed: 0, failed: 1, skipped };
  const failed = total - passed - skipped;
  return { passed, failed: failed === 0 && exitCode !== 0 ? 1 : failed, skipped };
}

const pattern = process.argv[2];
// Scenarios wait for processes most of the time: beside the other suites they cost little of it.
const runs =
  pattern === undefined
    ? await Promise.all([
        runSuite('release', '^(?!scenarios/).*\\.test\\.ts$'),
        runSuite('release', '^scenarios/.*\\.test\\.ts$', { isHeldBack: true }),
      ])
    : [await runSuite('release', pattern)];
// What never loads a kernel would only repeat itself on the second build.
runs.push(await runSuite('debug', pattern ?? '^src/.*\\.test\\.ts$'));

const passed = runs.reduce((sum, run) => sum + run.passed, 0);
const failed = runs.reduce((sum, run) => sum + run.failed, 0);
const skipped = runs.reduce((sum, run) => sum + run.skipped, 0);
console.log(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
process.exitCode = failed > 0 ? 1 : 0;

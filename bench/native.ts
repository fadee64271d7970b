/**
 * Kernels of forecast and placement beside hand-written C (`gcc -O3 -msse4.2`) on the same work, in the same run.
 *
 * Rounds of the kernel and of C alternate, each measures its own processor time, and the ratio is the median of the ratios
 * of neighbouring rounds: whatever else the machine does then weighs on both. It is for kernels that need not be as
 * fast as C; how far they are from it tells whether a loop was written well.
 */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { median } from './median.ts';
import type { NativeCase } from './native/case.ts';
import { NATIVE_CASES } from './native/cases.ts';
import type { BenchOutcome, BenchResult } from './types.ts';

const COMPILER = 'gcc';
const FLAGS = ['-O3', '-msse4.2'] as const;
const BASELINE = `${COMPILER} ${FLAGS.join(' ')}`;

/** C sources are not compiled into dist/: from there the way back is two folders longer. */
const SOURCE_FOLDER = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? './native/' : '../../bench/native/', import.meta.url),
);

/** Every kernel of an area with a C twin; without a compiler each is skipped, aloud. */
export async function kernelsAgainstC({
  isSmall,
  area = 'forecast',
}: {
  readonly isSmall: boolean;
  readonly area?: keyof typeof NATIVE_CASES;
}): Promise<BenchOutcome> {
  const why = whyNotHere();
  if (why !== undefined) return { results: [], skipped: [{ name: `${area}/kernel`, why }] };
  const results: BenchResult[] = [];
  for (const makeCase of NATIVE_CASES[area]) {
    const result = await compareWithC(makeCase({ isSmall }), { isSmall });
    results.push({ ...result, name: `${area}/${result.name}` });
  }
  return { results, skipped: [] };
}

function whyNotHere(): string | undefined {
  if (process.arch !== 'x64') return `${BASELINE} needs an x86-64 processor, this is ${process.arch}`;
  const found = spawnSync(COMPILER, ['--version']);
  return found.status === 0
    ? undefined
    : `no ${COMPILER} here: install it to compare the kernels with C (Debian: apt-get install gcc libc6-dev)`;
}

/** @throws Error when C does not compile, ends early, or computes something else. */
export async function compareWithC(
  contest: NativeCase,
  { isSmall }: { readonly isSmall: boolean },
): Promise<BenchResult> {
  const folder = mkdtempSync(join(tmpdir(), 'foreshard-native-'));
  const native = startNative(contest, folder);
  try {
    // Long enough for the clock (10 ms and more), short enough that neighbouring rounds see the same machine.
    const repeats = isSmall ? 1 : await warmed(contest, 0.04);
    const rounds = isSmall ? 1 : 15;
    const ratios: number[] = [];
    const kernelSeconds: number[] = [];
    // The first round warms caches; it only proves that both compute the same.
    for (let round = 0; round <= rounds; round++) {
      const kernel = timedKernel(contest, repeats);
      const other = await native.round(repeats);
      assertSame(contest, kernel.result, other.result);
      if (round === 0) continue;
      kernelSeconds.push(kernel.seconds / repeats);
      // A round below the clock's step has no ratio: at small settings only the results count.
      ratios.push(Math.max(kernel.seconds, 1e-6) / Math.max(other.seconds, 1e-6));
    }
    const ratio = median(ratios);
    const value = (median(kernelSeconds) / contest.amount) * 1e9;
    return {
      name: `kernel/${contest.name}`,
      metric: 'cpu',
      value,
      unit: `ns/${contest.unit}`,
      baseline: BASELINE,
      baselineValue: value / ratio,
      ratio,
      settings: contest.settings,
      hash: hashOf(contest.runKernel()),
    };
  } finally {
    native.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

function timedKernel(contest: NativeCase, repeats: number): { seconds: number; result: number } {
  const started = process.cpuUsage();
  let result = 0;
  for (let i = 0; i < repeats; i++) result = contest.runKernel();
  const { user, system } = process.cpuUsage(started);
  return { seconds: (user + system) / 1e6, result };
}

/** Rounds in a row none of which is clearly faster than all before: then V8 has put its optimised code in place. */
const STEADY_ROUNDS = 12;
const FASTER_SHARE = 0.9;
const WARM_ROUNDS_MAX = 100;

/**
 * Repeats that take about so long once the kernel is as fast as it gets.
 *
 * V8 compiles a loop well only after it has run for some time, in a thread that wants the processor too: on a busy machine `ets` once
 * stood at 2.8 times C for all of a bench, at the speed of the first compiler. So the loop pauses, which lets that thread run.
 */
async function warmed(contest: NativeCase, seconds: number): Promise<number> {
  const repeats = await calibrated(contest, seconds);
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0, steady = 0; round < WARM_ROUNDS_MAX && steady < STEADY_ROUNDS; round++) {
    const elapsed = timedKernel(contest, repeats).seconds;
    steady = elapsed < FASTER_SHARE * best ? 0 : steady + 1;
    best = Math.min(best, elapsed);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return calibrated(contest, seconds);
}

/** Repeats that take about so long. */
async function calibrated(contest: NativeCase, seconds: number): Promise<number> {
  for (let repeats = 1; ; repeats *= 2) {
    const elapsed = timedKernel(contest, repeats).seconds;
    await new Promise((resolve) => setImmediate(resolve));
    if (elapsed >= seconds / 2) return Math.max(1, Math.round((repeats * seconds) / elapsed));
  }
}

interface NativeProcess {
  round(repeats: number): Promise<{ seconds: number; result: number }>;
  stop(): void;
}

function startNative(contest: NativeCase, folder: string): NativeProcess {
  const binary = join(folder, 'native');
  const input = join(folder, 'input.f64');
  const built = spawnSync(COMPILER, [...FLAGS, '-o', binary, join(SOURCE_FOLDER, contest.source), '-lm'], {
    encoding: 'utf8',
  });
  if (built.status !== 0)
    throw new Error(`${contest.source} does not compile with ${BASELINE}:\n${built.stderr}`);
  const { buffer, byteOffset, byteLength } = contest.input;
  // A copy, since the input may lie in shared memory.
  writeFileSync(input, new Uint8Array(buffer, byteOffset, byteLength).slice());
  const child = spawn(binary, [input, ...contest.numbers.map(String)]);
  return { round: roundsOf(child, contest.source), stop: () => child.kill() };
}

function roundsOf(child: ChildProcessWithoutNullStreams, source: string): NativeProcess['round'] {
  let complaint = '';
  child.stderr.on('data', (text) => {
    complaint += text;
  });
  // Writing to a process that has ended is reported by its missing answer.
  child.stdin.on('error', () => {});
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return async (repeats) => {
    child.stdin.write(`${repeats}\n`);
    const { value, done } = await answers.next();
    const [seconds, result] = done ? [] : value.split(' ').map(Number);
    if (seconds === undefined || result === undefined)
      throw new Error(`${source} ended without an answer ${complaint}`);
    return { seconds, result };
  };
}

function assertSame(contest: NativeCase, kernel: number, native: number): void {
  const allowed = contest.tolerance * Math.max(Math.abs(kernel), Math.abs(native));
  if (!(Math.abs(kernel - native) <= allowed))
    throw new Error(`${contest.name}: the kernel computes ${kernel}, ${contest.source} ${native}`);
}

/** Seven digits: what both agree on, whatever the last bits are. */
function hashOf(result: number): string {
  return createHash('sha256').update(result.toPrecision(7)).digest('hex').slice(0, 16);
}

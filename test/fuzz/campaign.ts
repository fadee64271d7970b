import { Worker } from 'node:worker_threads';
import type { FuzzOrder, FuzzReport } from './fuzz-thread.ts';
import { INPUT_BYTES_MAX } from './mutate.ts';
import type { Finding, RunTotals } from './runner.ts';
import type { TargetName } from './targets.ts';

/** Processor time, of which a thread that waits for its turn on a busy machine uses none. A parser that has not come back by then never will. */
const HANG_CPU_MS = 10_000;
/** One that sleeps uses none, either. */
const HANG_MS = 120_000;
const LOOK_MS = 250;
/** Of the thread: what inputs of a quarter of a megabyte may make of themselves, with room for the suite's own corpus. */
const HEAP_MIB_MAX = 512;

export interface CampaignOptions {
  readonly repository: string;
  readonly seed: bigint;
  readonly milliseconds: number;
  readonly inputsMax?: number;
  readonly replay?: Uint8Array;
}

export interface TargetReport {
  readonly totals: RunTotals | null;
  readonly findings: readonly Finding[];
}

/** Runs one target and watches it from outside. A hang or the end of the thread is a finding like any other. */
export async function fuzzTarget(target: TargetName, options: CampaignOptions): Promise<TargetReport> {
  const shared = new SharedArrayBuffer(8 + INPUT_BYTES_MAX);
  const counts = new Uint32Array(shared, 0, 2);
  const { repository, seed, milliseconds, inputsMax = Number.POSITIVE_INFINITY, replay = null } = options;
  const workerData: FuzzOrder = { repository, target, seed, milliseconds, inputsMax, replay, shared };
  const thread = startFuzzThread(workerData);
  const atWork = (): Buffer => Buffer.from(new Uint8Array(shared, 8, counts[1]).slice());
  const ended = (what: string): TargetReport => ({
    totals: null,
    findings: [{ target, what, input: atWork() }],
  });
  try {
    return await new Promise<TargetReport>((resolve) => {
      let seenCount = 0;
      let seenMs = performance.now();
      let seenCpuMs = cpuMs();
      const watch = setInterval(() => {
        const nowMs = performance.now();
        if (counts[0] !== seenCount) [seenCount, seenMs, seenCpuMs] = [counts[0] as number, nowMs, cpuMs()];
        else if (nowMs - seenMs > HANG_MS || (seenCount > 0 && cpuMs() - seenCpuMs > HANG_CPU_MS))
          resolve(ended(`hang: no answer for ${Math.round(nowMs - seenMs)} ms`));
      }, LOOK_MS);
      thread.once('message', ({ totals, findings }: FuzzReport) =>
        resolve({
          totals,
          findings: findings.map((found) => ({ ...found, input: Buffer.from(found.input) })),
        }),
      );
      thread.once('error', (error) => resolve(ended(`the thread ended: ${error.stack ?? error.message}`)));
      thread.once('exit', (code) => resolve(ended(`the thread ended with ${code}`)));
      thread.once('exit', () => clearInterval(watch));
    });
  } finally {
    await thread.terminate();
  }
}

/** Of this process, which does nothing beside. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

function startFuzzThread(workerData: FuzzOrder): Worker {
  const options = { workerData, resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB_MAX } };
  if (!import.meta.url.endsWith('.ts'))
    return new Worker(new URL('./fuzz-thread.js', import.meta.url), options);
  // As plugin/threads/thread.ts does: a worker of Node 20 does not inherit the hooks that load TypeScript.
  const loader = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  const module = JSON.stringify(new URL('./fuzz-thread.ts', import.meta.url).href);
  const bootstrap = `import(${loader}).then(({ register }) => { register(); return import(${module}); });`;
  return new Worker(bootstrap, { ...options, eval: true });
}

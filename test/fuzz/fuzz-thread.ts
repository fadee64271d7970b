/** One target in a thread of its own, so that a parser which hangs or eats the heap does not take the watchdog with it. */
import { parentPort, workerData } from 'node:worker_threads';
import { readCorpus } from './corpus.ts';
import { FuzzRunner, type RunTotals } from './runner.ts';
import type { FuzzTarget } from './target.ts';
import { TARGETS, type TargetName } from './targets.ts';

export interface FuzzOrder {
  readonly repository: string;
  readonly target: TargetName;
  readonly seed: bigint;
  readonly milliseconds: number;
  /** At most so many inputs, whatever the time. */
  readonly inputsMax: number;
  /** Run this input alone. */
  readonly replay: Uint8Array | null;
  /** u32 inputs begun, u32 bytes of the one at work, and from byte 8 on that input. */
  readonly shared: SharedArrayBuffer;
}

export interface FuzzReport {
  readonly totals: RunTotals;
  readonly findings: readonly {
    readonly target: string;
    readonly what: string;
    readonly input: Uint8Array;
  }[];
}

const order = workerData as FuzzOrder;
const counts = new Uint32Array(order.shared, 0, 2);
const current = new Uint8Array(order.shared, 8);
const rejected: string[] = [];
process.on('unhandledRejection', (error) => rejected.push(String((error as Error)?.stack ?? error)));

const target: FuzzTarget = TARGETS[order.target]();
const runner = new FuzzRunner(target, {
  seed: order.seed,
  corpus: order.replay === null ? readCorpus(order.repository, order.target) : [],
  onInput: (input) => {
    const kept = input.subarray(0, current.length);
    current.set(kept);
    counts[1] = kept.length;
    Atomics.add(counts, 0, 1);
  },
});
const deadlineMs = performance.now() + order.milliseconds;
try {
  if (order.replay === null)
    await runner.run(() => performance.now() > deadlineMs || runner.totals.inputs >= order.inputsMax);
  else {
    await runner.run(() => true);
    await runner.again(Buffer.from(order.replay));
  }
} finally {
  target.close?.();
}
const findings = [...runner.findings];
if (rejected.length > 0)
  findings.push({
    target: order.target,
    what: `a rejection that nobody handled: ${rejected[0]}`,
    input: Buffer.alloc(0),
  });
parentPort?.postMessage({ totals: runner.totals, findings } satisfies FuzzReport);

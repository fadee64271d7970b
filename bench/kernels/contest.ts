import { createHash } from 'node:crypto';
import { median } from '../median.ts';
import type { BenchResult } from '../types.ts';

/** A kernel and its twin, on the same input. */
export interface Contest {
  readonly name: string;
  /** What one call gets through, in `unit`. */
  readonly amount: number;
  readonly unit: string;
  readonly settings: Record<string, number>;
  kernel(): void;
  oracle(): void;
  /** What the last call of each has computed; not part of what is timed. */
  kernelResult(): Float64Array;
  oracleResult(): Float64Array;
}

/** Median processor time of interleaved rounds; the twin's result must be the kernel's. */
export function measure(contest: Contest, rounds: number): BenchResult {
  const { name, amount, unit, settings } = contest;
  const kernelMs: number[] = [];
  const oracleMs: number[] = [];
  let hash = '';
  // Once more than measured: the first round lets V8 optimise.
  for (let round = 0; round <= rounds; round++) {
    const fastMs = timedMs(() => contest.kernel());
    const slowMs = timedMs(() => contest.oracle());
    hash = hashOf(contest.kernelResult());
    if (hashOf(contest.oracleResult()) !== hash) throw new Error(`${name}: the kernel and its oracle differ`);
    if (round === 0) continue;
    kernelMs.push(fastMs);
    oracleMs.push(slowMs);
  }
  const value = amount / (median(kernelMs) / 1000);
  const baselineValue = amount / (median(oracleMs) / 1000);
  return {
    name: `kernels/${name}`,
    metric: 'rate',
    value,
    unit: `${unit}/s`,
    baseline: 'js-oracle',
    baselineValue,
    ratio: value / baselineValue,
    settings,
    hash,
  };
}

/** Repeats short work until it is long enough for the clock. */
function timedMs(work: () => void): number {
  const started = performance.now();
  let calls = 0;
  let elapsed = 0;
  while (elapsed < 2) {
    work();
    calls++;
    elapsed = performance.now() - started;
  }
  return elapsed / calls;
}

function hashOf(values: Float64Array): string {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return createHash('sha256').update(Uint8Array.from(bytes)).digest('hex').slice(0, 16);
}

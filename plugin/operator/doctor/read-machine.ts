import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import type { MachineFacts } from './machine.ts';

/** `(module (func (result v128) i32.const 0 i8x16.splat))`: valid only where vectors are known. */
const SIMD_MODULE = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11,
]);

export const readMachine = (): MachineFacts => ({
  nodeVersion: process.version,
  hasWasmSimd: WebAssembly.validate(SIMD_MODULE),
  cpuCount: availableParallelism(),
  memoryBytes: Math.min(totalmem(), groupMemoryMax()),
  openFilesMax: openFilesMax(),
  nowMs: Date.now(),
  isClockSynchronised: isClockSynchronised(),
});

function textOf(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null; // another system, or an older kernel
  }
}

function groupMemoryMax(): number {
  const limit = Number(textOf('/sys/fs/cgroup/memory.max')?.trim());
  return Number.isFinite(limit) && limit > 0 ? limit : Number.POSITIVE_INFINITY;
}

function openFilesMax(): number | null {
  const soft = /^Max open files\s+(\S+)/m.exec(textOf('/proc/self/limits') ?? '')?.[1];
  if (soft === undefined) return null;
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
}

function isClockSynchronised(): boolean | null {
  const { stdout, status } = spawnSync('timedatectl', ['show', '--property=NTPSynchronized', '--value'], {
    encoding: 'utf8',
    timeout: 2_000,
  });
  if (status !== 0) return null;
  return stdout.trim() === 'yes';
}

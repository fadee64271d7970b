import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { foreshardArguments } from './repository.ts';

export interface Ran {
  readonly status: number | null;
  /** Standard output and standard error, as they came. */
  readonly output: string;
  readonly stdout: string;
  readonly tookMs: number;
}

/** One command line in a process of its own, beside a cluster. */
export function runCli(folder: string, ...args: string[]): Promise<Ran> {
  const config = ['--config', join(folder, 'foreshard.config.json')];
  const startedMs = performance.now();
  const child = spawn(process.execPath, foreshardArguments(...args, ...config), { stdio: 'pipe' });
  let output = '';
  let stdout = '';
  child.stdout.on('data', (bytes) => {
    stdout += String(bytes);
  });
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (bytes) => {
      output += String(bytes);
    });
  return new Promise((resolve) =>
    child.on('close', (status) => resolve({ status, output, stdout, tookMs: performance.now() - startedMs })),
  );
}

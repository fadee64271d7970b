import { runCli } from '../../plugin/operator/program.ts';

export interface RanHere {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** One command line in this process: a process of its own takes a second to begin. Nothing else may print meanwhile. */
export async function runHere(...args: string[]): Promise<RanHere> {
  const printed = { stdout: '', stderr: '' };
  const names = ['stdout', 'stderr'] as const;
  const real = names.map((name) => process[name].write);
  for (const name of names)
    process[name].write = ((chunk: string | Uint8Array) => {
      printed[name] += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString();
      return true;
    }) as typeof process.stdout.write;
  try {
    const exitCode = await runCli(args);
    return { exitCode, ...printed };
  } finally {
    names.forEach((name, index) => {
      process[name].write = real[index] as typeof process.stdout.write;
    });
  }
}

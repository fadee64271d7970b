import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { LoadOrder, LoadReport } from './load-client.ts';

/** The application's process: apart from whoever moves slots, so that neither waits for the other's event loop. */
export class LoadProcess {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(order: LoadOrder): Promise<LoadProcess> {
    const child = forkModule(new URL('./load-client.ts', import.meta.url));
    child.send(order);
    const [first] = await Promise.race([once(child, 'message'), once(child, 'exit')]);
    if (first !== 'ready') throw new Error(`the load client ended with ${String(first)}`);
    return new LoadProcess(child);
  }

  /** Forgets latencies so far: another stretch begins. */
  async reset(): Promise<void> {
    await this.#ask('reset');
  }

  /** Of the stretch so far. */
  report(): Promise<LoadReport> {
    return this.#ask('report') as Promise<LoadReport>;
  }

  async stop(): Promise<LoadReport> {
    const exited = once(this.#child, 'exit');
    const report = (await this.#ask('stop')) as LoadReport;
    await exited;
    return report;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async #ask(question: string): Promise<unknown> {
    const answer = once(this.#child, 'message');
    this.#child.send(question);
    return (await answer)[0];
  }
}

/** A process that runs a module of these benches, in the kind of code that this is: TypeScript, or `dist`. */
export function forkModule(module: URL): ChildProcess {
  const isTypeScript = import.meta.url.endsWith('.ts');
  const path = fileURLToPath(module);
  return fork(isTypeScript ? path : path.replace(/\.ts$/, '.js'), {
    execArgv: isTypeScript ? ['--import', import.meta.resolve('tsx')] : [],
    serialization: 'advanced',
  });
}

import type { Worker } from 'node:worker_threads';
import { assert } from '../../src/base/assert.ts';
import { ForeshardError } from '../../src/base/errors.ts';
import type {
  LinearProgram,
  LinearSolution,
  LinearSolver,
  SolveOptions,
} from '../../src/ports/linear-solver.ts';
import { startThread } from '../threads/thread.ts';
import type { SolveReply, SolveRequest } from './highs-thread.ts';

/** Beyond its own time limit, which HiGHS asks about only between its steps, the thread gets so long to answer. */
const GRACE_SECONDS = 2;

/**
 * HiGHS (Huangfu & Hall 2018), as WebAssembly in a thread of its own. The thread starts with the first solve and is kept;
 * a solve that is cancelled or overruns its time takes the thread with it, since nothing else stops the solver at once.
 */
export function highsSolver(): LinearSolver {
  let worker: Worker | undefined;
  let last: Promise<unknown> = Promise.resolve();
  let isClosed = false;

  async function drop(): Promise<void> {
    const dropped = worker;
    worker = undefined;
    await dropped?.terminate();
  }

  function ask(program: LinearProgram, options: SolveOptions): Promise<LinearSolution> {
    assert(!isClosed, 'a closed solver is given no work');
    worker ??= startThread(new URL('./highs-thread.ts', import.meta.url), {});
    const thread = worker;
    const { secondsMax, start, signal } = options;
    return new Promise<LinearSolution>((resolve, reject) => {
      const fail = (code: 'FORESHARD_LIMIT' | 'FORESHARD_UNAVAILABLE', message: string): void => {
        leave();
        void drop();
        reject(
          new ForeshardError(code, code === 'FORESHARD_LIMIT' ? 'retry' : 'report', `solver: ${message}`),
        );
      };
      const onAbort = (): void => fail('FORESHARD_LIMIT', 'cancelled');
      const onError = (error: Error): void => fail('FORESHARD_UNAVAILABLE', error.message);
      const onExit = (): void => fail('FORESHARD_UNAVAILABLE', 'its thread ended');
      const onMessage = (reply: SolveReply): void => {
        if (reply.isDone) {
          leave();
          resolve(reply.solution);
        } else fail('FORESHARD_UNAVAILABLE', reply.message);
      };
      const timer = setTimeout(
        () => fail('FORESHARD_LIMIT', `no answer within ${secondsMax} s`),
        (secondsMax + GRACE_SECONDS) * 1000,
      );
      function leave(): void {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        thread.off('message', onMessage).off('error', onError).off('exit', onExit);
        thread.unref();
      }
      if (signal?.aborted) {
        onAbort();
        return;
      }
      signal?.addEventListener('abort', onAbort, { once: true });
      thread.ref();
      thread.on('message', onMessage).on('error', onError).on('exit', onExit);
      thread.postMessage({ program, secondsMax, ...(start && { start }) } satisfies SolveRequest);
    });
  }

  return {
    name: 'highs',
    solve(program, options) {
      // One at a time: a second message would wait in the thread, while its time limit ran here.
      const result = last.then(() => ask(program, options));
      last = result.catch(() => undefined);
      return result;
    },
    async close() {
      isClosed = true;
      await drop();
    },
  };
}

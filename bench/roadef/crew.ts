/** Threads that run legs side by side. */
import type { Worker } from 'node:worker_threads';
import { startThread } from '../../plugin/threads/thread.ts';
import type { RoadefKernel } from './kernel.ts';
import { type Leg, runLeg } from './leg.ts';
import type { WorkerSetup } from './worker.ts';

/** One thread a search. Close it. */
export interface Crew {
  /** One leg at a time on each member. @returns its iterations. */
  run(member: number, leg: Leg): Promise<number>;
  close(): Promise<void>;
}

/** All legs one after the other on this thread: the same result as on threads, for budgets in iterations. */
export function inlineCrew(kernel: RoadefKernel): Crew {
  return {
    run: async (_member, leg) => runLeg(kernel, leg),
    close: async () => {},
  };
}

export function threadedCrew(setup: WorkerSetup, threads: number): Crew {
  const workers = Array.from({ length: threads }, () =>
    startThread(new URL('./worker.ts', import.meta.url), { workerData: setup }),
  );
  return {
    run: (member, leg) => runOn(workers[member] as Worker, leg),
    async close() {
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}

function runOn(worker: Worker, leg: Leg): Promise<number> {
  return new Promise((resolve, reject) => {
    const settle = (finish: () => void): void => {
      worker.off('message', onMessage);
      worker.off('error', onError);
      finish();
    };
    const onMessage = (iterations: number): void => settle(() => resolve(iterations));
    const onError = (error: Error): void => settle(() => reject(error));
    worker.on('message', onMessage);
    worker.on('error', onError);
    worker.postMessage(leg);
  });
}

import { getPriority, setPriority } from 'node:os';
import { isMainThread } from 'node:worker_threads';

/**
 * Makes the calling thread, and threads that it begins afterwards, stand back for all that is less nice: what serves queries on
 * this machine cannot wait for a processor, and forecasts, plans and moves can. Never the other way: whoever began a process nicer
 * than this knew why, and only a privileged one might.
 *
 * On Linux niceness is each thread's own. Elsewhere it is the process's, so that only a main thread, which speaks for its
 * process, is made nicer.
 *
 * @param niceness from 0, as every process begins, to 19.
 * @returns why the machine refused, as a sandbox may: all works as well, at its neighbours' cost. Null when it did not.
 * @see setpriority(2), sched(7)
 */
export function yieldToOthers(niceness: number): Error | null {
  if (!isMainThread && process.platform !== 'linux') return null;
  try {
    if (getPriority() < niceness) setPriority(niceness);
    return null;
  } catch (error) {
    return error as Error;
  }
}

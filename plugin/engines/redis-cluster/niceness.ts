import { getPriority, setPriority } from 'node:os';
import type { Logger } from '../../../src/base/logger.ts';

/**
 * Makes this process yield to all that is less nice: beside a database's servers and their clients, a move can wait and they cannot.
 * Never the other way: whoever began the process nicer than this knew why, and only a privileged process might.
 *
 * @param niceness from 0, as every process begins, to 19.
 * @see setpriority(2); of a Linux process the main thread changes, and threads that begin afterwards are as nice as it
 */
export function yieldToOthers(niceness: number, logger: Logger): void {
  try {
    if (getPriority() < niceness) setPriority(niceness);
  } catch (error) {
    // A sandbox may forbid the call. The agent works as well, at the cost of its neighbours.
    logger.warn({ fault: (error as Error).message }, 'the agent competes with its neighbours for processors');
  }
}

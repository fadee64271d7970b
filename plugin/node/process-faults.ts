import type { Logger } from '../../src/base/logger.ts';
import { describeFault, isOwnBug } from '../threads/faults.ts';

/** The part of a plugin host that answers for faults which reach the process itself. */
export interface FaultOwner {
  onProcessFault(fault: unknown, options: { readonly isRejection: boolean }): boolean;
}

export interface ProcessFaults {
  /** Set as soon as there is a host: until then every bug is the node's own. */
  owner: FaultOwner | null;
}

/**
 * Decides what a fault that nobody caught does to this process.
 *
 * A plugin's detaches the plugin. What the world did (a peer that is down; a failed LMDB commit, which leaves a rejection
 * that nobody can attach to while reads must go on) is logged. Everything else is a bug of the node or its engine: what they
 * hold in memory is not to be trusted any more, so the process ends at once, and what was acknowledged is on disk.
 */
export function surviveFaults(logger: Logger): ProcessFaults {
  const faults: ProcessFaults = { owner: null };
  const decide = (fault: unknown, isRejection: boolean): void => {
    try {
      if (faults.owner?.onProcessFault(fault, { isRejection })) return;
      if (isRejection && !isOwnBug(fault)) {
        logger.error(describeFault(fault), 'a rejection that nobody handled');
        return;
      }
      logger.error(describeFault(fault), 'a fault of the node itself, not of a plugin: the process ends');
    } catch (second) {
      logger.error(describeFault(second), 'a fault could not be dealt with: the process ends');
    }
    process.exit(1);
  };
  process.on('uncaughtException', (error) => decide(error, false));
  process.on('unhandledRejection', (reason) => decide(reason, true));
  return faults;
}

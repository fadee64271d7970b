import type { ControlHandler, OnQueryCompleted, QueryNodeHooks, StorageNodeHooks } from '../hooks.ts';
import { isOwnBug } from '../threads/faults.ts';

type OnFault = (error: unknown) => void;
type OnRoute = NonNullable<QueryNodeHooks['onRoute']>;
type OnWriteCommitted = NonNullable<StorageNodeHooks['onWriteCommitted']>;

// Guards spell their parameters out: a rest array would be an allocation per query. A hook has nothing to return, so one
// comparison with undefined is all that a right one pays for the wrong ones that are async.
export function guardOnQueryCompleted(hook: OnQueryCompleted, onFault: OnFault): OnQueryCompleted {
  return (command, partition, node, client, key, offset, length, latency, request, reply, outcome) => {
    try {
      const returned: unknown = hook(
        command,
        partition,
        node,
        client,
        key,
        offset,
        length,
        latency,
        request,
        reply,
        outcome,
      );
      if (returned !== undefined) watch(returned, onFault);
    } catch (error) {
      onFault(error);
    }
  };
}

export function guardOnRoute(hook: OnRoute, onFault: OnFault): OnRoute {
  return (partitionId, clientId) => {
    try {
      const isForCopy: unknown = hook(partitionId, clientId);
      if (!isThenable(isForCopy)) return Boolean(isForCopy);
      // A promise is true whatever it will say: every read would go to the copy.
      watch(isForCopy, onFault);
      throw new TypeError('onRoute returned a promise: it must answer at once');
    } catch (error) {
      onFault(error);
      return false; // The owner can always answer.
    }
  };
}

export function guardOnWriteCommitted(hook: OnWriteCommitted, onFault: OnFault): OnWriteCommitted {
  return (partitionId, lsn) => {
    try {
      const returned: unknown = hook(partitionId, lsn);
      if (returned !== undefined) watch(returned, onFault);
    } catch (error) {
      onFault(error);
    }
  };
}

/** What the world did to a verb is its answer; our own bug detaches. */
export function guardControl(handler: ControlHandler, onFault: OnFault): ControlHandler {
  return async (operation, body) => {
    try {
      return await handler(operation, body);
    } catch (error) {
      if (isOwnBug(error)) onFault(error);
      throw error;
    }
  };
}

/** Hears the rejection of what an async hook has returned, which would otherwise end the process. */
function watch(returned: unknown, onFault: OnFault): void {
  if (isThenable(returned)) Promise.resolve(returned).catch(onFault);
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';

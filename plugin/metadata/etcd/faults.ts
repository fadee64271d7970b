/** What an error of etcd or of the way to it means to a caller. */
import { ForeshardError } from '../../../src/base/errors.ts';

/**
 * Of an error text: gRPC's own, and those of etcd 3.4 and later (`api/v3rpc/rpctypes/error.go`). What the network said of an
 * attempt to connect (ECONNREFUSED, EHOSTUNREACH, ENETUNREACH) follows "No connection established. Last error:"; alone it
 * says nothing, since the same words end a connection over which the request may have gone out.
 */
const NEVER_SENT = /No connection established|Name resolution failed|ENOTFOUND|ClientClosed/;
const NO_SPACE = /database space exceeded|NOSPACE/;
const NO_ACCESS =
  /permission denied|invalid auth token|authentication failed|user name is empty|certificate|UNAUTHENTICATED/i;
const TOO_LARGE = /request is too large|too many operations|message larger than max/;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** What was asked for is older than what etcd still has: ask for the present instead. */
export const isCompacted = (error: unknown): boolean => /has been compacted/.test(messageOf(error));

/** An error that another try, at another member perhaps, may not meet. */
export const mayPass = (error: unknown): boolean =>
  !NO_ACCESS.test(messageOf(error)) && !TOO_LARGE.test(messageOf(error));

/** Whether a transaction that ended so was certainly not applied; of all else the outcome is not known. */
export const isCertainlyNotApplied = (error: unknown): boolean => {
  const message = messageOf(error);
  return [NEVER_SENT, NO_SPACE, NO_ACCESS, TOO_LARGE].some((pattern) => pattern.test(message));
};

/** Whether a request failed since its user may not do that: another process may. */
export const isNotPermitted = (error: unknown): boolean =>
  error instanceof ForeshardError && /permission denied/.test(messageOf(error.cause));

/** Whether another member may do better: this one does not answer, or has lost the others. */
export const isFaultOfMember = (error: unknown): boolean =>
  /UNAVAILABLE|DEADLINE_EXCEEDED|No connection established|no leader|request timed out/.test(
    messageOf(error),
  );

/** @param doing what could not be done, such as `read map/7`. */
export function unavailable(doing: string, endpoints: readonly string[], cause: unknown): ForeshardError {
  const message = messageOf(cause);
  const at = endpoints.join(', ');
  if (NO_SPACE.test(message))
    return new ForeshardError(
      'FORESHARD_DISK_FULL',
      'free-space',
      `etcd at ${at} has no space left and takes no writes, cannot ${doing}: free some (etcdctl compact REVISION; etcdctl defrag) or raise --quota-backend-bytes, then etcdctl alarm disarm`,
      { cause },
    );
  if (NO_ACCESS.test(message))
    return new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      `etcd at ${at} refuses to ${doing}: ${message}: check metadata.user, metadata.passwordFile and metadata.authorityFile`,
      { cause },
    );
  if (TOO_LARGE.test(message))
    return new ForeshardError('FORESHARD_LIMIT', 'report', `etcd at ${at} cannot ${doing}: ${message}`, {
      cause,
    });
  return new ForeshardError('FORESHARD_UNAVAILABLE', 'retry', `etcd at ${at} cannot ${doing}: ${message}`, {
    cause,
  });
}

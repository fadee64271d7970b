import type { Logger } from '../../src/base/logger.ts';
import type { ListenAddress } from './listen-address.ts';

/** How often a node that anybody can reach says so. */
const REMINDER_MS = 60_000;

/** Says at once and from then on that strangers are let in, until the timer is cleared. */
export function remindOfInsecureListen(
  { host, port }: ListenAddress,
  logger: Logger,
  everyMs = REMINDER_MS,
): NodeJS.Timeout {
  const remind = (): void =>
    logger.warn(
      { host, port },
      'listening without TLS and authentication on an address that others can reach (--insecure-listen)',
    );
  remind();
  return setInterval(remind, everyMs).unref();
}

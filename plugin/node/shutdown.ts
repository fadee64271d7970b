import type { Logger } from '../../src/base/logger.ts';

/** A node that has not closed by then ends hard; what was acknowledged is on disk either way. */
const CLOSE_MS_MAX = 10_000;

export interface Ending {
  /** Aborted by SIGTERM or SIGINT, or when the parent that spawned this process says so or is gone. */
  readonly signal: AbortSignal;
  /** Calls the hard end off. */
  disarm(): void;
}

/**
 * How a node is told to end. From the first word on the process has CLOSE_MS_MAX, whether it served yet or was still starting;
 * a second signal ends it at once: whoever sends two does not want to wait.
 */
export function endRequested(logger: Logger, { onHangup }: { readonly onHangup: () => void }): Ending {
  const controller = new AbortController();
  let deadline: NodeJS.Timeout | undefined;
  const endHard = (why: string): void => {
    logger.error({ why }, 'the node ends hard');
    process.exit(1);
  };
  const end = (why: string): void => {
    if (controller.signal.aborted) return;
    logger.info({ why }, 'closing');
    deadline = setTimeout(() => endHard(`it did not close within ${CLOSE_MS_MAX} ms`), CLOSE_MS_MAX);
    controller.abort();
  };
  for (const name of ['SIGTERM', 'SIGINT'] as const)
    process.on(name, () => {
      if (controller.signal.aborted) endHard(`${name} while it closed`);
      end(name);
    });
  // As of other servers: the config is read again. Certificates and users are, by themselves, when their files change.
  process.on('SIGHUP', onHangup);
  process.on('message', (message: { kind?: unknown } | null) => {
    if (message?.kind === 'stop') end('the parent process asked for it');
  });
  process.once('disconnect', () => end('the parent process is gone'));
  return { signal: controller.signal, disarm: () => clearTimeout(deadline) };
}

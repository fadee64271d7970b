import { once } from 'node:events';
import { hostname } from 'node:os';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { Logger } from '../../../src/base/logger.ts';
import { yieldToOthers } from '../../../src/kernels/niceness.ts';
import type { Settings } from '../../../src/settings.ts';
import type { RedisAgent } from '../../engines/redis-cluster/agent.ts';
import { LiveConfig } from '../../host/config/live-config.ts';
import { serveParent } from '../../host/parent-channel.ts';
import { createLogger } from '../../host/pino-logger.ts';
import type { HealthListener, HealthReason } from '../../node/health.ts';
import { listenForProcess } from '../../node/process-health.ts';

const STARTING: HealthReason = {
  code: 'starting',
  isBlocking: true,
  text: 'the agent looks at the cluster and reads what it knew',
};

/**
 * Runs an agent in this process until a signal or the parent that spawned it ends it, or until it finds a bug of its own.
 *
 * @param readSettings at the start, and again at SIGHUP.
 * @returns the exit code.
 */
export async function runAgent(readSettings: () => Promise<Settings>): Promise<number> {
  const settings = await readSettings();
  const logger = createLogger({ level: settings.node.logLevel, fields: { role: 'agent' } });
  const name = `${hostname()}-${process.pid}`;
  const { failed, fail } = failure(logger);
  // Loaded here: no other command needs a Redis client.
  const { RedisAgent } = await import('../../engines/redis-cluster/agent.ts');
  const start = (by: Settings): Promise<RedisAgent> => {
    const refused = yieldToOthers(by.redis.niceness);
    if (refused !== null)
      logger.warn({ fault: refused.message }, 'the agent competes with its neighbours for processors');
    return RedisAgent.start(by, { logger, name, onFault: fail });
  };
  let agent: RedisAgent | null = null;
  let inForce = settings;
  let tellOpen = (): void => undefined;
  const config = new LiveConfig(settings, {
    logger,
    whenOpen: new Promise((resolve) => {
      tellOpen = resolve;
    }),
    read: readSettings,
    // Nothing of an agent is on the way of a query: it ends in order, and another one begins.
    async apply(next) {
      await agent?.close();
      agent = null;
      try {
        const begun = await start(next);
        agent = begun;
        inForce = next;
        // The moves that waited, and the plan that was being made, went with the agent before: without this, nothing moved until
        // the next cycle.
        void begun.planSoon().catch(fail);
      } catch (error) {
        // A process without an agent is of no use: whoever watches over it starts it again.
        agent = await start(inForce).catch((fault: unknown) => {
          fail(fault);
          return null;
        });
        throw error;
      }
      logger.setLevel(next.node.logLevel);
    },
  });
  const health = await openHealth(settings, { name, config, agent: () => agent });
  const onHangup = (): void => void config.reload().catch(fail);
  try {
    // Before: a signal that nobody listens to would end the process.
    process.on('SIGHUP', onHangup);
    agent = await start(settings);
    tellOpen();
    const { mode } = settings.plugin;
    logger.info(
      { mode, nodes: settings.redis.nodes },
      mode === 'observe' ? 'observing: nothing is changed' : 'the agent runs',
    );
    const told = [once(process, 'SIGTERM'), once(process, 'SIGINT'), endOfParent()];
    serveParent(async (body) => answering(agent).control(body), { kind: 'ready', pid: process.pid });
    const end = await Promise.race([failed, ...told]);
    if (end !== 'failed') logger.info({}, 'the agent ends in order, as it was told to');
    await config.settled();
    await (agent as RedisAgent | null)?.close();
    // The channel would keep this process alive for as long as its parent lives.
    if (process.connected) process.disconnect();
    return end === 'failed' ? 1 : 0;
  } finally {
    process.off('SIGHUP', onHangup);
    await health?.close();
  }
}

/** @throws ForeshardError FORESHARD_UNAVAILABLE while one ends and the next has not begun. */
function answering(agent: RedisAgent | null): RedisAgent {
  if (agent !== null) return agent;
  throw new ForeshardError('FORESHARD_UNAVAILABLE', 'retry', 'the agent begins anew with other settings');
}

/** The parent says so, or is gone. */
function endOfParent(): Promise<void> {
  return new Promise((resolve) => {
    process.once('disconnect', () => resolve());
    process.on('message', (message: { kind?: unknown } | null) => {
      if (message?.kind === 'stop') resolve();
    });
  });
}

/** Resolves `failed` when it is told of a bug. */
function failure(logger: Logger): {
  readonly failed: Promise<'failed'>;
  readonly fail: (error: unknown) => void;
} {
  let tell: () => void = () => undefined;
  const failed = new Promise<'failed'>((resolve) => {
    tell = () => resolve('failed');
  });
  return {
    failed,
    fail(error) {
      logger.error(
        { fault: (error as Error).message },
        'the agent ends after a fault: Redis serves on, another may take over',
      );
      tell();
    },
  };
}

async function openHealth(
  { node: { healthListen } }: Settings,
  {
    name,
    config,
    agent,
  }: { readonly name: string; readonly config: LiveConfig; readonly agent: () => RedisAgent | null },
): Promise<HealthListener | null> {
  if (healthListen === null) return null;
  return listenForProcess(healthListen, {
    role: 'agent',
    node: name,
    reasons: () => (agent() === null ? [STARTING] : []),
    metricSources: () => [
      { name: 'config', read: () => config.readings() },
      ...(agent()?.metricSources ?? []),
    ],
    reload: () => config.reload(),
  });
}

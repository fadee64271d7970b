import { once } from 'node:events';
import type { Settings } from '../../src/settings.ts';
import { serveParent } from '../host/parent-channel.ts';
import { createLogger } from '../host/pino-logger.ts';

/**
 * Runs an agent in this process until a signal or the parent that spawned it ends it, or until it finds a bug of its own.
 *
 * @returns the exit code.
 */
export async function runAgent(settings: Settings): Promise<number> {
  const logger = createLogger({ level: settings.node.logLevel, fields: { role: 'agent' } });
  // Loaded here: no other command needs a Redis client.
  const { RedisAgent } = await import('../engines/redis-cluster/agent.ts');
  let fail: (error: unknown) => void = () => undefined;
  const failed = new Promise<'failed'>((resolve) => {
    fail = (error) => {
      logger.error(
        { fault: (error as Error).message },
        'the agent ends after a fault: Redis serves on, another may take over',
      );
      resolve('failed');
    };
  });
  const agent = await RedisAgent.start(settings, { logger, onFault: (error) => fail(error) });
  const { mode } = settings.plugin;
  logger.info(
    { mode, nodes: settings.redis.nodes },
    mode === 'observe' ? 'observing: nothing is changed' : 'the agent runs',
  );
  const told = [once(process, 'SIGTERM'), once(process, 'SIGINT'), endOfParent()];
  serveParent((body) => agent.control(body), { kind: 'ready', pid: process.pid });
  const end = await Promise.race([failed, ...told]);
  await agent.close();
  // The channel would keep this process alive for as long as its parent lives.
  if (process.connected) process.disconnect();
  return end === 'failed' ? 1 : 0;
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

import { once } from 'node:events';
import type { Settings } from '../../src/settings.ts';
import { createLogger } from '../host/pino-logger.ts';

/** Runs an agent in this process until SIGTERM or SIGINT, or until it finds a bug of its own. @returns the exit code. */
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
  const end = await Promise.race([failed, once(process, 'SIGTERM'), once(process, 'SIGINT')]);
  await agent.close();
  return end === 'failed' ? 1 : 0;
}

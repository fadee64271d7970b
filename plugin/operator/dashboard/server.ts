import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { serve } from '@hono/node-server';
import { ForeshardError } from '../../../src/base/errors.ts';
import { isLoopback } from '../../../src/base/loopback.ts';
import type { ListenAddress } from '../../node/listen-address.ts';
import { type DashboardComponents, dashboardApp } from './app.ts';

export interface RunningDashboard {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Serves the dashboard on a loopback address, and on no other: it speaks plain HTTP. From elsewhere it is reached through
 * what encrypts and knows its users, such as `ssh -L`.
 *
 * @throws ForeshardError FORESHARD_CONFIG for another address, or one that is taken.
 */
export async function serveDashboard(
  address: ListenAddress,
  components: Omit<DashboardComponents, 'hosts'>,
): Promise<RunningDashboard> {
  if (!isLoopback(address.host))
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      `--listen ${address.host}: the dashboard is not encrypted: listen on 127.0.0.1 and reach it through a tunnel, such as ssh -L ${address.port}:127.0.0.1:${address.port}`,
    );
  const hosts = new Set(['localhost', '127.0.0.1', '[::1]', address.host]);
  const app = dashboardApp({ ...components, hosts });
  const server = await new Promise<Server>((resolve, reject) => {
    const started = serve({ fetch: app.fetch, hostname: address.host, port: address.port }, () =>
      resolve(started as Server),
    );
    (started as Server).once('error', (cause) =>
      reject(
        new ForeshardError('FORESHARD_CONFIG', 'fix-config', `--listen: ${(cause as Error).message}`, {
          cause,
        }),
      ),
    );
  });
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      // Event streams would keep it open for ever.
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

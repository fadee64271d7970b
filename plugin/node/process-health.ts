import type { ReloadReport } from '../host/config/live-config.ts';
import { type MetricSource, MetricsPage } from '../metrics/metrics-page.ts';
import { flag, reading } from '../metrics/reading.ts';
import { packageVersion } from '../version.ts';
import { type HealthListener, type HealthReason, listenForHealth } from './health.ts';

export interface ProcessHealth {
  readonly role: 'storage' | 'query' | 'agent';
  /** A node's number, or an agent's name. */
  readonly node: number | string;
  readonly reasons: () => readonly HealthReason[];
  /** Asked at each scrape. */
  readonly metricSources: () => readonly MetricSource[];
  readonly reload: () => Promise<ReloadReport>;
}

/** The health listener of one process of ours, with its metrics. @throws as listenForHealth. */
export async function listenForProcess(listen: string, health: ProcessHealth): Promise<HealthListener> {
  const { role, node, reasons } = health;
  const version = packageVersion();
  const metrics = new MetricsPage(() => [
    {
      name: 'process',
      read: () => {
        const found = reasons();
        return [
          // Service and version as in the log.
          reading('target_info', 1, {
            service_name: 'foreshard',
            service_version: version,
            service_instance_id: `${role}-${node}`,
          }),
          reading('foreshard_build_info', 1, { role, node, version }),
          reading('foreshard_ready', flag(!found.some(({ isBlocking }) => isBlocking))),
          ...found.map(({ code }) => reading('foreshard_health_reason', 1, { code })),
        ];
      },
    },
    ...health.metricSources(),
  ]);
  try {
    const listener = await listenForHealth(listen, {
      identity: { role, nodeId: node, version },
      uptimeSeconds: () => Math.round(process.uptime()),
      reasons,
      metrics,
      reload: health.reload,
    });
    return {
      port: listener.port,
      async close() {
        metrics.close();
        await listener.close();
      },
    };
  } catch (error) {
    metrics.close();
    throw error;
  }
}

/** What tests of agents beside a Redis Cluster begin with: settings, and load that is worth a plan. */
import { join } from 'node:path';
import type { LocalRedisCluster } from '../../plugin/engines/redis-cluster/local-redis-cluster.ts';
import { ProfileLedger } from '../../plugin/host/analysis/profile-ledger.ts';
import { ProfilePublisher } from '../../plugin/host/analysis/profile-publisher.ts';
import { profilePrefix } from '../../plugin/host/records/record-keys.ts';
import { openMetadata } from '../../plugin/metadata/open.ts';
import { type Logger, silentLogger } from '../../src/base/logger.ts';
import { LOAD_DIMENSION_COUNT } from '../../src/model/load-profile.ts';
import { DEFAULT_SETTINGS, type Settings } from '../../src/settings.ts';

export const WINDOW_MS = 3_600_000;
/** Of 8 slots each: every slot that changes hands costs a sync of nodes.conf at three servers, and the disk is shared with other suites. */
const PARTITIONS = 2_048;

export function settingsFor(
  cluster: LocalRedisCluster,
  folder: string,
  changes: Partial<Settings> = {},
): Settings {
  return {
    ...DEFAULT_SETTINGS,
    cluster: {
      ...DEFAULT_SETTINGS.cluster,
      name: 'agent-test',
      partitionCount: PARTITIONS,
      nodeCapacity: { queries: 500, cpuSeconds: 1, readBytes: null, writeBytes: null },
    },
    plugin: { ...DEFAULT_SETTINGS.plugin, mode: 'auto' },
    analyzer: { ...DEFAULT_SETTINGS.analyzer, windowMs: WINDOW_MS, stateDir: join(folder, 'analyzer') },
    metadata: { ...DEFAULT_SETTINGS.metadata, path: join(folder, 'metadata') },
    migration: { ...DEFAULT_SETTINGS.migration, residenceMs: 1_000 },
    node: { ...DEFAULT_SETTINGS.node, logLevel: 'error' },
    redis: {
      ...DEFAULT_SETTINGS.redis,
      nodes: [`127.0.0.1:${cluster.ports[2]}`],
      lookIntervalMs: 1_000,
    },
    ...changes,
  };
}

/** Load of the last day as captured clients publish it: the first eight partitions carry nearly everything. */
export async function publishLoad(settings: Settings): Promise<void> {
  const metadata = openMetadata(settings.metadata);
  const ledger = new ProfileLedger({ windowMs: WINDOW_MS, partitionCount: PARTITIONS, windowsMax: 24 });
  const publisher = new ProfilePublisher({
    metadata,
    ledger,
    prefix: profilePrefix(settings.cluster.name),
    logger: silentLogger,
  });
  const endMs = Math.floor(Date.now() / WINDOW_MS) * WINDOW_MS;
  await publisher.publish(
    Array.from({ length: 20 }, (_, index) => {
      const values = new Float64Array(PARTITIONS * LOAD_DIMENSION_COUNT);
      for (let p = 0; p < PARTITIONS; p++) values[p * LOAD_DIMENSION_COUNT] = (p < 8 ? 50 : 0.25) * 3_600;
      return {
        startMs: endMs - (20 - index) * WINDOW_MS,
        queryNodeId: 10_000,
        values,
        capturedCount: 1_000,
        droppedCount: 0,
      };
    }),
  );
  await metadata.close();
}

/** Keeps what an agent has logged, for whoever has to find out why a test failed. */
export function keptLog(): { readonly logger: Logger; readonly told: () => string } {
  const lines: string[] = [];
  const keep = (fields: object, message: string): void => {
    lines.push(`${new Date().toISOString()} ${message} ${JSON.stringify(fields)}`);
  };
  const logger: Logger = { debug() {}, info: keep, warn: keep, error: keep, child: () => logger };
  return { logger, told: () => lines.slice(-60).join('\n') };
}

/** @param told what is said with the failure: the log of a process, what a queue holds. */
export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  told: () => string = () => '',
): Promise<void> {
  for (const deadline = Date.now() + 120_000; Date.now() < deadline; ) {
    if (await isSo()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`not within 120 s: ${what}\n${told()}`);
}

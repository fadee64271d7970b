import { once } from 'node:events';
import { systemClock } from '../../src/base/clock.ts';
import { ForeshardError } from '../../src/base/errors.ts';
import { isLoopback } from '../../src/base/loopback.ts';
import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import type { Settings } from '../../src/settings.ts';
import { LiveConfig } from '../host/config/live-config.ts';
import type { ControlBody } from '../host/control-messages.ts';
import { QueryNodeHost, StorageNodeHost } from '../host/host.ts';
import { loadPlugins } from '../host/load-plugins.ts';
import { serveParent } from '../host/parent-channel.ts';
import type { AdjustableLogger } from '../host/pino-logger.ts';
import { openMetadata } from '../metadata/open.ts';
import type { MetricSource } from '../metrics/metrics-page.ts';
import { peerTlsOf } from '../rpc/peer-tls.ts';
import { clientTlsOf } from '../security/client-tls.ts';
import { usersOf } from '../security/client-users.ts';
import type { HealthListener, HealthReason } from './health.ts';
import { remindOfInsecureListen } from './insecure-reminder.ts';
import { assertListenAllowed, isListenerGuarded, type ListenAddress } from './listen-address.ts';
import { type NodeOptions, RETRY_MS_DEFAULT, type RunningNode } from './node-options.ts';
import { type ProcessFaults, surviveFaults } from './process-faults.ts';
import { listenForProcess, type ProcessHealth } from './process-health.ts';
import { startQueryNode } from './query/query-node.ts';
import { endRequested } from './shutdown.ts';
import { startStorageNode } from './storage/storage-node.ts';

export interface NodeProcessOptions {
  readonly role: 'storage' | 'query';
  /** Storage nodes 0.., query nodes from QUERY_NODE_ID_MIN. */
  readonly nodeId: number;
  readonly settings: Settings;
  /** Reads them again from where they came from, for SIGHUP. */
  readonly readSettings: () => Promise<Settings>;
  readonly listen: ListenAddress;
  /** Of a storage node. */
  readonly dataDir: string;
  readonly isInsecureListenAllowed: boolean;
  /** Of a storage node whose disk is lost. */
  readonly isStoreReplaced?: boolean;
  readonly logger: AdjustableLogger;
}

interface NodeProcess {
  readonly node: RunningNode;
  readonly control: (body: ControlBody) => Promise<unknown>;
  readonly metricSources: () => readonly MetricSource[];
  readonly reload: (settings: Settings, former: Settings) => Promise<void>;
  /** The plugins first, while the node they look at is still there; then the node, then the store both use. */
  close(): Promise<void>;
}

/**
 * Runs one node in this process until a signal, or the parent that spawned it, ends it.
 *
 * @returns the exit code: 0 after an orderly end.
 * @throws ForeshardError FORESHARD_CONFIG before anything was opened.
 */
export async function runNode(options: NodeProcessOptions): Promise<number> {
  const { listen, logger, role, nodeId } = options;
  const isGuarded = isListenerGuarded(role, options.settings.security);
  assertListenAllowed(listen, { role, isGuarded, isInsecureAllowed: options.isInsecureListenAllowed });
  const reminder = isGuarded || isLoopback(listen.host) ? null : remindOfInsecureListen(listen, logger);
  const faults = surviveFaults(logger);
  let tellOpen = (): void => undefined;
  const config = new LiveConfig(options.settings, {
    logger,
    whenOpen: new Promise((resolve) => {
      tellOpen = resolve;
    }),
    read: options.readSettings,
    apply: async (next, former) => {
      await running?.reload(next, former);
      logger.setLevel(next.node.logLevel);
    },
  });
  const ending = endRequested(logger, { onHangup: () => void config.reload() });
  let metadata: MetadataStore | null = null;
  let running: NodeProcess | null = null;
  let health: HealthListener | null = null;
  let waitsFor = 'the node waits for its cluster, or brings its store in line with the map';
  try {
    health = await openHealth(options, {
      reasons: () => {
        if (ending.signal.aborted) return [STOPPING];
        if (running !== null) return running.node.problems();
        return [{ code: 'starting', isBlocking: true, text: waitsFor }];
      },
      metricSources: () => [
        { name: 'config', read: () => config.readings() },
        ...(running === null ? [] : running.metricSources()),
      ],
      reload: () => config.reload(),
    });
    const onWaiting = (what: string): void => {
      waitsFor = what;
    };
    metadata = openMetadata(options.settings.metadata);
    const parts = { metadata, faults, closing: ending.signal, onWaiting };
    running = role === 'query' ? await openQueryNode(options, parts) : await openStorageNode(options, parts);
    tellOpen();
    if (!ending.signal.aborted) {
      const { host, port } = running.node;
      logger.info({ host, port }, 'node serves');
      serveParent(running.control, { kind: 'ready', role, nodeId, host, port, pid: process.pid });
      await once(ending.signal, 'abort');
    }
    await config.settled();
    await running.close();
  } catch (error) {
    // A node told to end while it still waited for its cluster gives that up by an error.
    if (!ending.signal.aborted || running !== null) throw error;
  } finally {
    if (reminder !== null) clearInterval(reminder);
    await health?.close();
    await metadata?.close();
    ending.disarm();
  }
  // The channel would keep this process alive for as long as its parent lives.
  if (process.connected) process.disconnect();
  logger.info({}, 'node closed');
  return 0;
}

const STOPPING: HealthReason = { code: 'stopping', isBlocking: true, text: 'the node was told to end' };

async function openHealth(
  { settings, role, nodeId }: NodeProcessOptions,
  sources: Pick<ProcessHealth, 'reasons' | 'metricSources' | 'reload'>,
): Promise<HealthListener | null> {
  const { healthListen } = settings.node;
  if (healthListen === null) return null;
  return listenForProcess(healthListen, { role, node: nodeId, ...sources });
}

interface NodeParts {
  readonly metadata: MetadataStore;
  readonly faults: ProcessFaults;
  readonly closing: AbortSignal;
  readonly onWaiting: (what: string) => void;
}

async function openQueryNode(options: NodeProcessOptions, parts: NodeParts): Promise<NodeProcess> {
  const { metadata, faults, closing, onWaiting } = parts;
  const { settings, nodeId, logger } = options;
  const clock = systemClock();
  const plugins = await loadPlugins(settings.plugin.modules);
  const host = new QueryNodeHost(logger);
  host.adopt(plugins);
  faults.owner = host;
  try {
    await host.attachAll(plugins, { settings, nodeId, clock, logger, metadata });
    const node = await startQueryNode(
      {
        ...commonOptions(options),
        password: settings.security.password,
        users: usersOf(settings.security, logger),
        clientTls: clientTlsOf(settings.security, logger),
        valueBytesMax: settings.node.valueBytesMax,
        clientConnectionsMax: settings.node.clientConnectionsMax,
        retryMs: RETRY_MS_DEFAULT,
        copyReads: {
          shadowShare: settings.migration.shadowReadShare,
          isKeyHashKept: settings.capture.keyHash,
        },
      },
      {
        clock,
        logger,
        metadata,
        closing,
        onWaiting,
        hooks: host.hooks,
        onHookFault: (hook, error) => host.onHookFault(hook, error),
      },
    );
    return {
      node,
      control: (body) => host.control(body),
      metricSources: () => [{ name: 'node', read: () => node.readings() }, ...host.metricSources],
      reload: (next, former) => host.reload(next, former),
      async close() {
        await host.close();
        await node.close();
      },
    };
  } catch (error) {
    await host.close();
    throw error;
  }
}

async function openStorageNode(options: NodeProcessOptions, parts: NodeParts): Promise<NodeProcess> {
  const { metadata, faults, closing, onWaiting } = parts;
  const { settings, nodeId, logger } = options;
  const clock = systemClock();
  const plugins = await loadPlugins(settings.plugin.modules);
  const host = new StorageNodeHost(logger);
  host.adopt(plugins);
  faults.owner = host;
  const node = await startStorageNode(
    {
      ...commonOptions(options),
      dataDir: options.dataDir,
      isStoreReplaced: options.isStoreReplaced ?? false,
      mapSizeBytes: settings.node.mapSizeBytes,
      dataBytesMax: settings.node.dataBytesMax,
      freeBytesReserve: settings.node.freeBytesReserve,
      valueBytesMax: settings.node.valueBytesMax,
    },
    {
      clock,
      logger,
      metadata,
      closing,
      onWaiting,
      hooks: host.hooks,
      onHookFault: (hook, error) => host.onHookFault(hook, error),
      onStoreOpened: (opened) =>
        host.attachAll(plugins, { settings, nodeId, clock, logger, metadata, ...opened }),
    },
  ).catch(async (error: unknown) => {
    await host.close();
    throw error;
  });
  return {
    node,
    metricSources: () => [{ name: 'node', read: () => node.readings() }, ...host.metricSources],
    reload: (next, former) => host.reload(next, former),
    control: (body) =>
      Promise.reject(
        new ForeshardError(
          'FORESHARD_UNAVAILABLE',
          'report',
          `a storage node does not answer "${body.operation}"`,
        ),
      ),
    async close() {
      await host.close();
      await node.close();
    },
  };
}

function commonOptions({ settings, nodeId, listen, logger }: NodeProcessOptions): NodeOptions {
  const { name, partitionCount, storageNodeCount } = settings.cluster;
  const { advertiseHost, advertisePort, zone, capacity } = settings.node;
  return {
    clusterId: name,
    nodeId,
    host: listen.host,
    port: listen.port,
    advertise: { host: advertiseHost, port: advertisePort },
    facts: { ...(zone !== null && { zone }), capacity },
    partitionCount,
    storageNodeCount,
    tls: peerTlsOf(settings.security, logger),
  };
}

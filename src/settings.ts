import { annealBytes } from './affinity/optimisers/anneal.ts';
import { clusterInconsistencies } from './affinity/rules/rule-claims.ts';
import {
  type AffinitySettings,
  affinityInconsistencies,
  DEFAULT_AFFINITY_SETTINGS,
} from './affinity/settings.ts';
import { allForecastersBytes } from './analyzer/memory.ts';
import { FORECAST_DEFAULTS, type ForecastSettings, forecastInconsistencies } from './analyzer/settings.ts';
import type { Inconsistency } from './base/claims.ts';
import { isLoopback } from './base/loopback.ts';
import type { PluginMode } from './controller.ts';
import { MEMORY_PAGES } from './kernels/instance.ts';
import { SCRATCH_BYTES } from './kernels/job.ts';
import { type MetadataSettings, metadataInconsistencies } from './metadata-settings.ts';
import {
  DEFAULT_MIGRATION_SETTINGS,
  type MigrationSettings,
  migrationInconsistencies,
} from './migration/settings.ts';
import { QUERY_NODE_ID_MIN, STORAGE_NODES_MAX } from './model/ids.ts';
import type { LoadDimension } from './model/load-profile.ts';
import { PARTITION_COUNT_DEFAULT } from './model/partition-map.ts';
import { REDIS_DEFAULTS, type RedisSettings, redisInconsistencies } from './redis-settings.ts';
import { WEBHOOK_DEFAULTS, type WebhookSettings, webhookInconsistencies } from './webhook-settings.ts';

export type { MetadataSettings } from './metadata-settings.ts';

/**
 * What an operator tunes: one tree of frozen data, validated once at the edge (`plugin/host/config/config.ts`). Everything that
 * acts (clock, chance, stores) is a component instead, see `components.ts`. Each room of the core owns the type and the
 * defaults of its own section; this file only composes them.
 */
export interface Settings {
  readonly cluster: ClusterSettings;
  readonly node: NodeSettings;
  readonly security: SecuritySettings;
  readonly plugin: PluginSettings;
  readonly capture: CaptureSettings;
  readonly analyzer: AnalyzerSettings;
  readonly forecast: ForecastSettings;
  readonly affinity: AffinitySettings;
  readonly migration: MigrationSettings;
  readonly controller: ControllerSettings;
  readonly metadata: MetadataSettings;
  readonly redis: RedisSettings;
  readonly webhooks: WebhookSettings;
}

export interface ClusterSettings {
  /** Names the cluster in the metadata store: several may share one. */
  readonly name: string;
  /**
   * A power of two in 16..16384; fixed for the life of the data. With the default forecast settings all of them can be
   * forecast.
   */
  readonly partitionCount: number;
  /** Storage nodes that form the cluster, with the ids 0..storageNodeCount-1; others may join later with the next ids. */
  readonly storageNodeCount: number;
  /** What one storage node carries at utilisation 1, per second; null where it is not known and does not limit. */
  readonly nodeCapacity: Readonly<Record<LoadDimension, number | null>>;
}

export interface NodeSettings {
  /** What this file's node is; null where the command line says it (`--role`), as where one file serves several nodes. */
  readonly role: 'storage' | 'query' | null;
  /** Its number, see `--node-id`; null takes the first of the role. */
  readonly id: number | null;
  /** Where a query node takes clients (RESP): `host:port`; port 0 lets the system choose. */
  readonly clientListen: string;
  /** Where a storage node takes its peers: `host:port`; port 0 lets the system choose, and the metadata store says which. */
  readonly peerListen: string;
  /** By what name or address others reach this node; null: where it listens, which must not be a wildcard then. */
  readonly advertiseHost: string | null;
  /** By which port; null: the one it listens on. */
  readonly advertisePort: number | null;
  /** Of a storage node: where it stands (rack, room, site), as `affinity.rules` speak of zones; null: as `affinity.rules.nodeZones` says. */
  readonly zone: string | null;
  /** Of a storage node: what this one carries per second, where it is not as all others: null takes `cluster.nodeCapacity`. */
  readonly capacity: Readonly<Record<LoadDimension, number | null>>;
  /** Where supervisors ask `/livez` and `/readyz`: a loopback `host:port`, or `unix:/path`; null: nowhere. */
  readonly healthListen: string | null;
  /** Folder of a storage node's LMDB environment; a relative path starts at the config file's folder. */
  readonly dataDir: string;
  /** Upper end of one LMDB environment's address range, bytes. Address space, not disk: see `dataBytesMax`. */
  readonly mapSizeBytes: number;
  /** A storage node refuses writes beyond this much data, bytes. */
  readonly dataBytesMax: number;
  /** A storage node refuses writes when its disk has less than this left, bytes. */
  readonly freeBytesReserve: number;
  /** Largest value a client may write, bytes. */
  readonly valueBytesMax: number;
  readonly clientConnectionsMax: number;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
}

export interface SecuritySettings {
  /** What the user `default`, who may do everything, must AUTH with; null: there is none. Without it and users nobody has to. Only from `passwordFile` or the environment, never from the config file. */
  readonly password: string | null;
  /** A file that only its owner may read (mode 0600) whose first line is the password. */
  readonly passwordFile: string | null;
  /** A file (mode 0600) of users, their rights and the hashes of their tokens; read again when it changes. */
  readonly usersFile: string | null;
  /** PEM files for TLS with clients: what a query node shows them, and its key (mode 0600). Both or none. */
  readonly serverCertificateFile: string | null;
  readonly serverKeyFile: string | null;
  /** With it, clients have to show a certificate of this authority, beside AUTH. */
  readonly clientAuthorityFile: string | null;
  /**
   * PEM files for TLS between nodes: the authority, this node's certificate, its key (mode 0600). All three or none; none
   * leaves nodes to believe each other.
   */
  readonly peerAuthorityFile: string | null;
  readonly peerCertificateFile: string | null;
  readonly peerKeyFile: string | null;
}

export interface PluginSettings {
  readonly mode: PluginMode;
  /** Modules whose default export is a plugin definition: `foreshard` is the built-in one, others are paths from the config file. */
  readonly modules: readonly string[];
}

export interface CaptureSettings {
  /** Slots of the ring between the query path and the analysis thread, 64 bytes each; a power of two. */
  readonly ringSlots: number;
  /** How much of a key is kept for finding its template, bytes, 0..24; 0 records no keys at all. */
  readonly keyPrefixBytes: number;
  /** Whether a 32-bit hash of the whole key is kept: what hot keys are found by, and named by where no prefix is kept. */
  readonly keyHash: boolean;
  /** How often the analysis thread empties the ring. */
  readonly drainIntervalMs: number;
}

export interface AnalyzerSettings {
  /** Width of a load-profile window. */
  readonly windowMs: number;
  /** Folder of what the analysis knows between restarts; a relative path starts at the config file's folder. */
  readonly stateDir: string;
  /** Worker threads for forecasts and placement. One keeps the other cores for the database. */
  readonly kernelThreads: number;
  /** How far those threads stand back for what serves queries, 0 to 19. */
  readonly kernelNiceness: number;
}

export interface ControllerSettings {
  /** How often the elected coordinator plans. */
  readonly cycleIntervalMs: number;
  /** Between cycles, a node that has been outside its comfort zone for so long is relieved at once; 0: it waits for the next cycle. */
  readonly reliefAfterMs: number;
  /** From one relief between cycles to the next, at least. */
  readonly reliefIntervalMs: number;
  /** How often open migrations are driven on. */
  readonly executorIntervalMs: number;
  /** A coordinator that has not renewed its lease for so long is replaced. */
  readonly leaseTtlMs: number;
  /**
   * A partition whose forecasts have been worse than this against "as last week" is planned with last week's load: 0 means
   * worse than it, -1 twice the error.
   */
  readonly skillMin: number;
  /** Seed of every random choice of the planner, a decimal or 0x number: the same input and seed give the same proposal. */
  readonly seed: string;
  /** The last plans, with all that they were made from, so that each can be made again; 0 keeps none. */
  readonly plansKept: number;
  /** Bytes of their files together; a plan whose inputs alone are more is not kept. */
  readonly plansKeptBytesMax: number;
}

const HOUR_MS = 3_600_000;
const WEEK_MS = 168 * HOUR_MS;
const MIB = 1 << 20;

export const DEFAULT_SETTINGS: Settings = deepFreeze({
  cluster: {
    name: 'main',
    partitionCount: PARTITION_COUNT_DEFAULT,
    storageNodeCount: 8,
    // A storage node serves from one thread, so a second holds one CPU second; the rest depends on the machine.
    nodeCapacity: { queries: null, cpuSeconds: 1, readBytes: null, writeBytes: null },
  },
  node: {
    role: null,
    id: null,
    clientListen: '127.0.0.1:6379',
    peerListen: '127.0.0.1:0',
    advertiseHost: null,
    advertisePort: null,
    zone: null,
    healthListen: null,
    capacity: { queries: null, cpuSeconds: null, readBytes: null, writeBytes: null },
    dataDir: '.foreshard/data',
    mapSizeBytes: 64 * 1024 * MIB,
    dataBytesMax: 32 * 1024 * MIB,
    // Room for a copy-on-write commit of the largest group and for what the operating system needs.
    freeBytesReserve: 256 * MIB,
    valueBytesMax: 8 * MIB,
    clientConnectionsMax: 10_000,
    logLevel: 'info',
  },
  security: {
    password: null,
    passwordFile: null,
    usersFile: null,
    serverCertificateFile: null,
    serverKeyFile: null,
    clientAuthorityFile: null,
    peerAuthorityFile: null,
    peerCertificateFile: null,
    peerKeyFile: null,
  },
  plugin: { mode: 'observe', modules: ['foreshard'] },
  // 65,536 slots are 4 MiB and hold half a second at 130,000 queries a second: ten drains late before one is dropped.
  capture: { ringSlots: 65_536, keyPrefixBytes: 24, keyHash: true, drainIntervalMs: 50 },
  analyzer: { windowMs: HOUR_MS, stateDir: '.foreshard/analyzer', kernelThreads: 1, kernelNiceness: 10 },
  forecast: FORECAST_DEFAULTS,
  affinity: DEFAULT_AFFINITY_SETTINGS,
  migration: DEFAULT_MIGRATION_SETTINGS,
  controller: {
    cycleIntervalMs: HOUR_MS,
    // Four looks: a burst of a minute has gone before a partition could have moved.
    reliefAfterMs: 120_000,
    // Most copies have ended by then, and the looks after it know nothing of before.
    reliefIntervalMs: 600_000,
    executorIntervalMs: 15,
    leaseTtlMs: 10_000,
    skillMin: 0,
    seed: '1',
    // A day of hourly ones; inputs of 256 partitions and a week take 5 MB.
    plansKept: 24,
    plansKeptBytesMax: 256 * MIB,
  },
  metadata: {
    kind: 'embedded',
    path: '.foreshard/metadata',
    endpoints: ['http://127.0.0.1:2379'],
    authorityFile: null,
    certificateFile: null,
    keyFile: null,
    user: null,
    password: null,
    passwordFile: null,
  },
  redis: REDIS_DEFAULTS,
  webhooks: WEBHOOK_DEFAULTS,
});

/**
 * What a schema of types cannot say: powers of two, divisors, claims over several settings, and the ranges of the sections
 * that a room of the core owns, which the room itself asserts again when it is handed its settings.
 */
export function inconsistencies(settings: Settings): readonly Inconsistency[] {
  const { cluster, node, capture, analyzer, affinity, plugin, metadata } = settings;
  const found = [
    ...below('forecast', forecastInconsistencies(settings.forecast)),
    ...below('affinity', affinityInconsistencies(affinity)),
    ...below('migration', migrationInconsistencies(settings.migration)),
    ...below('redis', redisInconsistencies(settings.redis)),
    ...below('webhooks', webhookInconsistencies(settings.webhooks)),
  ];
  if (!found.some(({ path }) => path.startsWith('affinity.rules')))
    found.push(...below('affinity', clusterInconsistencies(affinity.rules, cluster)));
  // Of a section that is wrong already, sizes would say nothing; without our plugin nothing is forecast.
  if (found.length === 0 && plugin.modules.includes('foreshard'))
    found.push(...memoryInconsistencies(settings));
  if (!isPowerOfTwo(cluster.partitionCount))
    found.push({ path: 'cluster.partitionCount', expected: 'a power of two' });
  if (cluster.storageNodeCount > cluster.partitionCount)
    found.push({
      path: 'cluster.storageNodeCount',
      expected: `at most cluster.partitionCount (${cluster.partitionCount}): a node without a partition has nothing to do`,
    });
  if (node.mapSizeBytes < MAP_BYTES_PER_DATA_BYTE * node.dataBytesMax)
    found.push({
      path: 'node.mapSizeBytes',
      expected:
        `at least ${MAP_BYTES_PER_DATA_BYTE} x node.dataBytesMax (${MAP_BYTES_PER_DATA_BYTE * node.dataBytesMax}): pages are down ` +
        'to half full, and commits write new ones beside the old. It is address space, not disk: raise it, or lower node.dataBytesMax',
    });
  found.push(...nodeInconsistencies(node));
  if (!isPowerOfTwo(capture.ringSlots)) found.push({ path: 'capture.ringSlots', expected: 'a power of two' });
  const peerFiles = ['peerAuthorityFile', 'peerCertificateFile', 'peerKeyFile'] as const;
  const missing = peerFiles.filter((name) => settings.security[name] === null);
  if (missing.length > 0 && missing.length < peerFiles.length)
    found.push({
      path: `security.${missing[0]}`,
      expected: `set as well: ${peerFiles.join(', ')} come together`,
    });
  found.push(...clientTlsInconsistencies(settings.security));
  found.push(...below('metadata', metadataInconsistencies(metadata)));
  if (WEEK_MS % analyzer.windowMs !== 0)
    found.push({
      path: 'analyzer.windowMs',
      expected: `a divisor of one week (${WEEK_MS} ms), such as ${HOUR_MS} for one hour`,
    });
  // A list that is wrong altogether has been found above.
  const dimensions = found.some(({ path }) => path === 'affinity.dimensions') ? [] : affinity.dimensions;
  for (const { dimension } of dimensions)
    if (plugin.mode !== 'observe' && cluster.nodeCapacity[dimension] === null)
      found.push({
        path: `cluster.nodeCapacity.${dimension}`,
        expected: `what one storage node carries per second: plugin.mode "${plugin.mode}" balances ${dimension} (affinity.dimensions)`,
      });
  return found;
}

/** Of one node's own file; where one file serves several, its command line says which it is, and is checked with it. */
function nodeInconsistencies({ role, id, ...node }: NodeSettings): Inconsistency[] {
  const found: Inconsistency[] = [];
  if (id !== null && role === null)
    found.push({ path: 'node.role', expected: '"storage" or "query" beside node.id' });
  if (id !== null && role === 'storage' && id >= STORAGE_NODES_MAX)
    found.push({ path: 'node.id', expected: `below ${STORAGE_NODES_MAX} for a storage node` });
  if (id !== null && role === 'query' && id < QUERY_NODE_ID_MIN)
    found.push({ path: 'node.id', expected: `${QUERY_NODE_ID_MIN} or above for a query node` });
  // Nobody authenticates there, so no flag allows another address.
  const health = node.healthListen;
  if (health !== null && !health.startsWith('unix:') && !isLoopback(hostOf(health)))
    found.push({ path: 'node.healthListen', expected: 'a loopback address, or unix:/path/to/health.sock' });
  const listen = role === 'query' ? node.clientListen : node.peerListen;
  if (node.advertiseHost !== null && isWildcard(node.advertiseHost))
    found.push({ path: 'node.advertiseHost', expected: 'an address of this machine, not every one' });
  else if (role !== null && node.advertiseHost === null && isWildcard(hostOf(listen)))
    found.push({
      path: 'node.advertiseHost',
      expected: `the name or address by which others reach this node, since it listens on ${listen}, which is none (--advertise, FORESHARD_NODE_ADVERTISE_HOST)`,
    });
  return found;
}

/** Of `host:port`, without the brackets of IPv6. */
const hostOf = (listen: string): string => listen.slice(0, listen.lastIndexOf(':')).replace(/^\[|\]$/g, '');

/** Every address of the machine: one may listen there, and nobody can connect to it. */
const isWildcard = (host: string): boolean => /^(\[?[0:]*:[0:]*\]?|0+(\.0+){0,3})$/.test(host);

/**
 * The quota counts bytes of entries, the map has to hold pages: a split leaves them half full, a value of just over half a page
 * has a page to itself, and a commit writes new pages while snapshots still read the old ones. A map that is full refuses
 * commits, which is fail-stop for writes; the quota is to be met first.
 */
const MAP_BYTES_PER_DATA_BYTE = 2;

/** The kernels' own constants, control words of jobs, and what is lost between blocks. */
const KERNEL_MEMORY_SLACK_BYTES = 4 * MIB;

function clientTlsInconsistencies(security: SecuritySettings): Inconsistency[] {
  const pair = ['serverCertificateFile', 'serverKeyFile'] as const;
  const missing = pair.filter((name) => security[name] === null);
  if (missing.length === 1)
    return [{ path: `security.${missing[0]}`, expected: `set as well: ${pair.join(' and ')} come together` }];
  if (missing.length === 2 && security.clientAuthorityFile !== null)
    return [
      {
        path: 'security.serverCertificateFile',
        expected: 'set as well: without TLS nobody shows a certificate of security.clientAuthorityFile',
      },
    ];
  return [];
}

/** What the kernels' memory is used for, and how much at most, bytes. */
export function kernelMemory({ cluster, analyzer, forecast, affinity }: Settings) {
  const { partitionCount, storageNodeCount: nodeCount } = cluster;
  const shape = { partitionCount, windowMs: analyzer.windowMs };
  const { history, predictions, models, passing: fitting } = allForecastersBytes(forecast, shape);
  const annealing = annealBytes(affinity, { partitionCount, nodeCount, horizonSteps: forecast.horizonSteps });
  // Fitting and placement take turns.
  const passing = Math.max(fitting, annealing);
  const threads = analyzer.kernelThreads * SCRATCH_BYTES + KERNEL_MEMORY_SLACK_BYTES;
  const total = history + predictions + models + passing + threads;
  return { history, predictions, models, passing, threads, total };
}

/**
 * The map takes 16,384 partitions; what ends earlier is the memory of the kernels, which never grows. Found here and not in
 * the first planning cycle, since the number of partitions is fixed for the life of the data.
 */
function memoryInconsistencies(settings: Settings): Inconsistency[] {
  const { cluster, forecast } = settings;
  const { history, predictions, models, passing, threads, total } = kernelMemory(settings);
  const limitBytes = MEMORY_PAGES * 65_536;
  if (total <= limitBytes) return [];
  const mib = (bytes: number): string => `${Math.ceil(bytes / MIB)} MiB`;
  return [
    {
      path: 'cluster.partitionCount',
      expected:
        `few enough to be forecast: ${cluster.partitionCount} partitions with forecast.historyWindows ${forecast.historyWindows} and ` +
        `forecast.horizonSteps ${forecast.horizonSteps} need ${mib(total)} of kernel memory ` +
        `(history ${mib(history)}, predictions ${mib(predictions)}, models ${mib(models)}, fitting or placement ${mib(passing)}, ` +
        `threads and slack ${mib(threads)}), there are ${mib(limitBytes)}: take fewer ` +
        'partitions, or shorten forecast.historyWindows or forecast.horizonSteps',
    },
  ];
}

const below = (section: string, found: readonly Inconsistency[]): Inconsistency[] =>
  found.map(({ path, expected }) => ({ path: `${section}.${path}`, expected }));

const isPowerOfTwo = (value: number): boolean => (value & (value - 1)) === 0;

/** Freezes a tree of plain data in place. */
export function deepFreeze<T>(tree: T): T {
  if (typeof tree === 'object' && tree !== null && !Object.isFrozen(tree)) {
    Object.freeze(tree);
    for (const child of Object.values(tree)) deepFreeze(child);
  }
  return tree;
}

import { type AffinitySettings, DEFAULT_AFFINITY_SETTINGS } from './affinity/settings.ts';
import { FORECAST_DEFAULTS, type ForecastSettings } from './analyzer/settings.ts';
import type { PluginMode } from './controller.ts';
import type { MetadataSettings } from './metadata-settings.ts';
import { DEFAULT_MIGRATION_SETTINGS, type MigrationSettings } from './migration/settings.ts';
import type { LoadDimension } from './model/load-profile.ts';
import { PARTITION_COUNT_DEFAULT } from './model/partition-map.ts';
import { REDIS_DEFAULTS, type RedisSettings } from './redis-settings.ts';
import { WEBHOOK_DEFAULTS, type WebhookSettings } from './webhook-settings.ts';

export type { MetadataSettings } from './metadata-settings.ts';

/**
 * What an operator tunes: one tree of frozen data, validated once at the edge (`plugin/host/config/config.ts`); what has to hold between them is in
 * `settings-claims.ts`. Everything that
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

/** Freezes a tree of plain data in place. */
export function deepFreeze<T>(tree: T): T {
  if (typeof tree === 'object' && tree !== null && !Object.isFrozen(tree)) {
    Object.freeze(tree);
    for (const child of Object.values(tree)) deepFreeze(child);
  }
  return tree;
}

import type { Clock } from '../../src/base/clock.ts';
import { ForeshardError } from '../../src/base/errors.ts';
import type { Logger } from '../../src/base/logger.ts';
import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import type { QueryNodeHooks, StorageNodeHooks } from '../hooks.ts';
import type { OpenedStore } from '../host/plugin.ts';
import type { Member } from '../metadata/members.ts';
import type { Reading } from '../metrics/reading.ts';
import type { PeerTls } from '../rpc/peer-tls.ts';
import type { ClientTls } from '../security/client-tls.ts';
import type { ClientUsers } from '../security/client-users.ts';
import type { HandshakeLimits } from '../security/handshake-gate.ts';
import type { HealthReason } from './health.ts';
import type { CopyReadLimits } from './query/copy-reads.ts';

/** What both roles are told: `plugin/node/main.ts` fills it in from settings and command line. */
export interface NodeOptions {
  /** Name of the cluster, also in the metadata store's keys; peers of another are refused. */
  readonly clusterId: string;
  /** Dense from 0 among storage nodes; query nodes begin at QUERY_NODE_ID_MIN. One number space: both register under `node/<id>`. */
  readonly nodeId: number;
  /** Where this node listens: storage nodes for peers, query nodes for clients. */
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** By what others reach it, where that is not how it listens. */
  readonly advertise?: { readonly host: string | null; readonly port: number | null };
  /** What it registers about itself besides. */
  readonly facts?: Pick<Member, 'zone' | 'capacity'>;
  readonly partitionCount: number;
  /** Storage nodes that must have registered before a new cluster is formed. */
  readonly storageNodeCount: number;
  /** Of connections between nodes; without it they are neither encrypted nor authenticated. */
  readonly tls?: PeerTls | null;
}

export { QUERY_NODE_ID_MIN } from '../../src/model/ids.ts';

export interface StorageNodeOptions extends NodeOptions {
  /** Folder of the LMDB environment. */
  readonly dataDir: string;
  /** The folder may be another than that whose data the map gives to this node: that disk is lost. */
  readonly isStoreReplaced?: boolean;
  readonly mapSizeBytes: number;
  readonly dataBytesMax: number;
  readonly freeBytesReserve: number;
  readonly valueBytesMax: number;
}

export interface QueryNodeOptions extends NodeOptions {
  /** What the user `default` must AUTH with; without it and without `users` nobody has to. */
  readonly password: string | null;
  /** Who else may do what. */
  readonly users?: ClientUsers | null;
  /** Of connections of clients; without it they are not encrypted. */
  readonly clientTls?: ClientTls | null;
  /** Of clients that have not authenticated yet. */
  readonly handshakeLimits?: HandshakeLimits;
  readonly valueBytesMax: number;
  readonly clientConnectionsMax: number;
  /** How long a query may wait for its partition to come back before it gets an error reply. */
  readonly retryMs: number;
  /** Of reads at the copies of open migrations; DEFAULT_COPY_READ_LIMITS where left out: none are mirrored. */
  readonly copyReads?: Partial<CopyReadLimits>;
}

/** Long enough for a restart or a hand-over, short enough that clients have not given up themselves. */
export const RETRY_MS_DEFAULT = 5_000;

export interface NodeComponents {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metadata: MetadataStore;
  /** Told what a start waits for, as often as it is looked at. */
  readonly onWaiting?: (what: string) => void;
  /** Ends a start that still waits for the cluster: it fails with FORESHARD_UNAVAILABLE. Default: never. */
  readonly closing?: AbortSignal;
}

export interface StorageNodeComponents extends NodeComponents {
  /**
   * Called once the store is open, and awaited before the node listens: the host attaches the plugins, which bring roles
   * in line with the map (MigrationAgent.reconcile) and fill `hooks`. Throws when the node must not serve.
   */
  readonly onStoreOpened: (opened: OpenedStore) => Promise<void>;
  /** Read at every use: the host fills in and empties its fields while the node runs. */
  readonly hooks: StorageNodeHooks;
  readonly onHookFault: (hook: string, error: unknown) => void;
}

export interface QueryNodeComponents extends NodeComponents {
  /** Read at every use: the host fills in and empties its fields while the node runs. */
  readonly hooks: QueryNodeHooks;
  /** A hook has thrown: it must be detached by setting it to null before this returns. */
  readonly onHookFault: (hook: string, error: unknown) => void;
}

/** A node that serves. */
export interface RunningNode {
  readonly host: string;
  readonly port: number;
  /** What stands against sending it work, as far as it knows; asks nobody. */
  problems(): readonly HealthReason[];
  /** Its metrics as they are now; asks nobody. */
  readings(): readonly Reading[];
  /** Stops taking work, ends what is open, frees everything. */
  close(): Promise<void>;
}

/** @throws ForeshardError FORESHARD_UNAVAILABLE once the node was told to end. */
export function assertNotClosing(closing: AbortSignal | undefined): void {
  if (closing?.aborted)
    throw new ForeshardError('FORESHARD_UNAVAILABLE', 'restart', 'the node was told to end while it started');
}

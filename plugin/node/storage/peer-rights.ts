/** What a peer may ask of a storage node, by its role and by what the map says of it. */
import { ForeshardError } from '../../../src/base/errors.ts';
import type { PartitionRecord } from '../../../src/model/migration.ts';
import { COSTS_OPERATION } from '../../engines/migration-agent/partition-costs.ts';
import type { PeerIdentity, PeerRole } from '../../rpc/connection.ts';

const PULLS: ReadonlySet<string> = new Set([
  'replicate.openSnapshot',
  'replicate.readSnapshot',
  'replicate.readLog',
]);
const LOOKS: ReadonlySet<string> = new Set(['replicate.status', 'replicate.statistics']);

/** Remembered yeses: a pull asks many times, a migration has one target. */
const REMEMBERED_MAX = 10_000;

/**
 * Whoever holds a node's certificate is not yet everything: only query nodes read and write, only the coordinator commands,
 * and a storage node gets the entries of a partition only while the map names it as an end of that very migration.
 */
export class PeerRights {
  readonly #readRecord: (partitionId: number) => Promise<PartitionRecord | undefined>;
  readonly #mayPull = new Set<string>();

  /** @param readRecord one partition's record, linearizably. */
  constructor(readRecord: (partitionId: number) => Promise<PartitionRecord | undefined>) {
    this.#readRecord = readRecord;
  }

  /** @throws ForeshardError FORESHARD_NOT_OWNER, saying what the role may do or what the map says. */
  async assertMayAsk(peer: PeerIdentity, operation: string, body: Record<string, unknown>): Promise<void> {
    if (PULLS.has(operation)) return this.#assertMayPull(peer, operation, body);
    const roles: readonly PeerRole[] = LOOKS.has(operation)
      ? ['coordinator', 'storage', 'operator']
      : ['coordinator'];
    if (!roles.includes(peer.role)) throw refused(peer, operation, `only ${roles.join(', ')} may`);
  }

  async #assertMayPull(peer: PeerIdentity, operation: string, body: Record<string, unknown>): Promise<void> {
    if (peer.role !== 'storage') throw refused(peer, operation, 'only storage nodes pull');
    const { partitionId, migrationId } = body;
    if (!Number.isInteger(partitionId) || !Number.isInteger(migrationId)) return; // the schema says so better
    const key = `${partitionId}/${migrationId}/${peer.nodeId}`;
    if (this.#mayPull.has(key)) return;
    const migration = (await this.#readRecord(partitionId as number))?.migration;
    const ends =
      migration && migration.migrationId === migrationId
        ? [migration.sourceNodeId, migration.targetNodeId]
        : [];
    const isEnd = ends.some((nodeId) => nodeId === peer.nodeId);
    if (!isEnd)
      throw refused(
        peer,
        operation,
        `the map names it as no end of migration ${String(migrationId)} of partition ${String(partitionId)}`,
      );
    if (this.#mayPull.size >= REMEMBERED_MAX) this.#mayPull.clear();
    this.#mayPull.add(key);
  }
}

/** Data requests are the query nodes'. @throws ForeshardError FORESHARD_NOT_OWNER, which ends the connection. */
export function assertMayQuery(peer: PeerIdentity | null): void {
  if (peer?.role !== 'query')
    throw new ForeshardError(
      'FORESHARD_NOT_OWNER',
      'report',
      `data requests of a peer of role ${peer?.role ?? 'unknown'}: only query nodes read and write`,
    );
}

/**
 * What a node holds is told to who may mend the map by it; what its partitions cost, also to who plans by it.
 *
 * @throws ForeshardError FORESHARD_NOT_OWNER.
 */
export function assertMayLook(peer: PeerIdentity | null, operation: string): void {
  if (peer?.role === 'operator') return;
  if (peer?.role === 'coordinator' && operation === COSTS_OPERATION) return;
  throw new ForeshardError(
    'FORESHARD_NOT_OWNER',
    'report',
    `a peer of role ${peer?.role ?? 'unknown'} asks what this node holds: only operators may`,
  );
}

const refused = (peer: PeerIdentity, operation: string, why: string): ForeshardError =>
  new ForeshardError(
    'FORESHARD_NOT_OWNER',
    'report',
    `${operation} is refused to node ${peer.nodeId} (${peer.role}): ${why}`,
  );

import { ForeshardError } from '../../../src/base/errors.ts';
import type { NodeId } from '../../../src/model/ids.ts';
import type { Digest, Lsn, MigrationCommand } from '../../../src/model/migration.ts';
import type {
  CopyRates,
  EngineCapabilities,
  EntryPage,
  ListEntriesOptions,
  NodeMigrationStatus,
  NodeStatistics,
  PrepareOptions,
  StorageEngine,
} from '../../../src/ports/storage-engine.ts';
import { decodeFingerprints } from './fingerprints.ts';
import { type MigrationOperation, parseBody, REPLIES } from './migration-messages.ts';
import type { MigrationTransport } from './migration-transport.ts';

/** The coordinator's view of the embedded engine: every call is one control request to a storage node. */
export class RpcStorageEngine implements StorageEngine {
  readonly capabilities: EngineCapabilities = {
    changeStream: true,
    weightedReads: true,
    checksum: true,
    reverseStream: true,
  };
  readonly #transport: MigrationTransport;

  constructor(transport: MigrationTransport) {
    this.#transport = transport;
  }

  async prepare(nodeId: NodeId, command: MigrationCommand, options: PrepareOptions): Promise<void> {
    await this.#ask(nodeId, 'replicate.prepare', { ...command, ...options });
  }

  async copy(nodeId: NodeId, command: MigrationCommand, rates: CopyRates): Promise<void> {
    await this.#ask(nodeId, 'replicate.copy', { ...command, ...rates });
  }

  async beginVerify(
    nodeId: NodeId,
    command: MigrationCommand,
    options: { readonly barrierLsn?: Lsn; readonly isFresh?: boolean; readonly round?: number },
  ): Promise<{ readonly lsn: Lsn }> {
    const { barrierLsn = null, isFresh = false, round = 0 } = options;
    const body = { ...command, barrierLsn, isFresh, round };
    const reply = await this.#ask(nodeId, 'verify.begin', body);
    return parseBody(REPLIES['verify.begin'], 'verify.begin reply', reply.body);
  }

  async serveReads(nodeId: NodeId, command: MigrationCommand, isServing: boolean): Promise<void> {
    await this.#ask(nodeId, 'redirect.serveReads', { ...command, isServing });
  }

  async fence(nodeId: NodeId, command: MigrationCommand): Promise<{ lsn: Lsn; digest: Digest }> {
    const reply = await this.#ask(nodeId, 'redirect.fence', { ...command });
    return parseBody(REPLIES['redirect.fence'], 'redirect.fence reply', reply.body);
  }

  async activate(nodeId: NodeId, command: MigrationCommand, options: { fenceLsn: Lsn }): Promise<void> {
    await this.#ask(nodeId, 'redirect.activate', { ...command, ...options });
  }

  async follow(nodeId: NodeId, command: MigrationCommand): Promise<void> {
    await this.#ask(nodeId, 'replicate.follow', { ...command });
  }

  async remove(nodeId: NodeId, command: MigrationCommand): Promise<boolean> {
    const reply = await this.#ask(nodeId, 'remove.run', { ...command });
    return parseBody(REPLIES['remove.run'], 'remove.run reply', reply.body).isDone;
  }

  async abort(
    nodeId: NodeId,
    command: MigrationCommand,
    options: { readonly keepsLog: boolean } = { keepsLog: false },
  ): Promise<boolean> {
    const reply = await this.#ask(nodeId, 'redirect.abort', { ...command, ...options });
    return parseBody(REPLIES['redirect.abort'], 'redirect.abort reply', reply.body).isDone;
  }

  async finish(nodeId: NodeId, command: MigrationCommand): Promise<void> {
    await this.#ask(nodeId, 'replicate.finish', { ...command });
  }

  async status(
    nodeId: NodeId,
    command: MigrationCommand,
    include?: 'digest' | 'verify',
  ): Promise<NodeMigrationStatus> {
    const reply = await this.#ask(nodeId, 'replicate.status', { ...command, include: include ?? 'none' });
    return parseBody(REPLIES['replicate.status'], 'replicate.status reply', reply.body);
  }

  async nodeStatistics(nodeId: NodeId): Promise<NodeStatistics> {
    const reply = await this.#ask(nodeId, 'replicate.statistics', {});
    const statistics = parseBody(REPLIES['replicate.statistics'], 'replicate.statistics reply', reply.body);
    const bulk = reply.bulk ?? new Uint8Array(0);
    if (bulk.length % Float64Array.BYTES_PER_ELEMENT !== 0)
      throw new ForeshardError(
        'FORESHARD_CORRUPT',
        'report',
        'partition sizes that are not whole numbers of f64',
      );
    // A copy, because a bulk may lie anywhere in its frame and a Float64Array wants 8-byte alignment.
    return { ...statistics, partitionBytes: new Float64Array(new Uint8Array(bulk).buffer) };
  }

  async listEntries(
    nodeId: NodeId,
    command: MigrationCommand,
    options: ListEntriesOptions,
  ): Promise<EntryPage> {
    const reply = await this.#ask(nodeId, 'verify.list', { ...command, ...options });
    const { nextPosition } = parseBody(REPLIES['verify.list'], 'verify.list reply', reply.body);
    return { entries: decodeFingerprints(reply.bulk ?? new Uint8Array(0)), nextPosition };
  }

  #ask(nodeId: NodeId, operation: MigrationOperation, body: Record<string, unknown>) {
    return this.#transport.request(nodeId, operation, body);
  }
}

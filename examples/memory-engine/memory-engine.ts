/**
 * The smallest storage engine that does what the port asks: two capabilities of four, partitions in memory, one process. What stands in
 * a `Disk` is durable, and changes in one step; all else is lost when a node is started anew. Read it beside docs/engine-adapter.md.
 */
import {
  type CopyRates,
  type Digest,
  type EngineCapabilities,
  type EntryPage,
  ForeshardError,
  type ListEntriesOptions,
  type Lsn,
  type MigrationCommand,
  type NodeId,
  type NodeMigrationStatus,
  type NodeStatistics,
  type PrepareOptions,
  type StorageEngine,
} from '../../src/index.ts';
import { type Disk, digestOf, EMPTY, fingerprint, type Held } from './disk.ts';

/** Entries and changes that a copy takes over in one piece. */
const PIECE = 16;

/** What a running node remembers of a migration, and may forget. */
interface Running {
  readonly migrationId: number;
  rate: number;
  isPulling: boolean;
  copiedBytes: number;
  verify: { readonly lsn: Lsn; readonly scanned: Digest; readonly running: Digest } | null;
  entriesAtVerify: ReadonlyMap<string, string>;
}

export class MemoryEngine implements StorageEngine {
  readonly capabilities: EngineCapabilities = {
    changeStream: true,
    weightedReads: false,
    checksum: true,
    reverseStream: false,
  };
  readonly #disks: ReadonlyMap<number, Disk>;
  readonly #running = new Map<string, Running>();

  constructor(disks: readonly Disk[]) {
    this.#disks = new Map(disks.map((disk, nodeId) => [nodeId, disk]));
  }

  /** As a crash does: what is not on the disk is gone. */
  forget(nodeId: NodeId): void {
    for (const [key, running] of this.#running)
      if (key.startsWith(`${nodeId}/`)) {
        running.isPulling = false;
        this.#running.delete(key);
      }
  }

  async prepare(nodeId: NodeId, command: MigrationCommand, options: PrepareOptions): Promise<void> {
    const disk = this.#disk(nodeId);
    const held = disk.of(command.partitionId);
    const isSource = options.side === 'source';
    if (disk.storeId !== (isSource ? options.sourceStoreId : options.targetStoreId))
      throw refused('FORESHARD_NOT_OWNER', `this store is ${disk.storeId}`);
    assertFresh(held, command);
    if (isSource) {
      if (held.role !== 'OWNER' || held.epoch !== command.epoch) throw wrongRole(held);
      disk.change(command.partitionId, { migrationId: command.migrationId, log: held.log ?? [] });
      return;
    }
    if (disk.freeBytes < options.freeBytesMin)
      throw new ForeshardError('FORESHARD_DISK_FULL', 'free-space', 'there is no room for the copy');
    if (held.role === 'STAGING' && held.migrationId === command.migrationId) return;
    const { adopts } = options;
    const isAdopted = held.role === 'STAGING' && held.isComplete && adopts?.migrationId === held.migrationId;
    if (!isAdopted && held.role !== 'NONE') throw wrongRole(held);
    const { migrationId, epoch } = command;
    disk.change(command.partitionId, {
      ...(isAdopted
        ? { closedMigrationId: migrationId - 1 }
        : { entries: new Map(), lsn: 0, isComplete: false }),
      ...{ role: 'STAGING', epoch, epochMax: epoch, migrationId, sourceNodeId: options.sourceNodeId },
    });
  }

  async copy(nodeId: NodeId, command: MigrationCommand, { bytesPerSecond }: CopyRates): Promise<void> {
    const held = this.#disk(nodeId).of(command.partitionId);
    if (held.role !== 'STAGING' || held.migrationId !== command.migrationId) throw wrongRole(held);
    const running = this.#runningOf(nodeId, command);
    running.rate = bytesPerSecond;
    if (running.isPulling || bytesPerSecond === 0) return;
    running.isPulling = true;
    void this.#pull(nodeId, command, running);
  }

  /** The snapshot in pieces, then the changes after it, for as long as the copy is one. */
  async #pull(
    nodeId: NodeId,
    { partitionId, migrationId }: MigrationCommand,
    running: Running,
  ): Promise<void> {
    const disk = this.#disk(nodeId);
    const source = this.#disk(disk.of(partitionId).sourceNodeId);
    const { lsn, entries } = source.of(partitionId);
    const snapshot = disk.of(partitionId).isComplete ? [] : [...entries];
    const isOurs = (): boolean => {
      const { role, migrationId: of } = disk.of(partitionId);
      return running.isPulling && role === 'STAGING' && of === migrationId;
    };
    // Begun anew after a crash: what was copied before may have been deleted since.
    if (snapshot.length > 0) disk.change(partitionId, { entries: new Map(), lsn: 0 });
    while (snapshot.length > 0) {
      await nextTurn();
      if (!isOurs()) return;
      if (running.rate > 0) this.#take(disk, partitionId, running, snapshot.splice(0, PIECE));
    }
    if (!disk.of(partitionId).isComplete && isOurs()) disk.change(partitionId, { lsn, isComplete: true });
    while (isOurs()) {
      const { lsn: at } = disk.of(partitionId);
      const changes = (source.of(partitionId).log ?? []).filter((change) => change.lsn > at).slice(0, PIECE);
      if (running.rate > 0 && changes.length > 0) disk.apply(partitionId, changes);
      await nextTurn();
    }
  }

  #take(disk: Disk, partitionId: number, running: Running, piece: readonly [string, string][]): void {
    const entries = new Map(disk.of(partitionId).entries);
    for (const [key, value] of piece) {
      entries.set(key, value);
      running.copiedBytes += key.length + value.length;
    }
    disk.change(partitionId, { entries });
  }

  async beginVerify(
    nodeId: NodeId,
    command: MigrationCommand,
    options: { readonly barrierLsn?: Lsn; readonly isFresh?: boolean; readonly round?: number },
  ): Promise<{ readonly lsn: Lsn }> {
    const held = this.#disk(nodeId).of(command.partitionId);
    if (held.migrationId !== command.migrationId) throw wrongRole(held);
    const running = this.#runningOf(nodeId, command);
    const { barrierLsn = null } = options;
    if (barrierLsn !== null && barrierLsn < held.lsn && running.verify?.lsn !== barrierLsn)
      throw refused('FORESHARD_CONFLICT', `already at ${held.lsn}, beyond ${barrierLsn}`);
    const isScanDue =
      barrierLsn === null ? options.isFresh || running.verify === null : held.lsn === barrierLsn;
    if (isScanDue) {
      // Nothing is kept beside the entries that could differ from them.
      const scanned = digestOf(held.entries);
      running.verify = { lsn: held.lsn, scanned, running: scanned };
      running.entriesAtVerify = held.entries;
    }
    return { lsn: barrierLsn ?? (running.verify as { lsn: Lsn }).lsn };
  }

  async serveReads(): Promise<void> {
    throw refused('FORESHARD_CONFLICT', 'copies of this engine answer no reads');
  }

  async fence(nodeId: NodeId, command: MigrationCommand): Promise<{ lsn: Lsn; digest: Digest }> {
    const disk = this.#disk(nodeId);
    const held = disk.of(command.partitionId);
    assertFresh(held, command);
    const isOurs = held.migrationId === command.migrationId && held.epoch === command.epoch;
    if (!isOurs || (held.role !== 'OWNER' && held.role !== 'FENCED')) throw wrongRole(held);
    // One step, and durable: whoever asks the disk for a write after this is refused.
    disk.change(command.partitionId, { role: 'FENCED' });
    return { lsn: held.lsn, digest: digestOf(held.entries) };
  }

  async activate(nodeId: NodeId, command: MigrationCommand, { fenceLsn }: { fenceLsn: Lsn }): Promise<void> {
    const disk = this.#disk(nodeId);
    const held = disk.of(command.partitionId);
    const { epoch, migrationId } = command;
    if (held.role === 'OWNER' && held.epoch === epoch) return;
    assertFresh(held, command);
    if (held.role !== 'STAGING' || held.migrationId !== migrationId) throw wrongRole(held);
    if (!held.isComplete || held.lsn !== fenceLsn)
      throw refused('FORESHARD_DIGEST_MISMATCH', `the copy stands at ${held.lsn}, the fence at ${fenceLsn}`);
    disk.change(command.partitionId, {
      ...{ role: 'OWNER', epoch, epochMax: epoch, closedMigrationId: migrationId },
    });
  }

  async follow(): Promise<void> {
    throw refused('FORESHARD_CONFLICT', 'old owners of this engine do not follow');
  }

  async remove(nodeId: NodeId, command: MigrationCommand): Promise<boolean> {
    const disk = this.#disk(nodeId);
    const held = disk.of(command.partitionId);
    const { migrationId, epoch } = command;
    if (migrationId <= held.closedMigrationId) return true;
    if (held.role !== 'FENCED' || held.migrationId !== migrationId || epoch <= held.epoch)
      throw wrongRole(held);
    const { lsn } = held;
    disk.change(command.partitionId, { ...EMPTY, lsn, epochMax: epoch, closedMigrationId: migrationId });
    return true;
  }

  async abort(
    nodeId: NodeId,
    { partitionId, migrationId }: MigrationCommand,
    { keepsLog }: { readonly keepsLog: boolean } = { keepsLog: false },
  ): Promise<boolean> {
    const disk = this.#disk(nodeId);
    const held = disk.of(partitionId);
    if (migrationId <= held.closedMigrationId) return true;
    const isOurs = held.migrationId === migrationId;
    if (isOurs && held.role === 'STAGING')
      disk.change(partitionId, { ...EMPTY, epochMax: held.epochMax, closedMigrationId: migrationId });
    else if (isOurs)
      disk.change(partitionId, {
        ...{ role: 'OWNER', migrationId: 0, closedMigrationId: migrationId },
        log: keepsLog ? held.log : null,
      });
    else disk.change(partitionId, { closedMigrationId: migrationId });
    return true;
  }

  async finish(nodeId: NodeId, { partitionId, migrationId }: MigrationCommand): Promise<void> {
    const disk = this.#disk(nodeId);
    const { closedMigrationId } = disk.of(partitionId);
    disk.change(partitionId, {
      ...{ migrationId: 0, log: null, closedMigrationId: Math.max(closedMigrationId, migrationId) },
    });
  }

  async status(
    nodeId: NodeId,
    command: MigrationCommand,
    include?: 'digest' | 'verify',
  ): Promise<NodeMigrationStatus> {
    const { role, epoch, lsn, closedMigrationId, isComplete, entries } = this.#disk(nodeId).of(
      command.partitionId,
    );
    const running = this.#runningOf(nodeId, command);
    return {
      ...{ role, epoch, lsn, closedMigrationId, isSnapshotComplete: role === 'STAGING' && isComplete },
      copiedBytes: running.copiedBytes,
      verify: include === 'verify' ? running.verify : null,
      digest: include === 'digest' ? digestOf(entries) : null,
      failure: null,
    };
  }

  async nodeStatistics(nodeId: NodeId): Promise<NodeStatistics> {
    const disk = this.#disk(nodeId);
    const { partitionBytes, dataBytes } = disk.sizes();
    return {
      storeId: disk.storeId,
      freeBytes: disk.freeBytes,
      dataBytes,
      partitionBytes,
      cpuSeconds: 0,
      isWritable: true,
    };
  }

  async listEntries(
    nodeId: NodeId,
    command: MigrationCommand,
    { lsn, lanes, fromPosition, entriesMax }: ListEntriesOptions,
  ): Promise<EntryPage> {
    const { verify, entriesAtVerify } = this.#runningOf(nodeId, command);
    if (verify?.lsn !== lsn)
      throw new ForeshardError('FORESHARD_NOT_READY', 'retry', `nothing was scanned at ${lsn}`);
    const listed = [...entriesAtVerify]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value], position) => fingerprint(key, value, position))
      .filter(({ lane, position }) => lanes.includes(lane) && position >= fromPosition);
    const entries = listed.slice(0, entriesMax);
    return { entries, nextPosition: listed[entriesMax]?.position ?? null };
  }

  #disk(nodeId: number): Disk {
    const disk = this.#disks.get(nodeId);
    if (disk === undefined)
      throw new ForeshardError('FORESHARD_UNAVAILABLE', 'retry', `there is no node ${nodeId}`);
    return disk;
  }

  #runningOf(nodeId: NodeId, { partitionId, migrationId }: MigrationCommand): Running {
    const key = `${nodeId}/${partitionId}`;
    const found = this.#running.get(key);
    if (found?.migrationId === migrationId) return found;
    if (found !== undefined) found.isPulling = false;
    const running: Running = {
      migrationId,
      ...{ rate: 0, isPulling: false, copiedBytes: 0, verify: null, entriesAtVerify: new Map() },
    };
    this.#running.set(key, running);
    return running;
  }
}

/** What is older than what this node has durably seen is refused for good. */
function assertFresh(held: Held, { migrationId, epoch }: MigrationCommand): void {
  if (migrationId <= held.closedMigrationId)
    throw refused('FORESHARD_STALE_EPOCH', `migration ${migrationId} is over here`);
  if (epoch < held.epochMax || migrationId < held.migrationId)
    throw refused(
      'FORESHARD_STALE_EPOCH',
      `epoch ${held.epochMax} of migration ${held.migrationId} has been seen`,
    );
}

const refused = (code: ForeshardError['code'], why: string): ForeshardError =>
  new ForeshardError(code, 're-read', why);

const wrongRole = ({ role, epoch, migrationId }: Held): ForeshardError =>
  refused('FORESHARD_NOT_OWNER', `this node is ${role} at epoch ${epoch} of migration ${migrationId}`);

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

import type { Clock } from '../base/clock.ts';
import { asEpoch, asNodeId, asPartitionId, type NodeId } from '../model/ids.ts';
import {
  DIGEST_FORMAT,
  type Digest,
  type Lsn,
  type MigrationCommand,
  type MigrationPhase,
  type MigrationRecord,
  type PartitionRecord,
} from '../model/migration.ts';
import {
  type CopyAdoption,
  FREE_COPY_RATES,
  type NodeMigrationStatus,
  type PrepareOptions,
  type StorageEngine,
} from '../ports/storage-engine.ts';
import { claim, eventually, type Patience } from './claims.ts';
import type { ClientReply, EngineUnderTest } from './engine-under-test.ts';

export const SOURCE = asNodeId(0);
export const TARGET = asNodeId(1);
export const PARTITION = asPartitionId(3);
/** Not 1: an engine that takes every partition for a new one would not be found out. */
const FIRST_EPOCH = 4;
/** A request without an answer after so long is held by a fence. */
const HELD_MS = 250;
const DIGEST_SEED = '0123456789abcdef';

interface ReadAs {
  readonly epoch?: number;
  /** Of a copy that has seen no less. */
  readonly minLsn?: Lsn;
}

export interface MoveParts extends Patience {
  readonly engine: EngineUnderTest;
  readonly records: Map<number, PartitionRecord>;
}

/**
 * A migration of one partition from node 0 to node 1 as a coordinator would lead it, step by step: the suite is the coordinator,
 * the map and the client.
 */
export class HandMadeMove {
  readonly #parts: MoveParts;
  /** In the order of the first write; null: deleted. What a client was told is written. */
  readonly acknowledged = new Map<string, string | null>();
  migrationId = 1;
  /** Of the last fence. */
  fence: { readonly lsn: Lsn; readonly digest: Digest } | null = null;

  private constructor(parts: MoveParts) {
    this.#parts = parts;
  }

  /** Node 0 owns the partition, with as many entries. */
  static async begin(parts: MoveParts, entryCount = 0): Promise<HandMadeMove> {
    const move = new HandMadeMove(parts);
    const record: PartitionRecord = {
      partitionId: PARTITION,
      ownerNodeId: SOURCE,
      ownerStoreId: parts.engine.storeIdOf(SOURCE),
      epoch: asEpoch(FIRST_EPOCH),
      ownedSinceMs: 0,
      migrationSeq: 0,
      migration: null,
    };
    parts.records.set(PARTITION, record);
    await parts.engine.own(record);
    await move.writeAll(SOURCE, entryCount, 'first');
    return move;
  }

  get engine(): StorageEngine {
    return this.#parts.engine.engine;
  }

  get patience(): Patience {
    return this.#parts;
  }

  get clock(): Clock {
    return this.#parts.clock;
  }

  get record(): PartitionRecord {
    return this.#parts.records.get(PARTITION) as PartitionRecord;
  }

  get epoch(): number {
    return this.record.epoch;
  }

  /** With the epoch that the map has now. */
  get command(): MigrationCommand {
    return this.commandOf(this.migrationId, this.epoch);
  }

  commandOf(migrationId: number, epoch: number): MigrationCommand {
    return { partitionId: PARTITION, migrationId, epoch: asEpoch(epoch) };
  }

  restart(nodeId: NodeId): Promise<void> {
    return this.#parts.engine.restart(nodeId);
  }

  /** A request that is held has not been served: by the time it is, it counts as acknowledged. */
  write(nodeId: NodeId, key: string, value: string | null, epoch = this.epoch): Promise<ClientReply> {
    return this.#orHeld(this.#send(nodeId, key, value, epoch), this.patience.patienceMs);
  }

  /** Whether a write is served, where it should not be: one that is held need not be waited for as long as a slow machine takes. */
  async takesWrite(nodeId: NodeId, key: string, value: string | null, epoch = this.epoch): Promise<boolean> {
    return (await this.tryWrite(nodeId, key, value, epoch)).isServed;
  }

  /** A write that may meet a fence. */
  tryWrite(nodeId: NodeId, key: string, value: string | null, epoch = this.epoch): Promise<ClientReply> {
    return this.#orHeld(this.#send(nodeId, key, value, epoch), HELD_MS);
  }

  async #send(nodeId: NodeId, key: string, value: string | null, epoch: number): Promise<ClientReply> {
    const reply = await this.#parts.engine.write({ nodeId, partitionId: PARTITION, epoch, key, value });
    if (reply.isServed) this.acknowledged.set(key, value);
    return reply;
  }

  async #orHeld(answer: Promise<ClientReply>, heldMs: number): Promise<ClientReply> {
    const patience = new AbortController();
    const held = this.clock.sleep(heldMs, patience.signal).then((): ClientReply => ({ isServed: false }));
    const reply = await Promise.race([answer, held]);
    patience.abort();
    return reply;
  }

  read(nodeId: NodeId, key: string, options: ReadAs = {}): Promise<ClientReply> {
    return this.#orHeld(this.#ask(nodeId, key, options), this.patience.patienceMs);
  }

  /** Whether a read is answered, where it should not be. */
  async answersRead(nodeId: NodeId, key: string, options: ReadAs = {}): Promise<boolean> {
    return (await this.#orHeld(this.#ask(nodeId, key, options), HELD_MS)).isServed;
  }

  #ask(nodeId: NodeId, key: string, { epoch = this.epoch, minLsn }: ReadAs): Promise<ClientReply> {
    const copyOf = minLsn === undefined ? undefined : { migrationId: this.migrationId, minLsn };
    return this.#parts.engine.read({ nodeId, partitionId: PARTITION, epoch, key, copyOf });
  }

  /** All at once, as many clients would; then every eighth is deleted again. */
  async writeAll(nodeId: NodeId, count: number, text: string): Promise<void> {
    const keys = Array.from({ length: count }, (_, i) => `${text}:${i}`);
    const replies = await Promise.all(
      keys.map((key, i) => this.write(nodeId, key, `${text} ${i} ${'.'.repeat(i % 50)}`)),
    );
    claim(
      replies.every(({ isServed }) => isServed),
      `the owner takes every write of ${text}`,
    );
    await Promise.all(keys.filter((_, i) => i % 8 === 7).map((key) => this.write(nodeId, key, null)));
  }

  /** Keys of which a node does not say what clients were told. */
  async wrongAt(nodeId: NodeId): Promise<string[]> {
    const told = [...this.acknowledged];
    const replies = await Promise.all(told.map(([key]) => this.read(nodeId, key)));
    return told.flatMap(([key, value], i) => {
      const reply = replies[i] as ClientReply;
      return reply.isServed && reply.value === value ? [] : [key];
    });
  }

  status(nodeId: NodeId, include?: 'digest' | 'verify'): Promise<NodeMigrationStatus> {
    return this.engine.status(nodeId, this.command, include);
  }

  /** The coordinator's commit: both nodes may read it. */
  enter(phase: MigrationPhase, change: Partial<PartitionRecord> = {}): void {
    const before = this.record;
    const { fence } = this;
    const migration: MigrationRecord = {
      migrationId: this.migrationId,
      sourceNodeId: SOURCE,
      sourceStoreId: this.#parts.engine.storeIdOf(SOURCE),
      targetNodeId: TARGET,
      targetStoreId: this.#parts.engine.storeIdOf(TARGET),
      ...{ phaseAtMs: 0, startedAtMs: 0, readWeight: 0, notBeforeMs: 0, attempt: 0 },
      phase,
      digestSeed: DIGEST_SEED,
      reason: 'conformance',
      ...(fence && { fenceLsn: fence.lsn, fenceDigest: fence.digest }),
    };
    const migrationSeq = Math.max(before.migrationSeq, this.migrationId);
    this.#parts.records.set(PARTITION, { ...before, migrationSeq, ...change, migration });
  }

  /** The coordinator's commit that ends it. */
  leave(): void {
    this.#parts.records.set(PARTITION, { ...this.record, migration: null });
    this.fence = null;
  }

  prepareOptions(side: 'source' | 'target', adopts?: CopyAdoption): PrepareOptions {
    const { engine } = this.#parts;
    return {
      side,
      sourceNodeId: SOURCE,
      targetNodeId: TARGET,
      sourceStoreId: engine.storeIdOf(SOURCE),
      targetStoreId: engine.storeIdOf(TARGET),
      digestSeed: DIGEST_SEED,
      digestFormat: DIGEST_FORMAT,
      freeBytesMin: 0,
      ...(adopts && { adopts }),
    };
  }

  async prepare(adopts?: CopyAdoption): Promise<void> {
    this.enter('PREPARE');
    await this.engine.prepare(SOURCE, this.command, this.prepareOptions('source'));
    await this.engine.prepare(TARGET, this.command, this.prepareOptions('target', adopts));
  }

  /** The copy is whole, and as far as its source is now. */
  async copy(): Promise<void> {
    this.enter('COPY');
    await this.askToCopy();
    await this.copied();
  }

  askToCopy(bytesPerSecond = FREE_COPY_RATES.bytesPerSecond): Promise<void> {
    return this.engine.copy(TARGET, this.command, { ...FREE_COPY_RATES, bytesPerSecond });
  }

  async copied(): Promise<void> {
    await this.reaches(TARGET, (await this.status(SOURCE)).lsn);
  }

  async reaches(nodeId: NodeId, lsn: Lsn): Promise<void> {
    let seen = '';
    await eventually(
      this.patience,
      async () => {
        const status = await this.status(nodeId);
        claim(status.failure === null, `node ${nodeId} gave up: ${status.failure}`);
        seen = `node ${nodeId} stands at ${status.lsn}, its snapshot ${status.isSnapshotComplete ? '' : 'not '}complete`;
        return status.lsn >= lsn && (status.isSnapshotComplete || status.role !== 'STAGING');
      },
      () => `everything up to lsn ${lsn} is copied; ${seen}`,
    );
  }

  async putUpFence(): Promise<{ readonly lsn: Lsn; readonly digest: Digest }> {
    this.enter('FENCING');
    // The digest of a source may still be reckoned: the coordinator asks again.
    await eventually(
      this.patience,
      async () => {
        this.fence = await this.engine.fence(SOURCE, this.command).catch((error: { code?: unknown }) => {
          if (error.code === 'FORESHARD_NOT_READY') return null;
          throw error;
        });
        return this.fence !== null;
      },
      'the source is fenced',
    );
    const fence = this.fence as { readonly lsn: Lsn; readonly digest: Digest };
    this.enter('FENCED');
    return fence;
  }

  /** From the fence to the new owner. */
  async switchOver(): Promise<void> {
    const { lsn } = await this.putUpFence();
    await this.reaches(TARGET, lsn);
    this.nameNewOwner();
    await this.engine.activate(TARGET, this.command, { fenceLsn: lsn });
  }

  /** The one commit by which the partition changes hands. */
  nameNewOwner(): void {
    this.enter('SWITCHED', {
      ownerNodeId: TARGET,
      ownerStoreId: this.#parts.engine.storeIdOf(TARGET),
      epoch: asEpoch(this.epoch + 1),
    });
  }

  /** The old owner has nothing left, the new one is done. */
  async cleanUp(): Promise<void> {
    this.enter('CLEANUP');
    await eventually(
      this.patience,
      () => this.engine.remove(SOURCE, this.command),
      'everything is removed from the old owner',
    );
    await this.engine.finish(TARGET, this.command);
    this.leave();
  }

  /** Given up before the switch. */
  async abort(options: { readonly keepsLog: boolean } = { keepsLog: false }): Promise<void> {
    this.enter('ABORT');
    await eventually(this.patience, () => this.engine.abort(TARGET, this.command), 'the copy is dropped');
    await eventually(
      this.patience,
      () => this.engine.abort(SOURCE, this.command, options),
      'the source is as before',
    );
    this.leave();
  }
}

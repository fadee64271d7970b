/**
 * The storage node's side of migrations. It answers the coordinator's commands and the other node's pulls by the partition
 * store's durable state; what it keeps in memory may be lost at any time. The rules R1..R10 are those of
 * `docs/decisions/0004-migration-by-the-sources-consent.md`.
 */
import { assert } from '../../../src/base/assert.ts';
import type { Clock } from '../../../src/base/clock.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { Logger } from '../../../src/base/logger.ts';
import { isSwitched } from '../../../src/migration/phases.ts';
import type { PartitionRecord } from '../../../src/model/migration.ts';
import type { PartitionStore } from '../../../src/ports/partition-store.ts';
import {
  FREE_COPY_RATES,
  type NodeMigrationStatus,
  type NodePressure,
} from '../../../src/ports/storage-engine.ts';
import type { ControlReply } from '../../hooks.ts';
import type { AgentSettings } from './agent-settings.ts';
import {
  assertAborted,
  assertDroppable,
  isClosed,
  type ReadRecord,
  readOpenRecord,
  refusal,
} from './command-checks.ts';
import { CopyPulls } from './copy-pulls.ts';
import {
  assertDigestFormat,
  isMigrationOperation,
  type MigrationOperation,
  parseBody,
  REQUESTS,
  type RequestOf,
} from './migration-messages.ts';
import { MigrationServing } from './migration-serving.ts';
import type { MigrationTransport } from './migration-transport.ts';
import { PartitionTurns } from './partition-turns.ts';
import { reconcileRoles } from './reconcile-roles.ts';
import { Removals } from './removals.ts';
import * as role from './role-changes.ts';
import { MigrationSessions } from './sessions.ts';
import { beginVerify, listScanned, type VerifyComponents } from './verify-steps.ts';

export interface AgentComponents {
  readonly store: PartitionStore;
  readonly transport: MigrationTransport;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly readRecord: ReadRecord;
  readonly cpuSeconds: () => number;
  /** How busy the node is, where that is measured. */
  readonly pressure?: () => NodePressure;
  /** How late its event loop was in about the last tenth of a second, where that is measured. */
  readonly loopLagMs?: () => number;
  readonly isWritable: () => boolean;
}

type Handlers = {
  readonly [O in MigrationOperation]: (body: RequestOf<O>) => Promise<ControlReply> | ControlReply;
};

export class MigrationAgent {
  readonly #settings: AgentSettings;
  readonly #components: AgentComponents;
  readonly #sessions: MigrationSessions;
  readonly #pulls: CopyPulls;
  readonly #removals: Removals;
  readonly #verifying: VerifyComponents;
  readonly #turns = new PartitionTurns();
  readonly #serving: MigrationServing;
  readonly #handlers: Handlers = this.#makeHandlers();
  #isClosed = false;

  constructor(settings: AgentSettings, components: AgentComponents) {
    this.#settings = settings;
    this.#components = components;
    this.#sessions = new MigrationSessions(components.store, components.clock);
    this.#verifying = { ...components, sessions: this.#sessions };
    this.#pulls = new CopyPulls(settings, components);
    this.#removals = new Removals(settings, components);
    this.#serving = new MigrationServing(settings, components, (command) => this.#sessions.of(command));
  }

  /** A StorageNodeHooks control handler for all four hooks. @throws ForeshardError why the node refuses. */
  handle = async (operation: string, body: Record<string, unknown>): Promise<ControlReply> => {
    if (this.#isClosed) throw new ForeshardError('FORESHARD_UNAVAILABLE', 'retry', 'the node is stopping');
    if (!isMigrationOperation(operation))
      throw new ForeshardError(
        'FORESHARD_CORRUPT',
        'report',
        `no migration operation ${JSON.stringify(operation)}`,
      );
    const parsed = parseBody<unknown>(REQUESTS[operation], operation, body);
    return (this.#handlers[operation] as (body: unknown) => Promise<ControlReply>)(parsed);
  };

  onWriteCommitted = (partitionId: number): void => {
    this.#sessions.at(partitionId)?.wake();
  };

  /**
   * Brings roles in line with the map, before the node listens: the map may have moved on while it was down.
   *
   * @param records all that were read, linearizably; null where a record is not valid.
   */
  async reconcile(records: readonly (PartitionRecord | null)[]): Promise<void> {
    const { store, logger } = this.#components;
    for (const change of await reconcileRoles(store, records))
      logger.info({ ...change }, 'role brought in line with the map');
  }

  /** Ends pulls, scans and removals; what they have done is durable. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#sessions.closeAll();
    await Promise.all([...this.#removals.close(), this.#turns.settled()]);
  }

  #makeHandlers(): Handlers {
    return {
      'replicate.prepare': (body) => this.#turns.take(body, () => this.#prepare(body)),
      'replicate.copy': (body) => this.#turns.take(body, () => this.#copy(body)),
      'replicate.follow': (body) => this.#turns.take(body, () => this.#follow(body)),
      'replicate.finish': (body) => this.#turns.take(body, () => this.#finish(body)),
      'replicate.openSnapshot': (body) => this.#serving.openSnapshot(body),
      'replicate.readSnapshot': (body) => this.#serving.readSnapshot(body),
      'replicate.readLog': (body) => this.#serving.readLog(body),
      'replicate.status': (body) => ({ body: this.#status(body) as unknown as Record<string, unknown> }),
      'replicate.statistics': () => this.#statistics(),
      'redirect.serveReads': (body) => this.#turns.take(body, () => this.#serveReads(body)),
      'redirect.fence': (body) => this.#turns.take(body, () => this.#fence(body)),
      'redirect.activate': (body) => this.#turns.take(body, () => this.#activate(body)),
      'redirect.abort': (body) => this.#turns.take(body, () => this.#abort(body)),
      'verify.begin': (body) => this.#turns.take(body, () => beginVerify(body, this.#verifying)),
      'verify.list': (body) => listScanned(body, this.#verifying),
      'remove.run': (body) => this.#turns.take(body, () => this.#remove(body)),
    };
  }

  async #prepare(body: RequestOf<'replicate.prepare'>): Promise<ControlReply> {
    assertDigestFormat(body);
    const { store, readRecord } = this.#components;
    const expected = body.side === 'source' ? body.sourceStoreId : body.targetStoreId;
    if (store.storeId !== expected)
      throw new ForeshardError(
        'FORESHARD_NOT_OWNER',
        'abort',
        `this store is ${store.storeId}, not ${expected}`,
      );
    if (body.side === 'source') {
      const known = store.meta(body.partitionId);
      const isKnown = known.migrationId === body.migrationId && known.digestSeed === body.digestSeed;
      // In the grace after a failed rollback it is asked at every tick: what is durable is not written again.
      if (!isKnown || role.sourcePrepared(known, body) !== known) {
        await store.updateMeta(body.partitionId, (meta) => role.sourcePrepared(meta, body));
        await store.startChangeLog(body.partitionId, { digestSeed: body.digestSeed });
      }
      const session = this.#sessions.of(body);
      void session.completeDigest(body.digestSeed);
      return { body: {} };
    }
    if (store.freeBytes() < body.freeBytesMin)
      throw new ForeshardError(
        'FORESHARD_DISK_FULL',
        'free-space',
        `the target has ${store.freeBytes()} bytes free, the copy needs ${body.freeBytesMin}`,
      );
    const { adopts, sourceStoreId, partitionId } = body;
    if (adopts !== undefined) {
      if (this.#removals.isRunning(partitionId))
        throw new ForeshardError('FORESHARD_NOT_READY', 'retry', 'the copy that was here is being removed');
      await readOpenRecord(readRecord, body);
      await store.updateMeta(partitionId, (meta) => role.copyAdopted(meta, body, sourceStoreId, adopts));
      this.#sessions.of(body); // ends that of the migration before, and its pull with it
      if (adopts.migrationId === null) return { body: {} };
    } else await store.updateMeta(partitionId, (meta) => role.targetPrepared(meta, body, sourceStoreId));
    // Whether the source can be reached is found out now, not when writes wait for it.
    await this.#components.transport.request(body.sourceNodeId, 'replicate.status', {
      partitionId: body.partitionId,
      migrationId: body.migrationId,
      epoch: body.epoch,
      include: 'none',
    });
    return { body: {} };
  }

  async #copy(body: RequestOf<'replicate.copy'>): Promise<ControlReply> {
    const { store, readRecord } = this.#components;
    const session = this.#sessions.of(body);
    this.#pulls.setRates(session, body);
    if (this.#pulls.isRunning(session) || session.failure || body.bytesPerSecond === 0) return { body: {} };
    const record = await readOpenRecord(readRecord, body);
    if (record.migration.targetStoreId !== store.storeId || isSwitched(record.migration.phase))
      throw refusal(body, 'the map does not name this store as the target of an open copy');
    const meta = store.meta(body.partitionId);
    if (meta.role !== 'STAGING' || meta.staging?.migrationId !== body.migrationId || isClosed(meta, body))
      throw refusal(body, `this node is ${meta.role}, it has no copy to fill`);
    this.#pulls.start(session, record, record.migration.sourceNodeId, body);
    return { body: {} };
  }

  async #follow(body: RequestOf<'replicate.follow'>): Promise<ControlReply> {
    const { store, readRecord } = this.#components;
    const session = this.#sessions.of(body);
    if (this.#pulls.isRunning(session)) return { body: {} };
    const record = await readOpenRecord(readRecord, body);
    const { phase } = record.migration;
    if (
      (phase !== 'SWITCHED' && phase !== 'GRACE') ||
      record.epoch !== body.epoch ||
      record.ownerStoreId === store.storeId
    )
      throw refusal(body, `the map does not let this store follow: ${phase} at ${record.epoch}`);
    const before = store.meta(body.partitionId).role;
    const isResumed = record.migration.resumes !== undefined;
    await store.updateMeta(body.partitionId, (meta) => role.following(meta, body, isResumed));
    if (before !== 'FOLLOWER') session.forgetVerification();
    session.failure = null; // asked again: what failed may have been repaired
    // Ordinary writes only: it must never be slower than they come.
    this.#pulls.start(session, record, record.ownerNodeId, FREE_COPY_RATES);
    return { body: {} };
  }

  async #fence(command: RequestOf<'redirect.fence'>): Promise<ControlReply> {
    const { store } = this.#components;
    const before = store.meta(command.partitionId).role;
    const meta = await store.updateMeta(command.partitionId, (found, digest) =>
      role.fenced(found, command, digest),
    );
    assert(meta.fence !== null, 'a fenced partition has a fence');
    const session = this.#sessions.of(command);
    if (before === 'OWNER') session.forgetVerification();
    session.wake(); // the last entries, and the end of the log, are worth knowing at once
    return { body: { lsn: meta.fence.lsn, digest: meta.fence.digest } };
  }

  async #activate(body: RequestOf<'redirect.activate'>): Promise<ControlReply> {
    const { store, readRecord } = this.#components;
    const { role: roleBefore, epoch } = store.meta(body.partitionId);
    if (roleBefore === 'OWNER' && epoch === body.epoch) return { body: {} };
    const record = await readRecord(body.partitionId);
    if (record?.ownerStoreId !== store.storeId || record.epoch !== body.epoch)
      throw refusal(body, `the map does not say that this store owns the partition at epoch ${body.epoch}`);
    await store.updateMeta(body.partitionId, (meta) => role.activated(meta, body, body.fenceLsn));
    this.#sessions.close(body.partitionId);
    return { body: {} };
  }

  async #abort(command: RequestOf<'redirect.abort'>): Promise<ControlReply> {
    const { store, readRecord } = this.#components;
    const { partitionId, migrationId } = command;
    const before = store.meta(partitionId);
    if (before.role === 'FENCED' && before.fence?.migrationId === migrationId)
      await assertAborted(readRecord, command);
    if (before.role === 'STAGING' && !isClosed(before, command))
      await assertDroppable(readRecord, command, store.storeId);
    if (before.role === 'RETIRED' && before.migrationId === migrationId) {
      // Its owner was given up while it was being deleted: what has lost a part already is nobody's copy.
      await assertDroppable(readRecord, command, store.storeId);
      return { body: { isDone: await this.#removals.run(command) } };
    }
    const after = await store.updateMeta(partitionId, (meta) => role.aborted(meta, command));
    const session = this.#sessions.at(partitionId);
    if (session && session.migrationId <= migrationId) this.#sessions.close(partitionId);
    if (after.role === 'OWNER') {
      if (after.migrationId === 0 && !command.keepsLog) await store.stopChangeLog(partitionId);
      return { body: { isDone: true } };
    }
    if (after.role !== 'STAGING' || (after.staging?.migrationId ?? 0) > migrationId)
      return { body: { isDone: true } };
    return { body: { isDone: await this.#removals.run(command) } };
  }

  async #remove(command: RequestOf<'remove.run'>): Promise<ControlReply> {
    const { store, readRecord } = this.#components;
    const meta = store.meta(command.partitionId);
    if (isClosed(meta, command)) return { body: { isDone: true } };
    // R7: nothing is deleted without a fresh look at the map.
    const record = await readOpenRecord(readRecord, command);
    if (record.migration.phase !== 'CLEANUP' || record.ownerStoreId === store.storeId)
      throw refusal(command, `the map is in ${record.migration.phase}: nothing may be removed`);
    await store.updateMeta(command.partitionId, (found) => role.retired(found, command));
    this.#sessions.close(command.partitionId);
    return { body: { isDone: await this.#removals.run(command) } };
  }

  async #finish(command: RequestOf<'replicate.finish'>): Promise<ControlReply> {
    const { store } = this.#components;
    if (!role.mayFinish(store.meta(command.partitionId), command)) return { body: {} };
    await store.stopChangeLog(command.partitionId);
    await store.updateMeta(command.partitionId, (meta) => role.finished(meta, command));
    this.#sessions.close(command.partitionId);
    return { body: {} };
  }

  async #serveReads(body: RequestOf<'redirect.serveReads'>): Promise<ControlReply> {
    const { store } = this.#components;
    const meta = store.meta(body.partitionId);
    // A copy that was given up is still STAGING while it is deleted.
    if (meta.role !== 'STAGING' || meta.migrationId !== body.migrationId || isClosed(meta, body))
      throw refusal(body, `this node is ${meta.role}`);
    store.setCopyReads(body.partitionId, body.isServing);
    return { body: {} };
  }

  #status(body: RequestOf<'replicate.status'>): NodeMigrationStatus {
    const { store } = this.#components;
    const meta = store.meta(body.partitionId);
    const session = this.#sessions.at(body.partitionId);
    const own = session?.migrationId === body.migrationId ? session : undefined;
    const copy = own && this.#pulls.progressOf(own);
    const behind = own?.readerLsn == null ? 0 : meta.lsn - own.readerLsn;
    const isLogTooLong = meta.role === 'OWNER' && behind > this.#settings.logEntriesMax;
    return {
      role: meta.role,
      epoch: meta.epoch,
      lsn: meta.lsn,
      closedMigrationId: meta.closedMigrationId,
      copiedBytes: own?.copiedBytes ?? 0,
      isSnapshotComplete: role.isWholeState(meta),
      verify: body.include === 'verify' ? (own?.verification?.result ?? null) : null,
      digest: body.include === 'digest' ? store.runningDigest(body.partitionId).digest : null,
      failure: own?.failure ?? (isLogTooLong ? `the copy is ${behind} log entries behind` : null),
      ...(copy && { copy }),
    };
  }

  #statistics(): ControlReply {
    const { store, cpuSeconds, isWritable, pressure } = this.#components;
    const partitionBytes = new Float64Array(this.#settings.partitionCount);
    let dataBytes = 0;
    for (let p = 0; p < partitionBytes.length; p++) {
      const { sizeBytes } = store.statistics(p);
      dataBytes += sizeBytes;
      const { role: present } = store.meta(p);
      if (present === 'OWNER' || present === 'FENCED') partitionBytes[p] = sizeBytes;
    }
    const body = {
      storeId: store.storeId,
      freeBytes: store.freeBytes(),
      dataBytes,
      cpuSeconds: cpuSeconds(),
      isWritable: isWritable(),
      ...(pressure && { pressure: { ...pressure() } }),
    };
    return { body, bulk: new Uint8Array(partitionBytes.buffer) };
  }
}

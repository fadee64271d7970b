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
import type { MigrationCommand, MigrationRecord, PartitionRecord } from '../../../src/model/migration.ts';
import type { PartitionMeta, PartitionStore } from '../../../src/ports/partition-store.ts';
import {
  type CopyRates,
  FREE_COPY_RATES,
  type NodeMigrationStatus,
  type NodePressure,
} from '../../../src/ports/storage-engine.ts';
import type { ControlReply } from '../../host/hooks.ts';
import type { AgentSettings } from './agent-settings.ts';
import { CopyPacer } from './copy-pacer.ts';
import { encodeFingerprints } from './fingerprints.ts';
import {
  assertDigestFormat,
  isMigrationOperation,
  type MigrationOperation,
  parseBody,
  REQUESTS,
  type RequestOf,
} from './migration-messages.ts';
import { pullUntilClosed } from './migration-pull.ts';
import { MigrationServing } from './migration-serving.ts';
import { MigrationSession } from './migration-session.ts';
import type { MigrationTransport } from './migration-transport.ts';
import * as role from './role-changes.ts';

export interface AgentComponents {
  readonly store: PartitionStore;
  readonly transport: MigrationTransport;
  readonly clock: Clock;
  readonly logger: Logger;
  /** One partition's record, linearizably. */
  readonly readRecord: (partitionId: number) => Promise<PartitionRecord | undefined>;
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
type OpenRecord = PartitionRecord & { readonly migration: MigrationRecord };

/** How long `verify.begin` waits for the digest of a small partition instead of sending the coordinator away. */
const DIGEST_WAIT_MS = 200;

export class MigrationAgent {
  readonly #settings: AgentSettings;
  readonly #components: AgentComponents;
  readonly #sessions = new Map<number, MigrationSession>();
  readonly #pulling = new Set<MigrationSession>();
  /** By session: the coordinator changes rates while a pull runs. */
  readonly #pacers = new Map<MigrationSession, CopyPacer>();
  readonly #removing = new Map<number, Promise<void>>();
  /** The last state change of each partition: the next waits for it. */
  readonly #turns = new Map<number, Promise<unknown>>();
  readonly #serving: MigrationServing;
  readonly #handlers: Handlers = this.#makeHandlers();
  #isClosed = false;

  constructor(settings: AgentSettings, components: AgentComponents) {
    this.#settings = settings;
    this.#components = components;
    this.#serving = new MigrationServing(settings, components, (command) => this.#sessionOf(command));
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
    this.#sessions.get(partitionId)?.wake();
  };

  /**
   * Brings roles in line with the map, before the node listens: the map may have moved on while it was down.
   *
   * @param records all that were read, linearizably; null where a record is not valid.
   */
  async reconcile(records: readonly (PartitionRecord | null)[]): Promise<void> {
    const { store, logger } = this.#components;
    for (const record of records) {
      if (!record) continue;
      const { partitionId } = record;
      const before = store.meta(partitionId).role;
      const after = await store.updateMeta(partitionId, (meta) =>
        role.reconciled(meta, record, store.storeId),
      );
      if (after.role !== before)
        logger.info({ partitionId, before, after: after.role }, 'role brought in line with the map');
    }
  }

  /** Ends pulls, scans and removals; what they have done is durable. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const session of this.#sessions.values()) session.close();
    this.#sessions.clear();
    await Promise.all(
      [...this.#removing.values(), ...this.#turns.values()].map((turn) => turn.catch(() => {})),
    );
  }

  #makeHandlers(): Handlers {
    return {
      'replicate.prepare': (body) => this.#inTurn(body, () => this.#prepare(body)),
      'replicate.copy': (body) => this.#inTurn(body, () => this.#copy(body)),
      'replicate.follow': (body) => this.#inTurn(body, () => this.#follow(body)),
      'replicate.finish': (body) => this.#inTurn(body, () => this.#finish(body)),
      'replicate.openSnapshot': (body) => this.#serving.openSnapshot(body),
      'replicate.readSnapshot': (body) => this.#serving.readSnapshot(body),
      'replicate.readLog': (body) => this.#serving.readLog(body),
      'replicate.status': (body) => ({ body: this.#status(body) as unknown as Record<string, unknown> }),
      'replicate.statistics': () => this.#statistics(),
      'redirect.serveReads': (body) => this.#inTurn(body, () => this.#serveReads(body)),
      'redirect.fence': (body) => this.#inTurn(body, () => this.#fence(body)),
      'redirect.activate': (body) => this.#inTurn(body, () => this.#activate(body)),
      'redirect.abort': (body) => this.#inTurn(body, () => this.#abort(body)),
      'verify.begin': (body) => this.#inTurn(body, () => this.#beginVerify(body)),
      'verify.list': (body) => this.#list(body),
      'remove.run': (body) => this.#inTurn(body, () => this.#remove(body)),
    };
  }

  /** Commands for one partition take effect one after the other, also those that a network has doubled. */
  #inTurn<T>({ partitionId }: { partitionId: number }, action: () => Promise<T>): Promise<T> {
    const turn = (this.#turns.get(partitionId) ?? Promise.resolve()).then(action, action);
    this.#turns.set(partitionId, turn);
    const forget = () => {
      if (this.#turns.get(partitionId) === turn) this.#turns.delete(partitionId);
    };
    turn.then(forget, forget);
    return turn;
  }

  async #prepare(body: RequestOf<'replicate.prepare'>): Promise<ControlReply> {
    assertDigestFormat(body);
    const { store } = this.#components;
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
      const session = this.#sessionOf(body);
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
      if (this.#removing.has(partitionId))
        throw new ForeshardError('FORESHARD_NOT_READY', 'retry', 'the copy that was here is being removed');
      await this.#readOpenRecord(body);
      await store.updateMeta(partitionId, (meta) => role.copyAdopted(meta, body, sourceStoreId, adopts));
      this.#sessionOf(body); // ends that of the migration before, and its pull with it
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
    const { store } = this.#components;
    const session = this.#sessionOf(body);
    this.#pacers.get(session)?.setRates(body);
    if (this.#pulling.has(session) || session.failure || body.bytesPerSecond === 0) return { body: {} };
    const record = await this.#readOpenRecord(body);
    if (record.migration.targetStoreId !== store.storeId || isSwitched(record.migration.phase))
      throw refusal(body, 'the map does not name this store as the target of an open copy');
    const meta = store.meta(body.partitionId);
    if (meta.role !== 'STAGING' || meta.staging?.migrationId !== body.migrationId || isClosed(meta, body))
      throw refusal(body, `this node is ${meta.role}, it has no copy to fill`);
    this.#startPull(session, record, record.migration.sourceNodeId, body);
    return { body: {} };
  }

  async #follow(body: RequestOf<'replicate.follow'>): Promise<ControlReply> {
    const { store } = this.#components;
    const session = this.#sessionOf(body);
    if (this.#pulling.has(session)) return { body: {} };
    const record = await this.#readOpenRecord(body);
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
    this.#startPull(session, record, record.ownerNodeId, FREE_COPY_RATES);
    return { body: {} };
  }

  #startPull(session: MigrationSession, record: OpenRecord, sourceNodeId: number, rates: CopyRates): void {
    const { store, transport, clock, logger } = this.#components;
    const { pieceBytes, pieceBytesMin, pieceMsMax } = this.#settings;
    const pacer = new CopyPacer(
      rates,
      { bytesMin: pieceBytesMin, bytesMax: pieceBytes, tookMsMax: pieceMsMax },
      { clock, loopLagMs: this.#components.loopLagMs ?? (() => 0) },
    );
    this.#pacers.set(session, pacer);
    this.#pulling.add(session);
    const { partitionId, migrationId } = session;
    const options = {
      command: { partitionId: record.partitionId, migrationId, epoch: record.epoch },
      sourceNodeId,
      digestSeed: record.migration.digestSeed,
      partBytesMax: this.#settings.partBytesMax,
      logWaitMs: this.#settings.logWaitMs,
    };
    void pullUntilClosed(options, { store, transport, clock, logger, pacer, session })
      .catch((error) => {
        session.failure = String(error);
        logger.error({ partitionId, error: String(error) }, 'a copy ended by an error of our own');
      })
      .finally(() => {
        this.#pulling.delete(session);
        this.#pacers.delete(session);
      });
  }

  async #fence(command: RequestOf<'redirect.fence'>): Promise<ControlReply> {
    const { store } = this.#components;
    const before = store.meta(command.partitionId).role;
    const meta = await store.updateMeta(command.partitionId, (found, digest) =>
      role.fenced(found, command, digest),
    );
    assert(meta.fence !== null, 'a fenced partition has a fence');
    const session = this.#sessionOf(command);
    if (before === 'OWNER') session.forgetVerification();
    session.wake(); // the last entries, and the end of the log, are worth knowing at once
    return { body: { lsn: meta.fence.lsn, digest: meta.fence.digest } };
  }

  async #activate(body: RequestOf<'redirect.activate'>): Promise<ControlReply> {
    const { store } = this.#components;
    const { role: roleBefore, epoch } = store.meta(body.partitionId);
    if (roleBefore === 'OWNER' && epoch === body.epoch) return { body: {} };
    const record = await this.#components.readRecord(body.partitionId);
    if (record?.ownerStoreId !== store.storeId || record.epoch !== body.epoch)
      throw refusal(body, `the map does not say that this store owns the partition at epoch ${body.epoch}`);
    await store.updateMeta(body.partitionId, (meta) => role.activated(meta, body, body.fenceLsn));
    this.#closeSession(body.partitionId);
    return { body: {} };
  }

  async #abort(command: RequestOf<'redirect.abort'>): Promise<ControlReply> {
    const { store } = this.#components;
    const { partitionId, migrationId } = command;
    const before = store.meta(partitionId);
    if (before.role === 'FENCED' && before.fence?.migrationId === migrationId) {
      // R3: the fence is lifted by nothing but the map's own word that this very migration is aborted.
      const record = await this.#components.readRecord(partitionId);
      if (record?.migration?.migrationId !== migrationId || record.migration.phase !== 'ABORT')
        throw new ForeshardError(
          'FORESHARD_CONFLICT',
          're-read',
          'the map does not say that this migration is aborted',
        );
    }
    if (before.role === 'STAGING' && !isClosed(before, command)) await this.#assertDroppable(command);
    if (before.role === 'RETIRED' && before.migrationId === migrationId) {
      // Its owner was given up while it was being deleted: what has lost a part already is nobody's copy.
      await this.#assertDroppable(command);
      return { body: { isDone: await this.#deleteAll(command) } };
    }
    const after = await store.updateMeta(partitionId, (meta) => role.aborted(meta, command));
    const session = this.#sessions.get(partitionId);
    if (session && session.migrationId <= migrationId) this.#closeSession(partitionId);
    if (after.role === 'OWNER') {
      if (after.migrationId === 0 && !command.keepsLog) await store.stopChangeLog(partitionId);
      return { body: { isDone: true } };
    }
    if (after.role !== 'STAGING' || (after.staging?.migrationId ?? 0) > migrationId)
      return { body: { isDone: true } };
    return { body: { isDone: await this.#deleteAll(command) } };
  }

  /** R7, of a copy that was never an owner's: one that the map counts on is not dropped, whoever asks and however late. */
  async #assertDroppable(command: MigrationCommand): Promise<void> {
    const { store, readRecord } = this.#components;
    const record = await readRecord(command.partitionId);
    const migration = record?.migration;
    const isOpen =
      migration?.migrationId === command.migrationId &&
      (migration.phase !== 'ABORT' || migration.keepsCopyFor !== undefined);
    // What a takeover has opened with nothing is no copy of anything, once that takeover is aborted.
    const isNothing = migration?.phase === 'ABORT' && migration.takeover?.isEmpty === true;
    const isTakingOver =
      migration?.kind === 'takeover' && migration.targetStoreId === store.storeId && !isNothing;
    if (isOpen || isTakingOver || record?.ownerStoreId === store.storeId)
      throw refusal(command, `the map counts on this copy: ${migration?.phase ?? 'it is the owner'}`);
  }

  async #remove(command: RequestOf<'remove.run'>): Promise<ControlReply> {
    const { store } = this.#components;
    const meta = store.meta(command.partitionId);
    if (isClosed(meta, command)) return { body: { isDone: true } };
    // R7: nothing is deleted without a fresh look at the map.
    const record = await this.#readOpenRecord(command);
    if (record.migration.phase !== 'CLEANUP' || record.ownerStoreId === store.storeId)
      throw refusal(command, `the map is in ${record.migration.phase}: nothing may be removed`);
    await store.updateMeta(command.partitionId, (found) => role.retired(found, command));
    this.#closeSession(command.partitionId);
    return { body: { isDone: await this.#deleteAll(command) } };
  }

  /** Deletes in the background; true once nothing is left and the role says so. */
  async #deleteAll(command: MigrationCommand): Promise<boolean> {
    const { partitionId, migrationId } = command;
    if (!this.#removing.has(partitionId)) {
      const removal = this.#deleteInBatches(partitionId, migrationId)
        .catch((error) =>
          this.#components.logger.warn({ partitionId, error: String(error) }, 'a removal stopped'),
        )
        .finally(() => this.#removing.delete(partitionId));
      this.#removing.set(partitionId, removal);
    }
    // A small partition is gone within one request; a large one is asked about again.
    await Promise.race([
      this.#removing.get(partitionId),
      this.#components.clock.sleep(this.#settings.removePauseMs),
    ]);
    return this.#components.store.meta(partitionId).role === 'NONE';
  }

  async #deleteInBatches(partitionId: number, migrationId: number): Promise<void> {
    const { store, clock } = this.#components;
    const { removeEntriesMax, removePauseMs } = this.#settings;
    while (!(await store.deleteBatch(partitionId, migrationId, removeEntriesMax))) {
      if (this.#isClosed) return;
      await clock.sleep(removePauseMs);
      if (this.#isClosed) return;
    }
    await store.stopChangeLog(partitionId);
    await store.updateMeta(partitionId, (meta) => role.emptied(meta, migrationId));
  }

  async #finish(command: RequestOf<'replicate.finish'>): Promise<ControlReply> {
    const { store } = this.#components;
    if (!role.mayFinish(store.meta(command.partitionId), command)) return { body: {} };
    await store.stopChangeLog(command.partitionId);
    await store.updateMeta(command.partitionId, (meta) => role.finished(meta, command));
    this.#closeSession(command.partitionId);
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

  async #beginVerify(body: RequestOf<'verify.begin'>): Promise<ControlReply> {
    const { store, clock } = this.#components;
    const meta = store.meta(body.partitionId);
    if (meta.migrationId !== body.migrationId)
      throw refusal(body, `this node takes part in ${meta.migrationId}`);
    const session = this.#sessionOf(body);
    const seed = meta.digestSeed;
    if (!seed) throw new ForeshardError('FORESHARD_NOT_READY', 'retry', 'no digest is kept yet');
    session.enterRound(body.round);
    if (body.barrierLsn !== null) {
      if (session.verification?.lsn !== body.barrierLsn) {
        if (meta.lsn === body.barrierLsn) session.scanNow(seed);
        else if (meta.lsn > body.barrierLsn)
          throw new ForeshardError(
            'FORESHARD_CONFLICT',
            're-read',
            `already at ${meta.lsn}, beyond ${body.barrierLsn}`,
          );
      }
      return { body: { lsn: body.barrierLsn } };
    }
    if (meta.role !== 'OWNER') throw refusal(body, `this node is ${meta.role}, not the owner`);
    if (session.barrierLsn === null || session.verification === null || body.isFresh) {
      await Promise.race([session.completeDigest(seed), clock.sleep(DIGEST_WAIT_MS)]);
      session.barrierLsn = session.scanNow(seed).lsn;
      session.toldBarrierLsn = null;
      session.wake();
    }
    return { body: { lsn: session.barrierLsn } };
  }

  /** After a verification that failed: which entries stand behind the lanes that differ. */
  #list(body: RequestOf<'verify.list'>): ControlReply {
    const meta = this.#components.store.meta(body.partitionId);
    if (meta.migrationId !== body.migrationId || !meta.digestSeed)
      throw refusal(body, `this node takes part in ${meta.migrationId}`);
    const { entries, nextPosition } = this.#sessionOf(body).list(meta.digestSeed, body);
    return { body: { nextPosition }, bulk: encodeFingerprints(entries) };
  }

  #status(body: RequestOf<'replicate.status'>): NodeMigrationStatus {
    const { store } = this.#components;
    const meta = store.meta(body.partitionId);
    const session = this.#sessions.get(body.partitionId);
    const own = session?.migrationId === body.migrationId ? session : undefined;
    const pacer = own && this.#pacers.get(own);
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
      ...(pacer && { copy: pacer.progress() }),
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

  async #readOpenRecord(command: MigrationCommand): Promise<OpenRecord> {
    const record = await this.#components.readRecord(command.partitionId);
    if (record?.migration?.migrationId !== command.migrationId)
      throw refusal(command, `the map speaks of migration ${record?.migration?.migrationId ?? 'none'}`);
    return record as OpenRecord;
  }

  #sessionOf({ partitionId, migrationId }: MigrationCommand): MigrationSession {
    const found = this.#sessions.get(partitionId);
    if (found?.migrationId === migrationId) return found;
    if (found && found.migrationId > migrationId)
      throw new ForeshardError(
        'FORESHARD_STALE_EPOCH',
        'refresh-map',
        `migration ${migrationId} is over here`,
      );
    found?.close();
    const { store, clock } = this.#components;
    const session = new MigrationSession(partitionId, migrationId, store, clock);
    this.#sessions.set(partitionId, session);
    return session;
  }

  #closeSession(partitionId: number): void {
    this.#sessions.get(partitionId)?.close();
    this.#sessions.delete(partitionId);
  }
}

/** R6: the migration has ended here, so its commands are late ones. */
const isClosed = (meta: PartitionMeta, command: MigrationCommand): boolean =>
  command.migrationId <= meta.closedMigrationId;

function refusal({ partitionId, migrationId }: MigrationCommand, why: string): ForeshardError {
  const what = `partition ${partitionId}, migration ${migrationId}: ${why}`;
  return new ForeshardError('FORESHARD_CONFLICT', 're-read', what);
}

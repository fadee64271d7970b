/** The owner's side of a copy: gives out snapshot and change log to the other node of the open migration, and to nobody else. */
import type { Clock } from '../../../src/base/clock.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { MigrationCommand } from '../../../src/model/migration.ts';
import type { PartitionStore } from '../../../src/ports/partition-store.ts';
import type { ControlReply } from '../../hooks.ts';
import type { AgentSettings } from './agent-settings.ts';
import { assertDigestFormat, encodeEntries, partOf, type RequestOf } from './migration-messages.ts';
import type { MigrationSession } from './migration-session.ts';

export class MigrationServing {
  readonly #settings: AgentSettings;
  readonly #store: PartitionStore;
  readonly #clock: Clock;
  readonly #loopLagMs: () => number;
  readonly #sessionOf: (command: MigrationCommand) => MigrationSession;
  #snapshotSeq = 0;

  constructor(
    settings: AgentSettings,
    components: {
      readonly store: PartitionStore;
      readonly clock: Clock;
      readonly loopLagMs?: () => number;
    },
    sessionOf: (command: MigrationCommand) => MigrationSession,
  ) {
    this.#settings = settings;
    this.#store = components.store;
    this.#clock = components.clock;
    this.#loopLagMs = components.loopLagMs ?? (() => 0);
    this.#sessionOf = sessionOf;
  }

  async openSnapshot(body: RequestOf<'replicate.openSnapshot'>): Promise<ControlReply> {
    assertDigestFormat(body);
    const session = this.#assertServing(body);
    session.closeSnapshot();
    const snapshot = this.#store.openSnapshot(body.partitionId);
    const id = ++this.#snapshotSeq;
    session.snapshot = { id, snapshot, usedMs: this.#clock.monotonicMs() };
    void this.#closeWhenIdle(session, id);
    return { body: { snapshotId: id, lsn: snapshot.lsn } };
  }

  readSnapshot(body: RequestOf<'replicate.readSnapshot'>): ControlReply {
    const session = this.#assertServing(body);
    const open = session.snapshot;
    if (open?.id !== body.snapshotId)
      throw new ForeshardError('FORESHARD_NOT_READY', 'retry', 'the snapshot is gone: open another');
    open.usedMs = this.#clock.monotonicMs();
    const entries = open.snapshot.read(body.cursor, body.bytesMax);
    const whole = encodeEntries(entries);
    const bulk = partOf(whole, body.offset, this.#settings.partBytesMax);
    const { lsn } = this.#store.meta(body.partitionId);
    const loopLagMs = this.#loopLagMs();
    return { body: { totalBytes: whole.length, isEnd: entries.length === 0, lsn, loopLagMs }, bulk };
  }

  /**
   * Entries after `afterLsn`, which the reader has applied durably. It is told of a barrier that it has not passed, and gets
   * nothing beyond one that it has not reached: so it can scan exactly there.
   */
  async readLog(body: RequestOf<'replicate.readLog'>): Promise<ControlReply> {
    const { partitionId, afterLsn } = body;
    const session = this.#assertServing(body);
    session.readerLsn = afterLsn;
    // Told once while it stands at the barrier, the reader can wait for entries like at any other place.
    const isToldThere = session.barrierLsn === afterLsn && session.toldBarrierLsn === afterLsn;
    const hasNews = this.#barrierAhead(session, afterLsn) !== null && !isToldThere;
    if (this.#store.meta(partitionId).lsn <= afterLsn && !hasNews) await session.waitForWrite(body.waitMs);
    this.#assertServing(body); // after the wait nothing is as it was
    await this.#trim(session, afterLsn);
    const entries = this.#store.readChangeLog(partitionId, afterLsn, body.bytesMax);
    const barrierLsn = this.#barrierAhead(session, afterLsn);
    if (barrierLsn !== null) session.toldBarrierLsn = barrierLsn;
    const isCut = barrierLsn !== null && barrierLsn > afterLsn;
    const whole = encodeEntries(isCut ? entries.filter((entry) => entry.lsn <= barrierLsn) : entries);
    const bulk = partOf(whole, body.offset, this.#settings.partBytesMax);
    const { lsn } = this.#store.meta(partitionId);
    return { body: { totalBytes: whole.length, lsn, barrierLsn, loopLagMs: this.#loopLagMs() }, bulk };
  }

  /** The barrier, as long as the reader has not passed it. */
  #barrierAhead({ barrierLsn }: MigrationSession, afterLsn: number): number | null {
    return barrierLsn !== null && barrierLsn >= afterLsn ? barrierLsn : null;
  }

  /** A log that nobody needs any more would fill the disk in a long grace. */
  async #trim(session: MigrationSession, appliedLsn: number): Promise<void> {
    if (appliedLsn - session.trimmedLsn < this.#settings.trimEntries) return;
    session.trimmedLsn = appliedLsn;
    await this.#store.trimChangeLog(session.partitionId, appliedLsn);
  }

  /** A reader that has died must not pin old pages for ever. */
  async #closeWhenIdle(session: MigrationSession, id: number): Promise<void> {
    const { snapshotIdleMs } = this.#settings;
    for (;;) {
      await this.#clock.sleep(snapshotIdleMs, session.signal);
      if (session.snapshot?.id !== id || session.signal.aborted) return;
      if (this.#clock.monotonicMs() - session.snapshot.usedMs >= snapshotIdleMs)
        return session.closeSnapshot();
    }
  }

  #assertServing(command: MigrationCommand): MigrationSession {
    const meta = this.#store.meta(command.partitionId);
    const isServing =
      meta.migrationId === command.migrationId && (meta.role === 'OWNER' || meta.role === 'FENCED');
    if (!isServing)
      throw new ForeshardError(
        'FORESHARD_NOT_READY',
        'retry',
        `this node is ${meta.role} of migration ${meta.migrationId}, it gives nothing to ${command.migrationId}`,
      );
    const session = this.#sessionOf(command);
    if (session.failure) throw new ForeshardError('FORESHARD_UNAVAILABLE', 'retry', session.failure);
    if (meta.role === 'OWNER' && meta.digestSeed) void session.completeDigest(meta.digestSeed);
    return session;
  }
}

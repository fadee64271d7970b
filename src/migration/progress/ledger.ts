import type { Clock } from '../../base/clock.ts';
import type { Lsn, MigrationOutcome, MigrationPhase } from '../../model/migration.ts';
import { mayAbort } from '../phases.ts';
import type { OpenRecord } from '../records/record-changes.ts';
import type { MigrationHistory } from '../records/records.ts';
import { lagOf, type Observation } from '../step.ts';
import { kindOfReason, ReasonCounts } from './reason-counts.ts';

const NO_SECONDS = { copySeconds: null, fenceSeconds: null };

/**
 * What the coordinator has seen of migrations besides their records: for people and the history. All of it may be lost: a
 * coordinator that takes over begins with an empty book.
 */
export class MigrationLedger {
  readonly #clock: Clock;
  readonly #copiedBytesOf = new Map<number, number>();
  readonly #secondsOf = new Map<number, { copySeconds: number | null; fenceSeconds: number | null }>();
  readonly #failureOf = new Map<number, string>();
  readonly #sizeBytesOf = new Map<number, number>();
  readonly #lagEntriesOf = new Map<number, number>();
  /** The owner's lsn, as it was last told: what a takeover compares its copy with. */
  readonly #ownerLsnOf = new Map<number, { readonly lsn: Lsn; readonly atMs: number }>();
  readonly #abortCounts = new ReasonCounts();
  doneCount = 0;
  abortedCount = 0;
  copiedBytes = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  copiedBytesOf = (partitionId: number): number => this.#copiedBytesOf.get(partitionId) ?? 0;
  /** Of the source, when the migration was prepared. */
  sizeBytesOf = (partitionId: number): number | null => this.#sizeBytesOf.get(partitionId) ?? null;
  lagEntriesOf = (partitionId: number): number | null => this.#lagEntriesOf.get(partitionId) ?? null;
  failureOf = (partitionId: number): string | null => this.#failureOf.get(partitionId) ?? null;
  ownerLsnOf = (partitionId: number): { readonly lsn: Lsn; readonly atMs: number } | null =>
    this.#ownerLsnOf.get(partitionId) ?? null;

  /** Why migrations were aborted, most frequent first; numbers in the reasons are left out. */
  abortReasons(): { readonly reason: string; readonly count: number }[] {
    return this.#abortCounts.list();
  }

  failed(partitionId: number, failure: string): void {
    this.#failureOf.set(partitionId, failure);
  }

  observed({ partitionId, migration }: OpenRecord, seen: Observation): void {
    this.#failureOf.delete(partitionId);
    const atMs = this.#clock.nowMs();
    for (const status of [seen.source, seen.target])
      if (status?.role === 'OWNER' || status?.role === 'FENCED')
        this.#ownerLsnOf.set(partitionId, { lsn: status.lsn, atMs });
    if (seen.sizeBytes !== undefined) this.#sizeBytesOf.set(partitionId, seen.sizeBytes);
    const lagEntries = lagOf(seen);
    if (Number.isFinite(lagEntries)) this.#lagEntriesOf.set(partitionId, lagEntries);
    else this.#lagEntriesOf.delete(partitionId);
    if (seen.fence) this.#ownerLsnOf.set(partitionId, { lsn: seen.fence.lsn, atMs });
    // After the switch the target's status speaks of the reverse stream.
    if (seen.target && mayAbort(migration.phase))
      this.#copiedBytesOf.set(
        partitionId,
        Math.max(seen.target.copiedBytes, this.copiedBytesOf(partitionId)),
      );
  }

  /** Phases are stamped in the record, so that one which began under another coordinator is measured as well. */
  stepped({ partitionId, migration }: OpenRecord, next: MigrationPhase | 'stable'): void {
    const seconds = Math.max(0, this.#clock.nowMs() - migration.phaseAtMs) / 1000;
    const known = this.#secondsOf.get(partitionId) ?? NO_SECONDS;
    if (migration.phase === 'COPY' && next === 'CATCHUP')
      this.#secondsOf.set(partitionId, { ...known, copySeconds: seconds });
    if (next === 'SWITCHED' && migration.kind !== 'takeover')
      this.#secondsOf.set(partitionId, { ...known, fenceSeconds: seconds });
  }

  historyOf(
    { partitionId, epoch, migration }: OpenRecord,
    outcome: MigrationOutcome,
    continuedBy: number | null,
  ): MigrationHistory {
    const { kind, openedFor, abortedIn } = migration;
    return {
      partitionId,
      migrationId: migration.migrationId,
      sourceNodeId: migration.sourceNodeId,
      targetNodeId: migration.targetNodeId,
      outcome,
      reason: migration.reason,
      startedAtMs: migration.startedAtMs,
      endedAtMs: this.#clock.nowMs(),
      epoch,
      fenceLsn: migration.fenceLsn ?? null,
      verifiedLsn: migration.verified?.lsn ?? null,
      copiedBytes: this.copiedBytesOf(partitionId),
      ...(this.#secondsOf.get(partitionId) ?? NO_SECONDS),
      ...(kind === undefined ? {} : { kind }),
      ...(openedFor === undefined ? {} : { openedFor }),
      ...(abortedIn === undefined ? {} : { abortedIn }),
      ...(continuedBy === null ? {} : { continuedBy }),
    };
  }

  ended({ partitionId, migration }: OpenRecord, outcome: MigrationOutcome): void {
    // The same copy goes on under another number: nothing is given up, and what it took is the next one's as well.
    const isTriedAgain = migration.keepsCopyFor === 'retry';
    if (outcome === 'aborted') {
      if (!isTriedAgain) this.abortedCount++;
      const reason = kindOfReason(migration.reason);
      this.#abortCounts.add(isTriedAgain ? `${reason}; tried again with the same copy` : reason);
    } else if (outcome === 'done') {
      this.doneCount++;
      this.copiedBytes += this.copiedBytesOf(partitionId);
    }
    if (isTriedAgain) return;
    this.#copiedBytesOf.delete(partitionId);
    this.#sizeBytesOf.delete(partitionId);
    this.#lagEntriesOf.delete(partitionId);
    this.#secondsOf.delete(partitionId);
  }
}

import type { Clock } from '../../base/clock.ts';
import { isSwitched } from '../phases.ts';
import type { OpenRecord } from '../records/record-changes.ts';
import type { MigrationHistory } from '../records/records.ts';
import type { MigrationSettings } from '../settings.ts';
import type { CopyPaceStatus } from '../throttle/copy-governor.ts';
import { etaOf } from './eta.ts';
import type { MigrationLedger } from './ledger.ts';
import { type MigrationEvent, type MigrationProgress, ProgressStream } from './progress.ts';

/** A migration that stays in its phase is told of so often. */
const TELL_MS = 5_000;

export interface ProgressFeedComponents {
  readonly clock: Clock;
  readonly ledger: MigrationLedger;
  readonly paceOf: (record: OpenRecord) => CopyPaceStatus | null;
  readonly onEvent: (event: MigrationEvent) => void;
}

/** Tells what the coordinator sees of its migrations as events. */
export class ProgressFeed {
  readonly #settings: MigrationSettings;
  readonly #components: ProgressFeedComponents;
  readonly #stream = new ProgressStream(TELL_MS);
  #ended: MigrationHistory[] = [];

  constructor(settings: MigrationSettings, components: ProgressFeedComponents) {
    this.#settings = settings;
    this.#components = components;
  }

  ended(history: MigrationHistory): void {
    this.#ended.push(history);
  }

  tell(open: readonly OpenRecord[]): void {
    const ended = this.#ended;
    this.#ended = [];
    const nowMs = this.#components.clock.nowMs();
    const progress = open.map((record) => this.#progressOf(record, nowMs));
    for (const event of this.#stream.eventsOf(progress, ended, nowMs)) this.#components.onEvent(event);
  }

  #progressOf(record: OpenRecord, nowMs: number): MigrationProgress {
    const { ledger, paceOf } = this.#components;
    const { partitionId, migration } = record;
    const { phase } = migration;
    const pace = phase === 'COPY' || phase === 'CATCHUP' ? paceOf(record) : null;
    const facts = {
      copiedBytes: isSwitched(phase) ? null : ledger.copiedBytesOf(partitionId),
      sizeBytes: ledger.sizeBytesOf(partitionId),
      lagEntries: ledger.lagEntriesOf(partitionId),
      writeRate: pace?.writeRate ?? null,
      applyRate: pace?.applyRate ?? null,
    };
    return {
      partitionId,
      migrationId: migration.migrationId,
      kind: migration.kind ?? 'move',
      sourceNodeId: migration.sourceNodeId,
      targetNodeId: migration.targetNodeId,
      phase,
      isPaused: migration.pausedAtMs !== undefined,
      readWeight: migration.readWeight,
      copiedBytes: facts.copiedBytes,
      sizeBytes: facts.sizeBytes,
      bytesPerSecond: pace?.bytesPerSecond ?? null,
      limitBytesPerSecond: pace?.limitBytesPerSecond ?? null,
      paceReason: pace?.reason ?? null,
      eta: etaOf(record, facts, { settings: this.#settings, nowMs }),
      reason: migration.reason,
    };
  }
}

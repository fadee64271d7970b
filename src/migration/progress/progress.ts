/** What happens to migrations, as one stream of typed events: for the log, and for people who follow. */
import { type MigrationPhase, migrationName } from '../../model/migration.ts';
import type { MigrationHistory } from '../records/records.ts';
import type { Eta } from './eta.ts';

/** Where a migration stands. */
export interface MigrationProgress {
  readonly partitionId: number;
  readonly migrationId: number;
  readonly kind: 'move' | 'rollback' | 'takeover';
  readonly sourceNodeId: number;
  readonly targetNodeId: number;
  readonly phase: MigrationPhase;
  readonly isPaused: boolean;
  readonly readWeight: number;
  /** Null where nobody has told. */
  readonly copiedBytes: number | null;
  readonly sizeBytes: number | null;
  /** How fast the copy is, how fast it may be, and why no faster; null where it does not run. */
  readonly bytesPerSecond: number | null;
  readonly limitBytesPerSecond: number | null;
  readonly paceReason: string | null;
  readonly eta: Eta;
  /** Why it was opened, or why it is being aborted. */
  readonly reason: string;
}

export type MigrationEvent =
  | ({ readonly kind: 'opened'; readonly atMs: number } & { readonly progress: MigrationProgress })
  /** Another phase, or another read weight. */
  | {
      readonly kind: 'phase';
      readonly atMs: number;
      readonly fromPhase: MigrationPhase;
      readonly progress: MigrationProgress;
    }
  | { readonly kind: 'progress'; readonly atMs: number; readonly progress: MigrationProgress }
  | { readonly kind: 'ended'; readonly atMs: number; readonly ended: MigrationHistory };

interface Known {
  readonly progress: MigrationProgress;
  toldAtMs: number;
}

/** Turns what is looked at again and again into what has happened since. */
export class ProgressStream {
  readonly #intervalMs: number;
  readonly #known = new Map<string, Known>();

  /** @param intervalMs a migration that stays in its phase, and is at work there, is told of so often. */
  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  /** @param ended those of the history; one that was not open at the last look is of before, and not told. */
  eventsOf(
    open: readonly MigrationProgress[],
    ended: readonly MigrationHistory[],
    nowMs: number,
  ): MigrationEvent[] {
    const events: MigrationEvent[] = [];
    for (const end of ended)
      if (this.#known.delete(migrationName(end)))
        events.push({ kind: 'ended', atMs: end.endedAtMs, ended: end });
    for (const progress of open) {
      const known = this.#known.get(migrationName(progress));
      const event = known === undefined ? opened(progress, nowMs) : this.#changeOf(known, progress, nowMs);
      if (event !== null) events.push(event);
      this.#known.set(migrationName(progress), {
        progress,
        toldAtMs: event ? nowMs : (known?.toldAtMs ?? nowMs),
      });
    }
    return events;
  }

  #changeOf(
    { progress: before, toldAtMs }: Known,
    progress: MigrationProgress,
    atMs: number,
  ): MigrationEvent | null {
    const isStep =
      before.phase !== progress.phase ||
      before.readWeight !== progress.readWeight ||
      before.isPaused !== progress.isPaused;
    if (isStep) return { kind: 'phase', atMs, fromPhase: before.phase, progress };
    const isDue = atMs - toldAtMs >= this.#intervalMs;
    return isDue && isUnderWay(progress) ? { kind: 'progress', atMs, progress } : null;
  }
}

/** In a grace, which takes a quarter of an hour, and in a pause there is nothing new to tell until they end. */
const isUnderWay = ({ phase, isPaused }: MigrationProgress): boolean => phase !== 'GRACE' && !isPaused;

const opened = (progress: MigrationProgress, atMs: number): MigrationEvent => ({
  kind: 'opened',
  atMs,
  progress,
});

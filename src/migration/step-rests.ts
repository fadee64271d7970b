/** How often a migration is looked at that goes on by itself: each look is a few requests to its nodes, which serve clients. */
import type { Clock } from '../base/clock.ts';
import type { MigrationPhase } from '../model/migration.ts';
import type { OpenRecord } from './records/record-changes.ts';

/** Of the time that the phase has taken so far: nothing is noticed later than by a twentieth. */
const REST_SHARE = 1 / 20;
/** An order, a guard or a node that failed is seen this late at most. */
const REST_MS_MAX = 250;

/** Rests between steps, one for each partition. */
export class StepRests {
  readonly #clock: Clock;
  readonly #untilMs = new Map<number, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  isResting(partitionId: number): boolean {
    return this.#clock.monotonicMs() < (this.#untilMs.get(partitionId) ?? Number.NEGATIVE_INFINITY);
  }

  /** It was looked at, and stays in its phase. */
  looked({ partitionId, migration }: OpenRecord): void {
    this.#untilMs.set(partitionId, this.#clock.monotonicMs() + restMs(migration, this.#clock.nowMs()));
  }

  over(partitionId: number): void {
    this.#untilMs.delete(partitionId);
  }
}

/** In these nodes work on by themselves. In the others they answer when they are done, or reads or writes hang on the next step. */
const PHASES_WITH_RESTS: ReadonlySet<MigrationPhase> = new Set([
  'COPY',
  'CATCHUP',
  'VERIFY',
  'GRACE',
  'CLEANUP',
]);

export function restMs(
  { phase, phaseAtMs }: Pick<OpenRecord['migration'], 'phase' | 'phaseAtMs'>,
  nowMs: number,
): number {
  if (!PHASES_WITH_RESTS.has(phase)) return 0;
  return Math.min(REST_MS_MAX, Math.max(0, nowMs - phaseAtMs) * REST_SHARE);
}

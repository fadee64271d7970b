import type { MigrationPhase } from '../model/migration.ts';

/**
 * What each phase may become. `null` is stable: the migration is over. The diagram stands above MIGRATION_PHASES.
 *
 * Only the coordinator changes a phase, and only by a compare-and-swap on the partition's one key that also holds the
 * leader's fence. ABORT is allowed to it in every phase that `mayAbort` names, and to nobody else; nodes ask for it
 * by reporting a failure. From SWITCHED on the only way back is a new migration.
 */
export const PHASE_TRANSITIONS: Readonly<Record<MigrationPhase, readonly (MigrationPhase | null)[]>> = {
  PREPARE: ['COPY', 'CATCHUP', 'SWITCHED', 'ABORT'], // CATCHUP: it has a copy; SWITCHED: a takeover
  COPY: ['CATCHUP', 'ABORT'],
  CATCHUP: ['VERIFY', 'ABORT'],
  VERIFY: ['SHIFT', 'ABORT'],
  SHIFT: ['SHIFT', 'FENCING', 'ABORT'], // to itself: the next read weight
  FENCING: ['FENCED', 'ABORT'],
  FENCED: ['SWITCHED', 'ABORT'],
  SWITCHED: ['GRACE', null], // null: a takeover is over
  GRACE: ['GRACE', 'CLEANUP'], // to itself: the grace is extended
  CLEANUP: [null],
  ABORT: [null, 'PREPARE', 'GRACE'], // with the copy kept: another migration goes on with it
};

export const mayAbort = (phase: MigrationPhase): boolean => PHASE_TRANSITIONS[phase].includes('ABORT');

/** The owner has changed: the record's owner is the target. */
export const isSwitched = (phase: MigrationPhase): boolean =>
  phase === 'SWITCHED' || phase === 'GRACE' || phase === 'CLEANUP';

/** Phases that load the network and both nodes, and count against the caps. */
export const isCopying = (phase: MigrationPhase): boolean => phase !== 'GRACE' && phase !== 'CLEANUP';

/** A pause holds a migration here. From FENCING to SWITCHED writes wait for it, later there is nothing to hold. */
export const mayPause = (phase: MigrationPhase): boolean => mayAbort(phase) && !isHot(phase);

/** Writes wait in these: they are stepped at once, not at the next tick. */
export const isHot = (phase: MigrationPhase): boolean =>
  phase === 'FENCING' || phase === 'FENCED' || phase === 'SWITCHED';

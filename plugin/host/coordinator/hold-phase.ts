import { ForeshardError } from '../../../src/base/errors.ts';
import { MIGRATION_PHASES, type MigrationPhase } from '../../../src/model/migration.ts';

export const HOLD_PHASE_VARIABLE = 'FORESHARD_HOLD_PHASE';

export interface PhaseHold {
  readonly phase: MigrationPhase;
  /** Null holds every partition. */
  readonly partitionId: number | null;
  readonly holdMs: number;
}

/**
 * The failpoint of tests that kill nodes: `FENCED:3000,SWITCHED@7:500` keeps every migration for three seconds in FENCED, and
 * that of partition 7 for half a second in SWITCHED, before it goes on. Not a setting: nobody should run a cluster with it.
 *
 * @throws ForeshardError FORESHARD_CONFIG naming what cannot be read.
 */
export function parsePhaseHolds(text: string | undefined): readonly PhaseHold[] {
  return (text?.split(',') ?? []).map((part) => {
    const [, name, partition, holdMs] = /^([A-Z]+)(?:@([0-9]{1,5}))?:([0-9]{1,7})$/.exec(part.trim()) ?? [];
    const phase = MIGRATION_PHASES.find((known) => known === name);
    if (phase === undefined)
      throw new ForeshardError(
        'FORESHARD_CONFIG',
        'fix-config',
        `${HOLD_PHASE_VARIABLE}: "${part}" is not <phase>[@<partition>]:<milliseconds>, such as FENCED:3000; unset it outside tests`,
      );
    return { phase, partitionId: partition === undefined ? null : Number(partition), holdMs: Number(holdMs) };
  });
}

/** @returns milliseconds, 0 for none. */
export function holdMsIn(holds: readonly PhaseHold[], partitionId: number, phase: MigrationPhase): number {
  const held = holds.find(
    (hold) => hold.phase === phase && (hold.partitionId === null || hold.partitionId === partitionId),
  );
  return held?.holdMs ?? 0;
}

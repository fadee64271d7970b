import { ForeshardError } from '../../src/base/errors.ts';
import type { PhaseHolds } from '../../src/migration/executor.ts';
import { MIGRATION_PHASES, type MigrationPhase } from '../../src/model/migration.ts';

export const HOLD_PHASE_VARIABLE = 'FORESHARD_HOLD_PHASE';

/**
 * The failpoint of tests that kill nodes: `FENCED:3000,SWITCHED:500` keeps every migration for so many milliseconds in these
 * phases, before it goes on. Not a setting: nobody should run a cluster with it.
 *
 * @throws ForeshardError FORESHARD_CONFIG naming what cannot be read.
 */
export function parsePhaseHolds(text: string | undefined): PhaseHolds {
  const holds: Partial<Record<MigrationPhase, number>> = {};
  for (const part of text?.split(',') ?? []) {
    const [, name, milliseconds] = /^([A-Z]+):([0-9]{1,7})$/.exec(part.trim()) ?? [];
    const phase = MIGRATION_PHASES.find((known) => known === name);
    if (phase === undefined)
      throw new ForeshardError(
        'FORESHARD_CONFIG',
        'fix-config',
        `${HOLD_PHASE_VARIABLE}: "${part}" is not <phase>:<milliseconds>, such as FENCED:3000; unset it outside tests`,
      );
    holds[phase] = Number(milliseconds);
  }
  return holds;
}

/** How long what is left of a migration will take: what has been measured of it, else what phases usually take. Pure. */
import { MIGRATION_PHASES, type MigrationPhase } from '../../model/migration.ts';
import type { OpenRecord } from '../records/record-changes.ts';
import type { MigrationSettings } from '../settings.ts';

/** What is known of a migration besides its record; null where it is not. */
export interface EtaFacts {
  readonly copiedBytes: number | null;
  readonly sizeBytes: number | null;
  /** Entries that the copy is behind. */
  readonly lagEntries: number | null;
  /** Entries a second that are written, and that the copy applies. */
  readonly writeRate: number | null;
  readonly applyRate: number | null;
}

/** Seconds from now; null where something that it depends on is not known. */
export interface Eta {
  readonly phaseSeconds: number | null;
  /** Until the new owner takes writes; null from then on. */
  readonly handOverSeconds: number | null;
  /** Until nothing is left of the old copy. */
  readonly endSeconds: number | null;
}

export const NO_ETA: Eta = { phaseSeconds: null, handOverSeconds: null, endSeconds: null };

const PREPARE_SECONDS = 0.1;
const FENCE_SECONDS = 0.1;
/** A scan takes a third of the event loop: `npm run bench -- migration` prints its rate. */
const SCAN_BYTES_PER_SECOND = 24e6;
/** 128 entries, then a pause of 20 ms. */
const REMOVED_BYTES_PER_SECOND = 1e6;
/** In the order in which a migration goes through them; the fence's three are one. */
const WAY: readonly MigrationPhase[] = MIGRATION_PHASES.filter((phase) => phase !== 'ABORT');
const HAND_OVER = WAY.indexOf('SWITCHED');

export function etaOf(
  record: OpenRecord,
  facts: EtaFacts,
  { settings, nowMs }: { readonly settings: MigrationSettings; readonly nowMs: number },
): Eta {
  const { migration } = record;
  const here = WAY.indexOf(migration.phase);
  // An abort is as short as the deletion of what was copied, and a pause as long as somebody wants.
  if (here < 0 || migration.pausedAtMs !== undefined) return NO_ETA;
  const context = { settings, nowMs, facts };
  const phaseSeconds = remainingOf(record, context);
  const sum = (to: number): number | null =>
    WAY.slice(here + 1, to + 1)
      .filter((phase) => !(phase === 'COPY' && migration.resumes !== undefined))
      .reduce<number | null>((total, phase) => plus(total, usualOf(phase, record, context)), phaseSeconds);
  return {
    phaseSeconds,
    handOverSeconds: here <= HAND_OVER ? sum(HAND_OVER) : null,
    endSeconds: sum(WAY.length - 1),
  };
}

interface Context {
  readonly settings: MigrationSettings;
  readonly nowMs: number;
  readonly facts: EtaFacts;
}

/** Of the phase it is in. */
function remainingOf(record: OpenRecord, context: Context): number | null {
  const { settings, nowMs, facts } = context;
  const { phase, phaseAtMs, notBeforeMs, readWeight } = record.migration;
  const passed = Math.max(0, nowMs - phaseAtMs) / 1000;
  const untilAllowed = Math.max(0, notBeforeMs - nowMs) / 1000;
  switch (phase) {
    case 'COPY': {
      const { copiedBytes, sizeBytes } = facts;
      if (!copiedBytes || sizeBytes === null || passed === 0) return null;
      return Math.max(0, sizeBytes - copiedBytes) / (copiedBytes / passed);
    }
    case 'CATCHUP':
      return catchUpSeconds(context);
    case 'SHIFT': {
      const steps = stepsOf(record, settings).filter((weight) => weight > readWeight).length;
      const held = Math.max(0, firstHoldSeconds(record, settings) - passed);
      return Math.max(held + (steps * settings.readWeightHoldMs) / 1000, untilAllowed);
    }
    case 'GRACE':
      return plus(untilAllowed, scanSeconds(facts));
    default: {
      const usual = usualOf(phase, record, context);
      return usual === null ? null : Math.max(0, usual - passed);
    }
  }
}

/** Of a phase that is still to come. */
function usualOf(phase: MigrationPhase, record: OpenRecord, { settings, facts }: Context): number | null {
  const { sizeBytes } = facts;
  switch (phase) {
    case 'PREPARE':
      return PREPARE_SECONDS;
    case 'COPY':
      return sizeBytes === null ? null : sizeBytes / settings.copyBytesPerSecond;
    case 'CATCHUP':
      return 0; // what is written during a copy is seldom much beside it
    case 'VERIFY':
      return scanSeconds(facts);
    case 'SHIFT': {
      const steps = stepsOf(record, settings).length;
      return steps === 0 ? 0 : ((steps + 1) * settings.readWeightHoldMs) / 1000;
    }
    case 'FENCING':
      return FENCE_SECONDS;
    case 'GRACE':
      return plus(settings.graceMs / 1000, scanSeconds(facts));
    case 'CLEANUP':
      return sizeBytes === null ? null : sizeBytes / REMOVED_BYTES_PER_SECOND;
    default:
      return 0;
  }
}

function catchUpSeconds({ facts: { lagEntries, writeRate, applyRate } }: Context): number | null {
  if (lagEntries === null) return null;
  if (lagEntries === 0) return 0;
  if (writeRate === null || applyRate === null || applyRate <= writeRate) return null;
  return lagEntries / (applyRate - writeRate);
}

/** A rollback takes all reads along with the writes. */
const stepsOf = ({ migration }: OpenRecord, { readWeightSteps }: MigrationSettings): readonly number[] =>
  migration.kind === 'rollback' ? [] : readWeightSteps;

function firstHoldSeconds(record: OpenRecord, settings: MigrationSettings): number {
  const { guardReds = 0, readWeight } = record.migration;
  if (stepsOf(record, settings).length === 0) return 0;
  return (guardReds > 0 && readWeight === 0 ? settings.readGuard.holdMs : settings.readWeightHoldMs) / 1000;
}

const scanSeconds = ({ sizeBytes }: EtaFacts): number | null =>
  sizeBytes === null ? null : sizeBytes / SCAN_BYTES_PER_SECOND;

const plus = (a: number | null, b: number | null): number | null => (a === null || b === null ? null : a + b);

import { LatencyHistogram, rounded } from '../../../bench/latency-histogram.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import { assertNotRequired, type Requirement } from '../../support/require.ts';
import type { OpenLoopLoad } from './open-loop-load.ts';

/** One round of the suite: a migration under load, and what was done to it. */
export interface FaultRow {
  readonly stage: string;
  /** Phase of the migration at the moment of the fault; `any` where several hit at moments of their own. */
  readonly phase: string;
  readonly fault: string;
  readonly victim: string;
  /** Faults injected in this row. */
  readonly faults: number;
  /** Whether the fault met the phase that it was meant for. */
  readonly hasMet: boolean;
  readonly outcome: 'moved' | 'aborted' | 'violated';
  readonly seconds: number;
  readonly writePauseMs: number | null;
  /** Queries of the load that were answered by an error, or not at all. */
  readonly failedQueries: number;
}

export interface Violations {
  readonly lostWrites: string[];
  readonly staleReads: string[];
  readonly ownerless: string[];
  /** Migrations that did not end after healing. */
  readonly stuck: string[];
  /** Whatever else must not happen, such as a corrupt frame that nobody noticed. */
  readonly other: string[];
}

/** What a run prints of itself, as far as another takes it over. */
export interface AdoptedScore {
  readonly rows: readonly FaultRow[];
  readonly violations: readonly string[];
  readonly acknowledgedWrites: number;
  readonly reads: number;
}

/** What the whole run has shown. */
export class FaultScore {
  readonly rows: FaultRow[] = [];
  readonly violations: Violations = { lostWrites: [], staleReads: [], ownerless: [], stuck: [], other: [] };
  readonly skipped: { readonly name: string; readonly why: string }[] = [];
  /** How long writes waited at hand-overs with no fault in force. */
  readonly pauses = new LatencyHistogram();
  /** The same at the same moments in partitions that nobody moves: what the machine takes. */
  readonly pausesElsewhere = new LatencyHistogram();
  readonly #pausesUnderFault = new LatencyHistogram();
  #acknowledgedWrites = 0;
  #reads = 0;

  /** @param isUndisturbed no fault was in force between FENCING and the switch. */
  addPause(pauseMs: number, options: { readonly isUndisturbed: boolean }): void {
    (options.isUndisturbed ? this.pauses : this.#pausesUnderFault).add(pauseMs);
  }

  addLoad({ score, staleReads, wrongCounters }: OpenLoopLoad): void {
    this.#acknowledgedWrites += score.acknowledgedWrites;
    this.#reads += score.reads;
    this.violations.staleReads.push(...staleReads);
    this.violations.lostWrites.push(...wrongCounters);
  }

  /** Of a load that judges itself. */
  addWrites(acknowledged: number): void {
    this.#acknowledgedWrites += acknowledged;
  }

  /** Says aloud what is left out. @throws Error where the environment says that it must not be. */
  skip(name: string, needs: Requirement, why: string): void {
    assertNotRequired(needs);
    this.skipped.push({ name, why });
  }

  /** The rows and findings of another process. */
  adopt(part: AdoptedScore): void {
    this.rows.push(...part.rows);
    this.violations.other.push(...part.violations);
    this.#acknowledgedWrites += part.acknowledgedWrites;
    this.#reads += part.reads;
  }

  get faults(): number {
    return this.rows.reduce((sum, row) => sum + row.faults, 0);
  }

  get violationCount(): number {
    return Object.values(this.violations).reduce((sum, list: string[]) => sum + list.length, 0);
  }

  /** The one object that the command prints. */
  toJson(): Record<string, unknown> {
    const { lostWrites, staleReads, ownerless, stuck, other } = this.violations;
    return {
      faults: this.faults,
      lostWrites: lostWrites.length,
      staleReads: staleReads.length,
      ownerless: ownerless.length,
      stuck: stuck.length,
      other: other.length,
      acknowledgedWrites: this.#acknowledgedWrites,
      reads: this.#reads,
      writePauseMs: this.pauses.summary(),
      writeElsewhereMs: this.pausesElsewhere.summary(),
      writePauseUnderFaultMs: this.#pausesUnderFault.summary(),
      violations: [...lostWrites, ...staleReads, ...ownerless, ...stuck, ...other].slice(0, 50),
      skipped: this.skipped,
      rows: this.rows,
    };
  }
}

export const seconds = (sinceMs: number): number => rounded((performance.now() - sinceMs) / 1000);

export const messageOf = (error: unknown): string => {
  if (error instanceof ForeshardError) return `${error.code}: ${error.message}`;
  return error instanceof Error ? error.message : String(error);
};

import type { MigrationPhase, MigrationRecord } from '../../../src/model/migration.ts';
import { sleep } from '../../support/scenario.ts';
import type { FaultCluster } from './fault-cluster.ts';

/** A hand-over takes some ten milliseconds: looked at more rarely it would be missed. */
const LOOK_MS = 2;

/** Follows one partition's record by looking, and notes when it came into which phase, by performance.now(). */
export class MigrationWatch {
  readonly enteredMs = new Map<MigrationPhase, number>();
  /** When the owner was seen to have changed. */
  switchedMs: number | null = null;
  readonly #cluster: FaultCluster;
  readonly #partitionId: number;
  readonly #ownerBefore: number;
  #isEnding = false;
  #isOver = false;
  #now: MigrationRecord | null = null;
  readonly #loop: Promise<void>;

  constructor(cluster: FaultCluster, partitionId: number, ownerBefore: number) {
    this.#cluster = cluster;
    this.#partitionId = partitionId;
    this.#ownerBefore = ownerBefore;
    this.#loop = this.#look();
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Resolves when the migration stands in the phase (in SHIFT: once reads go to the copy), or is over. @returns which. */
  async reach(phase: MigrationPhase, timeoutMs: number): Promise<boolean> {
    const deadlineMs = performance.now() + timeoutMs;
    while (performance.now() < deadlineMs && !this.#isOver) {
      if (this.stands(phase)) return true;
      await sleep(1);
    }
    return false;
  }

  /** Whether that was so at the last look. */
  stands(phase: MigrationPhase): boolean {
    return this.#now?.phase === phase && (phase !== 'SHIFT' || this.#now.readWeight > 0);
  }

  async end(): Promise<void> {
    this.#isEnding = true;
    await this.#loop;
  }

  async #look(): Promise<void> {
    while (!this.#isEnding) {
      const { migration, ownerNodeId } = await this.#cluster.record(this.#partitionId);
      const nowMs = performance.now();
      this.#now = migration;
      if (migration !== null && !this.enteredMs.has(migration.phase))
        this.enteredMs.set(migration.phase, nowMs);
      if (ownerNodeId !== this.#ownerBefore) this.switchedMs ??= nowMs;
      if (migration === null) this.#isOver = true;
      await sleep(LOOK_MS);
    }
  }
}

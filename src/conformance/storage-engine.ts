import { type Clock, systemClock } from '../base/clock.ts';
import type { PartitionRecord } from '../model/migration.ts';
import type { EngineCapabilities } from '../ports/storage-engine.ts';
import { COPY_CASES } from './engine-cases/copy.ts';
import type { EngineCase } from './engine-cases/engine-case.ts';
import { FENCE_CASES } from './engine-cases/fence.ts';
import { OWNERSHIP_CASES } from './engine-cases/ownership.ts';
import { SWITCH_CASES } from './engine-cases/switch.ts';
import { VERIFY_CASES } from './engine-cases/verify.ts';
import type { OpenEngine } from './engine-under-test.ts';

export interface ConformanceCase {
  readonly name: string;
  /** The capability without which it is skipped. */
  readonly needs: keyof EngineCapabilities | null;
  /**
   * Opens an engine of its own, and closes it whatever happens.
   *
   * @returns why it was skipped; null: it has passed.
   * @throws ConformanceFailure saying what is not as the port says; whatever the engine throws.
   */
  run(): Promise<string | null>;
}

export interface ConformanceOptions {
  readonly clock?: Clock;
  /** How long the engine may take to come to something: a copy of a few hundred entries, a removal. */
  readonly patienceMs?: number;
}

const PATIENCE_MS = 10_000;

/**
 * What every storage engine has to do, for the test framework of the adapter's author: register each case under its name.
 *
 * @param open two nodes, new and empty at each call.
 */
export function storageEngineConformance(
  open: OpenEngine,
  { clock = systemClock(), patienceMs = PATIENCE_MS }: ConformanceOptions = {},
): ConformanceCase[] {
  const cases: EngineCase[] = [
    ...OWNERSHIP_CASES,
    ...COPY_CASES,
    ...VERIFY_CASES,
    ...FENCE_CASES,
    ...SWITCH_CASES,
  ];
  return cases.map(({ name, needs = null, check }) => ({
    name,
    needs,
    async run() {
      const records = new Map<number, PartitionRecord>();
      const engine = await open({ readPartition: async (partitionId) => records.get(partitionId) });
      try {
        if (needs !== null && !engine.engine.capabilities[needs]) return `the engine has no ${needs}`;
        await check({ engine, records, clock, patienceMs });
        return null;
      } finally {
        await engine.close();
      }
    },
  }));
}

export interface ConformanceReport {
  readonly passed: readonly string[];
  readonly skipped: readonly { readonly name: string; readonly why: string }[];
  readonly failed: readonly { readonly name: string; readonly why: string }[];
}

/** All cases one after the other, for who has no test framework at hand. Never throws for what the engine does. */
export async function judgeStorageEngine(
  open: OpenEngine,
  options: ConformanceOptions = {},
): Promise<ConformanceReport> {
  const passed: string[] = [];
  const skipped: { name: string; why: string }[] = [];
  const failed: { name: string; why: string }[] = [];
  for (const { name, run } of storageEngineConformance(open, options))
    try {
      const why = await run();
      if (why === null) passed.push(name);
      else skipped.push({ name, why });
    } catch (error) {
      failed.push({ name, why: error instanceof Error ? error.message : String(error) });
    }
  return { passed, skipped, failed };
}

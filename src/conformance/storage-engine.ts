import { systemClock } from '../base/clock.ts';
import type { PartitionRecord } from '../model/migration.ts';
import type { EngineCapabilities } from '../ports/storage-engine.ts';
import { type ConformanceCase, type ConformanceOptions, type ConformanceReport, judge } from './cases.ts';
import { COPY_CASES } from './engine-cases/copy.ts';
import type { EngineCase } from './engine-cases/engine-case.ts';
import { FENCE_CASES } from './engine-cases/fence.ts';
import { OWNERSHIP_CASES } from './engine-cases/ownership.ts';
import { SWITCH_CASES } from './engine-cases/switch.ts';
import { VERIFY_CASES } from './engine-cases/verify.ts';
import type { OpenEngine } from './engine-under-test.ts';

const PATIENCE_MS = 10_000;

/**
 * What every storage engine has to do, for the test framework of the adapter's author: register each case under its name.
 *
 * @param open two nodes, new and empty at each call.
 */
export function storageEngineConformance(
  open: OpenEngine,
  { clock = systemClock(), patienceMs = PATIENCE_MS }: ConformanceOptions = {},
): ConformanceCase<keyof EngineCapabilities>[] {
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

/** All cases one after the other, for who has no test framework at hand. Never throws for what the engine does. */
export const judgeStorageEngine = (
  open: OpenEngine,
  options: ConformanceOptions = {},
): Promise<ConformanceReport> => judge(storageEngineConformance(open, options));

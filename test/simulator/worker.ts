/** Runs a batch of schedules on a thread of its own. */
import { mutantNamed } from './mutants.ts';
import { isShown } from './violation-kinds.ts';
import { runSchedule } from './world.ts';

export interface Batch {
  readonly from: bigint;
  readonly count: number;
  readonly mutant: string;
  /** A planted bug is found once, by what is there for it: the batch ends there. */
  readonly isSearch: boolean;
}

export interface BatchResult {
  readonly scheduleCount: number;
  readonly switchCount: number;
  readonly abortCount: number;
  readonly eventCount: number;
  readonly failures: readonly { readonly seed: bigint; readonly violation: string }[];
}

export default async function runBatch({ from, count, mutant, isSearch }: Batch): Promise<BatchResult> {
  // Thousands of refusals are thrown in every schedule, and nobody reads where from.
  Error.stackTraceLimit = 0;
  const planted = mutantNamed(mutant);
  const failures: { seed: bigint; violation: string }[] = [];
  const total = { scheduleCount: 0, switchCount: 0, abortCount: 0, eventCount: 0 };
  for (let i = 0; i < count; i++) {
    const seed = from + BigInt(i);
    const result = await runSchedule(seed, { mutant: planted });
    total.scheduleCount++;
    total.switchCount += result.switchCount;
    total.abortCount += result.abortCount;
    total.eventCount += result.eventCount;
    const [violation] = result.violations;
    if (violation === undefined || (isSearch && !isShown(violation, planted.shownBy))) continue;
    failures.push({ seed, violation });
    if (isSearch) break;
  }
  return { ...total, failures };
}

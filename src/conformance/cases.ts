/** What a suite hands out: cases for the test framework of the adapter's author, or one report of all of them. */
import type { Clock } from '../base/clock.ts';

export interface ConformanceCase<Need extends string = string> {
  /** A behaviour. */
  readonly name: string;
  /** What an adapter has to be able to do for it; without that it is skipped. */
  readonly needs: Need | null;
  /**
   * Opens an adapter of its own, and closes it whatever happens.
   *
   * @returns why it was skipped; null: it has passed.
   * @throws ConformanceFailure saying what is not as the port says; whatever the adapter throws.
   */
  run(): Promise<string | null>;
}

export interface ConformanceOptions {
  readonly clock?: Clock;
  /** How long the adapter may take to come to something that needs no time by itself: a copy of a few hundred entries, a hint. */
  readonly patienceMs?: number;
}

export interface ConformanceReport {
  readonly passed: readonly string[];
  readonly skipped: readonly { readonly name: string; readonly why: string }[];
  readonly failed: readonly { readonly name: string; readonly why: string }[];
}

/** All cases one after the other. Never throws for what the adapter does. */
export async function judge(cases: readonly ConformanceCase[]): Promise<ConformanceReport> {
  const passed: string[] = [];
  const skipped: { name: string; why: string }[] = [];
  const failed: { name: string; why: string }[] = [];
  for (const { name, run } of cases)
    try {
      const why = await run();
      if (why === null) passed.push(name);
      else skipped.push({ name, why });
    } catch (error) {
      failed.push({ name, why: error instanceof Error ? error.message : String(error) });
    }
  return { passed, skipped, failed };
}

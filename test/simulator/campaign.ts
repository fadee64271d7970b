/** Many schedules on all cores: of the real code, and of each planted bug until it is found. */
import { availableParallelism } from 'node:os';
import { extname } from 'node:path';
import { Piscina } from 'piscina';
import type { Batch, BatchResult } from './worker.ts';

const BATCH_SCHEDULES = 50;
const NURSERY_MB = 64;

export interface CampaignResult {
  readonly scheduleCount: number;
  readonly switchCount: number;
  readonly abortCount: number;
  readonly eventCount: number;
  readonly failures: readonly { readonly seed: bigint; readonly violation: string }[];
}

export interface SearchResult {
  readonly name: string;
  readonly isFound: boolean;
  /** Schedules up to and with the one that shows it, in the order of their seeds. */
  readonly scheduleCount: number;
  readonly seed: bigint | null;
  readonly violation: string | null;
}

export class Campaign {
  readonly #pool: Piscina<Batch, BatchResult>;

  constructor(threadCount = availableParallelism()) {
    const extension = extname(new URL(import.meta.url).pathname);
    this.#pool = new Piscina({
      filename: new URL(`./worker${extension}`, import.meta.url).href,
      minThreads: threadCount,
      maxThreads: threadCount,
      // A schedule leaves megabytes of dead objects: with a larger nursery few of them are ever copied.
      resourceLimits: { maxYoungGenerationSizeMb: NURSERY_MB },
    });
  }

  /** @param onProgress told the number of schedules that are done, and of failures as they come. */
  async run(
    options: { from: bigint; count: number; mutant: string },
    onProgress: (scheduleCount: number, failures: CampaignResult['failures']) => void = () => {},
  ): Promise<CampaignResult> {
    const total = { scheduleCount: 0, switchCount: 0, abortCount: 0, eventCount: 0 };
    const failures: { seed: bigint; violation: string }[] = [];
    const batches = batchesOf(options.from, options.count);
    const runNext = async (): Promise<void> => {
      for (let batch = batches.shift(); batch; batch = batches.shift()) {
        const result = await this.#pool.run({ ...batch, mutant: options.mutant, isSearch: false });
        total.scheduleCount += result.scheduleCount;
        total.switchCount += result.switchCount;
        total.abortCount += result.abortCount;
        total.eventCount += result.eventCount;
        failures.push(...result.failures);
        onProgress(total.scheduleCount, result.failures);
      }
    };
    await Promise.all(Array.from({ length: this.#pool.options.maxThreads }, runNext));
    return { ...total, failures: failures.sort((a, b) => (a.seed < b.seed ? -1 : 1)) };
  }

  /** Searches for a planted bug, seed by seed, in at most `countMax` schedules. */
  async search(name: string, options: { from: bigint; countMax: number }): Promise<SearchResult> {
    let scheduleCount = 0;
    for (const batch of batchesOf(options.from, options.countMax)) {
      const result = await this.#pool.run({ ...batch, mutant: name, isSearch: true });
      scheduleCount += result.scheduleCount;
      const [failure] = result.failures;
      if (failure) return { name, isFound: true, scheduleCount, ...failure };
    }
    return { name, isFound: false, scheduleCount, seed: null, violation: null };
  }

  /** All of them, as many at a time as there are threads. */
  async searchAll(
    names: readonly string[],
    options: { from: bigint; countMax: number },
    onFound: (result: SearchResult) => void = () => {},
  ): Promise<SearchResult[]> {
    const results: SearchResult[] = [];
    const waiting = [...names];
    const searchNext = async (): Promise<void> => {
      for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
        const result = await this.search(name, options);
        results[names.indexOf(name)] = result;
        onFound(result);
      }
    };
    await Promise.all(Array.from({ length: this.#pool.options.maxThreads }, searchNext));
    return results;
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }
}

function batchesOf(from: bigint, count: number): Pick<Batch, 'from' | 'count'>[] {
  const batches: Pick<Batch, 'from' | 'count'>[] = [];
  for (let done = 0; done < count; done += BATCH_SCHEDULES)
    batches.push({ from: from + BigInt(done), count: Math.min(BATCH_SCHEDULES, count - done) });
  return batches;
}

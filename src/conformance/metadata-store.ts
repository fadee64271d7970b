import { systemClock } from '../base/clock.ts';
import { type ConformanceCase, type ConformanceOptions, type ConformanceReport, judge } from './cases.ts';
import { ANNOUNCEMENT_CASES } from './metadata-cases/announcements.ts';
import { ELECTION_CASES } from './metadata-cases/elections.ts';
import type { MetadataCase } from './metadata-cases/metadata-case.ts';
import { TRANSACTION_CASES } from './metadata-cases/transactions.ts';
import { WATCH_CASES } from './metadata-cases/watches.ts';
import type { OpenMetadata } from './metadata-under-test.ts';

const PATIENCE_MS = 5_000;

/** etcd counts leases by whole seconds. */
const TTL_MS_MIN = 1_000;

/**
 * What every metadata store has to do, for the test framework of the adapter's author: register each case under its name.
 *
 * @param open a store, empty below its prefix at each call.
 */
export function metadataStoreConformance(
  open: OpenMetadata,
  { clock = systemClock(), patienceMs = PATIENCE_MS }: ConformanceOptions = {},
): ConformanceCase<'compact'>[] {
  const cases: MetadataCase[] = [
    ...TRANSACTION_CASES,
    ...WATCH_CASES,
    ...ANNOUNCEMENT_CASES,
    ...ELECTION_CASES,
  ];
  return cases.map(({ name, needs = null, check }) => ({
    name,
    needs,
    async run() {
      const store = await open();
      const { prefix, ttlMsMin: ttlMs = TTL_MS_MIN } = store;
      const [one, two] = [await store.connect(), await store.connect()];
      try {
        if (needs !== null && store[needs] === undefined) return `the store has no ${needs}`;
        const compact = async (): Promise<void> => store.compact?.(two);
        // What takes a time to live, or two, is waited for as long again.
        await check({ one, two, prefix, ttlMs, compact, clock, patienceMs: patienceMs + 4 * ttlMs });
        return null;
      } finally {
        await one.close();
        await two.close();
        await store.close();
      }
    },
  }));
}

/** All cases one after the other, for who has no test framework at hand. Never throws for what the store does. */
export const judgeMetadataStore = (
  open: OpenMetadata,
  options: ConformanceOptions = {},
): Promise<ConformanceReport> => judge(metadataStoreConformance(open, options));

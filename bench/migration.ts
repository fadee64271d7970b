/**
 * Migrations beside a plain loop that copies the same entries from one LMDB store to another over the same socket, synced as
 * often, without digest, log and map; what clients notice of them; and how long writes wait at the fence.
 */
import { digestBench } from './migration-digest.ts';
import { measureFences } from './migration-fences.ts';
import { measureProcesses } from './migration-processes.ts';
import { measureScan } from './migration-scan.ts';
import type { BenchOutcome } from './types.ts';

export const area = 'migration';

export async function run({ isSmall }: { readonly isSmall: boolean }): Promise<BenchOutcome> {
  const processes = await measureProcesses(
    isSmall
      ? { entryCount: 500, rounds: 1, queriesPerSecond: 200, calmMs: 100, isThrottledToo: false }
      : { entryCount: 40_000, rounds: 5, queriesPerSecond: 1_000, calmMs: 1_500, isThrottledToo: true },
  );
  const fences = await measureFences(isSmall ? 1 : 40);
  const scans = await measureScan({ entryCount: isSmall ? 2_000 : 100_000 });
  const digests = await digestBench({ isSmall });
  return { results: [...processes, ...fences, ...scans, ...digests.results], skipped: digests.skipped };
}

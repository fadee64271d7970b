/**
 * What choices were made by: the forecast bench on the training parts. M4 without its 48 hours to forecast, the workloads
 * without the windows of their last 14 origins; the 48 hours and 14 origins before those are forecast instead.
 */
import { runM4 } from './forecast/m4.ts';
import type { Outcome } from './forecast/rows.ts';
import { m4Hourly, sharedDataFolder, withoutLast, workloads } from './forecast/sets.ts';
import { runWorkload } from './forecast/workloads.ts';
import type { BenchOutcome } from './types.ts';

export const area = 'forecast-training';

const M4_HORIZON = 48;
const ORIGINS = 14;
const ORIGIN_STEP = 24;
/** Less history leaves most members silent. */
const HISTORY_DAYS_MIN = 4;

export async function run({ isSmall }: { readonly isSmall: boolean }): Promise<BenchOutcome> {
  const outcome: Outcome = { results: [], skipped: [] };
  const folder = sharedDataFolder();
  if (folder === undefined) {
    const why = 'no shared data: set FORESHARD_SHARED_DATA to the folder that holds m4-hourly';
    return { results: [], skipped: [{ name: area, why }] };
  }
  const m4 = m4Hourly(folder).map((set) => withoutLast(set, M4_HORIZON));
  if (!isSmall) await runM4(outcome, m4, { name: 'm4-hourly-training', hasPeers: false });
  for (const full of workloads(folder)) {
    const set = withoutLast(full, ORIGINS * ORIGIN_STEP);
    if (isSmall && set.name !== 'mongodb-machine-rps-training') continue;
    const dayWindows = Math.round(86_400_000 / set.windowMs);
    const room = set.windowCount - ORIGIN_STEP - HISTORY_DAYS_MIN * dayWindows;
    await runWorkload(outcome, set, isSmall ? 1 : Math.min(ORIGINS, Math.floor(room / ORIGIN_STEP) + 1));
  }
  return outcome;
}

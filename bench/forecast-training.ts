/**
 * What choices were made by: the forecast bench on the training parts. M4 without its 48 hours to forecast, the workloads
 * without the windows of their last 14 origins; the 48 hours and 14 origins before those are forecast instead. Then series alone,
 * as if there were no other: each workload of few series, and every 14th series of M4.
 */
import { type AloneSet, runAlone } from './forecast/alone.ts';
import { runM4 } from './forecast/m4.ts';
import type { Outcome } from './forecast/rows.ts';
import { m4Hourly, type SeriesSet, sharedDataFolder, withoutLast, workloads } from './forecast/sets.ts';
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
  const training = workloads(folder).map((set) => withoutLast(set, ORIGINS * ORIGIN_STEP));
  for (const set of training) {
    if (isSmall && set.name !== 'mongodb-machine-rps-training') continue;
    const dayWindows = Math.round(86_400_000 / set.windowMs);
    const room = set.windowCount - ORIGIN_STEP - HISTORY_DAYS_MIN * dayWindows;
    await runWorkload(outcome, set, isSmall ? 1 : Math.min(ORIGINS, Math.floor(room / ORIGIN_STEP) + 1));
  }
  await runAlone(outcome, 'alone-training', aloneSets({ training, m4, isSmall }));
  return outcome;
}

/** Sets of more series are no case of few; of outages that all series share nothing can be learnt from one. */
const FEW = ['mongodb-application-rps', 'mongodb-machine-rps', 'consumer-purchase-rate', 'nasa-http'];
const ALONE_ORIGINS = 20;
const M4_STRIDE = 14;

function aloneSets({
  training,
  m4,
  isSmall,
}: {
  readonly training: readonly SeriesSet[];
  readonly m4: readonly SeriesSet[];
  readonly isSmall: boolean;
}): AloneSet[] {
  const few = training.filter(({ name }) => FEW.some((few) => name === `${few}-training`));
  if (isSmall) return few.slice(1, 2).map((set) => ({ set, series: [0], originCount: 1 }));
  const every = (count: number, stride: number): number[] =>
    Array.from({ length: Math.floor(count / stride) }, (_, index) => (index + 1) * stride - 1);
  return [
    ...few.map((set) => ({ set, series: every(set.seriesCount, 1), originCount: ALONE_ORIGINS })),
    ...m4.map((set) => ({ set, series: every(set.seriesCount, M4_STRIDE), originCount: ALONE_ORIGINS })),
  ];
}

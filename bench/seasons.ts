/** Seasons, shifts and outages: what is found in real series, how often in noise, and what it costs, beside a peer. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { findSeasons, findSharedSeasons } from '../src/analyzer/seasons/find-seasons.ts';
import { findShifts } from '../src/analyzer/seasons/find-shifts.ts';
import { seasonalityOf } from '../src/analyzer/seasons/seasonality.ts';
import { type Random, seededRandom } from '../src/base/random.ts';
import { processorMs } from './forecast/processor-time.ts';
import { type Context, figure, hashOf, type Outcome } from './forecast/rows.ts';
import { cloudMonitoring, m4Hourly, type SeriesSet, sharedDataFolder } from './forecast/sets.ts';
import type { BenchModule } from './types.ts';

export const area = 'seasons';

const DAY_MS = 86_400_000;
const PEER = 'augurs-seasonalities';
const WANTED = 0.01;
const require = createRequire(import.meta.url);

type Finder = (values: Float64Array) => readonly number[];

/** npm `@bsull/augurs`, its own season finder, at its defaults. */
async function peerFinder(): Promise<Finder> {
  const { initSync, seasonalities } = await import('@bsull/augurs/seasons');
  const path = require.resolve('@bsull/augurs/seasons').replace(/seasons\.js$/, 'seasons_bg.wasm');
  initSync({ module: readFileSync(path) });
  return (values) => [...seasonalities(values)];
}

const own: Finder = (values) => findSeasons(values.map(Math.log1p)).map(({ period }) => period);

export const run: BenchModule['run'] = async ({ isSmall }) => {
  const outcome: Outcome = { results: [], skipped: [] };
  const peer = await peerFinder();
  runNoise(outcome, peer, isSmall ? 10 : 500);
  const folder = sharedDataFolder();
  if (folder === undefined) {
    outcome.skipped.push({ name: 'seasons on real series', why: 'no shared data folder here' });
    return outcome;
  }
  for (const set of m4Hourly(folder)) runSet(outcome, trainingRows(set, 48, isSmall ? 8 : 400), peer);
  for (const set of cloudMonitoring(folder))
    runSet(outcome, trainingRows(set, 14 * 24, isSmall ? 1 : 400), peer);
  return outcome;
};

interface Rows {
  readonly set: SeriesSet;
  readonly rows: readonly Float64Array[];
}

/** Without the part that forecasts are judged on. */
const trainingRows = (set: SeriesSet, testWindows: number, countMax: number): Rows => ({
  set,
  rows: Array.from({ length: Math.min(countMax, set.seriesCount) }, (_, s) =>
    set.values.slice(s * set.windowCount, (s + 1) * set.windowCount - testWindows),
  ),
});

function runSet({ results }: Outcome, { set, rows }: Rows, peer: Finder): void {
  const dayWindows = DAY_MS / set.windowMs;
  const timed = (find: Finder): { found: (readonly number[])[]; cpuMs: number } => {
    const startedMs = processorMs();
    const found = rows.map((row) => find(row));
    return { found, cpuMs: (processorMs() - startedMs) / rows.length };
  };
  const [ours, theirs] = [timed(own), timed(peer)];
  const context: Context = {
    set: set.name,
    settings: { series: rows.length, windows: (rows[0] as Float64Array).length },
    hash: hashOf(ours.found.map((periods) => Float64Array.from(periods))),
  };
  const push = (metric: string, value: number, baselineValue: number, unit = '', baseline = PEER): void => {
    results.push(seasonsFigure(context, { metric, value, baselineValue, unit, baseline }));
  };
  const share = (found: readonly (readonly number[])[], period: number): number =>
    found.filter((periods) => periods.includes(period)).length / rows.length;
  // The peer may well find nothing: shares are set beside all series, and its own share is a row.
  for (const [name, period] of [
    ['a day', dayWindows],
    ['a week', 7 * dayWindows],
  ] as const) {
    push(`share with ${name}`, share(ours.found, period), 1, '', 'all-series');
    push(`share with ${name}, ${PEER}`, share(theirs.found, period), 1, '', 'all-series');
  }
  push('processor time a series', ours.cpuMs, Math.max(1e-3, theirs.cpuMs), 'ms');
  const reports = rows.map((row) => seasonalityOf(row.map(Math.log1p), { dayWindows }));
  const count = (has: (report: (typeof reports)[number]) => boolean): number =>
    reports.filter(has).length / rows.length;
  push(
    'share with a shift',
    count(({ shifts }) => shifts.length > 0),
    1,
    '',
    'all-series',
  );
  push(
    'share with an outage',
    count(({ outages }) => outages.length > 0),
    1,
    '',
    'all-series',
  );
  const startedMs = processorMs();
  const shared = findSharedSeasons(rows.map((row) => row.map(Math.log1p)));
  push(
    'processor time of one decision for all',
    processorMs() - startedMs,
    ours.cpuMs * rows.length,
    'ms',
    'each-alone',
  );
  const hasDay = shared.some(({ period }) => period === dayWindows) ? 1 : 0;
  push('one decision for all finds a day', hasDay, 1, '', 'yes');
}

/** How often a season or a shift is found where there is none. */
function runNoise({ results }: Outcome, peer: Finder, count: number): void {
  const windows = 720;
  for (const [name, persistence] of [
    ['white-noise', 0],
    ['persistent-noise', 0.9],
    ['random-walk', 1],
  ] as const) {
    const random = seededRandom(20_010_101n).fork(name);
    const series = Array.from({ length: count }, () => noise(random, windows, persistence));
    const share = (has: (values: Float64Array) => boolean): number => series.filter(has).length / count;
    const context: Context = { set: name, settings: { series: count, windows }, hash: hashOf(series) };
    const push = (metric: string, value: number): void => {
      results.push(
        seasonsFigure(context, { metric, value, baselineValue: WANTED, unit: '', baseline: 'significance' }),
      );
    };
    push(
      'share with a season',
      share((values) => findSeasons(values).length > 0),
    );
    push(
      `share with a season, ${PEER}`,
      share((values) => peer(values).length > 0),
    );
    push(
      'share with a shift',
      share((values) => findShifts(values).length > 0),
    );
  }
}

const seasonsFigure = (
  context: Context,
  row: {
    readonly metric: string;
    readonly value: number;
    readonly baselineValue: number;
    readonly unit: string;
    readonly baseline: string;
  },
): Outcome['results'][number] => {
  const result = figure(context, { method: 'seasons', ...row });
  return { ...result, name: `seasons/${context.set}` };
};

/** x(t) = persistence x(t - 1) + normal noise. */
function noise(random: Random, windows: number, persistence: number): Float64Array {
  let level = 0;
  return Float64Array.from({ length: windows }, () => {
    const radius = Math.sqrt(-2 * Math.log(1 - random.nextFloat()));
    level = persistence * level + radius * Math.cos(2 * Math.PI * random.nextFloat());
    return level;
  });
}

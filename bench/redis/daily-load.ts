import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { flightLogPath } from '../../examples/flights/read-log.ts';
import type { BenchOutcome, BenchResult } from '../types.ts';
import {
  DAILY_POLICIES,
  type DailyFigures,
  type DailyOptions,
  type DailyReport,
  PATIENCE_MS,
} from './daily-load-options.ts';
import { runInNamespace, whyNoRateLimits } from './rate-limits.ts';

const NAME = 'daily load';
const LIVE_DAYS = 2;
/** Real time of all policies together, unless `--seconds` says otherwise. */
const SECONDS_DEFAULT = 180;

/** Flights of two days from the busiest airports, played against servers each of which can answer so much and no more, under four policies in turn. */
export function compareDailyLoad({
  isSmall,
  seconds = SECONDS_DEFAULT,
}: {
  readonly isSmall: boolean;
  readonly seconds?: number;
}): BenchOutcome {
  const why = flightLogPath() === undefined ? 'npm vega-datasets is not installed' : whyNoRateLimits();
  if (why !== null) return { results: [], skipped: [{ name: `redis, ${NAME}`, why }] };
  const liveDays = isSmall ? 1 : LIVE_DAYS;
  const realSeconds = isSmall ? 5 : seconds;
  const options: DailyOptions = {
    liveDays,
    // Hours of a small run are too short for what a busy machine answers.
    isRateChecked: !isSmall,
    ...(isSmall ? { trainDays: 7, cycleHours: 12 } : { trainDays: 28, cycleHours: 1 }),
    hourMs: (realSeconds * 1_000) / DAILY_POLICIES.length / (liveDays * 24),
  };
  const isTypeScript = import.meta.url.endsWith('.ts');
  const inner = fileURLToPath(new URL(`./daily-load-run.${isTypeScript ? 'ts' : 'js'}`, import.meta.url));
  const loader = isTypeScript ? ['--import', import.meta.resolve('tsx')] : [];
  const output = runInNamespace([process.execPath, ...loader, inner, JSON.stringify(options)]);
  const report = JSON.parse(output) as DailyReport;
  return { results: resultsOf(report, options), skipped: [] };
}

function resultsOf(report: DailyReport, options: DailyOptions): BenchResult[] {
  const { policies, nodeReadsPerSecond, peakReadsPerSecond } = report;
  const peer = policies.rebalance;
  const hash = createHash('sha256').update(JSON.stringify(options)).digest('hex').slice(0, 8);
  const row = (name: string, own: DailyFigures, metric: string, of: (figures: DailyFigures) => number) => ({
    name: `${NAME}, ${name}`,
    metric,
    unit: metric === 'p99' ? 'ms' : '%',
    value: of(own),
    baseline: 'redis-cli --cluster rebalance',
    baselineValue: of(peer),
    ratio: of(own) / of(peer),
    settings: {
      ...options,
      reads: own.operations,
      p50Ms: own.p50Ms,
      movedSlots: own.movedSlots,
      nodeReadsPerSecond: Math.round(nodeReadsPerSecond),
      peakReadsPerSecond: Math.round(peakReadsPerSecond),
    },
    hash,
  });
  return DAILY_POLICIES.flatMap((name) => [
    row(name, policies[name], 'p99', ({ p99Ms }) => p99Ms),
    row(
      name,
      policies[name],
      `answered within ${PATIENCE_MS} ms`,
      ({ errors, operations }) => 100 - (100 * errors) / operations,
    ),
  ]);
}

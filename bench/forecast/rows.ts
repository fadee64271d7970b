import { createHash } from 'node:crypto';
import type { BenchOutcome, BenchResult } from '../types.ts';
import { errorOfRatio, type Score } from './scores.ts';

/** Results and skips as they come in. */
export interface Outcome {
  readonly results: BenchResult[];
  readonly skipped: BenchOutcome['skipped'][number][];
}

/** What the rows of one data set share. */
export interface Context {
  readonly set: string;
  readonly settings: BenchResult['settings'];
  readonly hash: string;
}

interface Figure {
  readonly method: string;
  readonly metric: string;
  readonly value: number;
  readonly unit?: string;
  readonly baseline: string;
  readonly baselineValue: number;
  readonly settings?: BenchResult['settings'];
}

export const figure = ({ set, settings, hash }: Context, row: Figure): BenchResult => ({
  name: `forecast/${set}/${row.method}`,
  metric: row.metric,
  value: row.value,
  unit: row.unit ?? '',
  baseline: row.baseline,
  baselineValue: row.baselineValue,
  ratio: row.value / row.baselineValue,
  settings: { ...settings, ...row.settings },
  hash,
});

/** Error of every method beside the baseline's, for one range of steps, and how often the bounds held. */
export function accuracyRows(
  context: Context,
  scores: readonly Score[],
  baselineMethod: string,
): BenchResult[] {
  return [...new Set(scores.map(({ range }) => range.first))].flatMap((first) => {
    const ofRange = scores.filter(({ range }) => range.first === first);
    const baseline = ofRange.find(({ method }) => method === baselineMethod);
    if (baseline === undefined) throw new Error(`${context.set}: no ${baselineMethod} to compare with`);
    const settings = { steps: `${first + 1}..${baseline.range.end}` };
    const errors = ofRange
      .filter((score) => score !== baseline)
      .flatMap((score) =>
        (
          [
            ['MSE of log(1+y)', 'logMse', 'logSquares'],
            ['MASE', 'mase', 'scaled'],
          ] as const
        ).map(([metric, key, sumKey]) =>
          figure(context, {
            method: score.method,
            metric,
            value: score[key],
            baseline: baselineMethod,
            baselineValue: baseline[key],
            settings: withError(settings, errorOfDifference(score, baseline, sumKey)),
          }),
        ),
      );
    return [...errors, ...ofRange.flatMap((score) => coverageRows(context, score, settings))];
  });
}

/** Standard error of by how much a method's mean error differs from the baseline's, both at the same origins. */
function errorOfDifference(score: Score, baseline: Score, key: 'logSquares' | 'scaled'): number {
  if (score.byOrigin.length !== baseline.byOrigin.length) return Number.NaN;
  const differences = score.byOrigin.map((own, origin) => ({
    sum: own[key] - (baseline.byOrigin[origin]?.[key] as number),
    count: own.count,
  }));
  const count = differences.reduce((total, at) => total + at.count, 0);
  const mean = differences.reduce((total, { sum }) => total + sum, 0) / count;
  return errorOfRatio(differences.map((at) => ({ excess: at.sum - mean * at.count, count: at.count })));
}

const withError = (settings: BenchResult['settings'], error: number): BenchResult['settings'] =>
  Number.isNaN(error) ? settings : { ...settings, standardError: Number(error.toPrecision(2)) };

/** Share of values inside the bounds, by nominal level. */
export const coverageRows = (
  context: Context,
  score: Score,
  settings: BenchResult['settings'] = {},
): BenchResult[] =>
  [...score.coverage].map(([level, share]) => {
    const error = score.coverageError.get(level) as number;
    return figure(context, {
      method: score.method,
      metric: `share inside the ${Math.round(level * 100)} % bounds`,
      value: share,
      baseline: 'nominal-level',
      baselineValue: level,
      settings: withError(settings, error),
    });
  });

/** Of what was computed: the same inputs give the same hash. */
export function hashOf(points: readonly Float64Array[]): string {
  const hash = createHash('sha256');
  for (const values of points)
    hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  return hash.digest('hex').slice(0, 16);
}

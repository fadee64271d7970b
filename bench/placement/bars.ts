import type { BenchResult } from '../types.ts';

interface Bar {
  readonly of: RegExp;
  readonly must: number;
  /** What is held to it: the figure itself, or, on a machine of any speed, its ratio to the baseline of the same run. */
  readonly by?: 'value' | 'ratio';
}

/** The figures that placement is held to, each beside its bar; a ratio of at most 1 meets it, but for rates. */
const BARS: readonly Bar[] = [
  // Rates: here a ratio of at least 1 meets the bar. 5 M proposals a CPU second was asked for on a machine whose plain JavaScript
  // did 0.5 M: the second row is the same bar on any machine.
  { of: /^anneal-kernel\/256x8x96$/, must: 5e6 },
  { of: /^anneal-kernel\/256x8x96$/, must: 5e6 / 0.5e6, by: 'ratio' },
  { of: /^portfolio-100ms\/B\/\d+x\d+x1$/, must: 0.3 },
  { of: /^portfolio-1000ms\/B\/\d+x\d+x1$/, must: 0.1 },
  { of: /^portfolio-3000ms\/A\/\d+x\d+x1$/, must: 1 },
  { of: /^plan\/8000x16x24$/, must: 1000 },
  { of: /^cancel\//, must: 10 },
];

export function barRows(results: readonly BenchResult[]): BenchResult[] {
  return results.flatMap((of) => BARS.filter((bar) => bar.of.test(of.name)).map((bar) => barRow(of, bar)));
}

function barRow(of: BenchResult, { must, by }: Bar): BenchResult {
  const row = {
    ...of,
    name: `bar/${of.name}`,
    baseline: 'must',
    baselineValue: must,
    ratio: of.value / must,
  };
  if (by !== 'ratio') return row;
  return {
    ...row,
    name: `${row.name}/over-${of.baseline}`,
    metric: `${of.metric}, over ${of.baseline}`,
    value: of.ratio,
    unit: 'x',
    ratio: of.ratio / must,
  };
}

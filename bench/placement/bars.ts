import type { BenchResult } from '../types.ts';

/** The figures that placement is held to, each beside its bar; a ratio of at most 1 meets it, but for rates. */
const BARS: readonly { readonly of: RegExp; readonly must: number }[] = [
  // A rate: here a ratio of at least 1 meets the bar.
  { of: /^anneal-kernel\/256x8x96$/, must: 5e6 },
  { of: /^portfolio-100ms\/B\/\d+x\d+x1$/, must: 0.3 },
  { of: /^portfolio-1000ms\/B\/\d+x\d+x1$/, must: 0.1 },
  { of: /^portfolio-3000ms\/A\/\d+x\d+x1$/, must: 1 },
  { of: /^plan\/8000x16x24$/, must: 1000 },
  { of: /^cancel\//, must: 10 },
];

export function barRows(results: readonly BenchResult[]): BenchResult[] {
  return results.flatMap((of) =>
    BARS.filter((bar) => bar.of.test(of.name)).map(({ must }) => ({
      ...of,
      name: `bar/${of.name}`,
      baseline: 'must',
      baselineValue: must,
      ratio: of.value / must,
    })),
  );
}

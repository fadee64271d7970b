import { publishedInstances, REACHED } from '../roadef/instances.ts';
import { type SolvedFiles, solveFiles } from '../roadef/solve-files.ts';
import type { BenchOutcome, BenchResult } from '../types.ts';
import { hashOf } from './measures.ts';

const THREADS = 2;
const SEED = 1n;
const SMALL_ITERATIONS = 20_000;

/**
 * The published instances of the ROADEF/EURO challenge 2012: the gap to the published bound, where it is not 0, and to what
 * was reached elsewhere in 300 s, both beside that of the map which stays. A hash stays the same for a budget in proposals only.
 */
export async function compareRoadef(options: {
  /** For each instance, on {@link THREADS} threads. */
  readonly seconds: number;
  readonly isSmall: boolean;
}): Promise<BenchOutcome> {
  const instances = publishedInstances();
  if (instances.length === 0) {
    const why = 'the instances are not here; FORESHARD_SHARED_DATA says where they are';
    return { results: [], skipped: [{ name: 'roadef', why }] };
  }
  const results: BenchResult[] = [];
  for (const instance of options.isSmall ? instances.slice(0, 1) : instances) {
    const solved = await solveFiles(instance, {
      budget: options.isSmall ? { iterations: SMALL_ITERATIONS } : { seconds: options.seconds },
      threads: THREADS,
      seed: SEED,
      isInline: options.isSmall,
    });
    results.push(...rowsOf(instance.name, solved, options.isSmall ? 0 : options.seconds));
  }
  return { results, skipped: [] };
}

function rowsOf(name: string, solved: SolvedFiles, seconds: number): BenchResult[] {
  const cost = Number(solved.cost);
  const stay = Number(solved.startCost);
  const row = (kind: string, from: number, unit: string): BenchResult => {
    const [value, baselineValue] = [100 * (cost / from - 1), 100 * (stay / from - 1)];
    return {
      name: `${kind}/${name}`,
      metric: 'gap',
      value,
      unit,
      baseline: 'stay',
      baselineValue,
      ratio: value / baselineValue,
      settings: { seconds, threads: THREADS, annealing: solved.kind, cost, proposals: solved.iterations },
      hash: hashOf(solved.machineOf),
    };
  };
  const bound = Number(solved.bound);
  const reached = REACHED[name];
  const rows = [
    ...(bound > 0 ? [row('roadef', bound, '% of the bound')] : []),
    ...(reached === undefined ? [] : [row('roadef-reached', reached, '% of what was reached elsewhere')]),
  ];
  if (rows.length > 0) return rows;
  // A bound of 0 says nothing about how good a cost is.
  const { settings, hash } = row('roadef', stay, '');
  const against = { baseline: 'stay', baselineValue: stay, ratio: cost / stay };
  return [{ name: `roadef/${name}`, metric: 'cost', value: cost, unit: '', ...against, settings, hash }];
}

/** Takes away from a scenario that fails, as long as it still fails: what is left is what a person has to understand. */
import { NO_RATES, NODE_COUNT_MIN, type Rates, type Scenario } from './scenario.ts';

/**
 * What is left out of a seed's scenario, by name: `f0` the first timed fault, `a0` an ambush, `m0` a move, `k0` a client (the
 * last, by number), `loss` and the other rates, `n6` the node with the highest number.
 */
export type Omissions = readonly string[];

export function without(scenario: Scenario, omissions: Omissions): Scenario {
  const left = new Set(omissions);
  const keep = <T>(items: readonly T[], letter: string): T[] =>
    items.filter((_, i) => !left.has(`${letter}${i}`));
  const countOf = (letter: string): number =>
    omissions.filter((name) => new RegExp(`^${letter}\\d+$`).test(name)).length;
  const rates = { ...scenario.rates };
  for (const rate of RATE_NAMES) if (left.has(rate)) rates[rate] = 0;
  return {
    ...scenario,
    nodeCount: Math.max(NODE_COUNT_MIN, scenario.nodeCount - countOf('n')),
    clientCount: scenario.clientCount - countOf('k'),
    rates,
    faults: keep(scenario.faults, 'f'),
    ambushes: keep(scenario.ambushes, 'a'),
    moves: keep(scenario.moves, 'm'),
  };
}

const RATE_NAMES = Object.keys(NO_RATES) as (keyof Rates)[];

/** All that may be left out, what explains least first. */
function omissible(scenario: Scenario): string[] {
  const names = (items: readonly unknown[], letter: string): string[] => items.map((_, i) => `${letter}${i}`);
  const counted = (letter: string, count: number, least: number): string[] =>
    Array.from({ length: Math.max(0, count - least) }, (_, i) => `${letter}${count - 1 - i}`);
  return [
    ...RATE_NAMES.filter((rate) => scenario.rates[rate] > 0),
    ...names(scenario.faults, 'f'),
    ...names(scenario.ambushes, 'a'),
    ...counted('k', scenario.clientCount, 0),
    ...counted('n', scenario.nodeCount, NODE_COUNT_MIN),
    ...names(scenario.moves, 'm'),
  ];
}

/**
 * Delta debugging: halves, quarters, ... single elements are left out, each for good if the rest still fails.
 *
 * @param fails whether the scenario without these still fails. @param runsMax schedules it may cost.
 * @see Zeller & Hildebrandt, "Simplifying and isolating failure-inducing input", 2002
 */
export async function shrink(
  scenario: Scenario,
  fails: (omissions: Omissions) => Promise<boolean>,
  runsMax = 300,
): Promise<Omissions> {
  let omitted: string[] = [];
  let runCount = 0;
  let isSmaller = true;
  while (isSmaller && runCount < runsMax) {
    isSmaller = false;
    const candidates = omissible(scenario).filter((name) => !omitted.includes(name));
    for (
      let size = Math.ceil(candidates.length / 2);
      size >= 1 && runCount < runsMax;
      size = size > 1 ? size >> 1 : 0
    )
      for (let start = 0; start < candidates.length && runCount < runsMax; start += size) {
        const piece = candidates.slice(start, start + size).filter((name) => !omitted.includes(name));
        if (piece.length === 0) continue;
        runCount++;
        if (!(await fails([...omitted, ...piece]))) continue;
        omitted = [...omitted, ...piece];
        isSmaller = true;
      }
  }
  return omitted;
}

/**
 * Lets a hot annealing pass through maps that break rules, at a price, and leads it back to legal ones as it cools.
 *
 * One process that fills half a machine cannot go anywhere while the others are spread evenly: no single move and no swap
 * makes room for it. A search that may exceed a capacity for a while moves the large one first, and pushes the small ones
 * out afterwards. Only a map without violations is ever kept as the best.
 *
 * @see Glover, "Heuristics for integer programming using surrogate constraints", 1977 (strategic oscillation)
 * @see Gendreau, Hertz & Laporte, "A tabu search heuristic for the vehicle routing problem", 1994 (penalties that follow
 *   whether the search is legal)
 */

export interface Leniency {
  /**
   * How far capacities, transient use included, may be exceeded: the overflow that is aimed at, in mean machines for each
   * machine, at a heat of 1. It falls with the heat. 0 never exceeds one.
   */
  readonly overflow: number;
  /** Spreads and dependencies may be unmet. */
  readonly services: boolean;
}

export const STRICT: Leniency = { overflow: 0, services: false };

/** So much that no rise is accepted, and that any fall of what it counts is. */
const FORBIDDING = 1e30;

/** In units of the scale of temperatures: per mean capacity of a machine, and per violation of a service. */
export interface Penalties {
  /** Without it, a machine that is full is not proposed at all, which is faster. */
  readonly isSoft: boolean;
  readonly overflow: number;
  readonly violation: number;
}

export const FORBIDDEN: Penalties = { isSoft: false, overflow: FORBIDDING, violation: FORBIDDING };

/** Where an annealing is, and what it has come to. */
export interface Progress {
  /** Of the whole annealing, and how much of it has passed since the last look. */
  readonly share: number;
  readonly step: number;
  /** Temperature, in units of the scale. */
  readonly heat: number;
  /** Machine capacities by which the machines are beyond theirs, for each machine there is. */
  readonly overflow: number;
  readonly violations: number;
}

// What follows was chosen on a1_2, a1_4, a2_4, a2_5, x_1 and x_2 together, and is the same for all instances.
const OVERFLOW_START = 60;
const OVERFLOW_LEAST = 2;
/** A penalty that grows on freezes the search around one process that fits nowhere, instead of moving the others. */
const OVERFLOW_MOST = 100;
/** From here on no violation is aimed at, so that there is none before the annealing is cold. */
const HEAT_STRICT = 0.01;
/** The penalty rises or falls by e in a fortieth of the annealing. */
const RATE = 40;
/** A violation in units of the temperature: first hardly anything, so that what depends on each other parts and meets afresh. */
const VIOLATION_FIRST = 1;
const VIOLATION_THEN = 12;
const MELTING_SHARE = 0.25;
const VIOLATION_LEAST = 0.3;
/** Below this heat whoever is legal stays so. */
const COLD = 1e-3;

/** Penalties for the next stretch. @param before those of the last one, or undefined at the start. */
export function nextPenalties(
  leniency: Leniency,
  before: Penalties | undefined,
  { share, step, heat, overflow, violations }: Progress,
): Penalties {
  const isLegal = overflow === 0 && violations === 0;
  if (leniency.overflow === 0 && !leniency.services) return FORBIDDEN;
  if (before?.isSoft === false) return before;
  if (heat < COLD && isLegal) return FORBIDDEN;
  return {
    isSoft: true,
    overflow:
      leniency.overflow > 0
        ? overflowPenalty(before?.overflow, { aim: leniency.overflow, step, heat, overflow })
        : FORBIDDING,
    violation: leniency.services
      ? violationPenalty(before?.violation, { share, step, heat, violations })
      : FORBIDDING,
  };
}

function overflowPenalty(
  before: number | undefined,
  { aim, step, heat, overflow }: Pick<Progress, 'step' | 'heat' | 'overflow'> & { readonly aim: number },
): number {
  if (before === undefined) return OVERFLOW_START;
  const factor = Math.exp(RATE * step);
  if (heat > HEAT_STRICT) {
    const isTooMuch = overflow > aim * (heat - HEAT_STRICT);
    return Math.min(OVERFLOW_MOST, Math.max(OVERFLOW_LEAST, isTooMuch ? before * factor : before / factor));
  }
  // Now it has to end, whatever that takes; and a penalty that fell would let in what is too costly to get out again.
  return overflow > 0 ? Math.min(FORBIDDING, before * factor) : before;
}

function violationPenalty(
  before: number | undefined,
  { share, step, heat, violations }: Omit<Progress, 'overflow'>,
): number {
  // The last overflow must not be got rid of by a violation.
  if (heat <= HEAT_STRICT && before !== undefined)
    return violations === 0 ? FORBIDDING : Math.min(FORBIDDING, before * Math.exp(RATE * step));
  const melted = Math.min(1, share / MELTING_SHARE);
  const ratio = VIOLATION_FIRST * (VIOLATION_THEN / VIOLATION_FIRST) ** melted;
  return melted < 1 ? ratio * heat : Math.max(VIOLATION_LEAST, ratio * heat);
}

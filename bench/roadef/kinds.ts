/** The kinds of annealing there are: how hot they begin, which operators they prefer, what they may break on their way. */
import { type Leniency, STRICT } from './leniency.ts';

/** Shares of the operators, in their order. */
export const MIXES = {
  // Moved processes are looked at as often as all others together: few of many should move.
  homeward: [6, 6, 2, 2, 0, 0, 3, 3, 3, 3, 3, 3],
  even: [6, 3, 2, 2, 3, 6, 1, 1, 1, 1, 1, 1],
  // Loads are settled, and every machine is as full as it should be: only exchanges keep them so while moves are saved.
  exchanging: [2, 2, 0, 0, 12, 8, 1, 1, 2, 2, 2, 0],
} as const;

/** Start temperatures, relative to the rise that nine in ten proposals stay below. */
export const HEATS = { hot: 1, warm: 0.03, cold: 1e-4 } as const;
/** Below this a hot annealing only saves moves, which takes as long whatever they are worth. */
export const LUKEWARM = 1e-3;

/** Where dependencies are dense, those that have melted do not all freeze again. */
export const LENIENCIES = {
  strict: STRICT,
  overfull: { overflow: 0.005, services: false },
  melting: { overflow: 0.05, services: true },
} as const satisfies Record<string, Leniency>;

export interface Kind {
  readonly heat: keyof typeof HEATS;
  /** Above lukewarm; below, it leads home. */
  readonly mix: keyof typeof MIXES;
  readonly leniency: keyof typeof LENIENCIES;
}

export const KINDS: readonly Kind[] = [
  { heat: 'hot', mix: 'even', leniency: 'overfull' },
  { heat: 'hot', mix: 'even', leniency: 'melting' },
  { heat: 'cold', mix: 'homeward', leniency: 'strict' },
  { heat: 'warm', mix: 'homeward', leniency: 'overfull' },
];

export const nameOf = ({ heat, mix, leniency }: Kind): string => `${heat} ${mix} ${leniency}`;

/**
 * Solves an instance of machine reassignment: a race of several kinds of annealing, then a long one of the kind that won, and
 * of those close behind, each on threads of its own, the worse taking over the map of the better at fixed points; then once
 * more from the best, cold.
 *
 * What kind wins differs from instance to instance: rugged ones want a hot start that may break rules on its way, those whose
 * transient resources are tight a cold one; and where most processes should stay, operators that lead home.
 */
import { performance } from 'node:perf_hooks';
import { assert } from '../../src/base/assert.ts';
import { seededRandom } from '../../src/base/random.ts';
import { lowerBound } from './bound.ts';
import { type Crew, inlineCrew, threadedCrew } from './crew.ts';
import { compileRoadef, createRoadefMemory, type RoadefBuild } from './kernel.ts';
import { type Budget, type Leg, type Schedule, temperatureAt } from './leg.ts';
import { type Leniency, STRICT } from './leniency.ts';
import type { Model } from './model.ts';
import { placeProblem, placeSearch, type RoadefBlock, setOperators } from './problem.ts';

export interface SolveOptions {
  readonly seed: bigint;
  /** Searches side by side: 1 or more. */
  readonly threads: number;
  /** Of every thread. */
  readonly budget: Budget;
  /** On this thread, one search after the other: for tests, with a budget in iterations. */
  readonly isInline?: boolean;
  readonly build?: RoadefBuild;
  onProgress?(progress: { readonly phase: string; readonly cost: number }): void;
}

export interface Solution {
  readonly machineOf: Int32Array;
  /** As the kernel counts it, in exact integers. */
  readonly cost: number;
  readonly iterations: number;
  /** The kind of annealing that won the races. */
  readonly kind: string;
}

/** Shares of the operators, in their order, above lukewarm; below, it is always the first. */
const MIXES = {
  // Moved processes are looked at as often as all others together: few of many should move.
  homeward: [6, 6, 2, 2, 0, 0, 3, 3, 3, 3, 3, 3],
  even: [6, 3, 2, 2, 3, 6, 1, 1, 1, 1, 1, 1],
} as const;

/** Start temperatures, relative to the rise that nine in ten proposals stay below. */
const HEATS = { hot: 1, warm: 0.03, cold: 1e-4 } as const;
/** Below this a hot annealing only saves moves, which takes as long whatever they are worth. */
const LUKEWARM = 1e-3;
const SHARE_ABOVE_LUKEWARM = { hot: 0.7, warm: 0.5, cold: 0 } as const;
/** Relative to the price of an ordinary move. */
const END = 0.05;

/** What an annealing may break on its way. Where dependencies are dense, those that have melted do not all freeze again. */
const LENIENCIES = {
  strict: STRICT,
  overfull: { overflow: 0.005, services: false },
  melting: { overflow: 0.05, services: true },
} as const satisfies Record<string, Leniency>;

interface Kind {
  readonly heat: keyof typeof HEATS;
  readonly mix: keyof typeof MIXES;
  readonly leniency: keyof typeof LENIENCIES;
}

const KINDS: readonly Kind[] = [
  { heat: 'hot', mix: 'even', leniency: 'overfull' },
  { heat: 'hot', mix: 'even', leniency: 'melting' },
  { heat: 'cold', mix: 'homeward', leniency: 'strict' },
  { heat: 'warm', mix: 'homeward', leniency: 'overfull' },
];

const nameOf = ({ heat, mix, leniency }: Kind): string => `${heat} ${mix} ${leniency}`;

// Shares of the budget.
const RACE = 0.16;
const LONG = 0.74;
const REHEAT = 0.1;
/**
 * Kinds whose gap to the bound is at most so many times the winner's anneal on, the hotter ones first: a race is short, and
 * the hotter a search is, the more it gains from time.
 */
const CLOSE = 2;
const EXCHANGES = 16;
/** Proposals from the start whose rises tell the scale of costs. */
const SAMPLING_ITERATIONS = 20_000;
/** The median is about the weights of moves where there is little load to shift: a large rise is about loads everywhere. */
const SCALE_QUANTILE = 0.9;

/** @param initial i32[process], legal. */
export async function solve(model: Model, initial: Int32Array, options: SolveOptions): Promise<Solution> {
  assert(options.threads >= 1, 'somebody searches');
  const module = compileRoadef(options.build);
  const { arena, memory, exports } = createRoadefMemory(module);
  const problem = placeProblem(arena, model, initial);
  const random = seededRandom(options.seed);
  const blocks = Array.from({ length: options.threads }, (_, i) =>
    placeSearch(arena, problem, random.fork(`search ${i}`)),
  );
  const crew = options.isInline
    ? inlineCrew({ exports, memory })
    : threadedCrew({ module, memory }, options.threads);
  try {
    return await new Solver({ model, initial, options, crew, blocks }).solve();
  } finally {
    await crew.close();
  }
}

/** What the map that a search is at counts for in its own eyes, violations included. */
function penalisedCost(block: RoadefBlock): number {
  const violations = block.get('penalty') * block.get('violations');
  return block.get('cost') + violations + block.get('overflowPenalty') * block.get('overflow');
}

interface Elite {
  readonly machineOf: Int32Array;
  readonly cost: number;
}

interface Entry {
  readonly kind: Kind;
  readonly elite: Elite;
}

interface Annealing {
  readonly kind: Kind;
  readonly start: Int32Array;
  readonly schedule: Schedule;
}

interface SolverParts {
  readonly model: Model;
  readonly initial: Int32Array;
  readonly options: SolveOptions;
  readonly crew: Crew;
  readonly blocks: readonly RoadefBlock[];
}

class Solver {
  readonly #parts: SolverParts;
  #best: Elite | undefined;
  #iterations = 0;
  /** Of the budget. */
  #spentShare = 0;
  readonly #startMs = performance.now();
  /** A large rise of a proposal: the scale of temperatures. */
  #scale = 1;

  constructor(parts: SolverParts) {
    this.#parts = parts;
  }

  async solve(): Promise<Solution> {
    const { initial } = this.#parts;
    await this.#measureScale();
    const start: Elite = { machineOf: initial, cost: (this.#best as Elite).cost };
    const entries = await this.#race(KINDS.map((kind) => ({ kind, elite: start })));
    const bound = Number(lowerBound(this.#parts.model));
    const close = bound + CLOSE * ((entries[0] as Entry).elite.cost - bound);
    const annealings = entries
      .filter(({ elite }) => elite.cost <= close)
      .sort((a, b) => HEATS[b.kind.heat] - HEATS[a.kind.heat])
      .map(({ kind, elite }) => ({ kind, start: elite.machineOf, schedule: this.#schedule(kind.heat) }));
    const ends = await this.#anneal(annealings, { share: LONG, name: 'long' });
    const { kind } = annealings[ends.indexOf(Math.min(...ends))] as (typeof annealings)[number];
    const reheating = {
      kind: { ...kind, leniency: 'strict' as const },
      start: (this.#best as Elite).machineOf,
      schedule: this.#reheating(),
    };
    await this.#anneal([reheating], { share: REHEAT, name: 'reheat' });
    return { ...(this.#best as Elite), iterations: this.#iterations, kind: nameOf(kind) };
  }

  async #measureScale(): Promise<void> {
    const block = this.#parts.blocks[0] as RoadefBlock;
    block.owner.set(this.#parts.initial);
    setOperators(block, MIXES.even);
    const still: Schedule = [
      { share: 0, temperature: 0 },
      { share: 1, temperature: 0 },
    ];
    await this.#run(0, {
      block: block.pointer,
      isReset: true,
      schedule: still,
      scale: 1,
      leniency: STRICT,
      fromShare: 0,
      toShare: 1,
      budget: { iterations: SAMPLING_ITERATIONS },
    });
    this.#keep(block);
    const rises = block.samples().slice().sort();
    this.#scale = rises[Math.floor(SCALE_QUANTILE * rises.length)] ?? 1;
  }

  /** Each kind by itself, dealt out over the threads. @returns best first. */
  async #race(entries: readonly Entry[]): Promise<Entry[]> {
    const { blocks } = this.#parts;
    const own = RACE / Math.ceil(entries.length / blocks.length);
    const results: Entry[] = [];
    for (let first = 0; first < entries.length; first += blocks.length) {
      const running = entries.slice(first, first + blocks.length);
      await Promise.all(
        running.map(async ({ kind, elite }, member) => {
          (blocks[member] as RoadefBlock).owner.set(elite.machineOf);
          const schedule = this.#schedule(kind.heat);
          const above = SHARE_ABOVE_LUKEWARM[kind.heat];
          await this.#leg(member, kind, {
            isReset: true,
            schedule,
            fromShare: 0,
            toShare: above,
            share: own,
          });
          await this.#leg(member, kind, {
            isReset: false,
            schedule,
            fromShare: above,
            toShare: 1,
            share: own,
          });
        }),
      );
      this.#spentShare += own;
      running.forEach((entry, i) => {
        const elite = this.#keep(blocks[i] as RoadefBlock);
        this.#report(`race ${nameOf(entry.kind)}`, elite.cost);
        results.push(elite.cost < entry.elite.cost ? { ...entry, elite } : entry);
      });
    }
    return results.sort((a, b) => a.elite.cost - b.elite.cost);
  }

  /**
   * Annealings side by side, dealt out over the threads, those that find none left out. Threads of the same one meet at fixed
   * points, where whoever is worse goes on from the map of the best.
   *
   * @returns the cost that each has reached, Infinity for those left out.
   */
  async #anneal(
    annealings: readonly Annealing[],
    { share, name }: { readonly share: number; readonly name: string },
  ): Promise<number[]> {
    const { blocks } = this.#parts;
    const dealt = blocks.map((_, member) => annealings[member % annealings.length] as Annealing);
    const reached = new Array<number>(annealings.length).fill(Number.POSITIVE_INFINITY);
    let isReset = blocks.map(() => true);
    blocks.forEach((block, member) => {
      block.owner.set((dealt[member] as Annealing).start);
    });
    for (let part = 0; part < EXCHANGES; part++) {
      await Promise.all(
        dealt.map(({ kind, schedule }, member) =>
          this.#leg(member, kind, {
            isReset: isReset[member] as boolean,
            schedule,
            fromShare: part / EXCHANGES,
            toShare: (part + 1) / EXCHANGES,
            share,
          }),
        ),
      );
      blocks.forEach((block, member) => {
        const group = member % annealings.length;
        reached[group] = Math.min(reached[group] as number, this.#keep(block).cost);
      });
      isReset = this.#exchange(annealings.length);
      this.#report(`${name} ${part + 1}/${EXCHANGES}`, (this.#best as Elite).cost);
    }
    this.#spentShare += share;
    return reached;
  }

  /** Members whose indexes differ by a multiple of `groups` share the best of their maps. @returns who has got another. */
  #exchange(groups: number): boolean[] {
    const { blocks } = this.#parts;
    const costs = blocks.map(penalisedCost);
    return blocks.map((block, member) => {
      const same = blocks.filter((_, other) => (other - member) % groups === 0);
      const least = Math.min(...same.map((other) => costs[blocks.indexOf(other)] as number));
      if ((costs[member] as number) <= least) return false;
      block.owner.set((blocks[costs.indexOf(least)] as RoadefBlock).owner);
      return true;
    });
  }

  /** @param leg.share of the budget that the whole annealing has, of which this leg is a part. */
  async #leg(
    member: number,
    kind: Kind,
    leg: Pick<Leg, 'isReset' | 'schedule' | 'fromShare' | 'toShare'> & { readonly share: number },
  ): Promise<void> {
    const { schedule, fromShare, toShare, share, isReset } = leg;
    const block = this.#parts.blocks[member] as RoadefBlock;
    const isCold = temperatureAt(schedule, (fromShare + toShare) / 2) < this.#scale * LUKEWARM;
    setOperators(block, MIXES[isCold ? 'homeward' : kind.mix]);
    const budget = this.#budget(share * fromShare, share * toShare);
    await this.#run(member, {
      block: block.pointer,
      isReset,
      schedule,
      scale: this.#scale,
      leniency: LENIENCIES[kind.leniency],
      fromShare,
      toShare,
      budget,
    });
  }

  async #run(member: number, leg: Leg): Promise<void> {
    // Not in one statement: members run side by side, and the sum would be read before the wait.
    const iterations = await this.#parts.crew.run(member, leg);
    this.#iterations += iterations;
  }

  #keep(block: RoadefBlock): Elite {
    const elite = { machineOf: block.bestOwner.slice(), cost: block.get('bestCost') };
    if (this.#best === undefined || elite.cost < this.#best.cost) this.#best = elite;
    return elite;
  }

  /** From one share of the budget to another, both counted from what is spent. A leg that was late shortens the next. */
  #budget(from: number, to: number): Budget {
    const { budget } = this.#parts.options;
    if ('iterations' in budget) return { iterations: Math.floor(budget.iterations * (to - from)) };
    const end = this.#startMs + budget.milliseconds * (this.#spentShare + to);
    return { milliseconds: Math.max(0, end - performance.now()) };
  }

  #schedule(heat: Kind['heat']): Schedule {
    const above = SHARE_ABOVE_LUKEWARM[heat];
    const lukewarm = above > 0 ? [{ share: above, temperature: this.#scale * LUKEWARM }] : [];
    return [
      { share: 0, temperature: this.#scale * HEATS[heat] },
      ...lukewarm,
      { share: 1, temperature: this.#end() },
    ];
  }

  #reheating(): Schedule {
    return [
      { share: 0, temperature: this.#scale * LUKEWARM },
      { share: 1, temperature: this.#end() },
    ];
  }

  #end(): number {
    const { processMoveWeight, machineMoveWeight } = this.#parts.model;
    return END * Math.max(1, processMoveWeight + machineMoveWeight);
  }

  #report(phase: string, cost: number): void {
    this.#parts.options.onProgress?.({ phase, cost });
  }
}

/**
 * Solves an instance of machine reassignment: races of several kinds of annealing, then a long one of the kind that won, on
 * all threads, the worse taking over the map of the better at fixed points; then once more from the best, cold.
 *
 * What kind wins differs from instance to instance: rugged ones want a hot start, those whose transient resources are tight
 * a cold one; and where most processes should stay, operators that lead home.
 */
import { performance } from 'node:perf_hooks';
import { assert } from '../../src/base/assert.ts';
import { seededRandom } from '../../src/base/random.ts';
import { type Crew, inlineCrew, threadedCrew } from './crew.ts';
import { compileRoadef, createRoadefMemory, type RoadefBuild } from './kernel.ts';
import { type Budget, type Leg, type Schedule, temperatureAt } from './leg.ts';
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
  // Hardly ever home: it is worth a lot to get away from it.
  roaming: [6, 4, 2, 2, 6, 3, 0.5, 0, 0, 0, 0.5, 0],
} as const;

/** Start temperatures, relative to the rise that nine in ten proposals stay below. */
const HEATS = { hot: 1, warm: 0.03, cold: 1e-4 } as const;
/** Below this a hot annealing only saves moves, which takes as long whatever they are worth. */
const LUKEWARM = 1e-3;
const SHARE_ABOVE_LUKEWARM = { hot: 0.7, warm: 0.5, cold: 0 } as const;
/** Relative to the price of an ordinary move. */
const END = 0.05;

interface Kind {
  readonly heat: keyof typeof HEATS;
  readonly mix: keyof typeof MIXES;
}

const KINDS: readonly Kind[] = [
  { heat: 'hot', mix: 'homeward' },
  { heat: 'hot', mix: 'roaming' },
  { heat: 'hot', mix: 'even' },
  { heat: 'cold', mix: 'homeward' },
  { heat: 'warm', mix: 'homeward' },
  { heat: 'warm', mix: 'even' },
];

// Shares of the budget. The first race tells what is hopeless, the second, longer one looks more like the long annealing.
const FIRST_RACE = 0.14;
const SECOND_RACE = 0.14;
const SECOND_RACE_KINDS = 2;
const LONG = 0.62;
const REHEAT = 0.1;
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

interface Elite {
  readonly machineOf: Int32Array;
  readonly cost: number;
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
    let entries = KINDS.map((kind) => ({ kind, elite: { machineOf: initial, cost: Infinity } as Elite }));
    entries = await this.#race(entries, FIRST_RACE);
    entries = await this.#race(entries.slice(0, SECOND_RACE_KINDS), SECOND_RACE);
    const { kind, elite } = entries[0] as (typeof entries)[number];
    await this.#together(kind, elite.machineOf, {
      schedule: this.#schedule(kind.heat),
      share: LONG,
      name: 'long',
    });
    const end = (this.#best as Elite).machineOf;
    await this.#together(kind, end, { schedule: this.#reheating(), share: REHEAT, name: 'reheat' });
    const best = this.#best as Elite;
    return { ...best, iterations: this.#iterations, kind: `${kind.heat} ${kind.mix}` };
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
      fromShare: 0,
      toShare: 1,
      budget: { iterations: SAMPLING_ITERATIONS },
    });
    this.#keep(block);
    const rises = block.samples().slice().sort();
    this.#scale = rises[Math.floor(SCALE_QUANTILE * rises.length)] ?? 1;
  }

  /** Each kind by itself, dealt out over the threads, from the best map of its own. @returns best first. */
  async #race<Entry extends { readonly kind: Kind; readonly elite: Elite }>(
    entries: readonly Entry[],
    share: number,
  ): Promise<Entry[]> {
    const { blocks } = this.#parts;
    const own = share / Math.ceil(entries.length / blocks.length);
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
        this.#report(`race ${entry.kind.heat} ${entry.kind.mix}`, elite.cost);
        results.push(elite.cost < entry.elite.cost ? { ...entry, elite } : entry);
      });
    }
    return results.sort((a, b) => a.elite.cost - b.elite.cost);
  }

  /** One annealing on all threads: at fixed points whoever is worse goes on from the map of the best. */
  async #together(
    kind: Kind,
    start: Int32Array,
    { schedule, share, name }: { readonly schedule: Schedule; readonly share: number; readonly name: string },
  ): Promise<void> {
    const { blocks } = this.#parts;
    let isReset = blocks.map(() => true);
    for (const block of blocks) block.owner.set(start);
    for (let part = 0; part < EXCHANGES; part++) {
      await Promise.all(
        blocks.map((_, member) =>
          this.#leg(member, kind, {
            isReset: isReset[member] as boolean,
            schedule,
            fromShare: part / EXCHANGES,
            toShare: (part + 1) / EXCHANGES,
            share,
          }),
        ),
      );
      for (const block of blocks) this.#keep(block);
      const costs = blocks.map((block) => block.get('cost'));
      const leader = blocks[costs.indexOf(Math.min(...costs))] as RoadefBlock;
      isReset = costs.map((cost) => cost > leader.get('cost'));
      blocks.forEach((block, i) => {
        if (isReset[i]) block.owner.set(leader.owner);
      });
      this.#report(`${name} ${part + 1}/${EXCHANGES}`, (this.#best as Elite).cost);
    }
    this.#spentShare += share;
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
    await this.#run(member, { block: block.pointer, isReset, schedule, fromShare, toShare, budget });
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

/**
 * Solves an instance of machine reassignment: a race of several kinds of annealing, then long ones of the kind that won and
 * of those close behind, then thermal cycles from the best, last a cold annealing.
 *
 * What kind wins differs from instance to instance: rugged ones want a hot start that may break rules on its way, those whose
 * transient resources are tight a cold one; and where most processes should stay, operators that lead home.
 */
import { assert } from '../../src/base/assert.ts';
import { type Random, seededRandom } from '../../src/base/random.ts';
import type { LinearSolver } from '../../src/ports/linear-solver.ts';
import { Annealer, type Elite } from './annealer.ts';
import { lowerBound } from './bound.ts';
import { inlineCrew, threadedCrew } from './crew.ts';
import { runCycles } from './cycles.ts';
import { drawEmphasis, type Emphasis, excessOf } from './emphasis.ts';
import { improveExactly, secondsForPairs } from './exact.ts';
import { compileRoadef, createRoadefMemory, type RoadefBuild } from './kernel.ts';
import { HEATS, KINDS, type Kind, LUKEWARM, nameOf } from './kinds.ts';
import { type Budget, temperatureAt } from './leg.ts';
import type { Model } from './model.ts';
import { placeProblem, placeSearch, type RoadefBlock } from './problem.ts';

export interface SolveOptions {
  readonly seed: bigint;
  /** Searches side by side: 1 or more. */
  readonly threads: number;
  /** Of every thread. */
  readonly budget: Budget;
  /** On this thread, one search after the other: for tests, with a budget in iterations. */
  readonly isInline?: boolean;
  readonly build?: RoadefBuild;
  /** For exact parts, with a budget in milliseconds: their time limits are by the clock. */
  readonly solvers?: readonly LinearSolver[];
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

// Shares of the budget.
const RACE = 0.16;
const LAST = 0.04;
/** Of several long annealings, and of one if there is no time for more: that one has to be as long as can be. Cycles get the rest. */
const SEVERAL_LONG = 0.4;
const SINGLE_LONG = 0.6;
/**
 * Kinds whose gap to the bound is at most so many times the winner's anneal on, the hotter ones first: a race is short, and
 * the hotter a search is, the more it gains from time.
 */
const CLOSE = 2;
/**
 * Proposals of a long annealing for each process: twice as many find little more, another annealing does. A budget for more
 * is spent on several, one for less on one annealing in which threads of the same kind meet.
 */
const LONG_PROPOSALS = 400_000;
/** Relative gap to the bound below which exact parts are tried though a load is above its bound, and for how much of what is left. */
const CLOSE_TO_BOUND = 0.001;
const EXACT_TRIAL = 0.2;
const ROUNDS_MOST = 6;
const EXCHANGES = 16;
/** How hot cycles begin: as hot as the kind, but for a cold one, which has only moves to save. */
const CYCLE_HEATS = { hot: 1, warm: 0.1, cold: 1e-3 } as const;

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
  const annealer = new Annealer(model, { crew, blocks, budget: options.budget });
  try {
    return await new Solver({ model, initial, options, annealer, random }).solve();
  } finally {
    await crew.close();
  }
}

/** What the map that a search is at counts for in its own eyes, violations included. */
function penalisedCost(block: RoadefBlock): number {
  const violations = block.get('penalty') * block.get('violations');
  return block.get('cost') + violations + block.get('overflowPenalty') * block.get('overflow');
}

/** A kind of annealing, and the map that the best of it has found, or is to begin from. */
interface Entry {
  readonly kind: Kind;
  readonly elite: Elite;
}

interface SolverParts {
  readonly model: Model;
  readonly initial: Int32Array;
  readonly options: SolveOptions;
  readonly annealer: Annealer;
  readonly random: Random;
}

class Solver {
  readonly #model: Model;
  readonly #initial: Int32Array;
  readonly #options: SolveOptions;
  readonly #annealer: Annealer;
  readonly #random: Random;

  constructor({ model, initial, options, annealer, random }: SolverParts) {
    this.#model = model;
    this.#initial = initial;
    this.#options = options;
    this.#annealer = annealer;
    this.#random = random;
  }

  async solve(): Promise<Solution> {
    const annealer = this.#annealer;
    await annealer.measureScale(this.#initial);
    const start: Elite = { machineOf: this.#initial, cost: annealer.best.cost };
    const raced = await this.#race(KINDS.map((kind) => ({ kind, elite: start })));
    const bound = Number(lowerBound(this.#model));
    const close = bound + CLOSE * ((raced[0] as Entry).elite.cost - bound);
    const entries = raced
      .filter(({ elite }) => elite.cost <= close)
      .sort((a, b) => HEATS[b.kind.heat] - HEATS[a.kind.heat]);
    const proposals = SEVERAL_LONG * annealer.proposalsInAll;
    const rounds = Math.floor(proposals / (LONG_PROPOSALS * this.#model.processCount));
    await this.#tryExactly();
    const results = this.#isSettled()
      ? []
      : rounds > 1
        ? await this.#annealApart(entries, Math.min(rounds, ROUNDS_MOST))
        : await this.#annealTogether(entries);
    await this.#tryExactly();
    const { kind } = [...raced, ...results].reduce((a, b) => (b.elite.cost < a.elite.cost ? b : a));
    await this.#cycle(kind, () => this.#isSettled());
    if (this.#isSettled()) {
      await this.#improveExactly(1);
      await this.#cycle(kind, () => false);
    }
    await this.#last();
    return { ...annealer.best, iterations: annealer.iterations, kind: nameOf(kind) };
  }

  async #cycle(kind: Kind, isEnough: () => boolean): Promise<void> {
    await runCycles(this.#annealer, this.#model, {
      random: this.#random.fork('cycles'),
      kind,
      most: CYCLE_HEATS[kind.heat],
      until: 1 - LAST,
      isEnough,
      onCycle: (heat) => this.#report(`cycle from ${heat}`),
    });
  }

  /** Whether there is time to look at any two machines together in one part or another. */
  #hasTimeForPairs(): boolean {
    const solvers = this.#options.solvers ?? [];
    const seconds = solvers.length * this.#annealer.secondsUntil(1 - LAST);
    return seconds >= secondsForPairs(this.#model.machineCount);
  }

  /** For a part of the time, where a load is above its bound, but so little is left that a few machines may be at fault. */
  async #tryExactly(): Promise<void> {
    if (this.#hasTimeForPairs() && this.#isClose() && !this.#isSettled())
      await this.#improveExactly(EXACT_TRIAL);
  }

  /** Whether so little is left that a few machines may be at fault. */
  #isClose(): boolean {
    const bound = Number(lowerBound(this.#model));
    return this.#annealer.best.cost - bound <= CLOSE_TO_BOUND * bound;
  }

  /** Whether every load is at its bound, so that only moves are left to save, and there is time for it. */
  #isSettled(): boolean {
    if (!this.#hasTimeForPairs()) return false;
    const { machineOf, cost } = this.#annealer.best;
    return excessOf(this.#model, machineOf, cost).columns.every((own) => own === 0);
  }

  /** @param share of the time that is left. */
  async #improveExactly(share: number): Promise<void> {
    const annealer = this.#annealer;
    await improveExactly(annealer, {
      random: this.#random.fork(`exact ${share}`),
      model: this.#model,
      initial: this.#initial,
      solvers: this.#options.solvers ?? [],
      secondsMax: share * annealer.secondsUntil(1 - LAST),
      onBetter: () => this.#report('exact'),
    });
    annealer.catchUp();
  }

  /** Each kind by itself, dealt out over the threads. @returns best first. */
  async #race(entries: readonly Entry[]): Promise<Entry[]> {
    const { blocks } = this.#annealer;
    const share = RACE / Math.ceil(entries.length / blocks.length);
    const results: Entry[] = [];
    for (let first = 0; first < entries.length; first += blocks.length)
      results.push(...(await this.#annealSide(entries.slice(first, first + blocks.length), share)));
    return results.sort((a, b) => a.elite.cost - b.elite.cost);
  }

  /** Annealings that know nothing of each other, in rounds; from the second on, most by other weights than the true ones. */
  async #annealApart(entries: readonly Entry[], rounds: number): Promise<Entry[]> {
    const annealer = this.#annealer;
    const random = this.#random.fork('long');
    const results: Entry[] = [];
    for (let round = 0; round < rounds && !this.#isSettled(); round++) {
      const { machineOf, cost } = annealer.best;
      const excess = excessOf(this.#model, machineOf, cost);
      const dealt = annealer.blocks.map(
        (_, member) => entries[(round * annealer.blocks.length + member) % entries.length] as Entry,
      );
      const emphases = round === 0 ? undefined : dealt.map(() => drawEmphasis(random, excess));
      results.push(...(await this.#annealSide(dealt, SEVERAL_LONG / rounds, emphases)));
    }
    return results;
  }

  /** One annealing on each thread. @returns what came of each, or the entry itself if that was better. */
  async #annealSide(
    entries: readonly Entry[],
    share: number,
    emphases?: readonly Emphasis[],
  ): Promise<Entry[]> {
    const annealer = this.#annealer;
    await Promise.all(
      entries.map(async ({ kind, elite }, member) => {
        (annealer.blocks[member] as RoadefBlock).owner.set(elite.machineOf);
        const { mix, leniency } = kind;
        const common = { leniency, share, schedule: annealer.schedule(kind.heat) };
        const above = annealer.shareAbove(kind.heat);
        const emphasis = above > 0 ? emphases?.[member] : undefined;
        annealer.emphasise(member, emphasis);
        await annealer.anneal(member, { ...common, mix, isReset: true, fromShare: 0, toShare: above });
        annealer.emphasise(member);
        const isReset = emphasis !== undefined;
        await annealer.anneal(member, { ...common, mix: 'homeward', isReset, fromShare: above, toShare: 1 });
      }),
    );
    annealer.spentShare += share;
    return entries.map((entry, member) => {
      const elite = annealer.keep(member);
      this.#report(`alone ${nameOf(entry.kind)} ${elite.cost}`);
      return elite.cost < entry.elite.cost ? { ...entry, elite } : entry;
    });
  }

  /**
   * One long annealing, dealt out over the threads. Threads of the same kind meet at fixed points, where whoever is worse goes
   * on from the map of the best.
   */
  async #annealTogether(entries: readonly Entry[]): Promise<Entry[]> {
    const annealer = this.#annealer;
    const { blocks } = annealer;
    const groups = Math.min(blocks.length, entries.length);
    const results = entries.slice(0, groups);
    let isReset = blocks.map(() => true);
    blocks.forEach((block, member) => {
      block.owner.set((results[member % groups] as Entry).elite.machineOf);
    });
    for (let part = 0; part < EXCHANGES; part++) {
      const [fromShare, toShare] = [part / EXCHANGES, (part + 1) / EXCHANGES];
      await Promise.all(
        blocks.map((_, member) => {
          const { kind } = results[member % groups] as Entry;
          const schedule = annealer.schedule(kind.heat);
          const isCold = temperatureAt(schedule, (fromShare + toShare) / 2) < annealer.scale * LUKEWARM;
          return annealer.anneal(member, {
            isReset: isReset[member] as boolean,
            schedule,
            fromShare,
            toShare,
            share: SINGLE_LONG,
            mix: isCold ? 'homeward' : kind.mix,
            leniency: kind.leniency,
          });
        }),
      );
      blocks.forEach((_, member) => {
        const elite = annealer.keep(member);
        const entry = results[member % groups] as Entry;
        if (elite.cost < entry.elite.cost) results[member % groups] = { ...entry, elite };
      });
      isReset = this.#exchange(groups);
      this.#report(`together ${part + 1}/${EXCHANGES}`);
    }
    annealer.spentShare += SINGLE_LONG;
    return results;
  }

  /** Members whose indexes differ by a multiple of `groups` share the best of their maps. @returns who has got another. */
  #exchange(groups: number): boolean[] {
    const { blocks } = this.#annealer;
    const costs = blocks.map(penalisedCost);
    return blocks.map((block, member) => {
      const same = blocks.filter((_, other) => (other - member) % groups === 0);
      const least = Math.min(...same.map((other) => costs[blocks.indexOf(other)] as number));
      if ((costs[member] as number) <= least) return false;
      block.owner.set((blocks[costs.indexOf(least)] as RoadefBlock).owner);
      return true;
    });
  }

  /** What is left of the budget, from the best map, strict and colder than loads. */
  async #last(): Promise<void> {
    const annealer = this.#annealer;
    const share = 1 - annealer.spentShare;
    const schedule = [
      { share: 0, temperature: annealer.scale * LUKEWARM },
      { share: 1, temperature: annealer.end },
    ];
    const whole = { isReset: true, fromShare: 0, toShare: 1, share, schedule, leniency: 'strict' as const };
    await Promise.all(
      annealer.blocks.map(async (block, member) => {
        block.owner.set(annealer.best.machineOf);
        annealer.emphasise(member);
        await annealer.anneal(member, { ...whole, mix: member % 2 === 0 ? 'homeward' : 'exchanging' });
      }),
    );
    annealer.spentShare += share;
    annealer.blocks.forEach((_, member) => {
      annealer.keep(member);
    });
    this.#report('last');
  }

  #report(phase: string): void {
    this.#options.onProgress?.({ phase, cost: this.#annealer.best.cost });
  }
}

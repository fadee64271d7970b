/**
 * Large neighbourhood search: the processes of a few machines at a time are dealt out anew by a solver of mixed-integer
 * programmes, over and over, until hardly any such part can be better.
 *
 * Where every machine is as full as it should be and only moves are left to save, a better map differs by exchanges of many
 * processes of several machines at once, each of which leaves every machine between its two capacities. An annealing that is cold enough to
 * care for moves finds no way there; a solver does in hundredths of a second.
 *
 * @see Shaw, "Using constraint programming and local search methods to solve vehicle routing problems", 1998
 * @see Jaśkowski, Szubert & Gawron, "A hybrid MIP-based large neighborhood search heuristic for solving the machine
 *   reassignment problem", 2016
 */
import { performance } from 'node:perf_hooks';
import { ForeshardError } from '../../src/base/errors.ts';
import type { Random } from '../../src/base/random.ts';
import type { LinearSolution, LinearSolver } from '../../src/ports/linear-solver.ts';
import type { Annealer } from './annealer.ts';
import type { Model } from './model.ts';
import { type Subproblem, Subproblems } from './subproblem.ts';

/** Of one part, by the clock. */
const SOLVE_SECONDS_MAX = 3;
/** What a part of {@link MACHINES_FIRST} takes, on the average. */
const SOLVE_SECONDS = 0.15;
/** A part that takes less than this is followed by larger ones, one that takes more by smaller ones. */
const SOLVE_SECONDS_AIM = 0.5;
const MACHINES_FIRST = 6;
const MACHINES_LEAST = 3;
const MACHINES_MOST = 14;
/** By so many machines a part grows, and shrinks. */
const GROWTH = 0.1;
const SHRINKING = 0.3;
/** A second process that is away from home joins the first so often. */
const PAIR_CHANCE = 0.5;
/** Where a load is above its bound, a machine at fault is in so often. */
const FAULT_CHANCE = 0.7;
/** Machines join by the cheapest way there from what is in already, of so many drawn. */
const CANDIDATES = 3;
/** It ends when nothing was found for this part of the time it has had, and for so long at the least. */
const DRY_SHARE = 0.3;
const DRY_SECONDS_LEAST = 20;
/** A program of more variables than that is not solved in time, whatever it asks. */
const CHOICES_MOST = 6000;

/** Of solvers, to look at any two machines together in one part or another, if no two parts had the same pair. */
export function secondsForPairs(machineCount: number): number {
  const pairsOf = (count: number): number => (count * (count - 1)) / 2;
  return Math.max(DRY_SECONDS_LEAST, (SOLVE_SECONDS * pairsOf(machineCount)) / pairsOf(MACHINES_FIRST));
}

export interface ExactOptions {
  readonly random: Random;
  readonly model: Model;
  readonly initial: Int32Array;
  /** Each takes one part at a time. */
  readonly solvers: readonly LinearSolver[];
  readonly secondsMax: number;
  onBetter(cost: number): void;
}

/** Improves the best map of the annealer. No two solvers look at the same machine at a time, so that what both find fits together. */
export async function improveExactly(annealer: Annealer, options: ExactOptions): Promise<void> {
  const { model, solvers } = options;
  // Each solver has a share of the machines to draw from, even while all others are at work.
  const members = Math.min(solvers.length, Math.floor(model.machineCount / MACHINES_LEAST));
  if (members === 0) return;
  const search = new ExactSearch(annealer, options, Math.floor(model.machineCount / members));
  await Promise.all(solvers.slice(0, members).map((solver, member) => search.run(solver, member)));
}

class ExactSearch {
  readonly #annealer: Annealer;
  readonly #options: ExactOptions;
  readonly #subproblems: Subproblems;
  readonly #startMs = performance.now();
  readonly #busy = new Set<number>();
  readonly #machinesMost: number;
  #machines: number;
  #betterAt = 0;

  constructor(annealer: Annealer, options: ExactOptions, machinesMost: number) {
    this.#annealer = annealer;
    this.#options = options;
    this.#machinesMost = Math.min(MACHINES_MOST, machinesMost);
    this.#machines = Math.min(MACHINES_FIRST, this.#machinesMost);
    this.#subproblems = new Subproblems(options.model, options.initial);
  }

  async run(solver: LinearSolver, member: number): Promise<void> {
    for (let left = this.#secondsLeft(); left > 0; left = this.#secondsLeft()) {
      const machines = this.#draw();
      const subproblem = this.#subproblems.at(this.#annealer.best.machineOf, machines);
      if (subproblem.program.columnCount > CHOICES_MOST) {
        this.#machines -= SHRINKING;
        if (this.#machines < MACHINES_LEAST) return;
        continue;
      }
      for (const machine of machines) this.#busy.add(machine);
      const before = performance.now();
      const solution = await solved(solver, subproblem, Math.min(SOLVE_SECONDS_MAX, left));
      this.#learn((performance.now() - before) / 1000);
      const chosen = solution?.hasPoint ? subproblem.decode(solution.columnValue) : undefined;
      if (chosen !== undefined) await this.#take(member, chosen);
      for (const machine of machines) this.#busy.delete(machine);
    }
  }

  /** Puts what was chosen into the best map, which another member may have changed elsewhere. */
  async #take(member: number, chosen: ReadonlyMap<number, number>): Promise<void> {
    const annealer = this.#annealer;
    const { machineOf, cost } = annealer.best;
    if ([...chosen].every(([process, machine]) => machineOf[process] === machine)) return;
    const next = machineOf.slice();
    for (const [process, machine] of chosen) next[process] = machine;
    await annealer.look(member, next);
    if (annealer.best.cost >= cost) return;
    this.#betterAt = this.#seconds();
    this.#options.onBetter(annealer.best.cost);
  }

  #seconds(): number {
    return (performance.now() - this.#startMs) / 1000;
  }

  /** 0 as well when it has been dry for too long. */
  #secondsLeft(): number {
    const seconds = this.#seconds();
    const isDry = seconds - this.#betterAt > Math.max(DRY_SECONDS_LEAST, DRY_SHARE * seconds);
    return isDry ? 0 : this.#options.secondsMax - seconds;
  }

  #learn(seconds: number): void {
    const change = seconds < SOLVE_SECONDS_AIM ? GROWTH : -SHRINKING;
    this.#machines = Math.min(this.#machinesMost, Math.max(MACHINES_LEAST, this.#machines + change));
  }

  /** Where a process is that pays much for its move and where it comes from, perhaps those of another one, and machines near them. */
  #draw(): number[] {
    const { random, initial } = this.#options;
    const { machineOf } = this.#annealer.best;
    const count = Math.min(this.#machinesMost, Math.floor(this.#machines + random.nextFloat()));
    const chosen = new Set<number>();
    const join = (machine: number): void => {
      if (chosen.size < count && !this.#busy.has(machine)) chosen.add(machine);
    };
    const faults = this.#subproblems.faults(machineOf);
    const fault = drawBy(faults, random);
    if (fault !== undefined && random.nextFloat() < FAULT_CHANCE) join(fault);
    const prices = Float64Array.from(machineOf, (machine, process) =>
      this.#subproblems.priceOf(process, machine),
    );
    const dearProcesses = random.nextFloat() < PAIR_CHANCE ? 2 : 1;
    for (let i = 0; i < dearProcesses; i++) {
      const process = drawBy(prices, random);
      if (process === undefined) continue;
      join(initial[process] as number);
      join(machineOf[process] as number);
    }
    while (chosen.size < count) join(this.#near([...chosen]));
    return [...chosen];
  }

  /** A machine that is drawn, of a few the one that moves from the others go to most cheaply. */
  #near(others: readonly number[]): number {
    const { random, model } = this.#options;
    const { machineCount, machineMoveCost } = model;
    let best = 0;
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < CANDIDATES; i++) {
      const machine = random.nextBelow(machineCount);
      const costs = others.map((other) => machineMoveCost[other * machineCount + machine] as number);
      const cost = Math.min(...costs);
      if (i > 0 && cost >= least) continue;
      best = machine;
      least = cost;
    }
    return best;
  }
}

/** @returns an index, the oftener the more it weighs; undefined if nothing weighs anything. */
function drawBy(weights: Float64Array, random: Random): number | undefined {
  let rest = random.nextFloat() * weights.reduce((sum, weight) => sum + weight, 0);
  const index = weights.findIndex((weight) => {
    rest -= weight;
    return rest < 0;
  });
  return index < 0 ? undefined : index;
}

/** @returns undefined if the solver found nothing in time. */
async function solved(
  solver: LinearSolver,
  { program, start }: Subproblem,
  secondsMax: number,
): Promise<LinearSolution | undefined> {
  try {
    return await solver.solve(program, { secondsMax, start });
  } catch (error) {
    if (error instanceof ForeshardError && error.code === 'FORESHARD_LIMIT') return undefined;
    throw error;
  }
}

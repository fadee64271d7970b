/** The searches of a solver side by side: their legs, their shares of the budget, the best map that any has found. */
import { performance } from 'node:perf_hooks';
import type { Crew } from './crew.ts';
import { type Emphasis, weightsOf } from './emphasis.ts';
import { HEATS, LENIENCIES, LUKEWARM, MIXES } from './kinds.ts';
import type { Budget, Leg, Schedule } from './leg.ts';
import { STRICT } from './leniency.ts';
import type { Model } from './model.ts';
import { type RoadefBlock, setOperators } from './problem.ts';

/** Proposals from the start whose rises tell the scale of costs. */
const SAMPLING_ITERATIONS = 20_000;
/** The median is about the weights of moves where there is little load to shift: a large rise is about loads everywhere. */
const SCALE_QUANTILE = 0.9;
/** The temperature at which an annealing ends, relative to the price of an ordinary move. */
const END = 0.05;
const SHARE_ABOVE_LUKEWARM = { hot: 0.7, warm: 0.5, cold: 0 } as const;

export interface Elite {
  readonly machineOf: Int32Array;
  readonly cost: number;
}

/** A stretch of an annealing. */
export interface Stretch extends Pick<Leg, 'isReset' | 'schedule' | 'fromShare' | 'toShare'> {
  readonly mix: keyof typeof MIXES;
  readonly leniency: keyof typeof LENIENCIES;
  /** Of the budget, for the whole annealing of which this is a part. */
  readonly share: number;
}

export class Annealer {
  readonly blocks: readonly RoadefBlock[];
  /** A large rise of a proposal: the scale of temperatures. */
  scale = 1;
  /** Of all members. */
  iterations = 0;
  /** Of the budget, by the annealings that have ended. */
  spentShare = 0;
  readonly #model: Model;
  readonly #crew: Crew;
  readonly #budget: Budget;
  readonly #startMs = performance.now();
  #best: Elite | undefined;

  constructor(
    model: Model,
    parts: { readonly crew: Crew; readonly blocks: readonly RoadefBlock[]; readonly budget: Budget },
  ) {
    this.#model = model;
    this.#crew = parts.crew;
    this.#budget = parts.budget;
    this.blocks = parts.blocks;
  }

  get best(): Elite {
    return this.#best as Elite;
  }

  /** Of one member, were the whole budget spent as the part of it so far. */
  get proposalsInAll(): number {
    return this.iterations / this.blocks.length / this.spentShare;
  }

  /** By the clock, until so much of the budget is spent; 0 for a budget in iterations, which knows no clock. */
  secondsUntil(share: number): number {
    const budget = this.#budget;
    if ('iterations' in budget) return 0;
    return Math.max(0, (this.#startMs + budget.milliseconds * share - performance.now()) / 1000);
  }

  /** Counts as spent what has passed by the clock, whoever has used it. */
  catchUp(): void {
    if ('iterations' in this.#budget) return;
    this.spentShare = Math.max(
      this.spentShare,
      (performance.now() - this.#startMs) / this.#budget.milliseconds,
    );
  }

  /** The lowest temperature of an annealing. */
  get end(): number {
    const { processMoveWeight, machineMoveWeight } = this.#model;
    return END * Math.max(1, processMoveWeight + machineMoveWeight);
  }

  /** Samples what proposals from the start cost; it is the first best map. */
  async measureScale(start: Int32Array): Promise<void> {
    const block = this.blocks[0] as RoadefBlock;
    block.owner.set(start);
    setOperators(block, MIXES.even);
    const schedule: Schedule = [
      { share: 0, temperature: 0 },
      { share: 1, temperature: 0 },
    ];
    const budget = { iterations: SAMPLING_ITERATIONS };
    const whole = { isReset: true, fromShare: 0, toShare: 1 };
    await this.#run(0, { ...whole, block: block.pointer, schedule, scale: 1, leniency: STRICT, budget });
    this.keep(0);
    const rises = block.samples().slice().sort();
    this.scale = rises[Math.floor(SCALE_QUANTILE * rises.length)] ?? 1;
  }

  async anneal(member: number, stretch: Stretch): Promise<void> {
    const { share, mix, leniency, ...leg } = stretch;
    const block = this.blocks[member] as RoadefBlock;
    setOperators(block, MIXES[mix]);
    await this.#run(member, {
      ...leg,
      block: block.pointer,
      scale: this.scale,
      leniency: LENIENCIES[leniency],
      budget: this.#budgetOf(share * leg.fromShare, share * leg.toShare),
    });
  }

  async #run(member: number, leg: Leg): Promise<void> {
    // Not in one statement: members run side by side, and the sum would be read before the wait.
    const iterations = await this.#crew.run(member, leg);
    this.iterations += iterations;
  }

  /** @returns the best map of a member since its last reset, of cost Infinity if there was no legal one. */
  keep(member: number): Elite {
    const block = this.blocks[member] as RoadefBlock;
    const elite = { machineOf: block.bestOwner.slice(), cost: block.get('bestCost') };
    if (this.#best === undefined || elite.cost < this.#best.cost) this.#best = elite;
    return elite;
  }

  /** Counts a map afresh, and keeps it if it is better. @param machineOf legal. */
  async look(member: number, machineOf: Int32Array): Promise<Elite> {
    const block = this.blocks[member] as RoadefBlock;
    block.owner.set(machineOf);
    const schedule: Schedule = [{ share: 0, temperature: 0 }];
    const none = { isReset: true, fromShare: 0, toShare: 1, budget: { iterations: 0 } };
    await this.#run(member, { ...none, block: block.pointer, schedule, scale: this.scale, leniency: STRICT });
    return this.keep(member);
  }

  /** What the next stretch of the member looks at; it has to begin with a reset. */
  emphasise(member: number, emphasis?: Emphasis): void {
    const block = this.blocks[member] as RoadefBlock;
    const { columns, moves } = weightsOf(this.#model, emphasis);
    block.i32('weight', block.get('columnCount')).set(columns);
    block.set('moveWeight', moves);
  }

  /** From one share of the budget to another, both counted from what is spent. A leg that was late shortens the next. */
  #budgetOf(from: number, to: number): Budget {
    const budget = this.#budget;
    if ('iterations' in budget) return { iterations: Math.floor(budget.iterations * (to - from)) };
    const end = this.#startMs + budget.milliseconds * (this.spentShare + to);
    return { milliseconds: Math.max(0, end - performance.now()) };
  }

  /** The share of an annealing that is above lukewarm. */
  shareAbove(heat: keyof typeof HEATS): number {
    return SHARE_ABOVE_LUKEWARM[heat];
  }

  schedule(heat: keyof typeof HEATS): Schedule {
    const above = SHARE_ABOVE_LUKEWARM[heat];
    const lukewarm = above > 0 ? [{ share: above, temperature: this.scale * LUKEWARM }] : [];
    return [
      { share: 0, temperature: this.scale * HEATS[heat] },
      ...lukewarm,
      { share: 1, temperature: this.end },
    ];
  }
}

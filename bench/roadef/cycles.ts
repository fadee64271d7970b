/**
 * Thermal cycles: the best map is warmed up and cooled down again, over and over, by amplitudes that fall from hot to cold
 * and begin anew. What a cycle melts it settles again, the rest of the map stays: better than another annealing from nothing
 * wherever most of a map is right and a few large items are not.
 *
 * @see Möbius, Neklioudov, Díaz-Sánchez, Hoffmann, Fachat & Schreiber, "Optimization by thermal cycling", 1997
 */
import { assert } from '../../src/base/assert.ts';
import type { Random } from '../../src/base/random.ts';
import type { Annealer } from './annealer.ts';
import { drawEmphasis, type Emphasis, excessOf } from './emphasis.ts';
import { type Kind, LUKEWARM, type MIXES } from './kinds.ts';
import type { Model } from './model.ts';

/** Heats at which cycles begin, for kinds that begin at least so hot. */
const AMPLITUDES = [1, 0.3, 0.1, 0.03, 0.01, 0.003, 1e-3, 2e-4, 2e-5];
/** From here on loads move, below it is moves that are saved. */
const HOT = 0.01;
/** A hot cycle is three stretches, from so much of its heat each; the last one is by the true weights. */
const STEPS = [1, 0.3, 0.1] as const;
/** Of the proposals of a stretch: down to lukewarm. */
const ABOVE = 0.8;
/** Proposals of a stretch for each process. */
const STRETCH_PROPOSALS = 20_000;
/** With less of a budget than that cycles are shorter: so many stretches there are. */
const STRETCHES_LEAST = 32;
/** An amplitude is left out the more often, the more cycles of it have failed since it was last of use. */
const TIRING = 0.5;

interface Stretched {
  readonly heat: number;
  readonly leniency: Kind['leniency'];
  readonly mix: keyof typeof MIXES;
  readonly share: number;
}

/** Which amplitude comes next. */
export class Amplitudes {
  readonly #all: { readonly heat: number; fails: number }[];
  readonly #random: Random;
  #turn = 0;

  /** @param most the hottest one. */
  constructor(random: Random, most: number) {
    this.#random = random;
    this.#all = AMPLITUDES.filter((heat) => heat <= most).map((heat) => ({ heat, fails: 0 }));
    assert(this.#all.length > 0, 'there is an amplitude');
  }

  next(): number {
    for (;;) {
      const own = this.#all[this.#turn++ % this.#all.length] as { readonly heat: number; fails: number };
      if (this.#random.nextFloat() < 1 / (1 + TIRING * own.fails)) return own.heat;
    }
  }

  /** What came of the last cycle of this heat. */
  learn(heat: number, isBetter: boolean): void {
    for (const own of this.#all) if (own.heat === heat) own.fails = isBetter ? 0 : own.fails + 1;
  }
}

export interface CyclesOptions {
  readonly random: Random;
  /** The kind of annealing that has found the best map so far. */
  readonly kind: Kind;
  /** The hottest amplitude. */
  readonly most: number;
  /** Of the budget: where the last cycle ends. */
  readonly until: number;
  /** Ends them early. */
  isEnough(): boolean;
  onCycle(heat: number): void;
}

/** Every cycle begins from the best map there is, on every thread with an emphasis of its own. */
export async function runCycles(annealer: Annealer, model: Model, options: CyclesOptions): Promise<void> {
  const { random, kind, until } = options;
  const amplitudes = new Amplitudes(random.fork('amplitudes'), options.most);
  const stretch = Math.min(
    (STRETCH_PROPOSALS * model.processCount) / annealer.proposalsInAll,
    (until - annealer.spentShare) / STRETCHES_LEAST,
  );
  for (let cycle = 0; !options.isEnough(); cycle++) {
    const heat = amplitudes.next();
    const isHot = heat >= HOT;
    if (annealer.spentShare + (isHot ? STEPS.length : 1) * stretch > until) {
      if (!isHot || annealer.spentShare + stretch > until) return;
      continue;
    }
    const before = annealer.best;
    const excess = excessOf(model, before.machineOf, before.cost);
    const emphases = annealer.blocks.map(() => drawEmphasis(random, excess));
    for (const block of annealer.blocks) block.owner.set(before.machineOf);
    const isLenient = isHot && kind.leniency !== 'strict';
    const leniency = isLenient ? (cycle % 2 === 0 ? kind.leniency : 'overfull') : 'strict';
    const common = { leniency, share: stretch } as const;
    if (isHot)
      for (const step of STEPS) {
        const emphasis = step === STEPS[STEPS.length - 1] ? undefined : emphases;
        await runStretch(annealer, { ...common, mix: 'even', heat: step * heat }, emphasis);
      }
    else {
      const mix = cycle % 2 === 0 ? 'homeward' : 'exchanging';
      await runStretch(annealer, { ...common, mix, heat }, emphases);
    }
    amplitudes.learn(heat, annealer.best.cost < before.cost);
    options.onCycle(heat);
  }
}

/** One cooling on every thread from the map in its `owner`, which becomes the best of it; the last part is by the true weights. */
async function runStretch(
  annealer: Annealer,
  { heat, leniency, mix, share }: Stretched,
  emphases?: readonly Emphasis[],
): Promise<void> {
  const { scale, end, blocks } = annealer;
  const top = Math.max(2 * end, scale * heat);
  // A cold one has no lukewarm part: it turns to the true weights halfway down.
  const turn = Math.max(end, Math.min(scale * LUKEWARM, Math.sqrt(top * end)));
  const schedule = [
    { share: 0, temperature: top },
    { share: ABOVE, temperature: turn },
    { share: 1, temperature: end },
  ];
  await Promise.all(
    blocks.map(async (_, member) => {
      const common = { leniency, schedule, share };
      annealer.emphasise(member, emphases?.[member]);
      await annealer.anneal(member, { ...common, mix, isReset: true, fromShare: 0, toShare: ABOVE });
      annealer.emphasise(member);
      const last = mix === 'even' ? 'homeward' : mix;
      const isReset = emphases !== undefined;
      await annealer.anneal(member, { ...common, mix: last, isReset, fromShare: ABOVE, toShare: 1 });
    }),
  );
  annealer.spentShare += share;
  blocks.forEach((block, member) => {
    const { machineOf, cost } = annealer.keep(member);
    if (cost < Number.POSITIVE_INFINITY) block.owner.set(machineOf);
  });
}

/** A leg of a search: a stretch of one annealing on one thread. */
import { performance } from 'node:perf_hooks';
import type { Pointer } from '../../src/kernels/exports.ts';
import { layOut } from '../../src/kernels/search-layout.ts';
import type { RoadefKernel } from './kernel.ts';
import { OVERFLOW_UNITS, ROADEF_FIELDS } from './layout.ts';
import { FORBIDDEN, type Leniency, nextPenalties, type Penalties } from './leniency.ts';

/** How long: only iterations give the same result again. */
export type Budget = { readonly milliseconds: number } | { readonly iterations: number };

/** Temperatures at shares of the whole annealing, ascending from 0 to 1; geometric in between. */
export type Schedule = readonly { readonly share: number; readonly temperature: number }[];

export interface Leg {
  readonly block: Pointer;
  /** Starts from `owner` as it stands. */
  readonly isReset: boolean;
  readonly schedule: Schedule;
  /** A large rise of the cost: the unit of penalties. */
  readonly scale: number;
  readonly leniency: Leniency;
  /** The part of the annealing that this leg is. */
  readonly fromShare: number;
  readonly toShare: number;
  readonly budget: Budget;
}

/** About a millisecond of them. The temperature falls between slices. */
const SLICE_ITERATIONS = 4096;

/** @returns iterations done. */
export function runLeg({ exports, memory }: RoadefKernel, leg: Leg): number {
  const { budget, schedule, fromShare, toShare } = leg;
  const start = performance.now();
  const state = new SearchFields(memory, leg.block);
  if (leg.isReset) exports.roadefReset(leg.block);
  state.set('cooling', 1);
  let done = 0;
  let before = fromShare;
  let penalties = fromShare === 0 ? undefined : state.penalties(leg.scale);
  for (;;) {
    const part =
      'iterations' in budget ? done / budget.iterations : (performance.now() - start) / budget.milliseconds;
    if (!(part < 1)) return done;
    const share = fromShare + part * (toShare - fromShare);
    const temperature = temperatureAt(schedule, share);
    penalties = nextPenalties(leg.leniency, penalties, {
      share,
      step: share - before,
      heat: temperature / leg.scale,
      overflow: state.overflowOfMachine(),
      violations: state.get('violations'),
    });
    before = share;
    state.set('temperature', temperature);
    state.setPenalties(penalties, leg.scale);
    const count =
      'iterations' in budget ? Math.min(SLICE_ITERATIONS, budget.iterations - done) : SLICE_ITERATIONS;
    exports.roadefRun(leg.block, count);
    done += count;
  }
}

/** The control block of a search, as a worker sees it. */
class SearchFields {
  readonly #view: DataView;
  readonly #offsets = layOut(ROADEF_FIELDS).offsets;

  constructor(memory: WebAssembly.Memory, block: Pointer) {
    this.#view = new DataView(memory.buffer, block);
  }

  get(field: keyof typeof ROADEF_FIELDS): number {
    const offset = this.#offsets[field];
    return ROADEF_FIELDS[field] === 'f64'
      ? this.#view.getFloat64(offset, true)
      : this.#view.getUint32(offset, true);
  }

  set(field: keyof typeof ROADEF_FIELDS, value: number): void {
    const offset = this.#offsets[field];
    if (ROADEF_FIELDS[field] === 'f64') this.#view.setFloat64(offset, value, true);
    else this.#view.setUint32(offset, value, true);
  }

  overflowOfMachine(): number {
    return this.get('overflow') / OVERFLOW_UNITS / this.get('machineCount');
  }

  penalties(scale: number): Penalties {
    if (this.get('isSoft') === 0) return FORBIDDEN;
    return {
      isSoft: true,
      overflow: (this.get('overflowPenalty') * OVERFLOW_UNITS) / scale,
      violation: this.get('penalty') / scale,
    };
  }

  setPenalties({ isSoft, overflow, violation }: Penalties, scale: number): void {
    this.set('isSoft', isSoft ? 1 : 0);
    this.set('overflowPenalty', (overflow * scale) / OVERFLOW_UNITS);
    this.set('penalty', violation * scale);
  }
}

export function temperatureAt(schedule: Schedule, share: number): number {
  const next = schedule.findIndex((knot) => knot.share >= share);
  const to = schedule[next < 0 ? schedule.length - 1 : next] as Schedule[number];
  const from = schedule[next - 1];
  if (from === undefined) return to.temperature;
  const way = (share - from.share) / (to.share - from.share);
  return from.temperature * (to.temperature / from.temperature) ** way;
}

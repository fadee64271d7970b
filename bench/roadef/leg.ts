/** A leg of a search: a stretch of one annealing on one thread. */
import { performance } from 'node:perf_hooks';
import type { Pointer } from '../../src/kernels/exports.ts';
import { layOut } from '../../src/kernels/search-layout.ts';
import type { RoadefKernel } from './kernel.ts';
import { ROADEF_FIELDS } from './layout.ts';

/** How long: only iterations give the same result again. */
export type Budget = { readonly milliseconds: number } | { readonly iterations: number };

/** Temperatures at shares of the whole annealing, ascending from 0 to 1; geometric in between. */
export type Schedule = readonly { readonly share: number; readonly temperature: number }[];

export interface Leg {
  readonly block: Pointer;
  /** Starts from `owner` as it stands. */
  readonly isReset: boolean;
  readonly schedule: Schedule;
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
  const fields = new DataView(memory.buffer, leg.block);
  const { offsets } = layOut(ROADEF_FIELDS);
  if (leg.isReset) exports.roadefReset(leg.block);
  fields.setFloat64(offsets.cooling, 1, true);
  let done = 0;
  for (;;) {
    const share =
      'iterations' in budget ? done / budget.iterations : (performance.now() - start) / budget.milliseconds;
    if (!(share < 1)) return done;
    const temperature = temperatureAt(schedule, fromShare + share * (toShare - fromShare));
    fields.setFloat64(offsets.temperature, temperature, true);
    const count =
      'iterations' in budget ? Math.min(SLICE_ITERATIONS, budget.iterations - done) : SLICE_ITERATIONS;
    exports.roadefRun(leg.block, count);
    done += count;
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

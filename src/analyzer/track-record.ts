import { bandOf } from './bands.ts';
import type { History } from './history.ts';
import { type IntervalBasis, Intervals } from './intervals.ts';
import { Losses } from './losses.ts';
import { Skill } from './skill.ts';

/** The member that skill is measured against. */
const NAIVE_WEEK = 'naive-week';

/** A forecast as it was issued, kept until its last step has come true. */
export interface IssuedForecast {
  /** The window it begins at, counted from the start of all windows. */
  readonly origin: number;
  /** Steps that are judged, ascending. */
  readonly steps: Int32Array;
  /** Per member. */
  readonly isAvailable: readonly boolean[];
  /** f32[member][partition][judged step], log loads. */
  readonly members: Float32Array;
  /** f32[partition][judged step]. */
  readonly combined: Float32Array;
  readonly basis: IntervalBasis;
}

/**
 * How good past forecasts were, judged only on windows that came after they were issued: what members are wrong by, how wide
 * bounds must be, and each partition's skill against the weekly seasonal naive.
 */
export class TrackRecord {
  readonly losses: Losses;
  readonly intervals: Intervals;
  readonly skill: Skill;
  readonly #partitionCount: number;
  /** -1 where that member does not take part: then there is no skill. */
  readonly #naiveWeek: number;
  readonly #issued: IssuedForecast[] = [];

  constructor(
    partitionCount: number,
    options: { readonly memberNames: readonly string[]; readonly levels: readonly number[] },
  ) {
    this.#partitionCount = partitionCount;
    this.#naiveWeek = options.memberNames.indexOf(NAIVE_WEEK);
    this.losses = new Losses(partitionCount, options.memberNames.length);
    this.intervals = new Intervals(partitionCount, options.levels);
    this.skill = new Skill(partitionCount);
  }

  issue(forecast: IssuedForecast): void {
    this.#issued.push(forecast);
  }

  /** Compares what was forecast for the newest window with what came. An outage is nobody's error. */
  judge(history: History): void {
    const window = history.length - 1;
    const now = history.dropped + window;
    while (this.#issued[0] !== undefined && lastWindowOf(this.#issued[0]) < now) this.#issued.shift();
    if (history.isOutage(window)) return;
    this.losses.fade();
    this.intervals.fade();
    this.skill.fade();
    for (const forecast of this.#issued) {
      const judged = forecast.steps.indexOf(now - forecast.origin);
      if (judged >= 0) this.#judgeStep(forecast, judged, history, window);
    }
  }

  #judgeStep(forecast: IssuedForecast, judged: number, history: History, window: number): void {
    const { members, combined, steps, isAvailable, basis } = forecast;
    const count = this.#partitionCount;
    const band = bandOf(steps[judged] as number);
    const errors = new Float64Array(count);
    isAvailable.forEach((isJudged, member) => {
      if (!isJudged) return;
      for (let p = 0; p < count; p++)
        errors[p] =
          history.logLoad(p, window) - (members[(member * count + p) * steps.length + judged] as number);
      this.losses.add(member, band, errors);
    });
    for (let p = 0; p < count; p++)
      errors[p] = history.logLoad(p, window) - (combined[p * steps.length + judged] as number);
    this.intervals.judge(basis, band, errors);
    if (!isAvailable[this.#naiveWeek]) return;
    for (let p = 0; p < count; p++) {
      const load = Math.expm1(history.logLoad(p, window));
      const naive = members[(this.#naiveWeek * count + p) * steps.length + judged] as number;
      this.skill.add(
        p,
        Math.abs(Math.expm1(combined[p * steps.length + judged] as number) - load),
        Math.abs(Math.expm1(naive) - load),
      );
    }
  }
}

const lastWindowOf = ({ origin, steps }: IssuedForecast): number => origin + (steps.at(-1) as number);

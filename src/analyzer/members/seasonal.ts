import type { Pointer } from '../../kernels/exports.ts';
import type { Member, MemberComponents, PartitionRange } from './member.ts';

/** Days the daily mean looks back: a week, so that every weekday has its say. */
export const DAYS_MAX = 7;

export interface Cycle {
  /** Windows of one cycle. */
  readonly season: number;
  /** Cycles averaged once history has so many. */
  readonly cyclesMax: number;
  /** Cycles without which it says nothing. */
  readonly cyclesMin: number;
}

/** The mean of the last cycles by phase, without the highest and the lowest from three cycles on. Nothing is fitted. */
class SeasonalMean implements Member {
  readonly name: string;
  readonly windowsMin: number;
  readonly refitWindows = 0;
  readonly #components: MemberComponents;
  readonly #cycle: Cycle;

  constructor(name: string, cycle: Cycle, components: MemberComponents) {
    this.name = name;
    this.windowsMin = cycle.season * cycle.cyclesMin;
    this.#cycle = cycle;
    this.#components = components;
  }

  fit(): Promise<void> {
    return Promise.resolve();
  }

  async predict(range: PartitionRange, out: Pointer): Promise<void> {
    const { history, runner, horizon } = this.#components;
    const { season, cyclesMax } = this.#cycle;
    await runner.run('seasonalMean', {
      series: history.pointer + range.first * history.stride * 8,
      count: range.count,
      stride: history.stride,
      length: history.length,
      season,
      cycles: cyclesMax,
      horizon,
      out,
    });
  }

  save(): Record<string, never> {
    return {};
  }

  load(): void {}

  close(): void {}
}

/** The mean of the last day, or of what there is: a season of one window, a cycle per window. */
export function levelMember(components: MemberComponents): Member {
  const { dayWindows } = components.history.shape;
  return new SeasonalMean('level', { season: 1, cyclesMax: dayWindows, cyclesMin: 1 }, components);
}

/** The trimmed mean of up to a week of days, by time of the day. */
export function dayMember(components: MemberComponents): Member {
  const { dayWindows } = components.history.shape;
  return new SeasonalMean('day', { season: dayWindows, cyclesMax: DAYS_MAX, cyclesMin: 1 }, components);
}

/** The week before, again: the forecast that skill is measured against. */
export function naiveWeekMember(components: MemberComponents): Member {
  const { weekWindows } = components.history.shape;
  return new SeasonalMean('naive-week', { season: weekWindows, cyclesMax: 1, cyclesMin: 1 }, components);
}

/** The trimmed mean of up to `weeksMax` weeks, by time of the week. */
export function weeksMember(components: MemberComponents, settings: { readonly weeksMax: number }): Member {
  const { weekWindows } = components.history.shape;
  const cycle = { season: weekWindows, cyclesMax: settings.weeksMax, cyclesMin: 2 };
  return new SeasonalMean('weeks', cycle, components);
}

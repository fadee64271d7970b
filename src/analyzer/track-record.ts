import { bandOf } from './bands.ts';
import { type History, rescaledLog } from './history.ts';
import type { IntervalBasis } from './interval-basis.ts';
import { Intervals, type SavedIntervals } from './intervals.ts';
import type { LevelShift } from './level-shifts.ts';
import { Losses, type SavedLosses } from './losses.ts';
import { MeanFactors, type SavedMeanFactors } from './mean-factors.ts';
import type { PartitionRange } from './members/member.ts';
import { levelWeight } from './ordinary-hour.ts';
import type { Silence } from './silences.ts';
import { type SavedSkill, Skill } from './skill.ts';

/** The member that skill is measured against. */
const NAIVE_WEEK = 'naive-week';

/** A day: so long after its last step a forecast still says how surprising what came was. */
const KEPT_WINDOWS = 24;

/** A forecast as it was issued, kept until its last step has come true. */
export interface IssuedForecast {
  /** The window it begins at, counted from the start of all windows. */
  readonly origin: number;
  /** The partitions it is of. */
  readonly range: PartitionRange;
  /** Steps that are judged, ascending. */
  readonly steps: Int32Array;
  /** Per member. */
  readonly isAvailable: readonly boolean[];
  /** f32[member][partition of the range][judged step], log loads; NaN of a partition that is not judged. */
  readonly members: Float32Array;
  /** f32[partition of the range][judged step]. */
  readonly combined: Float32Array;
  readonly basis: IntervalBasis;
}

export interface SavedRecord {
  readonly losses: SavedLosses;
  readonly intervals: SavedIntervals;
  readonly skill: SavedSkill;
  readonly means: SavedMeanFactors;
  readonly issued: readonly IssuedForecast[];
}

/**
 * How good past forecasts were, judged only on windows that came after they were issued: what members are wrong by, how wide
 * bounds must be, how far the mean lies above the point, and each partition's skill against the weekly seasonal naive.
 */
export class TrackRecord {
  readonly losses: Losses;
  readonly intervals: Intervals;
  readonly skill: Skill;
  readonly means: MeanFactors;
  /** -1 where that member does not take part: then there is no skill. */
  readonly #naiveWeek: number;
  readonly #issued: IssuedForecast[] = [];

  constructor(
    partitionCount: number,
    options: {
      readonly memberNames: readonly string[];
      readonly levels: readonly number[];
      readonly dayWindows: number;
    },
  ) {
    this.#naiveWeek = options.memberNames.indexOf(NAIVE_WEEK);
    this.losses = new Losses(partitionCount, options.memberNames.length);
    this.intervals = new Intervals(partitionCount, options);
    this.skill = new Skill(partitionCount);
    this.means = new MeanFactors(partitionCount);
  }

  issue(forecast: IssuedForecast): void {
    this.#issued.push(forecast);
  }

  /**
   * How far a partition's last windows lay from what had been forecast before the first of them, log units; undefined where
   * none of those forecasts reaches them.
   */
  surprise(history: History, partition: number, firstWindow: number): number | undefined {
    const first = history.dropped + firstWindow;
    const end = history.dropped + history.length;
    let sum = 0;
    let count = 0;
    for (const { origin, range, steps, combined } of this.#issued) {
      const own = partition - range.first;
      if (origin > first || own < 0 || own >= range.count) continue;
      for (let judged = 0; judged < steps.length; judged++) {
        const window = origin + (steps[judged] as number);
        if (window < first || window >= end || history.isOutage(window - history.dropped)) continue;
        const forecast = combined[own * steps.length + judged] as number;
        if (Number.isNaN(forecast)) continue;
        sum += history.logLoad(partition, window - history.dropped) - forecast;
        count++;
      }
    }
    return count === 0 ? undefined : sum / count;
  }

  /** What was forecast before a partition's level shifted is judged as if it had known that, from window `now` on. */
  rescale({ partition, factor }: LevelShift, now: number): void {
    this.intervals.recentre(partition, factor);
    this.means.forget(partition);
    for (const { origin, range, steps, members, combined, isAvailable } of this.#issued) {
      const own = partition - range.first;
      if (own < 0 || own >= range.count) continue;
      const rescaleRow = (values: Float32Array, row: number): void => {
        for (let judged = 0; judged < steps.length; judged++) {
          if (origin + (steps[judged] as number) < now) continue;
          const at = row * steps.length + judged;
          values[at] = rescaledLog(values[at] as number, factor);
        }
      };
      rescaleRow(combined, own);
      for (let member = 0; member < isAvailable.length; member++)
        rescaleRow(members, member * range.count + own);
    }
  }

  /**
   * A silence has been filled in. What was forecast while it lasted was made from nothing, so that it is no one's error.
   */
  forgetSilence(partition: number, { first, end }: Silence, dropped: number): void {
    this.intervals.forgetDrift(partition);
    for (const { origin, range, steps, members, combined, isAvailable } of this.#issued) {
      const own = partition - range.first;
      if (origin <= dropped + first || origin > dropped + end || own < 0 || own >= range.count) continue;
      combined.fill(Number.NaN, own * steps.length, (own + 1) * steps.length);
      for (let member = 0; member < isAvailable.length; member++) {
        const row = member * range.count + own;
        members.fill(Number.NaN, row * steps.length, (row + 1) * steps.length);
      }
    }
  }

  /** Compares what was forecast for the newest window with what came. An outage is nobody's error. */
  judge(history: History): void {
    const window = history.length - 1;
    const now = history.dropped + window;
    while (this.#issued[0] !== undefined && lastWindowOf(this.#issued[0]) + KEPT_WINDOWS < now)
      this.#issued.shift();
    if (history.isOutage(window)) return;
    this.losses.fade();
    this.intervals.fade();
    this.skill.fade();
    this.means.fade();
    for (const forecast of this.#issued) {
      const judged = forecast.steps.indexOf(now - forecast.origin);
      if (judged >= 0) this.#judgeStep(forecast, judged, history, window);
    }
  }

  save(): SavedRecord {
    return {
      losses: this.losses.save(),
      intervals: this.intervals.save(),
      skill: this.skill.save(),
      means: this.means.save(),
      issued: this.#issued.map((forecast) => ({
        ...forecast,
        // Shifts of level are written into them.
        members: forecast.members.slice(),
        combined: forecast.combined.slice(),
      })),
    };
  }

  load(saved: SavedRecord): void {
    this.losses.load(saved.losses);
    this.intervals.load(saved.intervals);
    this.skill.load(saved.skill);
    this.means.load(saved.means);
    this.#issued.push(...saved.issued);
  }

  #judgeStep(forecast: IssuedForecast, judged: number, history: History, window: number): void {
    const { members, combined, range, steps, isAvailable, basis } = forecast;
    const { first, count } = range;
    const at = { band: bandOf(steps[judged] as number), first };
    // Loops, and shared memory read once: every window judges some steps of every forecast under way.
    const actual = new Float64Array(count);
    const points = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      actual[i] = history.logLoad(first + i, window);
      points[i] = combined[i * steps.length + judged] as number;
    }
    const errors = new Float64Array(count);
    for (let member = 0; member < isAvailable.length; member++) {
      if (!isAvailable[member]) continue;
      for (let i = 0; i < count; i++) {
        const forecast = members[(member * count + i) * steps.length + judged] as number;
        errors[i] = (actual[i] as number) - forecast;
      }
      this.losses.add(member, at, errors);
    }
    const residuals = errors;
    for (let i = 0; i < count; i++) residuals[i] = (actual[i] as number) - (points[i] as number);
    this.intervals.judge(basis, { ...at, window: history.dropped + window }, { residuals, points }, (p) =>
      levelWeight(history, p, { window, logExpected: points[p - first] as number }),
    );
    for (let i = 0; i < count; i++) {
      const load = Math.expm1(actual[i] as number);
      const point = Math.expm1(points[i] as number);
      if (Number.isNaN(point)) continue;
      this.means.add(first + i, load, point);
      if (!isAvailable[this.#naiveWeek]) continue;
      const naive = members[(this.#naiveWeek * count + i) * steps.length + judged] as number;
      this.skill.add(first + i, Math.abs(point - load), Math.abs(Math.expm1(naive) - load));
    }
  }
}

const lastWindowOf = ({ origin, steps }: IssuedForecast): number => origin + (steps.at(-1) as number);

import { type CalendarEvent, overlapShare } from '../../model/calendar.ts';
import {
  dimensionIndex,
  LOAD_DIMENSION_COUNT,
  LOAD_DIMENSIONS,
  type LoadDimension,
  type LoadProfile,
} from '../../model/load-profile.ts';
import { medianOf } from './order-statistics.ts';

/** What one occurrence of an event did to the load, in logs of factors over what the weeks around it say. */
export interface OccurrenceEffect {
  readonly name: string;
  readonly kind: string;
  readonly startMs: number;
  /** f64[phase]: of all partitions together, weighed by load; phases are equal parts of the event. */
  readonly byPhase: Float64Array;
  /** f32[partition]: mean over the event, less the mean of all partitions. */
  readonly byPartition: Float32Array;
  /** Variance that a partition's figure would have in an event without effect. */
  readonly noiseVariance: number;
  /** Of dimensions other than the driver, where they were measured. Of an older version: none. */
  readonly byDimension?: DimensionEffects;
}

export type DimensionEffects = Readonly<Partial<Record<LoadDimension, DimensionEffect>>>;

/** What an occurrence did to a dimension that is not the driver, beyond what it did to the driver. */
export interface DimensionEffect {
  /** f64[phase], log units: of all partitions together. */
  readonly byPhase: Float64Array;
  /** Variance that the mean of the phases would have in an event without effect. */
  readonly noiseVariance: number;
}

/** An hour of a day-long event is a phase of its own; longer ones are told more coarsely. */
const PHASES_MAX = 24;

const phaseCount = (event: CalendarEvent, windowMs: number): number =>
  Math.max(1, Math.min(PHASES_MAX, Math.round((event.endMs - event.startMs) / windowMs)));

/** Phase of an event at the middle of a window's part of it. */
export function phaseAt(
  event: CalendarEvent,
  windowStartMs: number,
  windowMs: number,
  phases: number,
): number {
  const fromMs = Math.max(event.startMs, windowStartMs);
  const toMs = Math.min(event.endMs, windowStartMs + windowMs);
  const position = ((fromMs + toMs) / 2 - event.startMs) / (event.endMs - event.startMs);
  return Math.max(0, Math.min(phases - 1, Math.floor(position * phases)));
}

const DAY_MS = 86_400_000;
/** Same hour of the week, up to so many weeks either side; where none is known, same hour of the days around. */
const WEEKS_AROUND = 4;
const DAYS_AROUND = 7;
/** Windows that the event covers less than half of tell little of it. */
const SHARE_MIN = 0.5;
/** Below this coverage a window was hardly measured. */
const COVERAGE_MIN = 0.2;
/** Residuals of neighbouring windows are alike, so that an event has fewer independent ones than windows. */
const WINDOWS_ALIKE = 4;

/**
 * Measures one past occurrence.
 *
 * @param isEvent whether any event covers a window: such are no measure of the usual.
 * @returns undefined where the profile does not hold the whole of it, or nothing around to compare with.
 */
export function measureOccurrence(
  event: CalendarEvent,
  profile: LoadProfile,
  options: { readonly driver: LoadDimension; readonly isEvent: (window: number) => boolean },
): OccurrenceEffect | undefined {
  const { startMs, windowMs, partitionCount } = profile;
  const first = Math.floor((event.startMs - startMs) / windowMs);
  const end = Math.ceil((event.endMs - startMs) / windowMs);
  if (first < 0 || end > profile.windowCount) return undefined;
  const phases = phaseCount(event, windowMs);
  const weighted = new Float64Array(phases);
  const weight = new Float64Array(phases);
  const sum = new Float64Array(partitionCount);
  const squares = { sum: 0, count: 0 };
  let measured = 0;
  const ratios = new Ratios(profile, options.driver, phases);
  const log = logLoads(profile, options.driver);
  for (let window = first; window < end; window++) {
    if (
      overlapShare(event, startMs + window * windowMs, windowMs) < SHARE_MIN ||
      !isMeasured(profile, window)
    )
      continue;
    const around = usualWindows(profile, window, options.isEvent);
    if (around.length === 0) continue;
    measured++;
    const phase = phaseAt(event, startMs + window * windowMs, windowMs, phases);
    ratios.add(window, phase, around);
    for (let p = 0; p < partitionCount; p++) {
      // The median: one of the weeks may have had an outage, or an event that no calendar knows.
      const logs = Float64Array.from(around, (other) => log(other, p));
      const usual = medianOf(logs);
      const difference = log(window, p) - usual;
      // Loads, not logs, are what is to be forecast: a busy partition says more of the event than an idle one.
      const load = Math.expm1(usual);
      weighted[phase] = (weighted[phase] as number) + load * difference;
      weight[phase] = (weight[phase] as number) + load;
      sum[p] = (sum[p] as number) + difference;
      for (const other of logs) squares.sum += (other - usual) ** 2;
      squares.count += Math.max(0, around.length - 1);
    }
  }
  if (measured === 0) return undefined;
  const byPhase = filledIn(
    weighted.map((value, i) => ((weight[i] as number) > 0 ? value / (weight[i] as number) : Number.NaN)),
  );
  const overall = byPhase.reduce((total, value) => total + value / phases, 0);
  const scatter = squares.count > 0 ? squares.sum / squares.count : 1;
  return {
    name: event.name,
    kind: event.kind,
    startMs: event.startMs,
    byPhase,
    byPartition: Float32Array.from(sum, (total) => total / measured - overall),
    noiseVariance: (scatter * Math.min(WINDOWS_ALIKE, measured)) / measured,
    byDimension: ratios.effects(Math.min(WINDOWS_ALIKE, measured) / measured),
  };
}

/** How much more, or less, of the other dimensions came with a unit of the driver than usual; of all partitions together. */
class Ratios {
  readonly #profile: LoadProfile;
  readonly #driver: LoadDimension;
  /** By dimension: f64[phase] sums of log ratios, and how many; squares of those of the usual windows, and how many. */
  readonly #found = new Map<
    LoadDimension,
    { sums: Float64Array; counts: Float64Array; squares: number; others: number }
  >();

  constructor(profile: LoadProfile, driver: LoadDimension, phases: number) {
    this.#profile = profile;
    this.#driver = driver;
    for (const dimension of LOAD_DIMENSIONS)
      if (dimension !== driver)
        this.#found.set(dimension, {
          ...{ sums: new Float64Array(phases), counts: new Float64Array(phases) },
          ...{ squares: 0, others: 0 },
        });
  }

  add(window: number, phase: number, around: readonly number[]): void {
    const totals = [window, ...around].map((of) => this.#totals(of));
    for (const [dimension, found] of this.#found) {
      const [during, ...logs] = totals.map((of) =>
        Math.log((of[dimensionIndex(dimension)] as number) / (of[dimensionIndex(this.#driver)] as number)),
      ) as [number, ...number[]];
      const known = Float64Array.from(logs.filter(Number.isFinite));
      // Where nothing came of one or the other, there is no ratio.
      if (!Number.isFinite(during) || known.length === 0) continue;
      const usual = medianOf(known);
      found.sums[phase] = (found.sums[phase] as number) + during - usual;
      found.counts[phase] = (found.counts[phase] as number) + 1;
      for (const other of known) found.squares += (other - usual) ** 2;
      found.others += known.length - 1;
    }
  }

  /** @param share how many of so many windows are independent, as a share of their number squared. */
  effects(share: number): DimensionEffects {
    const effects: Partial<Record<LoadDimension, DimensionEffect>> = {};
    for (const [dimension, { sums, counts, squares, others }] of this.#found) {
      if (counts.every((count) => count === 0)) continue;
      const byPhase = filledIn(sums.map((sum, i) => sum / (counts[i] as number)));
      effects[dimension] = { byPhase, noiseVariance: (others > 0 ? squares / others : 1) * share };
    }
    return effects;
  }

  /** f64[dimension] of one window. */
  #totals(window: number): Float64Array {
    const { values, partitionCount } = this.#profile;
    const totals = new Float64Array(LOAD_DIMENSION_COUNT);
    const end = (window + 1) * partitionCount * LOAD_DIMENSION_COUNT;
    for (let at = window * partitionCount * LOAD_DIMENSION_COUNT; at < end; at++)
      totals[at % LOAD_DIMENSION_COUNT] =
        (totals[at % LOAD_DIMENSION_COUNT] as number) + (values[at] as number);
    return totals;
  }
}

/** Log loads, up to what was measured of them. */
function logLoads(
  profile: LoadProfile,
  driver: LoadDimension,
): (window: number, partition: number) => number {
  const { values, coverage, partitionCount } = profile;
  const offset = dimensionIndex(driver);
  return (window, partition) =>
    Math.log1p(
      (values[(window * partitionCount + partition) * LOAD_DIMENSION_COUNT + offset] as number) /
        (coverage[window] as number),
    );
}

const isMeasured = (profile: LoadProfile, window: number): boolean =>
  (profile.coverage[window] as number) >= COVERAGE_MIN;

function usualWindows(
  profile: LoadProfile,
  window: number,
  isEvent: (window: number) => boolean,
): readonly number[] {
  const isUsual = (other: number): boolean =>
    other >= 0 && other < profile.windowCount && isMeasured(profile, other) && !isEvent(other);
  const at = (stepMs: number, count: number): number[] => {
    const step = Math.round(stepMs / profile.windowMs);
    if (step === 0) return [];
    return Array.from({ length: count }, (_, i) => (i + 1) * step)
      .flatMap((distance) => [window - distance, window + distance])
      .filter(isUsual);
  };
  const weeks = at(7 * DAY_MS, WEEKS_AROUND);
  return weeks.length > 0 ? weeks : at(DAY_MS, DAYS_AROUND);
}

/** A phase that was not measured takes the mean of the others. */
function filledIn(byPhase: Float64Array): Float64Array {
  const known = byPhase.filter((value) => !Number.isNaN(value));
  const mean = known.reduce((sum, value) => sum + value / known.length, 0);
  return byPhase.map((value) => (Number.isNaN(value) ? mean : value));
}

import type { CalendarEvent } from '../../model/calendar.ts';
import { LOAD_DIMENSIONS, type LoadDimension } from '../../model/load-profile.ts';
import type { DimensionEffect, OccurrenceEffect } from './occurrence.ts';

/** What an event is expected to do to the load. */
export interface Uplift {
  /** f64[phase]: log of the factor on all partitions together. */
  readonly byPhase: Float64Array;
  /** f64[partition]: what is added for this one; empty where nothing is known of single partitions. */
  readonly byPartition: Float64Array;
  /** What is added for dimensions other than the driver, where it is known; the others do as the driver does. */
  readonly byDimension?: Readonly<Partial<Record<LoadDimension, DimensionUplift>>>;
  /** Variance of the log factor of the next occurrence about this. */
  readonly variance: number;
  /** Earlier occurrences behind it; 0: the operator's word alone. */
  readonly occurrenceCount: number;
}

export interface DimensionUplift {
  /** f64[phase], log units. */
  readonly byPhase: Float64Array;
  /** Of the next occurrence about this, beside the driver's. */
  readonly variance: number;
}

/** Occurrences of one event differ by some 25 % until they have shown by how much they do; that counts as so many of them. */
const PRIOR_VARIANCE = 0.05;
const PRIOR_WEIGHT = 2;
/** The operator's own factor, and that of an event's kind, count as one occurrence that may be wrong by half. */
const HAND_VARIANCE = 0.16;
/** e^5, a factor of 150: beyond it a mistake is likelier than an event. */
const LOG_FACTOR_MAX = 5;
/** The last occurrences that still say something of the next one. */
const OCCURRENCES_MAX = 8;

/**
 * Learns from earlier occurrences what the next one will do; what they did to all partitions together by phase, and to a
 * single partition by its mean deviation from that, moved towards 0 as far as the deviations are noise (empirical Bayes).
 * A name that has never been seen goes by its kind, then by the operator's factor; a factor given counts as one
 * occurrence more.
 *
 * @param effects of earlier occurrences of any event.
 * @returns undefined where nothing is known or said of such events.
 */
export function learnUplift(event: CalendarEvent, effects: readonly OccurrenceEffect[]): Uplift | undefined {
  const earlier = effects.filter(({ startMs }) => startMs < event.startMs);
  const own = latest(earlier.filter(({ name }) => name === event.name));
  const hand = event.uplift === null ? undefined : clampLog(Math.log(event.uplift));
  if (own.length > 0) return pooled(own, hand);
  if (hand !== undefined)
    return {
      byPhase: Float64Array.of(hand),
      byPartition: new Float64Array(0),
      variance: HAND_VARIANCE,
      occurrenceCount: 0,
    };
  const kin = latest(earlier.filter(({ kind }) => kind !== '' && kind === event.kind));
  if (kin.length === 0) return undefined;
  const ofKind = pooled(kin, undefined);
  return { ...ofKind, variance: ofKind.variance + HAND_VARIANCE, occurrenceCount: 0 };
}

/** Those of the length that the last one has: a calendar that changed an event's hours began anew. */
function latest(effects: readonly OccurrenceEffect[]): readonly OccurrenceEffect[] {
  const sorted = [...effects].sort((a, b) => a.startMs - b.startMs);
  const last = sorted.at(-1);
  return sorted
    .filter(
      ({ byPhase, byPartition }) =>
        byPhase.length === last?.byPhase.length && byPartition.length === last.byPartition.length,
    )
    .slice(-OCCURRENCES_MAX);
}

function pooled(effects: readonly OccurrenceEffect[], hand: number | undefined): Uplift {
  const count = effects.length;
  const phases = (effects[0] as OccurrenceEffect).byPhase.length;
  const weightSum = count + (hand === undefined ? 0 : 1);
  const byPhase = Float64Array.from({ length: phases }, (_, phase) => {
    const sum = effects.reduce((total, effect) => total + (effect.byPhase[phase] as number), hand ?? 0);
    return clampLog(sum / weightSum);
  });
  const overall = effects.map((effect) => meanOf(effect.byPhase));
  const mean = meanOf(overall);
  const scatter = overall.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const between = (scatter + PRIOR_WEIGHT * PRIOR_VARIANCE) / (count - 1 + PRIOR_WEIGHT);
  const { byPartition, variance } = partitionsOf(effects);
  return {
    byPhase,
    byPartition,
    byDimension: dimensionsOf(effects),
    variance: between * (1 + 1 / count) + variance,
    occurrenceCount: count,
  };
}

function dimensionsOf(effects: readonly OccurrenceEffect[]): NonNullable<Uplift['byDimension']> {
  const found: Partial<Record<LoadDimension, DimensionUplift>> = {};
  for (const dimension of LOAD_DIMENSIONS) {
    const own = effects.flatMap(({ byDimension }) => byDimension?.[dimension] ?? []);
    if (own.length > 0) found[dimension] = dimensionOf(own);
  }
  return found;
}

/** The mean of what occurrences did beyond the driver, moved towards nothing as far as it is noise. */
function dimensionOf(effects: readonly DimensionEffect[]): DimensionUplift {
  const count = effects.length;
  const phases = (effects[0] as DimensionEffect).byPhase.length;
  const mean = Float64Array.from({ length: phases }, (_, phase) =>
    meanOf(effects.map(({ byPhase }) => byPhase[phase] as number)),
  );
  const overall = effects.map(({ byPhase }) => meanOf(byPhase));
  const middle = meanOf(overall);
  const scatter = overall.reduce((sum, value) => sum + (value - middle) ** 2, 0);
  // By how much ratios differ from week to week, and occurrences from one another.
  const noise = Math.max(
    meanOf(effects.map(({ noiseVariance }) => noiseVariance)),
    count > 1 ? scatter / (count - 1) : 0,
  );
  const square = meanOf(mean.map((value) => value * value));
  const trust = square > 0 ? Math.max(0, 1 - noise / count / square) : 0;
  return { byPhase: mean.map((value) => clampLog(value * trust)), variance: (noise * trust) / count };
}

function partitionsOf(effects: readonly OccurrenceEffect[]): { byPartition: Float64Array; variance: number } {
  const count = effects.length;
  const partitionCount = (effects[0] as OccurrenceEffect).byPartition.length;
  const mean = Float64Array.from({ length: partitionCount }, (_, p) =>
    effects.reduce((sum, effect) => sum + (effect.byPartition[p] as number) / count, 0),
  );
  // How far single occurrences of a partition are from its mean tells the noise; of one occurrence, the weeks around it.
  let within = meanOf(effects.map(({ noiseVariance }) => noiseVariance));
  if (count > 1) {
    const squares = effects.reduce(
      (sum, { byPartition }) =>
        sum + byPartition.reduce((own, value, p) => own + (value - (mean[p] as number)) ** 2, 0),
      0,
    );
    within = squares / ((count - 1) * Math.max(1, partitionCount));
  }
  const spread = meanOf(mean.map((value) => value * value));
  const trust = spread > 0 ? Math.max(0, 1 - within / count / spread) : 0;
  return {
    byPartition: mean.map((value) => clampLog(value * trust)),
    variance: within * (1 + trust / count),
  };
}

const clampLog = (value: number): number => Math.max(-LOG_FACTOR_MAX, Math.min(LOG_FACTOR_MAX, value));

function meanOf(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] as number;
  return values.length > 0 ? sum / values.length : 0;
}

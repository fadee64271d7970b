import { type CalendarEvent, overlapShare } from '../../model/calendar.ts';
import type { Forecast, Interval } from '../../model/forecast.ts';
import { LOAD_DIMENSION_COUNT, LOAD_DIMENSIONS } from '../../model/load-profile.ts';
import { normalQuantile } from '../distributions.ts';
import { phaseAt } from './occurrence.ts';
import type { Uplift } from './uplift.ts';

export interface ExpectedEvent {
  readonly event: CalendarEvent;
  readonly uplift: Uplift;
}

/** A step that events change: by which factors, and how sure they are. */
interface RaisedStep {
  readonly step: number;
  /** f64[partition]: of the driver, and of dimensions of which nothing else is known. */
  readonly factor: Float64Array;
  /** f64[dimension]: beside that of the driver. */
  readonly beyond: Float64Array;
  /** f64[dimension]: of the log factor. */
  readonly variance: Float64Array;
}

/**
 * A forecast of ordinary days with the events to come put in: point, mean and bounds times the event's factor, bounds further
 * apart by how unsure that is. A window that an event covers in part gets part of it; of events at once the factors
 * multiply. Dimensions of which no occurrence was measured do as the driver does.
 */
export function applyUplift(forecast: Forecast, expected: readonly ExpectedEvent[]): Forecast {
  const raised = raisedSteps(forecast, expected);
  if (raised.length === 0) return forecast;
  const [point, mean] = [forecast.point.slice(), forecast.mean.slice()];
  const width = forecast.partitionCount * LOAD_DIMENSION_COUNT;
  for (const one of raised)
    for (let i = 0; i < width; i++) {
      const at = one.step * width + i;
      for (const values of [point, mean]) values[at] = (values[at] as number) * factorAt(one, i);
    }
  const { lower, upper } = raisedInterval(forecast, raised, forecast);
  return {
    ...forecast,
    point,
    mean,
    lower,
    upper,
    ...(forecast.intervals && {
      intervals: forecast.intervals.map((interval) => raisedInterval(forecast, raised, interval)),
    }),
  };
}

function raisedSteps(
  { startMs, stepMs, horizonSteps, partitionCount }: Forecast,
  expected: readonly ExpectedEvent[],
): RaisedStep[] {
  return Array.from({ length: horizonSteps }, (_, step) => step).flatMap((step) => {
    const stepStartMs = startMs + step * stepMs;
    const here = expected.filter(({ event }) => overlapShare(event, stepStartMs, stepMs) > 0);
    if (here.length === 0) return [];
    const log = new Float64Array(partitionCount);
    const beyond = new Float64Array(LOAD_DIMENSION_COUNT);
    const variance = new Float64Array(LOAD_DIMENSION_COUNT);
    for (const { event, uplift } of here) {
      const share = overlapShare(event, stepStartMs, stepMs);
      const phase = phaseAt(event, stepStartMs, stepMs, uplift.byPhase.length);
      const common = uplift.byPhase[phase] as number;
      for (let p = 0; p < partitionCount; p++)
        log[p] = (log[p] as number) + share * (common + (uplift.byPartition[p] ?? 0));
      LOAD_DIMENSIONS.forEach((dimension, d) => {
        const own = uplift.byDimension?.[dimension];
        beyond[d] = (beyond[d] as number) + share * (own?.byPhase[phase] ?? 0);
        variance[d] = (variance[d] as number) + share * share * (uplift.variance + (own?.variance ?? 0));
      });
    }
    return [{ step, factor: log.map(Math.exp), beyond: beyond.map(Math.exp), variance }];
  });
}

/** @param cell partition x dimensions + dimension. */
const factorAt = ({ factor, beyond }: RaisedStep, cell: number): number =>
  (factor[Math.floor(cell / LOAD_DIMENSION_COUNT)] as number) *
  (beyond[cell % LOAD_DIMENSION_COUNT] as number);

function raisedInterval(
  { point, partitionCount }: Forecast,
  raised: readonly RaisedStep[],
  { level, lower, upper }: Interval,
): Interval {
  const width = partitionCount * LOAD_DIMENSION_COUNT;
  const [newLower, newUpper] = [lower.slice(), upper.slice()];
  const z = normalQuantile(0.5 + level / 2);
  for (const one of raised)
    for (let i = 0; i < width; i++) {
      const at = one.step * width + i;
      const own = factorAt(one, i);
      const variance = z * z * (one.variance[i % LOAD_DIMENSION_COUNT] as number);
      newLower[at] = own * further(point[at] as number, lower[at] as number, variance);
      newUpper[at] = own * further(point[at] as number, upper[at] as number, variance);
    }
  return { level, lower: newLower, upper: newUpper };
}

/** A bound with another independent source of error, in logs; around a point of 0 the bound itself is what is unsure. */
function further(point: number, bound: number, variance: number): number {
  if (bound === 0) return 0;
  if (point === 0) return bound * Math.exp(Math.sqrt(variance));
  const distance = Math.log(bound / point);
  return point * Math.exp((bound < point ? -1 : 1) * Math.hypot(distance, Math.sqrt(variance)));
}

import type { Forecast, Interval } from '../model/forecast.ts';
import { boundLoads, meanLoads, pointLoads } from './bounded-loads.ts';
import { addShares, combine, memberShares } from './combination.ts';
import { type Knowledge, predictSanely } from './knowledge.ts';

/** One member's own forecast. */
export interface MemberForecast {
  readonly name: string;
  readonly weight: number;
  /** f64[step][partition] of the driver dimension. */
  readonly point: Float64Array;
}

export interface ForecastRequest {
  readonly horizonSteps: number;
  /** The level of lower and upper, and those of the intervals; indexes into the levels of the record. */
  readonly levelIndex: number;
  readonly intervalIndexes: readonly number[];
}

/** The forecast of all partitions for the next windows. */
export async function makeForecast(knowledge: Knowledge, request: ForecastRequest): Promise<Forecast> {
  const { history, record, roster } = knowledge;
  const { horizonSteps } = request;
  const { partitionCount, windowMs } = history.shape;
  const steps = Int32Array.from({ length: horizonSteps }, (_, step) => step);
  const combined = new Float32Array(partitionCount * horizonSteps);
  const highest = new Float64Array(partitionCount);
  const totals = new Float64Array(roster.names.length);
  for (const range of roster.ranges)
    await predictSanely(knowledge, range, (forecasts, recent) => {
      const weights = record.losses.weights(forecasts.isAvailable, range);
      addShares(weights, totals);
      highest.set(recent.highest, range.first);
      const end = (range.first + range.count) * horizonSteps;
      combine(forecasts, {
        weights,
        steps,
        combined: combined.subarray(range.first * horizonSteps, end),
      });
    });
  const everyPartition = { first: 0, count: partitionCount };
  const basis = record.intervals.basis(everyPartition, (p) =>
    knowledge.shifts.suspected(p, knowledge.history),
  );
  const noise = record.intervals.noise.factors(everyPartition, history.dropped + history.length, combined);
  const input = { history, highest, basis, noise, combined, horizonSteps };
  const intervalOf = (index: number): Interval => ({
    level: record.intervals.levels[index] as number,
    lower: boundLoads(input, index * 2),
    upper: boundLoads(input, index * 2 + 1),
  });
  const planned = intervalOf(request.levelIndex);
  return {
    startMs: history.endMs,
    stepMs: windowMs,
    horizonSteps,
    partitionCount,
    ...planned,
    point: pointLoads(input),
    mean: meanLoads(input, record.means.values()),
    intervals: request.intervalIndexes.map((index) =>
      index === request.levelIndex ? planned : intervalOf(index),
    ),
    skill: record.skill.values(),
    members: memberShares(roster.names, totals),
  };
}

/** What each available member says by itself, and its mean weight. */
export async function explainForecast(
  knowledge: Knowledge,
  horizonSteps: number,
): Promise<readonly MemberForecast[]> {
  const { history, record, roster } = knowledge;
  const { partitionCount } = history.shape;
  const totals = new Float64Array(roster.names.length);
  const points = roster.names.map(() => new Float64Array(horizonSteps * partitionCount));
  let available: readonly boolean[] = [];
  for (const range of roster.ranges)
    await predictSanely(knowledge, range, ({ logLoads, isAvailable }) => {
      available = isAvailable;
      const horizon = logLoads.length / (isAvailable.length * range.count);
      addShares(record.losses.weights(isAvailable, range), totals);
      points.forEach((point, member) => {
        if (!isAvailable[member]) return;
        for (let p = 0; p < range.count; p++)
          for (let step = 0; step < horizonSteps; step++) {
            const logLoad = logLoads[(member * range.count + p) * horizon + step] as number;
            point[step * partitionCount + range.first + p] = Math.expm1(logLoad);
          }
      });
    });
  const shares = memberShares(roster.names, totals);
  return roster.names.flatMap((name, member) => {
    if (!available[member]) return [];
    const weight = shares.find((share) => share.name === name)?.weight ?? 0;
    return [{ name, weight, point: points[member] as Float64Array }];
  });
}

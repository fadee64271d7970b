import { judgedSteps } from './bands.ts';
import { combine } from './combination.ts';
import { type Knowledge, predictSanely } from './knowledge.ts';
import type { PartitionRange } from './members/member.ts';
import { CHUNK_PARTITIONS, rangesOf, TILE_PARTITIONS } from './members/ranges.ts';

/**
 * Every so many windows a forecast is kept and later judged. Prime to 24, so that in time every hour of the day is an
 * origin; five are under way for a week's horizon. 25, 37 and 49 tie on log error; after a shift 49 is late.
 */
export const ORIGIN_STRIDE = 37;

/**
 * The partitions whose forecasts are kept at this window: other ones at each, as few as can be, so that no window costs much
 * (1,000 partitions in 8 parts took 25 ms every fifth window) and judgements come evenly.
 */
export function rangesToIssue(partitionCount: number, end: number): PartitionRange[] {
  const parts = Math.max(
    Math.min(ORIGIN_STRIDE, Math.ceil(partitionCount / TILE_PARTITIONS)),
    Math.ceil(partitionCount / CHUNK_PARTITIONS),
  );
  return rangesOf(partitionCount, parts).filter(
    (_, index) => (end + Math.floor((index * ORIGIN_STRIDE) / parts)) % ORIGIN_STRIDE === 0,
  );
}

/** Keeps a forecast of some partitions, to be judged as its windows come. */
export async function issueForecast(knowledge: Knowledge, range: PartitionRange): Promise<void> {
  const { history, record } = knowledge;
  await predictSanely(knowledge, range, (forecasts) => {
    const { logLoads, isAvailable } = forecasts;
    const horizon = logLoads.length / (isAvailable.length * range.count);
    const steps = judgedSteps(horizon);
    const combined = new Float32Array(range.count * steps.length);
    combine(forecasts, { weights: record.losses.weights(isAvailable, range), steps, combined });
    const members = Float32Array.from(
      { length: isAvailable.length * range.count * steps.length },
      (_, at) =>
        logLoads[Math.floor(at / steps.length) * horizon + (steps[at % steps.length] as number)] as number,
    );
    record.issue({
      origin: history.dropped + history.length,
      range,
      steps,
      isAvailable,
      members,
      combined,
      basis: record.intervals.basis(range, (p) => knowledge.shifts.suspected(p)),
    });
  });
}

import { judgedSteps } from './bands.ts';
import { combine } from './combination.ts';
import { type Knowledge, predictSanely } from './knowledge.ts';
import type { PartitionRange } from './members/member.ts';

/** Keeps a forecast of some partitions, to be judged as its windows come. */
export async function issueForecast(knowledge: Knowledge, range: PartitionRange): Promise<void> {
  const { history, record } = knowledge;
  await predictSanely(knowledge, range, (forecasts) => {
    const { logLoads, isAvailable } = forecasts;
    const horizon = logLoads.length / (isAvailable.length * range.count);
    const steps = judgedSteps(horizon);
    const combined = new Float32Array(range.count * steps.length);
    combine(forecasts, { weights: record.losses.weights(isAvailable, range), steps, combined });
    // A loop: this is done at every window, and `from` would take as long as all members.
    const members = new Float32Array(isAvailable.length * range.count * steps.length);
    for (let row = 0; row * steps.length < members.length; row++)
      for (let judged = 0; judged < steps.length; judged++)
        members[row * steps.length + judged] = logLoads[row * horizon + (steps[judged] as number)] as number;
    record.issue({
      origin: history.dropped + history.length,
      range,
      steps,
      isAvailable,
      members,
      combined,
      basis: record.intervals.basis(range, (p) => knowledge.shifts.suspected(p, knowledge.history)),
    });
  });
}

import type { CycleReport } from '../../../src/controller.ts';
import type { CycleSummary } from '../control-messages.ts';

/** What a process is told of a cycle that ran in another one. */
export function summaryOf(report: CycleReport): CycleSummary {
  const { atMs, outcome, forecastMs, planMs, proposal, admission } = report;
  return {
    atMs,
    outcome,
    forecastMs,
    planMs,
    proposedCount: proposal?.moves.length ?? 0,
    admittedCount: admission.admittedCount,
    queuedCount: admission.queuedCount,
    scheduledCount: admission.scheduledCount,
    refusal: proposal?.refusal ?? null,
    costBefore: proposal?.costBefore ?? 0,
    costAfter: proposal?.costAfter ?? 0,
    lowerBound: proposal?.lowerBound ?? 0,
  };
}

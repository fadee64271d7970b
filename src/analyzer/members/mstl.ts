import type { EtsPlan } from '../../kernels/ets-workspace.ts';
import { mstlScratchBytes } from '../../kernels/mstl-jobs.ts';
import { type MstlPlan, mstlSeasons } from '../../kernels/mstl-workspace.ts';
import { etsPlan, type Seasons } from './ets-plan.ts';
import type { Member, MemberComponents } from './member.ts';
import { SmoothingMember, type SmoothingMethod } from './smoothing.ts';

/**
 * The seasons of day and week, as a decomposition by local regression finds them, reduced to their strength and continued
 * as they were last; what the series is without them is smoothed exponentially.
 *
 * @see Bandara, Hyndman & Bergmeir, "MSTL: a seasonal-trend decomposition algorithm for time series with multiple seasonal
 *   patterns", 2021
 */
function mstlMethod(shape: Seasons): SmoothingMethod {
  const decompositionOf = ({ windows }: EtsPlan): MstlPlan => ({
    windows,
    seasons: mstlSeasons([shape.dayWindows, shape.weekWindows], { windows, isPeriodic: false }),
    iterations: 2,
    robustRounds: 0,
  });
  return {
    name: 'mstl',
    planOf: ({ history, horizon }) =>
      etsPlan(history.shape, { length: history.length, horizon, hasSeasons: false }),
    scratchBytes: (plan) => mstlScratchBytes({ plan, decomposition: decompositionOf(plan) }),
    fit: (runner, job) => runner.run('mstlFit', { ...job, decomposition: decompositionOf(job.plan) }),
    predict: (runner, job) => runner.run('mstlPredict', { ...job, decomposition: decompositionOf(job.plan) }),
  };
}

export const mstlMember = (components: MemberComponents): Member =>
  new SmoothingMember(mstlMethod(components.history.shape), components);

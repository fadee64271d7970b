import { EtsWorkspace } from '../../kernels/ets-workspace.ts';
import { etsPlan } from './ets-plan.ts';
import type { Member, MemberComponents } from './member.ts';
import { SmoothingMember, type SmoothingMethod } from './smoothing.ts';

/**
 * Exponential smoothing with a damped trend and up to two seasons, day and week, each partition by itself.
 *
 * Parameters minimise the squared errors of forecasts up to two days ahead, not only of the next window; a season is
 * taken where it earns its states. Both are measured: docs/forecasting.md.
 *
 * @see Hyndman, Koehler, Ord & Snyder, "Forecasting with exponential smoothing: the state space approach", 2008
 * @see Taylor, "Triple seasonal methods for short-term electricity demand forecasting", 2010
 */
const ETS: SmoothingMethod = {
  name: 'ets',
  planOf: ({ history, horizon }) =>
    etsPlan(history.shape, { length: history.length, horizon, hasSeasons: true }),
  scratchBytes: (plan) => EtsWorkspace.bytes(plan),
  fit: (runner, job) => runner.run('etsFit', job),
  predict: (runner, job) => runner.run('etsPredict', job),
};

export const etsMember = (components: MemberComponents): Member => new SmoothingMember(ETS, components);

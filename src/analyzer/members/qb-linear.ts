import { LagMember } from './lag-member.ts';
import type { Member, MemberComponents } from './member.ts';
import { QB_INPUTS_MAX, QB_TRAINING_DAYS, QB_WINDOWS_MAX } from './qb-settings.ts';

/** Two days of hours are forecast directly, as in the paper; beyond, they are rolled forward. */
const STEPS_MAX = 48;

/**
 * QueryBot 5000's linear regression: the last day of a series -> its value `step` windows on, one regression per step.
 *
 * As published: logarithms, standardised by mean and deviation of the training data, no constant, penalty 1 (the
 * identity is added to X'X), 25 days of training. Left open, or otherwise here: the paper regresses its three largest
 * clusters of templates jointly, here each series stands alone; inputs are at most 96 windows, where a day has more.
 *
 * @see Ma, Van Aken, Hefny, Mezerhane, Pavlo & Gordon, "Query-based Workload Forecasting for Self-Driving Database
 * Management Systems", SIGMOD 2018, section 6, and its published code (forecaster/exp_multi_online_continuous.py)
 */
export function qbLinearMember(components: MemberComponents): Member {
  const { dayWindows } = components.history.shape;
  const inputs = Math.min(dayWindows, QB_INPUTS_MAX);
  const lags = Array.from({ length: inputs }, (_, i) => ({ lag: i + 1, prior: 0 }));
  return new LagMember(
    {
      name: 'qb-linear',
      refitWindows: dayWindows,
      steps: Math.min(components.horizon, STEPS_MAX),
      choices: [{ lagsOf: () => lags, rowsMin: inputs }],
      windowsMax: Math.min(QB_TRAINING_DAYS * dayWindows, QB_WINDOWS_MAX),
      penalty: 0,
      penaltyFixed: 1,
      fade: 1,
      hasConstant: false,
    },
    components,
  );
}

import { type LagChoice, LagMember } from './lag-member.ts';
import type { Member, MemberComponents } from './member.ts';
import { distinctLags, hourWindows, lagsAround, memoryOf, recentLags } from './seasonal-lags.ts';

/** Windows on either side of a season, at least: 1 loses 1 % on M4's training part. */
const SEASON_REACH_MIN = 2;

/** Of the standardised series: little, for nearly noiseless series live on it (1e-3 loses 2 %, 1e-5 gains nothing). */
export const AUTOREGRESSION_PENALTY = 1e-4;

/**
 * The lags of a seasonal autoregression: the last three windows, and those around one day, two days and a week ago.
 *
 * The products of lags that a multiplicative model (1 - aL)(1 - bL^24)(1 - cL^168) would have are all among them or next
 * to them, with coefficients of their own. Without a week of rows to learn from, the days alone.
 */
export function seasonalAutoregression(shape: {
  readonly dayWindows: number;
  readonly weekWindows: number;
}): LagChoice[] {
  const { dayWindows, weekWindows } = shape;
  const reach = Math.max(SEASON_REACH_MIN, hourWindows(dayWindows));
  const daily = (prior: number) => [
    ...recentLags(3),
    ...lagsAround(dayWindows, reach, prior),
    ...lagsAround(2 * dayWindows, reach, 0),
  ];
  const weekly = [...daily(0.5), ...lagsAround(weekWindows, reach, 0.5)];
  return [
    { lagsOf: () => distinctLags(daily(1)), rowsMin: 2 * dayWindows },
    { lagsOf: () => distinctLags(weekly), rowsMin: weekWindows },
  ];
}

/**
 * Seasonal autoregression of each series in logarithms, rolled forward step by step: twenty numbers a series.
 *
 * On M4's training part the best single member here: its errors of one step are small enough that rolling them forward
 * loses less than a direct regression loses by having parameters for every step.
 */
export function autoregressionMember(components: MemberComponents): Member {
  const { shape } = components.history;
  return new LagMember(
    {
      name: 'autoregression',
      refitWindows: shape.dayWindows,
      steps: 1,
      choices: seasonalAutoregression(shape),
      ...memoryOf(shape.weekWindows),
      penalty: AUTOREGRESSION_PENALTY,
      penaltyFixed: 0,
      hasConstant: true,
    },
    components,
  );
}

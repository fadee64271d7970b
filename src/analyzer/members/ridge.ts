import { LagMember } from './lag-member.ts';
import type { Lag } from './lag-table.ts';
import type { Member, MemberComponents } from './member.ts';
import { distinctLags, lagsAround, recentLags } from './seasonal-lags.ts';

/** The last windows, which carry the level of the moment. Beside a week of lags 2 and 8 tie with 4. */
const RECENT_LAGS = 4;
/** Without the week: 4 loses 5 % on quarter hours. */
const RECENT_LAGS_WITHOUT_WEEK = 8;

/** Windows on either side of the same time on an earlier day: 0 loses 4 %, 2 ties. */
const SEASON_REACH = 1;

/** Whole days looked at before the target. 3 and more lose 2 %: they say little that the week does not. */
const DAYS = 2;
/** Without the week there is too little history for more: 2 lose 5 % on quarter hours. */
const DAYS_WITHOUT_WEEK = 1;

/** Two days of hours are forecast directly; beyond, they are rolled forward, which keeps the parameters few. */
const STEPS_MAX = 48;

/** More than a month of quarter hours; a bound on the work where windows are short. */
const WINDOWS_MAX = 4096;

/**
 * Ridge regression of each series on its own lags, every step of the horizon directly, all in logarithms.
 *
 * A step looks at the last four windows and at the windows around the same time one and two days and a week before
 * itself: its lags depend on the step. (One set of lags for all steps needs all 168 of them, costs ten times as much and
 * is worse: OWA 0.48 against 0.43 on M4's training part.) The penalty pulls towards half the day before plus half the week
 * before, so that a series without any lesson in it gets the mean of two naives rather than zero.
 */
export function ridgeMember(components: MemberComponents): Member {
  const { dayWindows, weekWindows } = components.history.shape;
  const steps = Math.min(components.horizon, STEPS_MAX);
  /** The same time on the newest days that are known at the origin. */
  const days = (step: number, count: number, prior: number): Lag[] =>
    Array.from({ length: count }, (_, k) =>
      lagsAround(
        (Math.floor(step / dayWindows) + 1 + k) * dayWindows - step,
        SEASON_REACH,
        k === 0 ? prior : 0,
      ),
    ).flat();
  const week = (step: number): Lag[] =>
    lagsAround((Math.floor(step / weekWindows) + 1) * weekWindows - step, SEASON_REACH, 0.5);
  return new LagMember(
    {
      name: 'ridge',
      refitWindows: dayWindows,
      steps,
      choices: [
        {
          lagsOf: (step) =>
            distinctLags([...days(step, DAYS_WITHOUT_WEEK, 1), ...recentLags(RECENT_LAGS_WITHOUT_WEEK)]),
          rowsMin: 2 * dayWindows,
        },
        {
          lagsOf: (step) =>
            distinctLags([...days(step, DAYS, 0.5), ...week(step), ...recentLags(RECENT_LAGS)]),
          rowsMin: weekWindows,
        },
      ],
      windowsMax: Math.min(6 * weekWindows, WINDOWS_MAX),
      penalty: 0.0003,
      penaltyFixed: 0,
      // A row of two weeks ago counts half.
      fade: 0.5 ** (1 / (2 * weekWindows)),
      hasConstant: true,
    },
    components,
  );
}

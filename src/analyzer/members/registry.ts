import type { ForecastSettings } from '../settings.ts';
import { autoregressionMember } from './autoregression.ts';
import { cardMember } from './card.ts';
import { etsMember } from './ets.ts';
import { dayFollowingMember, weeksFollowingMember, weeksLevelMember } from './following.ts';
import { analogueMember, qbKernelMember } from './kernel-regression.ts';
import { lstmMember } from './lstm.ts';
import type { Member, MemberComponents } from './member.ts';
import { mstlMember } from './mstl.ts';
import { pooledRidgeMember } from './pooled-ridge.ts';
import { qbLinearMember } from './qb-linear.ts';
import { ridgeMember } from './ridge.ts';
import { sarimaMember } from './sarima.ts';
import { dayMember, levelMember, naiveWeekMember, weeksMember } from './seasonal.ts';
import { sparseCountsMember } from './sparse-counts.ts';

export type MemberFactory = (components: MemberComponents, settings: ForecastSettings) => Member;

/** Every member by name, in the order in which they are reported. */
export const MEMBER_FACTORIES: Readonly<Record<string, MemberFactory>> = {
  level: levelMember,
  day: dayMember,
  'naive-week': naiveWeekMember,
  weeks: weeksMember,
  'day-following': dayFollowingMember,
  'weeks-following': weeksFollowingMember,
  'weeks-level': weeksLevelMember,
  'pooled-ridge': pooledRidgeMember,
  autoregression: autoregressionMember,
  card: cardMember,
  ridge: ridgeMember,
  'qb-linear': qbLinearMember,
  'qb-kernel': qbKernelMember,
  analogue: analogueMember,
  'sparse-counts': sparseCountsMember,
  sarima: sarimaMember,
  ets: etsMember,
  lstm: lstmMember,
  mstl: mstlMember,
};

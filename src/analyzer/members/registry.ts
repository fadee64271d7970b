import type { ForecastSettings } from '../settings.ts';
import type { Member, MemberComponents } from './member.ts';
import { pooledRidgeMember } from './pooled-ridge.ts';
import { dayMember, levelMember, naiveWeekMember, weeksMember } from './seasonal.ts';

export type MemberFactory = (components: MemberComponents, settings: ForecastSettings) => Member;

/** Every member by name, in the order in which they are reported. */
export const MEMBER_FACTORIES: Readonly<Record<string, MemberFactory>> = {
  level: levelMember,
  day: dayMember,
  'naive-week': naiveWeekMember,
  weeks: weeksMember,
  'pooled-ridge': pooledRidgeMember,
};

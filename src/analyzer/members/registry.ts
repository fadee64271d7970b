import type { Member, MemberComponents } from './member.ts';

/** Every member by name, in the order in which they are reported. */
export const MEMBER_FACTORIES: Readonly<Record<string, (components: MemberComponents) => Member>> = {};

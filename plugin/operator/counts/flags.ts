import type { LogInputFlags } from '../log-input/open-log.ts';

/** What queries are counted by. */
export const COUNTED_BY = ['partition', 'node', 'all'] as const;
export type CountedBy = (typeof COUNTED_BY)[number];

export interface CountFlags extends LogInputFlags {
  readonly by: CountedBy;
}

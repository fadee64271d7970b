/** Mistakes of real systems, planted one at a time: the simulator has to find each of them. */
export const BUGS = [
  'none',
  'fence-lifted-by-timer',
  'commit-timeout-taken-as-failure',
  'fence-not-durable',
  'deletes-not-shipped',
  'deletes-not-shipped-unverified',
  'owner-check-at-receipt',
  'copy-ignores-min-lsn',
  'coordinator-without-conditions',
] as const;
export type Bug = (typeof BUGS)[number];

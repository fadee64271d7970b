/** Which check has found something: a planted bug counts as found by those alone that are there for it. */

const KINDS = {
  /** I1, I2, I4, I5, I7, I15: who owns a partition, and who writes to it. */
  ownership:
    /two owners|was owned by node|owner at epoch|is still the owner|wrote to it as|owner changed outside|FENCED, and|the fence is not at|both switched and aborted/,
  /** I3: numbers that only rise. */
  order: /number went back|lsn fell|highest epoch fell|closed migration is open|was written already/,
  /** I9 and linearizability. */
  data: /^the owner of partition .* has|: the owner of partition .* has|cannot be explained/,
  /** I12, read your writes, monotonic reads. */
  session: / read -?\d+ of /,
  /** Scans, running digests and mirrored reads of two copies. */
  verification: /verification|digest|beyond the fence|mirrored/,
  /** I6. */
  switch: /SWITCHED, and the copy stands/,
  /** I11. */
  acknowledgement: /acknowledges after a commit error/,
  /** I10. */
  removal: /entries of .* were removed/,
  /** I14, and what else is left of migrations. */
  leftovers: /the map says NONE|has left entries|still keeps a change log|cleanup records are left/,
  retirement: /is retired, and becomes the owner's/,
  /** What clients must not feel. */
  pace: /reads in a row were lost|is faster than/,
  liveness: /not stable \d+ ms after healing/,
} as const;

export type ViolationKind = keyof typeof KINDS;

/** @param violation as a schedule tells it; null where it is of no kind that a planted bug is known by. */
export function kindOf(violation: string): ViolationKind | null {
  const found = Object.entries(KINDS).find(([, pattern]) => pattern.test(violation));
  return (found?.[0] as ViolationKind | undefined) ?? null;
}

/** Whether what a schedule has found is what a planted bug must be found by. */
export const isShown = (violation: string | undefined, kinds: readonly ViolationKind[]): boolean =>
  violation !== undefined && kinds.some((kind) => KINDS[kind].test(violation));

import type { Digest } from '../model/migration.ts';

export function digestsEqual(a: Digest, b: Digest): boolean {
  return (
    a.entryCount === b.entryCount &&
    a.sizeBytes === b.sizeBytes &&
    a.buckets.length === b.buckets.length &&
    a.buckets.every((lanes, bucket) => lanes === b.buckets[bucket])
  );
}

/** Indexes in `buckets` at which the digests differ. */
function differingLanes(a: Digest, b: Digest): number[] {
  const laneCount = Math.max(a.buckets.length, b.buckets.length);
  return Array.from({ length: laneCount }, (_, lane) => lane).filter(
    (lane) => a.buckets[lane] !== b.buckets[lane],
  );
}

/** Says where two digests differ, for people: "" when they do not. */
export function describeDifference(a: Digest, b: Digest): string {
  if (digestsEqual(a, b)) return '';
  const differing = differingLanes(a, b);
  return (
    `${a.entryCount} and ${b.entryCount} entries, ${a.sizeBytes} and ${b.sizeBytes} bytes, ${differing.length} of ` +
    `${Math.max(a.buckets.length, b.buckets.length)} lanes differ (first: ${differing.slice(0, 4).join(', ') || 'none'})`
  );
}

export interface VerifiedSide {
  readonly lsn: number;
  /** By reading everything back from disk. */
  readonly scanned: Digest;
  /** Kept with every write. */
  readonly running: Digest;
}

/** Three comparisons of two sides: [what is compared, one, the other]. */
const comparisonsOf = (
  owner: VerifiedSide,
  copy: VerifiedSide,
): readonly (readonly [string, Digest, Digest])[] => [
  ['scan and running digest of the owner', owner.scanned, owner.running],
  ['scan and running digest of the copy', copy.scanned, copy.running],
  ['scans of owner and copy', owner.scanned, copy.scanned],
];

/** Lanes in which any of the comparisons finds a difference, ascending. */
export function suspectLanes(owner: VerifiedSide, copy: VerifiedSide): number[] {
  const lanes = comparisonsOf(owner, copy).flatMap(([, one, other]) => differingLanes(one, other));
  return [...new Set(lanes)].sort((a, b) => a - b);
}

/**
 * Compares both sides at one lsn: the scan with the running digest on each side finds rot and upkeep mistakes, the scans with
 * each other find what was never sent.
 *
 * @returns what differs, "" when nothing does; null while the sides speak of different lsns.
 */
export function compareSides(owner: VerifiedSide, copy: VerifiedSide): string | null {
  if (owner.lsn !== copy.lsn) return null;
  for (const [what, one, other] of comparisonsOf(owner, copy)) {
    const difference = describeDifference(one, other);
    if (difference) return `${what} differ at lsn ${owner.lsn}: ${difference}`;
  }
  return '';
}

import type { Digest } from '../model/migration.ts';

export function digestsEqual(a: Digest, b: Digest): boolean {
  return (
    a.entryCount === b.entryCount &&
    a.sizeBytes === b.sizeBytes &&
    a.buckets.length === b.buckets.length &&
    a.buckets.every((lanes, bucket) => lanes === b.buckets[bucket])
  );
}

/** Says where two digests differ, for people: "" when they do not. */
export function describeDifference(a: Digest, b: Digest): string {
  if (digestsEqual(a, b)) return '';
  const bucketCount = Math.max(a.buckets.length, b.buckets.length);
  const differing = Array.from({ length: bucketCount }, (_, i) => i).filter(
    (i) => a.buckets[i] !== b.buckets[i],
  );
  return (
    `${a.entryCount} and ${b.entryCount} entries, ${a.sizeBytes} and ${b.sizeBytes} bytes, ` +
    `${differing.length} of ${bucketCount} buckets differ (first: ${differing.slice(0, 4).join(', ') || 'none'})`
  );
}

export interface VerifiedSide {
  readonly lsn: number;
  /** By reading everything back from disk. */
  readonly scanned: Digest;
  /** Kept with every write. */
  readonly running: Digest;
}

/**
 * Compares both sides at one lsn: the scan with the running digest on each side finds rot and upkeep mistakes, the scans with
 * each other find what was never sent.
 *
 * @returns what differs, "" when nothing does; null while the sides speak of different lsns.
 */
export function compareSides(owner: VerifiedSide, copy: VerifiedSide): string | null {
  if (owner.lsn !== copy.lsn) return null;
  const checks: [string, Digest, Digest][] = [
    ['scan and running digest of the owner', owner.scanned, owner.running],
    ['scan and running digest of the copy', copy.scanned, copy.running],
    ['scans of owner and copy', owner.scanned, copy.scanned],
  ];
  for (const [what, one, other] of checks) {
    const difference = describeDifference(one, other);
    if (difference) return `${what} differ at lsn ${owner.lsn}: ${difference}`;
  }
  return '';
}

/** The entries behind some buckets of a digest: what a mismatch is narrowed down to. */
import type { Transaction } from 'lmdb';
import type { EntryFingerprint, EntryPage, ListEntriesOptions } from '../../../src/ports/storage-engine.ts';
import { type EntryHasher, seedWordsOf } from './entry-hasher.ts';
import type { Table } from './environment.ts';
import { bucketOf, type EncodedKey, isKeyRecord, keyAtPosition, slotOfPhysical } from './physical-key.ts';
import { expiryOf, RECORD_HEADER_BYTES } from './record.ts';
import { bucketOfLane } from './running-digest.ts';
import { shownKey } from './shown-key.ts';

/** A bucket is one range a slot. Opening one takes some 10 us, so this many, mostly empty, hold the event loop for 5 ms. */
const RANGES_PER_PAGE = 512;
const HASHES_PER_SLOT = 2 ** 32;
const HASHES_PER_BUCKET = 2 ** 24;
const NO_BYTES = new Uint8Array(0);

interface Listed {
  readonly table: Table;
  readonly transaction: Transaction;
  readonly range: { readonly start: EncodedKey; readonly end: EncodedKey };
  readonly hasher: EntryHasher;
  readonly digestSeed: string;
}

/** Positions are those of a SCAN cursor: slot * 2^32 + hash. */
export function listBuckets(
  { table, transaction, range, hasher, digestSeed }: Listed,
  { lanes, privacy, fromPosition, entriesMax }: Omit<ListEntriesOptions, 'lsn'>,
): EntryPage {
  const seed = seedWordsOf(digestSeed);
  const entries: EntryFingerprint[] = [];
  let rangeCount = 0;
  for (const { first, end } of rangesOf(lanes, range)) {
    if (end <= fromPosition) continue;
    if (rangeCount++ === RANGES_PER_PAGE) return { entries, nextPosition: first };
    const start = Math.max(first, fromPosition);
    for (const { key, value } of table.getRange({ transaction, start: keyAt(start), end: keyAt(end) })) {
      const position = positionOf(key);
      // Entries of one position stay together: the caller compares both sides up to a position.
      if (entries.length >= entriesMax && position !== entries[entries.length - 1]?.position)
        return { entries, nextPosition: position };
      const isRecord = isKeyRecord(key, key.length);
      entries.push({
        position,
        keyDigest: hasher.fingerprint(seed, key, NO_BYTES),
        valueDigest: hasher.fingerprint(seed, NO_BYTES, isRecord ? withoutExpiry(value) : value),
        expiryMs: isRecord ? expiryOf(value) : 0,
        ...shownKey(key, privacy),
      });
    }
  }
  return { entries, nextPosition: null };
}

/** The buckets' ranges of positions within every slot of the partition, ascending. */
function* rangesOf(
  lanes: readonly number[],
  { start, end }: Listed['range'],
): Generator<{ readonly first: number; readonly end: number }> {
  const buckets = [...new Set(lanes.map(bucketOfLane))].sort((a, b) => a - b);
  for (let slot = slotOfPhysical(start.bytes); slot < slotOfPhysical(end.bytes); slot++)
    for (const bucket of buckets) {
      const first = slot * HASHES_PER_SLOT + bucket * HASHES_PER_BUCKET;
      yield { first, end: first + HASHES_PER_BUCKET };
    }
}

const keyAt = (position: number): EncodedKey =>
  keyAtPosition(Math.floor(position / HASHES_PER_SLOT), position % HASHES_PER_SLOT);

function positionOf(physical: Uint8Array): number {
  const hash = ((bucketOf(physical) << 24) | (physical[3] << 16) | (physical[4] << 8) | physical[5]) >>> 0;
  return slotOfPhysical(physical) * HASHES_PER_SLOT + hash;
}

function withoutExpiry(record: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(record);
  bytes.fill(0, 1, RECORD_HEADER_BYTES);
  return bytes;
}

/**
 * What is written down when two copies of a partition differ: from the lanes of a digest that do not match to the keys, and
 * how each differs. Only evidence comes of it; the migration has ended already, and nothing is repaired.
 */
import type { NodeId } from '../model/ids.ts';
import type { Lsn, MigrationCommand, MigrationPhase } from '../model/migration.ts';
import type { EntryFingerprint, KeyPrivacy, StorageEngine } from '../ports/storage-engine.ts';
import { suspectLanes, type VerifiedSide } from './verification.ts';

/** Lanes whose entries are listed: four of the embedded engine's buckets or more, some 1.6 % of a partition. */
export const LANES_LISTED_MAX = 8;
/** Entries of either side that are compared. Beyond it the lists end, at one place on both sides. */
export const ENTRIES_LISTED_MAX = 20_000;
/** Entries of one answer: a few milliseconds of the node's time. */
const ENTRIES_PER_REQUEST = 1_000;
/** Keys that are written down; all are counted. */
export const KEYS_KEPT_MAX = 100;

export const DIFFERENCE_KINDS = ['missing-on-copy', 'extra-on-copy', 'other-value', 'other-expiry'] as const;
export type DifferenceKind = (typeof DIFFERENCE_KINDS)[number];

/** One key, or field, that the two sides do not hold alike. */
export interface EntryDifference {
  readonly kind: DifferenceKind;
  /** As much of the key as the settings let anybody see. */
  readonly keyPrefix: string;
  /** 8 hex digits, or '' where the settings keep none. */
  readonly keyHash: string;
  /** Hash of the value under the migration's seed, '' where the side has no such entry. */
  readonly ownerValue: string;
  readonly copyValue: string;
}

/** Kept under `evidence/`, one a migration. */
export interface MismatchEvidence {
  readonly partitionId: number;
  readonly migrationId: number;
  readonly phase: MigrationPhase;
  readonly atMs: number;
  readonly ownerNodeId: number;
  readonly copyNodeId: number;
  readonly lsn: Lsn | null;
  readonly reason: string;
  readonly suspectLaneCount: number;
  readonly listedLaneCount: number;
  /** Entries of the owner and of the copy that were compared key by key. */
  readonly ownerEntryCount: number;
  readonly copyEntryCount: number;
  /** The first KEYS_KEPT_MAX, in the order of the partition. */
  readonly differences: readonly EntryDifference[];
  readonly differenceCount: number;
  /** Why there is less than everything; '' when there is. */
  readonly limits: string;
}

interface Listing {
  readonly entries: readonly EntryFingerprint[];
  /** Entries from here on were not listed. */
  readonly endPosition: number;
}

export interface EvidenceRequest {
  readonly command: MigrationCommand;
  readonly phase: MigrationPhase;
  readonly nowMs: number;
  readonly ownerNodeId: NodeId;
  readonly copyNodeId: NodeId;
  readonly reason: string;
  readonly sides: { readonly owner: VerifiedSide; readonly copy: VerifiedSide } | null;
  readonly privacy: KeyPrivacy;
}

/** Asks both nodes for the entries behind the lanes that differ. Never throws: what could not be found out is said. */
export async function gatherEvidence(
  request: EvidenceRequest,
  engine: Pick<StorageEngine, 'listEntries'>,
): Promise<MismatchEvidence> {
  const { command, sides, ownerNodeId, copyNodeId } = request;
  if (!sides) return evidenceWithoutKeys(request, 'nothing in this phase tells keys apart');
  const suspects = suspectLanes(sides.owner, sides.copy);
  const lanes = suspects.slice(0, LANES_LISTED_MAX);
  try {
    const options = { lsn: sides.owner.lsn, lanes, privacy: request.privacy };
    const owner = await listAll(engine, ownerNodeId, command, options);
    const copy = await listAll(engine, copyNodeId, command, options);
    const endPosition = Math.min(owner.endPosition, copy.endPosition);
    const ownerEntries = owner.entries.filter(({ position }) => position < endPosition);
    const copyEntries = copy.entries.filter(({ position }) => position < endPosition);
    const differences = differencesOf(ownerEntries, copyEntries);
    const limits = [
      lanes.length < suspects.length ? `keys of ${lanes.length} of ${suspects.length} differing lanes` : '',
      endPosition < Number.POSITIVE_INFINITY ? `the first ${ENTRIES_LISTED_MAX} entries of these` : '',
      differences.length > KEYS_KEPT_MAX ? `the first ${KEYS_KEPT_MAX} differences` : '',
    ];
    return {
      ...evidenceWithoutKeys(request, ''),
      listedLaneCount: lanes.length,
      ownerEntryCount: ownerEntries.length,
      copyEntryCount: copyEntries.length,
      differences: differences.slice(0, KEYS_KEPT_MAX),
      differenceCount: differences.length,
      limits: limits.filter((limit) => limit !== '').join(', '),
    };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return evidenceWithoutKeys(request, `the keys could not be listed: ${why}`.slice(0, 1000));
  }
}

/** What is known of a mismatch before any node is asked. */
export function evidenceWithoutKeys(request: EvidenceRequest, limits: string): MismatchEvidence {
  const { command, sides, phase, nowMs, ownerNodeId, copyNodeId, reason } = request;
  return {
    partitionId: command.partitionId,
    migrationId: command.migrationId,
    phase,
    atMs: nowMs,
    ownerNodeId,
    copyNodeId,
    lsn: sides?.owner.lsn ?? null,
    reason,
    suspectLaneCount: sides ? suspectLanes(sides.owner, sides.copy).length : 0,
    listedLaneCount: 0,
    ownerEntryCount: 0,
    copyEntryCount: 0,
    differences: [],
    differenceCount: 0,
    limits,
  };
}

async function listAll(
  engine: Pick<StorageEngine, 'listEntries'>,
  nodeId: NodeId,
  command: MigrationCommand,
  options: { readonly lsn: Lsn; readonly lanes: readonly number[]; readonly privacy: KeyPrivacy },
): Promise<Listing> {
  const entries: EntryFingerprint[] = [];
  let fromPosition = 0;
  while (entries.length < ENTRIES_LISTED_MAX) {
    const page = await engine.listEntries(nodeId, command, {
      ...options,
      fromPosition,
      entriesMax: ENTRIES_PER_REQUEST,
    });
    entries.push(...page.entries);
    if (page.nextPosition === null) return { entries, endPosition: Number.POSITIVE_INFINITY };
    fromPosition = page.nextPosition;
  }
  return { entries, endPosition: fromPosition };
}

/** @param owner, copy in the order of the partition, complete over the same stretch of it. */
export function differencesOf(
  owner: readonly EntryFingerprint[],
  copy: readonly EntryFingerprint[],
): EntryDifference[] {
  const copyOf = new Map(copy.map((entry) => [entry.keyDigest, entry]));
  const found: { readonly position: number; readonly difference: EntryDifference }[] = [];
  const note = (kind: DifferenceKind, one: EntryFingerprint, ownerValue: string, copyValue: string): void => {
    const { position, keyPrefix, keyHash } = one;
    found.push({ position, difference: { kind, keyPrefix, keyHash, ownerValue, copyValue } });
  };
  for (const entry of owner) {
    const other = copyOf.get(entry.keyDigest);
    copyOf.delete(entry.keyDigest);
    if (!other) note('missing-on-copy', entry, entry.valueDigest, '');
    else if (entry.valueDigest !== other.valueDigest)
      note('other-value', entry, entry.valueDigest, other.valueDigest);
    else if (entry.expiryMs !== other.expiryMs)
      note('other-expiry', entry, entry.valueDigest, other.valueDigest);
  }
  for (const entry of copyOf.values()) note('extra-on-copy', entry, '', entry.valueDigest);
  return found.sort((a, b) => a.position - b.position).map(({ difference }) => difference);
}

/**
 * What the coordinator answers an operator who says that a store is lost for good, though it owns nothing: pure functions of
 * the map and of what was found out. A store that owns something is given up by a takeover, which says what is lost.
 */
import { migrationName, type PartitionRecord } from '../../model/migration.ts';
import { mayAbort } from '../phases.ts';
import { isOpen, type OpenRecord } from '../records/record-changes.ts';
import type { RetirementRequest } from '../records/records.ts';

export interface RetirementFacts {
  /** Null: nobody has ever heard of it. */
  readonly state: 'present' | 'retired' | null;
  /** The node that answers with this very store open. */
  readonly answeringNodeId: number | null;
  /** Clean-up records that wait for the store. */
  readonly cleanupCount: number;
}

export type RetirementAnswer =
  | { readonly kind: 'refuse'; readonly why: string }
  | { readonly kind: 'do'; readonly message: string };

const NAMED_MAX = 10;

const refuse = (why: string): RetirementAnswer => ({ kind: 'refuse', why });

/** @param records [partition], read after the request was; null or absent where there is no valid record. */
export function answerRetirement(
  { storeId, isConfirmed }: RetirementRequest,
  records: readonly (PartitionRecord | null)[],
  facts: RetirementFacts,
): RetirementAnswer {
  const refusal = standsInTheWay(storeId, records, facts.state) ?? answersText(storeId, facts);
  if (refusal !== null) return refuse(refusal);
  const parties = records.filter(isOpen).filter(({ migration }) => isPartyTo(migration, storeId));
  const effects = effectsOf(storeId, parties, facts.cleanupCount);
  return isConfirmed
    ? { kind: 'do', message: `store ${storeId} is retired: ${effects}` }
    : refuse(
        `store ${storeId} owns nothing and does not answer. It would be retired for good: ${effects}. Nothing was changed: say --it-is-gone-for-good to go on`,
      );
}

export const isPartyTo = (
  { sourceStoreId, targetStoreId }: OpenRecord['migration'],
  storeId: string,
): boolean => sourceStoreId === storeId || targetStoreId === storeId;

/** @returns why the store cannot be retired, whether its node answers or not; null for nothing. */
export function standsInTheWay(
  storeId: string,
  records: readonly (PartitionRecord | null)[],
  state: RetirementFacts['state'],
): string | null {
  if (state === null)
    return `there is no store ${storeId}, and no record names one: \`foreshard map\` and \`foreshard migrations\` name those that there are`;
  if (state === 'retired')
    return `store ${storeId} is retired already; what is open ends by itself (\`foreshard migrations\`)`;
  const owned = records.filter((record) => record?.ownerStoreId === storeId);
  if (owned.length > 0) {
    const [first] = owned;
    return (
      `store ${storeId} owns ${partitionsText(owned)}, whose data would be lost: ` +
      `\`foreshard takeover ${first?.partitionId} --from ${storeId} --to …\` gives each another owner, and retires it; ` +
      `if the store comes back, start its node and move them away first`
    );
  }
  const unread = records.indexOf(null);
  if (unread >= 0)
    return `the record of partition ${unread} is not valid, so store ${storeId} may be its owner: mend that first (see \`foreshard map\`)`;
  return null;
}

const answersText = (storeId: string, { answeringNodeId }: RetirementFacts): string | null =>
  answeringNodeId === null
    ? null
    : `store ${storeId} answers from node ${answeringNodeId}: it is not lost; stop that node for good first`;

function partitionsText(owned: readonly (PartitionRecord | null)[]): string {
  const ids = owned.slice(0, NAMED_MAX).map((record) => record?.partitionId);
  const more = owned.length > NAMED_MAX ? ` and ${owned.length - NAMED_MAX} more` : '';
  return `${owned.length === 1 ? 'partition' : 'partitions'} ${ids.join(', ')}${more}`;
}

/** What the retirement ends, for people. */
function effectsOf(storeId: string, parties: readonly OpenRecord[], cleanupCount: number): string {
  const ends = parties.slice(0, NAMED_MAX).map((record) => effectOn(record, storeId));
  if (parties.length > NAMED_MAX) ends.push(`${parties.length - NAMED_MAX} more migrations end`);
  if (cleanupCount > 0) ends.push(`${cleanupCount} clean-ups there are forgotten`);
  const never = 'no node ever starts on it again';
  return [never, ...(ends.length > 0 ? ends : ['nothing waits for it'])].join('; ');
}

function effectOn({ partitionId, ownerNodeId, migration }: OpenRecord, storeId: string): string {
  const { phase, migrationId, targetStoreId } = migration;
  const what = `migration ${migrationName({ partitionId, migrationId })} (${phase})`;
  if (targetStoreId !== storeId) return `${what} ends without the old copy, and with it the way back`;
  return mayAbort(phase)
    ? `${what} is aborted, node ${ownerNodeId} stays the owner`
    : `${what} ends without an answer of the lost copy`;
}

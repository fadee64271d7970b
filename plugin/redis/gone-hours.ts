import type { MetadataCondition, MetadataEntry, MetadataStore } from '../../src/ports/metadata-store.ts';
import { encodeRecord } from '../host/records/json-record.ts';
import { rememberedHours } from '../host/records/latest-hours.ts';
import { decodeQueryHours } from '../host/records/query-hours-record.ts';
import { orNothing } from '../metadata/json-values.ts';

/** Takes the place of a process's number: no number, so that nobody takes it for one that has gone. */
const GONE = 'gone';
/** Of one transaction: 128 operations, and 1.5 MiB with up to 64 KiB a record. */
const NODES_MAX = 8;
const RECORDS_MAX = 50;

/**
 * An application that is started anew every day would be forgotten a day after each: when its query types came, by hour of the week, is
 * kept in one record a storage node, whatever the number of processes was.
 *
 * @param entries all records of hours that there are.
 * @param options.fence only the leader does.
 * @returns how many records were added up; what is more than one transaction takes is left to the next turn.
 */
export async function rememberHours(
  metadata: Pick<MetadataStore, 'commit'>,
  entries: readonly MetadataEntry[],
  {
    isLeft,
    fence,
  }: { readonly isLeft: (entry: MetadataEntry) => boolean; readonly fence: MetadataCondition },
): Promise<number> {
  const left = entries.filter(isLeft);
  const nodes = [...new Set(left.map(({ key }) => nodeOf(key)))].slice(0, NODES_MAX);
  const batch = left.filter(({ key }) => nodes.includes(nodeOf(key))).slice(0, RECORDS_MAX);
  if (batch.length === 0) return 0;
  const memories = nodes.flatMap((node) => {
    const key = `${node}${GONE}`;
    const memory = entries.find((entry) => entry.key === key);
    const own = [
      ...(memory === undefined ? [] : [memory]),
      ...batch.filter((entry) => nodeOf(entry.key) === node),
    ];
    // One that cannot be read, of another version maybe, says nothing to anybody.
    const records = own.flatMap((entry) => orNothing(() => decodeQueryHours(entry.key, entry.value)));
    return records.length > 0 ? [{ key, revisionIs: memory?.revision ?? 0, records }] : [];
  });
  const { isCommitted } = await metadata.commit({
    conditions: [
      fence,
      ...batch.map(({ key, revision }) => ({ key, revisionIs: revision })),
      ...memories.map(({ key, revisionIs }) => ({ key, revisionIs })),
    ],
    writes: [
      ...batch.map(({ key }) => ({ kind: 'delete' as const, key })),
      ...memories.map(({ key, records }) => ({
        kind: 'put' as const,
        key,
        value: encodeRecord(rememberedHours(records)),
      })),
    ],
  });
  return isCommitted ? batch.length : 0;
}

/** Such as `/foreshard/v1/main/query-hours/3/`. */
const nodeOf = (key: string): string => key.slice(0, key.lastIndexOf('/') + 1);

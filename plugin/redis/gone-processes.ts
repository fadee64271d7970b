import type { MetadataCondition, MetadataEntry, MetadataStore } from '../../src/ports/metadata-store.ts';
import {
  capturePrefix,
  hotKeysPrefix,
  queryClustersPrefix,
  queryHoursPrefix,
  queryTypesPrefix,
} from '../host/records/record-keys.ts';
import { orNothing } from '../metadata/json-values.ts';
import { CAPTURE_ID_MIN } from './capture-ids.ts';
import { rememberHours } from './gone-hours.ts';
import { decodePulse } from './pulse-record.ts';

/** Long after its last pulse nobody asks any more what became of a process. */
const KEPT_MS = 86_400_000;
/** Below the 128 operations that a transaction takes: a condition and a deletion each, and the fence. */
const FORGOTTEN_MAX = 60;

/**
 * Removes what processes that have gone have left behind: pulse, query types, their clusters, hot keys. Applications start anew
 * all the time, each under a number of its own, and whoever looks at the captured ones reads all that are there. Windows of load stay:
 * the consolidator adds them up; and the hours of the week at which their query types came are remembered as one.
 *
 * @param options.fence only the leader does.
 * @returns how many records; what is more than one transaction takes is left to the next turn.
 */
export async function forgetGoneProcesses(
  metadata: Pick<MetadataStore, 'list' | 'commit'>,
  { clusterName, nowMs, fence }: { clusterName: string; nowMs: number; fence: MetadataCondition },
): Promise<number> {
  const { entries: pulses } = await metadata.list(capturePrefix(clusterName));
  const isGone = ({ key, value }: MetadataEntry): boolean =>
    orNothing(() => decodePulse(key, value)).some(({ atMs }) => nowMs - atMs > KEPT_MS);
  const gonePulses = pulses.filter(isGone);
  // A pulse that cannot be read is of another version, whose process may live.
  const present = new Set(pulses.filter((pulse) => !isGone(pulse)).map(({ key }) => idOf(key)));
  const left: MetadataEntry[] = [];
  const isLeft = ({ key }: MetadataEntry): boolean => idOf(key) >= CAPTURE_ID_MIN && !present.has(idOf(key));
  for (const prefix of [queryTypesPrefix, queryClustersPrefix, hotKeysPrefix]) {
    const { entries } = await metadata.list(prefix(clusterName));
    left.push(...entries.filter(isLeft));
  }
  const hours = await metadata.list(queryHoursPrefix(clusterName));
  const remembered = await rememberHours(metadata, hours.entries, { isLeft, fence });
  const gone = [...left, ...gonePulses].slice(0, FORGOTTEN_MAX);
  if (gone.length === 0) return remembered;
  const { isCommitted } = await metadata.commit({
    conditions: [fence, ...gone.map(({ key, revision }) => ({ key, revisionIs: revision }))],
    writes: gone.map(({ key }) => ({ kind: 'delete', key })),
  });
  return remembered + (isCommitted ? gone.length : 0);
}

/** All of these keys end in the number of the process that has published them. */
const idOf = (key: string): number => Number(key.slice(key.lastIndexOf('/') + 1));

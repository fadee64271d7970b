/** What is not moved for now: what an operator has paused, and partitions in quarantine. */
import { quarantineOf } from '../../src/migration/queue/quarantine.ts';
import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import { clusterKeys } from '../metadata/cluster-keys.ts';
import type { LoadedMap } from '../metadata/cluster-map.ts';

export interface Pauses {
  readonly isPaused: boolean;
  readonly pausedPartitionIds: readonly number[];
}

export async function readPauses(metadata: MetadataStore, clusterName: string): Promise<Pauses> {
  const { pause } = clusterKeys(clusterName);
  const { entries } = await metadata.list(pause);
  return {
    isPaused: entries.some(({ key }) => key === pause),
    pausedPartitionIds: entries
      .filter(({ key }) => key.startsWith(`${pause}/`))
      .map(({ key }) => Number(key.slice(pause.length + 1))),
  };
}

/** Partitions that are not to be moved, by their own records. */
export const leftAlone = (
  records: LoadedMap['records'],
): { partitionId: number; why: string; sinceMs: number; untilMs: number | null; migrationId: number }[] =>
  records.flatMap((record) => {
    const quarantine = quarantineOf(record, Date.now());
    if (!record || !quarantine) return [];
    const { reason, ...times } = quarantine;
    return [{ partitionId: record.partitionId, why: reason, ...times }];
  });

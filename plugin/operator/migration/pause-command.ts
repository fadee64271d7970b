import type { MetadataStore, MetadataWrite } from '../../../src/ports/metadata-store.ts';
import { recordCodec } from '../../metadata/record-codec.ts';
import { assertPartitions } from '../what-is-there.ts';
import { auditWrite } from './order.ts';

export interface PauseOrder {
  readonly isPaused: boolean;
  /** Null: migrations of all partitions. */
  readonly partitionId: number | null;
  readonly reason: string;
}

/**
 * `foreshard pause` and `resume`: the operator's switch, obeyed by whoever is coordinator.
 *
 * @returns what to tell.
 * @throws ForeshardError FORESHARD_CONFIG for a partition that there is not.
 */
export async function setPaused(
  metadata: MetadataStore,
  clusterName: string,
  { isPaused, partitionId, reason }: PauseOrder,
): Promise<string> {
  const codec = recordCodec(clusterName);
  if (partitionId !== null) await assertPartitions(metadata, clusterName, [partitionId]);
  const key = partitionId === null ? codec.keys.pause : codec.keys.pauseOf(partitionId);
  const value = new TextEncoder().encode(JSON.stringify({ sinceMs: Date.now(), reason }));
  const change: MetadataWrite = isPaused ? { kind: 'put', key, value } : { kind: 'delete', key };
  const what = partitionId === null ? 'migrations' : `migrations of partition ${partitionId}`;
  const wasPaused = (await metadata.get(key)) !== undefined;
  const resumed = wasPaused ? `${what} may go on` : `${what} were not paused: nothing was changed`;
  const message = isPaused ? `${what} are paused` : resumed;
  const audit = auditWrite(codec, { action: isPaused ? 'pause' : 'resume', partitionId, reason, message });
  await metadata.commit({ conditions: [], writes: [change, audit] });
  return isPaused ? message : `${message}${await whatStillHolds(metadata, clusterName, partitionId)}`;
}

/** The switch of all and those of single partitions are apart: who lifts one must hear of the other. */
async function whatStillHolds(
  metadata: MetadataStore,
  clusterName: string,
  partitionId: number | null,
): Promise<string> {
  const { keys } = recordCodec(clusterName);
  if (partitionId !== null)
    return (await metadata.get(keys.pause)) === undefined
      ? ''
      : ', but all migrations are paused: `foreshard resume` ends that';
  const { entries } = await metadata.list(`${keys.pause}/`);
  const ids = entries.map(({ key }) => Number(key.slice(keys.pause.length + 1)));
  return ids.length === 0
    ? ''
    : `, but for those that are paused by themselves: \`foreshard resume --partition\` ${ids.join(', ')}`;
}

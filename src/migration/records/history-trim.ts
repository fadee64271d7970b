import type { MetadataStore, MetadataWrite } from '../../ports/metadata-store.ts';
import type { RecordCodec } from './records.ts';

/** Below the limit of a transaction: a history that has grown under a larger setting shrinks over several ends. */
const MIGRATIONS_MAX = 50;

/** Deletes of the oldest records of a partition's history beyond the newest `keptCount`, with the evidence of the same ones. */
export async function historyTrim(
  metadata: MetadataStore,
  codec: RecordCodec,
  { partitionId, keptCount }: { readonly partitionId: number; readonly keptCount: number },
): Promise<MetadataWrite[]> {
  const probe = codec.keys.history(partitionId, 0);
  const { entries } = await metadata.list(probe.slice(0, probe.lastIndexOf('/') + 1));
  // Keys hold plain numbers, so their order is not that of the migrations.
  const ids = entries.map(({ key }) => Number(key.slice(key.lastIndexOf('/') + 1))).sort((a, b) => a - b);
  return ids
    .slice(0, Math.max(0, ids.length - keptCount))
    .slice(0, MIGRATIONS_MAX)
    .flatMap((id) => [
      { kind: 'delete', key: codec.keys.history(partitionId, id) },
      { kind: 'delete', key: codec.keys.evidence(partitionId, id) },
    ]);
}

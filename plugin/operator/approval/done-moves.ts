import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import type { ProposalRecord } from '../../host/records/proposal-record.ts';
import { orNothing } from '../../metadata/json-values.ts';
import { recordCodec } from '../../metadata/record-codec.ts';

/**
 * Partitions of a proposal's moves that are where it would have them: what stands or falls with them, or needs their room, may go.
 * Records that cannot be read are of none of them.
 */
export async function readDoneMoves(
  metadata: Pick<MetadataStore, 'list'>,
  clusterName: string,
  { moves }: Pick<ProposalRecord, 'moves'>,
): Promise<ReadonlySet<number>> {
  const codec = recordCodec(clusterName);
  const { entries } = await metadata.list(codec.keys.mapPrefix);
  const recordOf = new Map(entries.map(({ key, value }) => [key, value]));
  const done = moves.filter(({ partitionId, targetNodeId }) => {
    const value = recordOf.get(codec.keys.map(partitionId));
    const [record] = value === undefined ? [] : orNothing(() => codec.decodePartition(partitionId, value));
    return record?.ownerNodeId === targetNodeId;
  });
  return new Set(done.map(({ partitionId }) => partitionId));
}

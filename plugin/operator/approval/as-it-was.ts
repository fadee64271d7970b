/** What two operators decide of one partition at once: the second is told, and never overrules what he has not seen. */
import type { ClusterKeys } from '../../../src/migration/records/records.ts';
import type { MetadataCondition, MetadataStore } from '../../../src/ports/metadata-store.ts';
import { clusterKeys } from '../../metadata/cluster-keys.ts';
import { type ReadDecisions, readDecisions } from '../../metadata/decisions.ts';

/** Two conditions: that the partition is approved, or rejected, or neither, just as it was read. */
export const asItWas = (
  { revisions }: ReadDecisions,
  keys: ClusterKeys,
  partitionId: number,
): readonly MetadataCondition[] =>
  [keys.approval(partitionId), keys.rejection(partitionId)].map((key) => ({
    key,
    revisionIs: revisions.get(key) ?? 0,
  }));

/** @returns of the first partition of which it was decided otherwise since, how; null where nothing has changed. */
export async function changesSince(
  metadata: MetadataStore,
  clusterName: string,
  {
    before,
    partitions,
    nowMs,
  }: { readonly before: ReadDecisions; readonly partitions: readonly number[]; readonly nowMs: number },
): Promise<string | null> {
  const keys = clusterKeys(clusterName);
  const now = await readDecisions(metadata, clusterName, nowMs);
  const isChanged = (key: string): boolean => before.revisions.get(key) !== now.revisions.get(key);
  for (const partitionId of partitions) {
    const of = (one: { readonly partitionId: number }): boolean => one.partitionId === partitionId;
    const [approval, rejection] = [now.approvals.find(of), now.rejections.find(of)];
    if (rejection && isChanged(keys.rejection(partitionId)))
      return `partition ${partitionId} was rejected meanwhile by ${rejection.by} (${rejection.reason})`;
    if (approval && isChanged(keys.approval(partitionId)))
      return `partition ${partitionId} was approved meanwhile by ${approval.by} (${approval.reason})`;
    if (isChanged(keys.approval(partitionId)))
      return (
        `the approved move of partition ${partitionId} has begun meanwhile, or is void (\`foreshard migrations\` and ` +
        '`foreshard audit` show it, `foreshard cancel` ends it)'
      );
    if (isChanged(keys.rejection(partitionId)))
      return `the rejection of partition ${partitionId} was changed meanwhile`;
  }
  return null;
}

import type { AuditRecord } from '../../../src/migration/records/records.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import { clusterKeys } from '../../metadata/cluster-keys.ts';
import { orNothing } from '../../metadata/json-values.ts';
import { decodeAudit } from '../../metadata/record-codec.ts';

/** Oldest first. Records that are not valid are left out. */
export async function readAudit(metadata: MetadataStore, clusterName: string): Promise<AuditRecord[]> {
  const { entries } = await metadata.list(clusterKeys(clusterName).auditPrefix);
  return entries.flatMap(({ value }) => orNothing(() => decodeAudit(value)));
}

export const auditLine = ({
  atMs,
  by,
  action,
  partitionId,
  outcome,
  reason,
  message,
}: AuditRecord): string => {
  const where = partitionId === null ? '' : ` partition ${partitionId}`;
  const why = reason === '' ? '' : ` (${reason})`;
  return `${new Date(atMs).toISOString()} ${by}: ${action}${where}${why}: ${outcome}: ${message}`;
};

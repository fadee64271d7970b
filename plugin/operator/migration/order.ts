import { randomBytes } from 'node:crypto';
import { hostname, userInfo } from 'node:os';
import type { AuditedAction, RecordCodec } from '../../../src/migration/records/records.ts';
import type { MetadataWrite } from '../../../src/ports/metadata-store.ts';

/** Sorts by time; two of one millisecond differ. */
export const newRequestId = (atMs: number): string =>
  `${String(Math.floor(atMs)).padStart(15, '0')}-${randomBytes(4).toString('hex')}`;

/** Who runs this command, as far as the machine knows. */
export function whoAsks(): string {
  try {
    return `${userInfo().username}@${hostname()}`;
  } catch {
    return `${process.getuid?.() ?? 'unknown'}@${hostname()}`; // a user without a name, as in containers
  }
}

/** The audit record of what a command writes by itself, to be committed together with that. */
export function auditWrite(
  codec: RecordCodec,
  entry: {
    readonly action: AuditedAction;
    readonly partitionId: number | null;
    readonly reason: string;
    readonly message: string;
  },
): MetadataWrite {
  const atMs = Date.now();
  const requestId = newRequestId(atMs);
  const audit = { requestId, atMs, by: whoAsks(), outcome: 'done' as const, ...entry };
  return { kind: 'put', key: codec.keys.audit(requestId), value: codec.encodeAudit(audit) };
}

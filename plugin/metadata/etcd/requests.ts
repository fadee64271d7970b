/** The port's words in those of etcd's gRPC. */
import type { ITxnRequest } from 'etcd3';
import type { MetadataEntry, MetadataTransaction } from '../../../src/ports/metadata-store.ts';
import { etcdLibrary } from './library.ts';

/**
 * On success the writes; on failure a read of each condition's key, so that the one that failed can be named.
 *
 * @param lease of every key that is written.
 */
export const requestOf = ({ conditions, writes }: MetadataTransaction, lease?: string): ITxnRequest => ({
  compare: conditions.map((condition) =>
    'revisionIs' in condition
      ? {
          key: Buffer.from(condition.key),
          target: 'Mod',
          result: 'Equal',
          mod_revision: condition.revisionIs,
        }
      : {
          key: Buffer.from(condition.key),
          target: 'Create',
          result: 'Equal',
          create_revision: condition.createRevisionIs,
        },
  ),
  success: writes.map((write) => {
    const key = Buffer.from(write.key);
    return write.kind === 'put'
      ? { request_put: { key, value: Buffer.from(write.value), ...(lease !== undefined && { lease }) } }
      : { request_delete_range: { key } };
  }),
  failure: conditions.map(({ key }) => ({ request_range: { key: Buffer.from(key) } })),
});

export interface KeyValue {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly create_revision: string;
  readonly mod_revision: string;
}

export const entryOf = (found: KeyValue): MetadataEntry => ({
  key: found.key.toString(),
  value: new Uint8Array(found.value),
  revision: Number(found.mod_revision),
  createRevision: Number(found.create_revision),
});

export function rangeOf(prefix: string): { key: Buffer; range_end: Buffer } {
  const { start, end } = etcdLibrary().Range.prefix(prefix);
  return { key: start, range_end: end };
}

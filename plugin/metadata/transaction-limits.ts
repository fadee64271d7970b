import { ForeshardError } from '../../src/base/errors.ts';
import {
  type MetadataTransaction,
  TRANSACTION_BYTES_MAX,
  TRANSACTION_OPERATIONS_MAX,
} from '../../src/ports/metadata-store.ts';

const KEY_BYTES_MAX = 1024;

/**
 * The limits of etcd and its rule that a transaction writes a key once, kept by every adapter.
 *
 * @throws ForeshardError FORESHARD_LIMIT saying which.
 */
export function assertWithinLimits({ conditions, writes }: MetadataTransaction): void {
  const refuse = (why: string): never => {
    throw new ForeshardError('FORESHARD_LIMIT', 'report', `metadata transaction refused: ${why}`);
  };
  if (conditions.length + writes.length > TRANSACTION_OPERATIONS_MAX)
    refuse(`${conditions.length + writes.length} operations, at most ${TRANSACTION_OPERATIONS_MAX}`);
  let sizeBytes = 0;
  const keys = new Set<string>();
  for (const write of writes) {
    if (write.key.length === 0 || Buffer.byteLength(write.key) > KEY_BYTES_MAX)
      refuse(`a key has 1..${KEY_BYTES_MAX} bytes`);
    if (keys.has(write.key)) refuse(`key ${write.key} is written twice`);
    keys.add(write.key);
    sizeBytes += write.key.length + (write.kind === 'put' ? write.value.length : 0);
  }
  if (sizeBytes > TRANSACTION_BYTES_MAX) refuse(`${sizeBytes} bytes, at most ${TRANSACTION_BYTES_MAX}`);
}

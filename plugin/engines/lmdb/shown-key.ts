import type { KeyPrivacy } from '../../../src/ports/storage-engine.ts';
import { hashOfKey } from '../../capture/key-hash.ts';
import { KEY_HEADER_BYTES, keyLengthOf } from './physical-key.ts';

/** What the privacy settings of the query log let be seen of the key in a physical key; a hash's field is not shown at all. */
export function shownKey(
  physical: Uint8Array,
  { prefixBytes, isHashKept }: KeyPrivacy,
): { readonly keyPrefix: string; readonly keyHash: string } {
  const length = keyLengthOf(physical);
  const prefix = physical.subarray(KEY_HEADER_BYTES, KEY_HEADER_BYTES + Math.min(length, prefixBytes));
  const hash = isHashKept ? hashOfKey(physical, KEY_HEADER_BYTES, length) >>> 0 : null;
  return {
    keyPrefix: Buffer.from(prefix).toString('latin1'),
    keyHash: hash === null ? '' : hash.toString(16).padStart(8, '0'),
  };
}

/**
 * How a Redis key, and a field of a hash, become one key of the file; see "Keys on disk" in docs/protocol.md.
 *
 *   [slot u16 BE][hash u32 BE][key length u16 BE][key]              the key's own record
 *   [slot u16 BE][hash u32 BE][key length u16 BE][key] 0x01 [field]  one field of a hash
 */
import { keySlot } from '../../../src/routing/key-slot.ts';

/**
 * LMDB stores keys of up to 1,978 bytes on 4 KiB pages. The expiry index puts 10 bytes in front of a physical key of
 * 8 bytes of header plus the key, so 1,960 is what remains for the caller: one limit for a key and for key plus field.
 */
export const KEY_AND_FIELD_BYTES_MAX = 1960;
export const KEY_HEADER_BYTES = 8;
const FIELD_SEPARATOR = 0x01;
const PHYSICAL_KEY_BYTES_MAX = KEY_HEADER_BYTES + KEY_AND_FIELD_BYTES_MAX + 1;

/** What the lmdb package is handed as a key: the first `length` bytes, so that buffers are reused. */
export interface EncodedKey {
  readonly bytes: Uint8Array;
  readonly length: number;
}

export function encodedKey(bytes: Uint8Array): EncodedKey {
  return { bytes, length: bytes.length };
}

/** Tells lmdb to take our encoded keys as they are. Keys are short: a loop beats making a view to copy from. */
export const KEY_ENCODER = {
  writeKey(key: EncodedKey, target: Uint8Array, start: number): number {
    const { bytes, length } = key;
    for (let i = 0; i < length; i++) target[start + i] = bytes[i];
    return start + length;
  },
  readKey(source: Uint8Array, start: number, end: number): Uint8Array {
    return Uint8Array.prototype.slice.call(source, start, end);
  },
};

/** FNV-1a with murmur3's finish: FNV alone leaves the top bits, which choose the digest bucket, poorly mixed. */
function hashOfKey(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** A reusable buffer that holds one physical key; `setKey`, then perhaps `setField`. */
export class PhysicalKey implements EncodedKey {
  readonly bytes = new Uint8Array(PHYSICAL_KEY_BYTES_MAX);
  length = 0;
  slot = 0;
  /** Bytes of the Redis key alone. */
  keyLength = 0;

  /** @returns false, and holds nothing of use, if the key is longer than the engine can store. */
  setKey(source: Uint8Array, start: number, end: number): boolean {
    const keyLength = end - start;
    if (keyLength > KEY_AND_FIELD_BYTES_MAX) return false;
    const { bytes } = this;
    const slot = keySlot(source, start, end);
    const hash = hashOfKey(source, start, end);
    bytes[0] = slot >> 8;
    bytes[1] = slot;
    bytes[2] = hash >>> 24;
    bytes[3] = hash >>> 16;
    bytes[4] = hash >>> 8;
    bytes[5] = hash;
    bytes[6] = keyLength >> 8;
    bytes[7] = keyLength;
    for (let i = 0; i < keyLength; i++) bytes[KEY_HEADER_BYTES + i] = source[start + i];
    this.slot = slot;
    this.keyLength = keyLength;
    this.length = KEY_HEADER_BYTES + keyLength;
    return true;
  }

  /** @returns false if key and field together are longer than the engine can store. */
  setField(source: Uint8Array, start: number, end: number): boolean {
    const fieldLength = end - start;
    if (this.keyLength + fieldLength > KEY_AND_FIELD_BYTES_MAX) return false;
    const { bytes } = this;
    const base = KEY_HEADER_BYTES + this.keyLength;
    bytes[base] = FIELD_SEPARATOR;
    for (let i = 0; i < fieldLength; i++) bytes[base + 1 + i] = source[start + i];
    this.length = base + 1 + fieldLength;
    return true;
  }

  /** Back to the key's own record. */
  clearField(): void {
    this.length = KEY_HEADER_BYTES + this.keyLength;
  }

  /** The key's own record of a physical key, a field's or not. */
  setPhysical(physical: Uint8Array): void {
    this.keyLength = keyLengthOf(physical);
    this.slot = slotOfPhysical(physical);
    this.length = KEY_HEADER_BYTES + this.keyLength;
    this.bytes.set(physical.subarray(0, this.length));
  }

  /** The range that holds the fields of the key, and nothing else: every field's key lies in [first, after). */
  fieldRange(): { readonly first: EncodedKey; readonly after: EncodedKey } {
    const length = KEY_HEADER_BYTES + this.keyLength + 1;
    const first = new Uint8Array(length);
    first.set(this.bytes.subarray(0, length - 1));
    const after = first.slice();
    first[length - 1] = FIELD_SEPARATOR;
    after[length - 1] = FIELD_SEPARATOR + 1;
    return { first: encodedKey(first), after: encodedKey(after) };
  }
}

export const slotOfPhysical = (physical: Uint8Array): number => (physical[0] << 8) | physical[1];
export const keyLengthOf = (physical: Uint8Array): number => (physical[6] << 8) | physical[7];

/** Whether a physical key is a key's own record, not a field. */
export const isKeyRecord = (physical: Uint8Array, length: number): boolean =>
  length === KEY_HEADER_BYTES + keyLengthOf(physical);

/** The digest bucket, 0..255: the first byte of the hash, so a key and its fields share one. */
export const bucketOf = (physical: Uint8Array): number => physical[2];

/** @returns why the bytes cannot be a physical key of slots first..last, or null if they can. */
export function physicalKeyFault(physical: Uint8Array, slotFirst: number, slotLast: number): string | null {
  if (physical.length < KEY_HEADER_BYTES) return `a physical key has at least ${KEY_HEADER_BYTES} bytes`;
  if (physical.length > PHYSICAL_KEY_BYTES_MAX)
    return `a physical key has at most ${PHYSICAL_KEY_BYTES_MAX} bytes`;
  const slot = slotOfPhysical(physical);
  if (slot < slotFirst || slot > slotLast) return `slot ${slot} is outside ${slotFirst}..${slotLast}`;
  const base = KEY_HEADER_BYTES + keyLengthOf(physical);
  if (base > physical.length) return 'the key is cut short';
  if (base < physical.length && physical[base] !== FIELD_SEPARATOR) return 'bytes after the key are no field';
  return null;
}

/** Smallest physical key of a slot and hash: where a SCAN goes on, or where a partition begins. */
export function keyAtPosition(slot: number, hash: number): EncodedKey {
  const bytes = new Uint8Array(6);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, slot);
  view.setUint32(2, hash);
  return encodedKey(bytes);
}

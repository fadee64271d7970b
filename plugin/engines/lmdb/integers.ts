/** Integers as Redis reads them: canonical decimal, 64 bits, nothing around. */

const INT64_MAX = 9223372036854775807n;
export const INT64_MIN = -9223372036854775808n;
/** So many digits always fit a double exactly, also after one addition. */
const SAFE_DIGITS = 15;
const INT64_TEXT_BYTES_MAX = 20;
const MINUS = 0x2d;
const ZERO = 0x30;

/**
 * Reads bytes start..end.
 *
 * @returns a number where it has at most 15 digits, a bigint where it has more, null where it is no int64 in canonical form
 * (no sign but a minus, no leading zero, no space).
 */
export function readInteger(bytes: Uint8Array, start: number, end: number): number | bigint | null {
  const isNegative = bytes[start] === MINUS;
  const first = isNegative ? start + 1 : start;
  const digits = end - first;
  if (digits < 1 || end - start > INT64_TEXT_BYTES_MAX) return null;
  if (bytes[first] === ZERO && (digits > 1 || isNegative)) return null;
  let value = 0;
  for (let i = first; i < end; i++) {
    const digit = bytes[i] - ZERO;
    if (digit < 0 || digit > 9) return null;
    value = value * 10 + digit;
  }
  if (digits <= SAFE_DIGITS) return isNegative ? -value : value;
  let text = '';
  for (let i = start; i < end; i++) text += String.fromCharCode(bytes[i]);
  const exact = BigInt(text);
  return exact > INT64_MAX || exact < INT64_MIN ? null : exact;
}

/** @returns the sum, or null where it does not fit 64 bits. */
export function addInteger(a: number | bigint, b: number | bigint): number | bigint | null {
  if (typeof a === 'number' && typeof b === 'number') return a + b;
  const sum = BigInt(a) + BigInt(b);
  return sum > INT64_MAX || sum < INT64_MIN ? null : sum;
}

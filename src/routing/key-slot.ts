import { SLOT_COUNT } from '../model/partition-map.ts';

const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;
const SLOT_MASK = SLOT_COUNT - 1;

/** CRC-16/XMODEM (polynomial 0x1021), as Redis Cluster uses it. */
const CRC16_TABLE: Uint16Array = buildCrc16Table();

function buildCrc16Table(): Uint16Array {
  const table = new Uint16Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
    table[byte] = crc;
  }
  return table;
}

/**
 * The hash slot of the key at bytes start..end: of the first non-empty `{tag}` in it, or of all of it.
 *
 * @see Redis Cluster specification, "Hash tags"
 */
export function keySlot(bytes: Uint8Array, start: number, end: number): number {
  let from = start;
  let to = end;
  for (let i = start; i < end; i++) {
    if (bytes[i] !== OPEN_BRACE) continue;
    let close = i + 1;
    while (close < end && bytes[close] !== CLOSE_BRACE) close++;
    // Only the first brace counts, and an empty or unclosed tag is none.
    if (close < end && close > i + 1) {
      from = i + 1;
      to = close;
    }
    break;
  }
  let crc = 0;
  for (let i = from; i < to; i++) crc = ((crc << 8) & 0xffff) ^ CRC16_TABLE[(crc >> 8) ^ bytes[i]];
  return crc & SLOT_MASK;
}

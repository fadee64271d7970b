const CR = 13;

/** Where the value after a RESP reply's element at `start` begins, for the kinds that parts of commands consist of: `$`, `:`, `+`, `-`, `_`. */
export function elementEnd(bytes: Buffer, start: number): number {
  let i = start + 1;
  let length = 0;
  let isNegative = false;
  for (; bytes[i] !== CR; i++) {
    if (bytes[i] === 45) isNegative = true;
    else length = length * 10 + bytes[i] - 48;
  }
  const lineEnd = i + 2;
  return bytes[start] === 36 && !isNegative ? lineEnd + length + 2 : lineEnd;
}

/** The number of a `:n` or `*n` line at `start`. */
export function readNumberLine(bytes: Buffer, start: number): number {
  let i = start + 1;
  let value = 0;
  let isNegative = false;
  for (; bytes[i] !== CR; i++) {
    if (bytes[i] === 45) isNegative = true;
    else value = value * 10 + bytes[i] - 48;
  }
  return isNegative ? -value : value;
}

/** Where the line at `start` ends, its line break included. */
export function lineEnd(bytes: Buffer, start: number): number {
  return bytes.indexOf(CR, start) + 2;
}

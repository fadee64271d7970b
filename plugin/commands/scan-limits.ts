/** Of a MATCH pattern, or the name after TYPE. Every key a scan looks at is held against the pattern, so that its length is work of the node. */
export const SCAN_WORD_BYTES_MAX = 1024;

export const scanWordTooLong = (option: string, bytes: number): string =>
  `ERR SCAN ${option} of ${bytes} bytes; the limit is ${SCAN_WORD_BYTES_MAX}`;

import type { Pointer } from './exports.ts';

/** assembly/xxh3.ts, assembly/digest.ts */
export interface DigestExports {
  xxh3KeyBytes(): number;
  /** Where in a key block the last hash stands: u64 low half, u64 high half. */
  xxh3HashOffset(): number;
  xxh3Prepare(key: Pointer): void;
  xxh3Hash128(key: Pointer, input: Pointer, length: number): void;
  digestBucketCount(): number;
  digestPage(key: Pointer, page: Pointer, pageBytes: number, sums: Pointer): void;
}

import { InvariantError } from '../base/errors.ts';
import type { KernelExports } from './exports.ts';

/** The host's copy of the numbers in assembly/layout.ts. */
const ALIGNMENT_BYTES = 16;
const TILE = 4;

export const aligned = (bytes: number): number => Math.ceil(bytes / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;

/** What a block of so many bytes takes up in an arena. */
export const blockBytes = (sizeBytes: number): number => Math.max(ALIGNMENT_BYTES, aligned(sizeBytes));

/** The next multiple of TILE: matrix rows and inputs are padded to it. */
export const paddedToTile = (count: number): number => Math.ceil(count / TILE) * TILE;

/** @throws InvariantError when the two copies differ. */
export function assertSameLayout(exports: KernelExports): void {
  const pairs: readonly (readonly [string, number, number])[] = [
    ['alignment bytes', exports.layoutAlignmentBytes(), ALIGNMENT_BYTES],
    ['tile', exports.layoutTile(), TILE],
  ];
  for (const [name, built, expected] of pairs)
    if (built !== expected)
      throw new InvariantError(
        `the kernels were built with ${name} ${built}, this host expects ${expected}: run \`npm run build:wasm\``,
      );
}

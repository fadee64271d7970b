// Numbers that both sides of the boundary use. The host repeats them in src/kernels/layout.ts and compares on load.

/** Bytes: every block of the arena, and the start of every matrix row, is a multiple of this (one v128). */
export const ALIGNMENT_BYTES: i32 = 16;

/** f64 elements: matrix columns come in tiles of four, so padded counts are multiples of this. */
export const TILE: i32 = 4;

export function layoutAlignmentBytes(): i32 {
  return ALIGNMENT_BYTES;
}

export function layoutTile(): i32 {
  return TILE;
}

/** First byte above the module's own constants: the arena begins here. */
export function layoutHeapBase(): usize {
  return __heap_base;
}

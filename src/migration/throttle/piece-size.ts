/**
 * How large a piece of a copy is: one synced transaction of the target, which its event loop does in one go while clients wait.
 * Its cost is that of a commit, whatever is in it, and of each entry. Below the size at which the commit is most of it, smaller
 * pieces only cost more of them.
 */

/** Weight of what the last piece took. */
const WEIGHT = 0.25;
/** From one piece to the next at most by this: one that met a pause of the machine says little. */
const CHANGE_MAX = 1.5;

export interface PieceSize {
  readonly bytes: number;
  /** Mean time of a piece, milliseconds. */
  readonly meanMs: number;
}

export interface PieceLimits {
  readonly bytesMin: number;
  readonly bytesMax: number;
  /** How long a piece may hold the event loop. */
  readonly tookMsMax: number;
}

export const firstPiece = ({ bytesMin, bytesMax }: PieceLimits): PieceSize => ({
  bytes: Math.max(bytesMin, bytesMax >> 2),
  meanMs: 0,
});

export function nextPiece(
  { bytes, meanMs }: PieceSize,
  tookMs: number,
  { bytesMin, bytesMax, tookMsMax }: PieceLimits,
): PieceSize {
  const mean = meanMs === 0 ? tookMs : meanMs + WEIGHT * (tookMs - meanMs);
  const wanted = mean > 0 ? tookMsMax / mean : CHANGE_MAX;
  const change = Math.min(CHANGE_MAX, Math.max(1 / CHANGE_MAX, wanted));
  return {
    bytes: Math.round(Math.min(bytesMax, Math.max(bytesMin, bytes * change))),
    // The mean belongs to a size: it is carried over to the new one.
    meanMs: mean * Math.min(1, change),
  };
}

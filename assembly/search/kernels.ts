/** The annealing loop for each problem, as the host calls it. A problem adds its three functions here. */
import { resetSearch, runSearch } from "./loop";
import { Placement } from "./placement";

/** The host compares it with its own copy of the layout. */
export function placementBlockBytes(): u32 {
  return offsetof<Placement>();
}

/** Takes `owner` as it stands; sums everything else, and starts the best map there. */
export function placementReset(block: usize): void {
  const s = changetype<Placement>(block);
  assert((s.slotStride & 3) == 0, "slots are padded to a multiple of 4");
  assert(s.slotStride * s.resourceCount == s.depth, "depth is resources x padded slots");
  assert(s.resourceCount > 0 && s.nodeCount > 0, "there is a resource and a node");
  resetSearch<Placement>(block);
}

/** So many proposals; {@link placementReset} comes first. @returns accepted ones since the reset. */
export function placementRun(block: usize, iterations: u32): u32 {
  runSearch<Placement>(block, iterations);
  return changetype<Placement>(block).acceptedCount;
}

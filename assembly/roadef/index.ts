// The machine reassignment search of bench/roadef: a module of its own, so that the shipped kernels do not carry it.
import { resetSearch, runSearch } from "../search/loop";
import { apply, priceOf } from "./moves";
import { Reassignment } from "./reassignment";
import { recount } from "./recount";

export { layoutHeapBase } from "../layout";

/** The host compares it with its own copy of the layout. */
export function roadefBlockBytes(): u32 {
  return offsetof<Reassignment>();
}

/** Takes `owner` as it stands, which has to be legal; counts everything else, and starts the best map there. */
export function roadefReset(block: usize): void {
  const s = changetype<Reassignment>(block);
  assert((s.columnCount & 3) == 0, "columns are padded to a multiple of four");
  assert(s.itemCount > 0, "there is a process");
  recount(s);
  resetSearch<Reassignment>(block);
}

/** So many proposals; {@link roadefReset} comes first. @returns accepted ones since the reset. */
export function roadefRun(block: usize, iterations: u32): u32 {
  runSearch<Reassignment>(block, iterations);
  return changetype<Reassignment>(block).acceptedCount;
}

/** For tests: what a change would cost, Infinity if it is never made. @see priceOf */
export function roadefDelta(block: usize, p: i32, q: i32, b: i32, c: i32): f64 {
  return priceOf(changetype<Reassignment>(block), p, q, b, c);
}

/** For tests. @see apply */
export function roadefApply(block: usize, p: i32, q: i32, b: i32, c: i32): void {
  apply(changetype<Reassignment>(block), p, q, b, c);
}

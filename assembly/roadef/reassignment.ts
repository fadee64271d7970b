/**
 * Machine reassignment as a problem of the annealing loop in `assembly/search`: state and control block, whose layout
 * bench/roadef/layout.ts repeats. What a proposal costs stands in `cost.ts`, what services forbid in `rules.ts`, which
 * proposals are made in `moves.ts`, how an accepted one changes the state in `transfer.ts`.
 *
 * Everything is an integer, so that no sum drifts. Columns are resources, then balance objectives, padded to a multiple of
 * four. "Rich" services are those with more than one process or a dependency: nothing but capacity can forbid a move of
 * the others. After the processes comes the null process, which uses nothing: a shift is a swap with it.
 */
import { SearchState } from "../search/state";
import { attempt } from "./moves";

@unmanaged
export class Reassignment extends SearchState {
  machineCount: i32;
  columnCount: i32;
  serviceCount: i32;
  richCount: i32;
  locationCount: i32;
  neighbourhoodCount: i32;
  /** Processes that fit into the list of a machine; a full machine is not proposed as a target. */
  listCapacity: i32;
  /** Machines drawn for the hottest of them. */
  tournament: i32;

  // The instance, shared by all searches on one memory.
  /** i32[process + 1][column], the last row is zero */
  requirement: usize;
  /** i32[machine][column] */
  capacity: usize;
  /** i32[machine][column] */
  safety: usize;
  /** i32[column] */
  weight: usize;
  /** i32[column]: 0 for a transient resource, -1 for every other */
  staying: usize;
  /** i32[process + 1], the last is -1 */
  home: usize;
  /** i32[process + 1], the last is -1 */
  service: usize;
  /** i32[process + 1]: the rich service, or -1 */
  rich: usize;
  /** i32[process + 1]: weighted */
  processPrice: usize;
  /** i32[source][target]: weighted */
  machinePrice: usize;
  servicePrice: i32;
  /** i32[machine] */
  location: usize;
  /** i32[machine] */
  neighbourhood: usize;
  /** i32[rich] */
  spreadMin: usize;
  /** i32[rich + 1] into needs; i32[]: the rich services this one depends on */
  needsStart: usize;
  needs: usize;
  /** i32[rich + 1] into neededBy; i32[]: the rich services that depend on this one */
  neededByStart: usize;
  neededBy: usize;

  /** i32[process]: smallest first; i32[process]: where in it; how many ranks away is about the same size */
  bySize: usize;
  rankOf: usize;
  nearRanks: i32;

  // The state of this search.
  /** i32[machine][column]: usage - safety capacity */
  over: usize;
  /** i32[machine][column]: capacity - usage - what processes left behind */
  free: usize;
  /** f64[machine]: load and balance */
  machineCost: usize;
  /** i32[machine][listCapacity]: its processes; i32[machine]: how many; i32[process]: where in the list */
  list: usize;
  listLength: usize;
  listIndex: usize;
  /** i32[process]: those not at home, awayCount of them; i32[process]: where in that list */
  away: usize;
  awayIndex: usize;
  awayCount: i32;
  /** u8[rich][machine]: processes there, 2 only in the middle of a swap */
  present: usize;
  /** i32[rich][location]: processes there; i32[rich]: locations in use */
  locationUse: usize;
  locationSpread: usize;
  /** i32[rich][neighbourhood]: processes there */
  neighbours: usize;
  /** i32[rich][neighbourhood]: services it depends on that have no process there */
  missing: usize;
  /** i32[rich][neighbourhood]: services there that depend on it */
  needing: usize;
  /** i32[service]: processes away from home; i32[count]: services by that; the largest */
  moved: usize;
  movedHistogram: usize;
  movedMost: i32;
  /** Unmet dependencies, and how far services fall short of their spreads, together. */
  violations: i32;
  /** What a violation counts for when a proposal is judged; no part of the cost. */
  penalty: f64;
  /** How far machines are beyond their capacities; and what a proposal would add to it. */
  overflow: f64;
  overflowChange: f64;
  /** What a unit of it counts for. */
  overflowPenalty: f64;
  /** i32[column] */
  overflowWeight: usize;
  /** Whether capacities may be exceeded for now. */
  isSoft: u32;
  /** What the price of moves counts for: 1, but while a search looks at another objective. */
  moveWeight: i32;

  /** Only a map without violations may become the best one. */
  @inline
  isLegal(): bool {
    return this.violations == 0 && this.overflow == 0;
  }

  @inline
  attempt(operator: u32): f64 {
    return attempt(this, operator);
  }

  /** Nothing to do: sums of integers do not drift. */
  rebuild(): void {}
}

/** Element of an i32 array. */
@inline
export function at(pointer: usize, index: i32): i32 {
  return load<i32>(pointer + ((<usize>index) << 2));
}

/** Where it stands. */
@inline
export function place(pointer: usize, index: i32): usize {
  return pointer + ((<usize>index) << 2);
}

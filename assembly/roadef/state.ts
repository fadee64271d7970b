// The state of a search and how an accepted proposal changes it.
import {
  at, AWAY, AWAY_COUNT, AWAY_INDEX, BEST_COST, BEST_OWNER, CAPACITY, COLUMN_COUNT, COST, FREE, HOME, IS_BEST_KEPT, item,
  JOURNAL, JOURNAL_COUNT, JOURNAL_LENGTH, LIST, LIST_CAPACITY, LIST_INDEX, LIST_LENGTH, LOCATION_COUNT, LOCATION_SPREAD,
  LOCATION_USE, MACHINE_COST, MACHINE_COUNT, MISSING, MOVED, MOVED_HISTOGRAM, MOVED_MOST, NEEDING, NEEDS_START,
  NEIGHBOURHOOD_COUNT, NEIGHBOURS, OVER, OWNER, PRESENT, PROCESS_COUNT, REQUIREMENT, RICH, RICH_COUNT, SAFETY, SERVICE,
  SERVICE_COUNT, SERVICE_PRICE, slot, STAYING, WEIGHT, ACCEPTED_COUNT,
} from "./block";
import { awayChange, movePrice } from "./cost";
import { transferService } from "./rules";

/** Moves p from a to b in everything that is counted, except COST. */
export function transfer(block: usize, p: i32, a: i32, b: i32): void {
  leaveList(block, p, a);
  enterList(block, p, b);
  store<i32>(slot(block, OWNER, p), b);
  use(block, p, a, -1);
  use(block, p, b, 1);
  const rich = item(block, RICH, p);
  if (rich >= 0) transferService(block, rich, a, b);
  const change = awayChange(block, p, a, b);
  if (change != 0) countAway(block, p, change);
}

/** Remembers where an accepted proposal took p from, until the best map has been written down. */
export function remember(block: usize, p: i32, source: i32): void {
  if (load<u32>(block, IS_BEST_KEPT)) return;
  if (load<u32>(block, JOURNAL_LENGTH) == JOURNAL_COUNT) {
    keepBest(block);
    return;
  }
  const length = load<u32>(block, JOURNAL_LENGTH);
  const entry = at(block, JOURNAL) + ((<usize>length) << 3);
  store<i32>(entry, p);
  store<i32>(entry, source, 4);
  store<u32>(block, length + 1, JOURNAL_LENGTH);
}

/** The present map is the best so far; it is written down only when that can no longer be put off. */
export function markBest(block: usize): void {
  store<i64>(block, load<i64>(block, COST), BEST_COST);
  store<u32>(block, 0, JOURNAL_LENGTH);
  store<u32>(block, 0, IS_BEST_KEPT);
}

/** Writes the best map to BEST_OWNER: the present one with the journal undone, latest move first. */
export function keepBest(block: usize): void {
  if (load<u32>(block, IS_BEST_KEPT)) return;
  const best = at(block, BEST_OWNER);
  memory.copy(best, at(block, OWNER), (<usize>load<u32>(block, PROCESS_COUNT)) << 2);
  const journal = at(block, JOURNAL);
  for (let i = load<i32>(block, JOURNAL_LENGTH) - 1; i >= 0; i--) {
    const entry = journal + ((<usize>i) << 3);
    store<i32>(best + ((<usize>load<u32>(entry)) << 2), load<i32>(entry, 4));
  }
  store<u32>(block, 1, IS_BEST_KEPT);
}

/** Adds (sign 1) or takes away (-1) what p uses on the machine. */
function use(block: usize, p: i32, machine: i32, sign: i32): void {
  const row = <usize>load<u32>(block, COLUMN_COUNT) << 2;
  const requirement = at(block, REQUIREMENT) + <usize>p * row;
  const over = at(block, OVER) + <usize>machine * row;
  const free = at(block, FREE) + <usize>machine * row;
  const staying = at(block, STAYING);
  const weights = at(block, WEIGHT);
  const isAway = i32x4.splat(item(block, HOME, p) == machine ? 0 : -1);
  const signs = i32x4.splat(sign);
  let cost = i64x2.splat(0);
  for (let i: usize = 0; i < row; i += 16) {
    const change = i32x4.mul(v128.load(requirement + i), signs);
    const after = i32x4.add(v128.load(over + i), change);
    v128.store(over + i, after);
    v128.store(
      free + i,
      i32x4.sub(v128.load(free + i), v128.and(change, v128.or(v128.load(staying + i), isAway))),
    );
    cost = i64x2.add(cost, weighted(after, v128.load(weights + i)));
  }
  store<f64>(
    at(block, MACHINE_COST) + ((<usize>machine) << 3),
    <f64>(i64x2.extract_lane(cost, 0) + i64x2.extract_lane(cost, 1)),
  );
}

/** weight x max(0, over), summed in two lanes. */
@inline
function weighted(over: v128, weight: v128): v128 {
  const positive = i32x4.max_s(over, i32x4.splat(0));
  return i64x2.add(i64x2.extmul_low_i32x4_s(positive, weight), i64x2.extmul_high_i32x4_s(positive, weight));
}

function leaveList(block: usize, p: i32, machine: i32): void {
  const length = slot(block, LIST_LENGTH, machine);
  const last = load<i32>(length) - 1;
  const list = slot(block, LIST, machine * load<i32>(block, LIST_CAPACITY));
  const index = item(block, LIST_INDEX, p);
  const moved = load<i32>(list + ((<usize>last) << 2));
  store<i32>(list + ((<usize>index) << 2), moved);
  store<i32>(slot(block, LIST_INDEX, moved), index);
  store<i32>(length, last);
}

function enterList(block: usize, p: i32, machine: i32): void {
  const length = slot(block, LIST_LENGTH, machine);
  const index = load<i32>(length);
  assert(index < load<i32>(block, LIST_CAPACITY), "the list of a machine has room");
  store<i32>(slot(block, LIST, machine * load<i32>(block, LIST_CAPACITY) + index), p);
  store<i32>(slot(block, LIST_INDEX, p), index);
  store<i32>(length, index + 1);
}

/** p has left home (1) or has come back (-1). */
function countAway(block: usize, p: i32, change: i32): void {
  const count = load<i32>(block, AWAY_COUNT);
  store<i32>(block, count + change, AWAY_COUNT);
  if (change > 0) {
    store<i32>(slot(block, AWAY, count), p);
    store<i32>(slot(block, AWAY_INDEX, p), count);
  } else {
    const index = item(block, AWAY_INDEX, p);
    const last = item(block, AWAY, count - 1);
    store<i32>(slot(block, AWAY, index), last);
    store<i32>(slot(block, AWAY_INDEX, last), index);
  }
  const moved = slot(block, MOVED, item(block, SERVICE, p));
  const before = load<i32>(moved);
  const after = before + change;
  store<i32>(moved, after);
  const histogram = at(block, MOVED_HISTOGRAM);
  const old = histogram + ((<usize>before) << 2);
  store<i32>(old, load<i32>(old) - 1);
  const now = histogram + ((<usize>after) << 2);
  store<i32>(now, load<i32>(now) + 1);
  let most = load<i32>(block, MOVED_MOST);
  if (after > most) most = after;
  while (most > 0 && load<i32>(histogram + ((<usize>most) << 2)) == 0) most--;
  store<i32>(block, most, MOVED_MOST);
}

/**
 * Counts everything afresh for the map in OWNER, which has to be legal, and makes it the best one. HOME need not be the
 * start: elites of other searches are taken over this way.
 */
export function roadefReset(block: usize): void {
  const processCount = load<i32>(block, PROCESS_COUNT);
  assert((load<u32>(block, COLUMN_COUNT) & 3) == 0, "columns are padded to a multiple of four");
  clear(block);
  for (let p = 0; p < processCount; p++) {
    const owner = item(block, OWNER, p);
    const home = item(block, HOME, p);
    enterList(block, p, owner);
    use(block, p, owner, 1);
    useAtHome(block, p, home);
    if (owner != home) countAway(block, p, 1);
    const rich = item(block, RICH, p);
    if (rich >= 0) transferService(block, rich, -1, owner);
  }
  store<i64>(block, totalCost(block), COST);
  store<u32>(block, 0, ACCEPTED_COUNT);
  markBest(block);
  keepBest(block);
}

function clear(block: usize): void {
  const machineCount = load<u32>(block, MACHINE_COUNT);
  const columnCount = load<u32>(block, COLUMN_COUNT);
  const richCount = load<i32>(block, RICH_COUNT);
  const services = load<u32>(block, SERVICE_COUNT);
  for (let i: usize = 0; i < (<usize>(machineCount * columnCount)) << 2; i += 4) {
    store<i32>(at(block, OVER) + i, -load<i32>(at(block, SAFETY) + i));
    store<i32>(at(block, FREE) + i, load<i32>(at(block, CAPACITY) + i));
  }
  for (let m: u32 = 0; m < machineCount; m++) {
    store<i32>(slot(block, LIST_LENGTH, m), 0);
    machineCost(block, m);
  }
  fill(block, PRESENT, richCount * machineCount);
  fill(block, LOCATION_USE, (richCount * load<u32>(block, LOCATION_COUNT)) << 2);
  fill(block, LOCATION_SPREAD, richCount << 2);
  const near = richCount * load<u32>(block, NEIGHBOURHOOD_COUNT);
  fill(block, NEIGHBOURS, near << 2);
  fill(block, NEEDING, near << 2);
  for (let s = 0; s < richCount; s++) {
    const needs = item(block, NEEDS_START, s + 1) - item(block, NEEDS_START, s);
    const count = load<i32>(block, NEIGHBOURHOOD_COUNT);
    for (let n = 0; n < count; n++) store<i32>(slot(block, MISSING, s * count + n), needs);
  }
  // A service that has moved more than it has processes cannot be, so that level 0 alone is filled.
  for (let level = load<i32>(block, MOVED_MOST); level >= 0; level--) store<i32>(slot(block, MOVED_HISTOGRAM, level), 0);
  fill(block, MOVED, services << 2);
  store<i32>(at(block, MOVED_HISTOGRAM), services);
  store<i32>(block, 0, MOVED_MOST);
  store<i32>(block, 0, AWAY_COUNT);
}

@inline
function fill(block: usize, field: usize, bytes: u32): void {
  memory.fill(at(block, field), 0, bytes);
}

/** Load and balance cost of a machine, into MACHINE_COST: the null process comes. */
function machineCost(block: usize, machine: i32): void {
  use(block, load<i32>(block, PROCESS_COUNT), machine, 1);
}

/** Transient use that p has on its home machine, wherever it is. */
function useAtHome(block: usize, p: i32, home: i32): void {
  const columnCount = load<i32>(block, COLUMN_COUNT);
  for (let c = 0; c < columnCount; c++) {
    const free = slot(block, FREE, home * columnCount + c);
    store<i32>(free, load<i32>(free) - (item(block, REQUIREMENT, p * columnCount + c) & ~item(block, STAYING, c)));
  }
}

function totalCost(block: usize): i64 {
  let cost: i64 = 0;
  const machineCount = load<i32>(block, MACHINE_COUNT);
  for (let m = 0; m < machineCount; m++)
    cost += <i64>load<f64>(at(block, MACHINE_COST) + ((<usize>m) << 3));
  const processCount = load<i32>(block, PROCESS_COUNT);
  for (let p = 0; p < processCount; p++) cost += <i64>movePrice(block, p, item(block, OWNER, p));
  return cost + <i64>load<i32>(block, SERVICE_PRICE) * <i64>load<i32>(block, MOVED_MOST);
}

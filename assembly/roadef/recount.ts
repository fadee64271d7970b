// The state of a search from its map alone.
import { movePrice } from "./cost";
import { at, place, Reassignment } from "./reassignment";
import { shortfall, transferService } from "./rules";
import { countAway, enterList, use } from "./transfer";

/** Counts everything afresh, `cost` included, for the map in `owner`, which has to be legal; it need not be the start. */
export function recount(s: Reassignment): void {
  clear(s);
  const processCount = <i32>s.itemCount;
  for (let p = 0; p < processCount; p++) {
    const owner = at(s.owner, p);
    const home = at(s.home, p);
    enterList(s, p, owner);
    use(s, p, owner, 1);
    useAtHome(s, p, home);
    if (owner != home) countAway(s, p, 1);
    const rich = at(s.rich, p);
    if (rich >= 0) transferService(s, rich, -1, owner);
  }
  s.cost = <f64>totalCost(s);
  s.violations = violations(s);
  s.overflow = overflow(s);
}

/** @see Reassignment.overflow */
function overflow(s: Reassignment): f64 {
  const columnCount = s.columnCount;
  let sum: i64 = 0;
  for (let m = 0; m < s.machineCount; m++)
    for (let c = 0; c < columnCount; c++) {
      const free = at(s.free, m * columnCount + c);
      if (free < 0) sum -= <i64>free * <i64>at(s.overflowWeight, c);
    }
  return <f64>sum;
}

/** @see Reassignment.violations */
function violations(s: Reassignment): i32 {
  const count = s.neighbourhoodCount;
  let sum = 0;
  for (let service = 0; service < s.richCount; service++) {
    sum += shortfall(at(s.locationSpread, service) - at(s.spreadMin, service));
    for (let n = service * count; n < (service + 1) * count; n++)
      if (at(s.neighbours, n) > 0) sum += at(s.missing, n);
  }
  return sum;
}

function clear(s: Reassignment): void {
  const machineCount = s.machineCount;
  const columnCount = s.columnCount;
  const richCount = s.richCount;
  for (let i: usize = 0; i < (<usize>(machineCount * columnCount)) << 2; i += 4) {
    store<i32>(s.over + i, -load<i32>(s.safety + i));
    store<i32>(s.free + i, load<i32>(s.capacity + i));
  }
  for (let m = 0; m < machineCount; m++) {
    store<i32>(place(s.listLength, m), 0);
    machineCost(s, m);
  }
  memory.fill(s.present, 0, <usize>(richCount * machineCount));
  memory.fill(s.locationUse, 0, <usize>(richCount * s.locationCount) << 2);
  memory.fill(s.locationSpread, 0, <usize>richCount << 2);
  const count = s.neighbourhoodCount;
  memory.fill(s.neighbours, 0, <usize>(richCount * count) << 2);
  memory.fill(s.needing, 0, <usize>(richCount * count) << 2);
  for (let service = 0; service < richCount; service++) {
    const needs = at(s.needsStart, service + 1) - at(s.needsStart, service);
    for (let n = 0; n < count; n++) store<i32>(place(s.missing, service * count + n), needs);
  }
  for (let level = s.movedMost; level >= 0; level--) store<i32>(place(s.movedHistogram, level), 0);
  memory.fill(s.moved, 0, <usize>s.serviceCount << 2);
  store<i32>(s.movedHistogram, s.serviceCount);
  s.movedMost = 0;
  s.awayCount = 0;
}

/** Load and balance cost of a machine, into `machineCost`: the null process comes. */
function machineCost(s: Reassignment, machine: i32): void {
  use(s, <i32>s.itemCount, machine, 1);
}

/** Transient use that p has on its home machine, wherever it is. */
function useAtHome(s: Reassignment, p: i32, home: i32): void {
  const columnCount = s.columnCount;
  for (let c = 0; c < columnCount; c++) {
    const free = place(s.free, home * columnCount + c);
    store<i32>(free, load<i32>(free) - (at(s.requirement, p * columnCount + c) & ~at(s.staying, c)));
  }
}

function totalCost(s: Reassignment): i64 {
  let cost: i64 = 0;
  const machineCount = s.machineCount;
  for (let m = 0; m < machineCount; m++)
    cost += <i64>load<f64>(s.machineCost + ((<usize>m) << 3));
  let moves = <i64>s.servicePrice * <i64>s.movedMost;
  const processCount = <i32>s.itemCount;
  for (let p = 0; p < processCount; p++) moves += <i64>movePrice(s, p, at(s.owner, p));
  return cost + moves * <i64>s.moveWeight;
}

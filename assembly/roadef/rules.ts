// Conflict, spread and dependency: what the services of processes allow, in O(1) a proposal.
import {
  at, item, LOCATION, LOCATION_COUNT, LOCATION_SPREAD, LOCATION_USE, MACHINE_COUNT, MISSING, NEEDED_BY, NEEDED_BY_START,
  NEEDING, NEEDS, NEEDS_START, NEIGHBOURHOOD, NEIGHBOURHOOD_COUNT, NEIGHBOURS, PRESENT, RICH, slot, SPREAD_MIN,
} from "./block";

@inline
function presence(block: usize, service: i32, machine: i32): usize {
  return at(block, PRESENT) + <usize>(service * load<i32>(block, MACHINE_COUNT) + machine);
}

/** Whether the service keeps its spread when a process of it goes from one location to another. */
@inline
function keepsSpread(block: usize, service: i32, source: i32, target: i32): bool {
  const uses = at(block, LOCATION_USE) + ((<usize>(service * load<i32>(block, LOCATION_COUNT))) << 2);
  const lost = load<i32>(uses + ((<usize>source) << 2)) == 1 ? 1 : 0;
  const won = load<i32>(uses + ((<usize>target) << 2)) == 0 ? 1 : 0;
  return item(block, LOCATION_SPREAD, service) - lost + won >= item(block, SPREAD_MIN, service);
}

/** Whether what the service needs is in the target, and nothing in the source needs the last process of the service. */
@inline
function keepsDependencies(block: usize, service: i32, source: i32, target: i32): bool {
  const row = (<usize>(service * load<i32>(block, NEIGHBOURHOOD_COUNT))) << 2;
  if (load<i32>(at(block, MISSING) + row + ((<usize>target) << 2)) != 0) return false;
  const from = row + ((<usize>source) << 2);
  return load<i32>(at(block, NEIGHBOURS) + from) > 1 || load<i32>(at(block, NEEDING) + from) == 0;
}

/** Whether `service` is the last of its kind in the neighbourhood, and `dependent` depends on it. */
function isLastNeeded(block: usize, dependent: i32, service: i32, neighbourhood: i32): bool {
  const index = service * load<i32>(block, NEIGHBOURHOOD_COUNT) + neighbourhood;
  if (item(block, NEIGHBOURS, index) != 1) return false;
  const end = item(block, NEEDS_START, dependent + 1);
  for (let i = item(block, NEEDS_START, dependent); i < end; i++)
    if (item(block, NEEDS, i) == service) return true;
  return false;
}

/** Whether services allow p to go from a to b, while q (or the null process) comes back for it. */
export function servicesAllow(block: usize, p: i32, q: i32, a: i32, b: i32): bool {
  const own = item(block, RICH, p);
  const other = item(block, RICH, q);
  // Two processes of one service that change places change nothing for it.
  if (own == other) return true;
  if (own >= 0 && load<u8>(presence(block, own, b)) != 0) return false;
  if (other >= 0 && load<u8>(presence(block, other, a)) != 0) return false;
  const locationA = item(block, LOCATION, a);
  const locationB = item(block, LOCATION, b);
  if (locationA != locationB) {
    if (own >= 0 && !keepsSpread(block, own, locationA, locationB)) return false;
    if (other >= 0 && !keepsSpread(block, other, locationB, locationA)) return false;
  }
  const nearA = item(block, NEIGHBOURHOOD, a);
  const nearB = item(block, NEIGHBOURHOOD, b);
  if (nearA == nearB) return true;
  if (own >= 0 && !keepsDependencies(block, own, nearA, nearB)) return false;
  if (other >= 0 && !keepsDependencies(block, other, nearB, nearA)) return false;
  // Each by itself may go, but the one may come to where the other, on which it depends, has just left.
  if (own < 0 || other < 0) return true;
  return !isLastNeeded(block, own, other, nearB) && !isLastNeeded(block, other, own, nearA);
}

/** Counts a process of the service out of machine a and into machine b; either may be -1, nowhere. */
export function transferService(block: usize, service: i32, a: i32, b: i32): void {
  // Counts, not flags: two processes of one service that change places are on one machine for a moment.
  if (a >= 0) store<u8>(presence(block, service, a), load<u8>(presence(block, service, a)) - 1);
  if (b >= 0) store<u8>(presence(block, service, b), load<u8>(presence(block, service, b)) + 1);
  const locationA = a < 0 ? -1 : item(block, LOCATION, a);
  const locationB = b < 0 ? -1 : item(block, LOCATION, b);
  if (locationA != locationB) {
    if (a >= 0) countLocation(block, service, locationA, -1);
    if (b >= 0) countLocation(block, service, locationB, 1);
  }
  const nearA = a < 0 ? -1 : item(block, NEIGHBOURHOOD, a);
  const nearB = b < 0 ? -1 : item(block, NEIGHBOURHOOD, b);
  if (nearA == nearB) return;
  if (a >= 0) countNeighbour(block, service, nearA, -1);
  if (b >= 0) countNeighbour(block, service, nearB, 1);
}

function countLocation(block: usize, service: i32, location: i32, change: i32): void {
  const uses = slot(block, LOCATION_USE, service * load<i32>(block, LOCATION_COUNT) + location);
  const before = load<i32>(uses);
  store<i32>(uses, before + change);
  if (before == 0 || before + change == 0) {
    const spread = slot(block, LOCATION_SPREAD, service);
    store<i32>(spread, load<i32>(spread) + change);
  }
}

function countNeighbour(block: usize, service: i32, neighbourhood: i32, change: i32): void {
  const count = load<i32>(block, NEIGHBOURHOOD_COUNT);
  const neighbours = slot(block, NEIGHBOURS, service * count + neighbourhood);
  const before = load<i32>(neighbours);
  store<i32>(neighbours, before + change);
  if (before != 0 && before + change != 0) return;
  // The first has come, or the last has gone.
  addToAll(block, NEEDED_BY_START, NEEDED_BY, service, MISSING, neighbourhood, -change);
  addToAll(block, NEEDS_START, NEEDS, service, NEEDING, neighbourhood, change);
}

@inline
function addToAll(
  block: usize, starts: usize, list: usize, service: i32, field: usize, neighbourhood: i32, change: i32,
): void {
  const count = load<i32>(block, NEIGHBOURHOOD_COUNT);
  const end = item(block, starts, service + 1);
  for (let i = item(block, starts, service); i < end; i++) {
    const cell = slot(block, field, item(block, list, i) * count + neighbourhood);
    store<i32>(cell, load<i32>(cell) + change);
  }
}

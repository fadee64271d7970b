// Conflict, spread and dependency: what the services of processes allow, in O(1) a proposal.
import { at, place, Reassignment } from "./reassignment";

@inline
function presence(s: Reassignment, service: i32, machine: i32): usize {
  return s.present + <usize>(service * s.machineCount + machine);
}

/** Whether the service keeps its spread when a process of it goes from one location to another. */
@inline
function keepsSpread(s: Reassignment, service: i32, source: i32, target: i32): bool {
  const uses = s.locationUse + ((<usize>(service * s.locationCount)) << 2);
  const lost = load<i32>(uses + ((<usize>source) << 2)) == 1 ? 1 : 0;
  const won = load<i32>(uses + ((<usize>target) << 2)) == 0 ? 1 : 0;
  return at(s.locationSpread, service) - lost + won >= at(s.spreadMin, service);
}

/** Whether what the service needs is in the target, and nothing in the source needs the last process of the service. */
@inline
function keepsDependencies(s: Reassignment, service: i32, source: i32, target: i32): bool {
  const row = (<usize>(service * s.neighbourhoodCount)) << 2;
  if (load<i32>(s.missing + row + ((<usize>target) << 2)) != 0) return false;
  const from = row + ((<usize>source) << 2);
  return load<i32>(s.neighbours + from) > 1 || load<i32>(s.needing + from) == 0;
}

/** Whether `service` is the last of its kind in the neighbourhood, and `dependent` depends on it. */
function isLastNeeded(s: Reassignment, dependent: i32, service: i32, neighbourhood: i32): bool {
  const index = service * s.neighbourhoodCount + neighbourhood;
  if (at(s.neighbours, index) != 1) return false;
  const end = at(s.needsStart, dependent + 1);
  for (let i = at(s.needsStart, dependent); i < end; i++)
    if (at(s.needs, i) == service) return true;
  return false;
}

/** Whether the service may send a process from a to b, whatever else moves. */
@inline
function mayGo(s: Reassignment, service: i32, a: i32, b: i32): bool {
  if (load<u8>(presence(s, service, b)) != 0) return false;
  const locationA = at(s.location, a);
  const locationB = at(s.location, b);
  if (locationA != locationB && !keepsSpread(s, service, locationA, locationB)) return false;
  const nearA = at(s.neighbourhood, a);
  const nearB = at(s.neighbourhood, b);
  return nearA == nearB || keepsDependencies(s, service, nearA, nearB);
}

/**
 * Whether services allow p to go from a to b while q (or the null process) goes from b to c, which may be a.
 */
export function servicesAllow(s: Reassignment, p: i32, q: i32, a: i32, b: i32, c: i32): bool {
  const own = at(s.rich, p);
  const other = at(s.rich, q);
  // To a service it is the same whether two of its processes move in a row or one of them all the way.
  if (own == other) return own < 0 || a == c || mayGo(s, own, a, c);
  if (own >= 0 && !mayGo(s, own, a, b)) return false;
  if (other >= 0 && !mayGo(s, other, b, c)) return false;
  if (own < 0 || other < 0) return true;
  // Each by itself may go, but the one may come to where the other, on which it depends, has just left.
  const nearA = at(s.neighbourhood, a);
  const nearB = at(s.neighbourhood, b);
  const nearC = at(s.neighbourhood, c);
  if (nearB != nearC && isLastNeeded(s, own, other, nearB)) return false;
  return nearA != nearC || nearA == nearB || !isLastNeeded(s, other, own, nearA);
}

/** Counts a process of the service out of machine a and into machine b; either may be -1, nowhere. */
export function transferService(s: Reassignment, service: i32, a: i32, b: i32): void {
  // Counts, not flags: two processes of one service that change places are on one machine for a moment.
  if (a >= 0) store<u8>(presence(s, service, a), load<u8>(presence(s, service, a)) - 1);
  if (b >= 0) store<u8>(presence(s, service, b), load<u8>(presence(s, service, b)) + 1);
  const locationA = a < 0 ? -1 : at(s.location, a);
  const locationB = b < 0 ? -1 : at(s.location, b);
  if (locationA != locationB) {
    if (a >= 0) countLocation(s, service, locationA, -1);
    if (b >= 0) countLocation(s, service, locationB, 1);
  }
  const nearA = a < 0 ? -1 : at(s.neighbourhood, a);
  const nearB = b < 0 ? -1 : at(s.neighbourhood, b);
  if (nearA == nearB) return;
  if (a >= 0) countNeighbour(s, service, nearA, -1);
  if (b >= 0) countNeighbour(s, service, nearB, 1);
}

function countLocation(s: Reassignment, service: i32, location: i32, change: i32): void {
  const uses = place(s.locationUse, service * s.locationCount + location);
  const before = load<i32>(uses);
  store<i32>(uses, before + change);
  if (before == 0 || before + change == 0) {
    const spread = place(s.locationSpread, service);
    store<i32>(spread, load<i32>(spread) + change);
  }
}

function countNeighbour(s: Reassignment, service: i32, neighbourhood: i32, change: i32): void {
  const count = s.neighbourhoodCount;
  const neighbours = place(s.neighbours, service * count + neighbourhood);
  const before = load<i32>(neighbours);
  store<i32>(neighbours, before + change);
  if (before != 0 && before + change != 0) return;
  // The first has come, or the last has gone.
  addToAll(s, s.neededByStart, s.neededBy, service, s.missing, neighbourhood, -change);
  addToAll(s, s.needsStart, s.needs, service, s.needing, neighbourhood, change);
}

@inline
function addToAll(
  s: Reassignment, starts: usize, list: usize, service: i32, field: usize, neighbourhood: i32, change: i32,
): void {
  const count = s.neighbourhoodCount;
  const end = at(starts, service + 1);
  for (let i = at(starts, service); i < end; i++) {
    const cell = place(field, at(list, i) * count + neighbourhood);
    store<i32>(cell, load<i32>(cell) + change);
  }
}

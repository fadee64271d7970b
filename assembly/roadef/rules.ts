// Conflict, spread and dependency: what the services of processes say to a proposal, in O(1).
import { at, place, Reassignment } from "./reassignment";

@inline
function presence(s: Reassignment, service: i32, machine: i32): usize {
  return s.present + <usize>(service * s.machineCount + machine);
}

/** How far the service falls short of its spread when a process of it goes from one location to another, less how far it does now. */
@inline
function spreadChange(s: Reassignment, service: i32, source: i32, target: i32): i32 {
  const uses = s.locationUse + ((<usize>(service * s.locationCount)) << 2);
  const lost = load<i32>(uses + ((<usize>source) << 2)) == 1 ? 1 : 0;
  const won = load<i32>(uses + ((<usize>target) << 2)) == 0 ? 1 : 0;
  if (lost == won) return 0;
  const room = at(s.locationSpread, service) - at(s.spreadMin, service);
  return shortfall(room - lost + won) - shortfall(room);
}

@inline
export function shortfall(room: i32): i32 {
  return room < 0 ? -room : 0;
}

/**
 * Change of the unmet dependencies when a process of the service goes from one neighbourhood to another. Unmet is a pair of
 * services and a neighbourhood where the first is, the second is not, and the first depends on the second.
 */
@inline
function dependencyChange(s: Reassignment, service: i32, source: i32, target: i32): i32 {
  const row = (<usize>(service * s.neighbourhoodCount)) << 2;
  const from = row + ((<usize>source) << 2);
  const to = row + ((<usize>target) << 2);
  let change = 0;
  if (load<i32>(s.neighbours + from) == 1) change += load<i32>(s.needing + from) - load<i32>(s.missing + from);
  if (load<i32>(s.neighbours + to) == 0) change += load<i32>(s.missing + to) - load<i32>(s.needing + to);
  return change;
}

/** How many of the two depend on the other. */
function dependencies(s: Reassignment, service: i32, other: i32): i32 {
  return dependsOn(s, service, other) + dependsOn(s, other, service);
}

function dependsOn(s: Reassignment, service: i32, other: i32): i32 {
  const end = at(s.needsStart, service + 1);
  for (let i = at(s.needsStart, service); i < end; i++)
    if (at(s.needs, i) == other) return 1;
  return 0;
}

/** Change of the violations if the service sends a process from a to b and nothing else moves. */
@inline
function changeAlone(s: Reassignment, service: i32, a: i32, b: i32): i32 {
  const locationA = at(s.location, a);
  const locationB = at(s.location, b);
  const nearA = at(s.neighbourhood, a);
  const nearB = at(s.neighbourhood, b);
  return (
    (locationA == locationB ? 0 : spreadChange(s, service, locationA, locationB)) +
    (nearA == nearB ? 0 : dependencyChange(s, service, nearA, nearB))
  );
}

/** What {@link violationChange} says where two processes of a service would meet on a machine, which never happens. */
export const CONFLICT: i32 = i32.MAX_VALUE;

/**
 * How the violations of spreads and dependencies change when p goes from a to b while q (or the null process) goes from b
 * to c, which may be a.
 *
 * @returns CONFLICT when two processes of a service would be on one machine.
 */
export function violationChange(s: Reassignment, p: i32, q: i32, a: i32, b: i32, c: i32): i32 {
  const own = at(s.rich, p);
  const other = at(s.rich, q);
  if (own == other) {
    // To a service it is the same whether two of its processes move in a row or one of them all the way.
    if (own < 0 || a == c) return 0;
    return load<u8>(presence(s, own, c)) != 0 ? CONFLICT : changeAlone(s, own, a, c);
  }
  let change = 0;
  if (own >= 0) {
    if (load<u8>(presence(s, own, b)) != 0) return CONFLICT;
    change = changeAlone(s, own, a, b);
  }
  if (other < 0) return change;
  if (load<u8>(presence(s, other, c)) != 0) return CONFLICT;
  change += changeAlone(s, other, b, c);
  return own < 0 ? change : change + togetherChange(s, own, other, a, b, c);
}

/**
 * What is to be added to the changes of both services alone. With presences x, y of 0 or 1, x (1 - y) is unmet; where both
 * change, its change has a term -dx dy, and both change only where the one comes first and the other leaves last.
 */
@inline
function togetherChange(s: Reassignment, own: i32, other: i32, a: i32, b: i32, c: i32): i32 {
  const nearA = at(s.neighbourhood, a);
  const nearB = at(s.neighbourhood, b);
  const nearC = at(s.neighbourhood, c);
  if (nearA == nearB || nearB == nearC) return 0;
  const count = s.neighbourhoodCount;
  let crossings = 0;
  if (at(s.neighbours, own * count + nearB) == 0 && at(s.neighbours, other * count + nearB) == 1) crossings++;
  if (nearA == nearC && at(s.neighbours, own * count + nearA) == 1 && at(s.neighbours, other * count + nearA) == 0)
    crossings++;
  return crossings == 0 ? 0 : crossings * dependencies(s, own, other);
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

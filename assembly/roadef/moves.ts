// The neighbourhood: twelve ways to propose a change, priced exactly.
import { REJECTED } from "../search/state";
import { chainDelta, INFEASIBLE, moveDelta, usageDelta } from "./cost";
import { at, Reassignment } from "./reassignment";
import { CONFLICT, violationChange } from "./rules";
import { transfer } from "./transfer";

// Operators, in the order of the host's table. Those of moved processes draw towards home, all the more the fewer have moved:
// how often they are tried decides how far from home a hot search settles, so that the host races their shares.
/** Any process to any machine. */
const SHIFT: u32 = 0;
/** Any two processes change places. */
const SWAP: u32 = 1;
/** A process of a hot machine to any machine. */
const HOT_SHIFT: u32 = 2;
/** A process of a hot machine changes places with one of any machine. */
const HOT_SWAP: u32 = 3;
/** Any process to where another is, and that one to any machine. */
const CHAIN: u32 = 4;
/** Two processes of about the same size change places: where room is scarce, hardly any others can. */
const NEAR_SWAP: u32 = 5;
/** A moved process to its home. */
const RETURN: u32 = 6;
/** A moved process to its home, and one from there in its place. */
const REPLACE: u32 = 7;
/** A moved process to any machine. */
const AWAY_SHIFT: u32 = 8;
/** A moved process changes places with any process. */
const AWAY_SWAP: u32 = 9;
/** A moved process to its home, and any process to the room it leaves. */
const RELIEVE: u32 = 10;
/** The same with a process of a hot machine. */
const HOT_RELIEVE: u32 = 11;

/** The costliest of a few random machines. */
function hotMachine(s: Reassignment): i32 {
  const costs = s.machineCost;
  let hottest = anyMachine(s);
  for (let i = s.tournament - 1; i > 0; i--) {
    const machine = anyMachine(s);
    if (load<f64>(costs + ((<usize>machine) << 3)) > load<f64>(costs + ((<usize>hottest) << 3))) hottest = machine;
  }
  return hottest;
}

@inline
function anyMachine(s: Reassignment): i32 {
  return s.drawBelow(s.machineCount);
}

@inline
function anyProcess(s: Reassignment): i32 {
  return s.drawBelow(s.itemCount);
}

/** A random process of the machine, or -1 if there is none. */
@inline
function processOn(s: Reassignment, machine: i32): i32 {
  const length = at(s.listLength, machine);
  return length == 0 ? -1 : at(s.list, machine * s.listCapacity + s.drawBelow(length));
}

/** A random process that is not at home, or -1 if there is none. */
@inline
function awayProcess(s: Reassignment): i32 {
  return s.awayCount == 0 ? -1 : at(s.away, s.drawBelow(s.awayCount));
}

/** A random process of about the size of p; p itself now and then. */
@inline
function nearInSize(s: Reassignment, p: i32): i32 {
  const last = <i32>s.itemCount - 1;
  const rank = at(s.rankOf, p) + s.drawBelow(2 * s.nearRanks + 1) - s.nearRanks;
  return at(s.bySize, rank < 0 ? 0 : rank > last ? last : rank);
}

/** Draws one proposal, judges it and carries it out. @returns change of the cost, or REJECTED. */
export function attempt(s: Reassignment, operator: u32): f64 {
  let p: i32;
  if (operator == HOT_SHIFT || operator == HOT_SWAP || operator == HOT_RELIEVE) p = processOn(s, hotMachine(s));
  else if (operator >= RETURN && operator <= AWAY_SWAP) p = awayProcess(s);
  else p = anyProcess(s);
  if (p < 0) return REJECTED;
  const a = at(s.owner, p);
  if (operator == SHIFT || operator == HOT_SHIFT || operator == AWAY_SHIFT)
    return propose(s, p, <i32>s.itemCount, a, anyMachine(s), a);
  if (operator == RETURN) return propose(s, p, <i32>s.itemCount, a, at(s.home, p), a);
  let q: i32;
  if (operator == REPLACE) q = processOn(s, at(s.home, p));
  else if (operator == HOT_SWAP) q = processOn(s, anyMachine(s));
  else if (operator >= RELIEVE) q = awayProcess(s);
  else if (operator == NEAR_SWAP) q = nearInSize(s, p);
  else q = anyProcess(s);
  if (q < 0) return REJECTED;
  let c = a;
  if (operator >= RELIEVE) c = at(s.home, q);
  else if (operator == CHAIN) c = anyMachine(s);
  return propose(s, p, q, a, at(s.owner, q), c);
}

/** Judges that p goes from a to b and q (or the null process) from b to c, and carries it out if it is accepted. */
@inline
function propose(s: Reassignment, p: i32, q: i32, a: i32, b: i32, c: i32): f64 {
  if (a == b || b == c) return REJECTED;
  const isSoft = s.isSoft != 0 || s.overflow > 0;
  const usage = isSoft ? usageDeltaOf(s, p, q, a, b, c, true) : usageDeltaOf(s, p, q, a, b, c, false);
  if (usage == INFEASIBLE) return REJECTED;
  const delta = <f64>(usage + moveDelta(s, p, q, a, b, c));
  if (delta > 0) s.sample(delta);
  const overflow = isSoft ? s.overflowChange : 0;
  const price = delta + s.overflowPenalty * overflow;
  // The price first: it refuses most, and costs less than a look at the services. At best no violation is left.
  const threshold = s.drawThreshold();
  if (price - s.penalty * <f64>s.violations > threshold) return REJECTED;
  const change = violationChange(s, p, q, a, b, c);
  if (change == CONFLICT || price + s.penalty * <f64>change > threshold) return REJECTED;
  // One place of a list is kept for swaps, which enter it before they leave.
  const grows = q == <i32>s.itemCount ? b : c;
  if (at(s.listLength, grows) >= s.listCapacity - 1) return REJECTED;
  carryOut(s, p, q, a, b, c);
  s.violations += change;
  s.overflow += overflow;
  return delta;
}

@inline
function usageDeltaOf(s: Reassignment, p: i32, q: i32, a: i32, b: i32, c: i32, isSoft: bool): i64 {
  return a == c ? usageDelta(s, p, q, a, b, isSoft) : chainDelta(s, p, q, a, b, c, isSoft);
}

function carryOut(s: Reassignment, p: i32, q: i32, a: i32, b: i32, c: i32): void {
  if (q != <i32>s.itemCount) transfer(s, q, b, c);
  transfer(s, p, a, b);
}

/** What {@link priceOf} says of a change that a constraint forbids. */
const FORBIDDEN: f64 = Infinity;

/** Exact change of the cost if p went from its machine to b, and q (or the null process) from b to c; for tests. */
export function priceOf(s: Reassignment, p: i32, q: i32, b: i32, c: i32): f64 {
  const a = at(s.owner, p);
  const usage = usageDeltaOf(s, p, q, a, b, c, true);
  if (usage == INFEASIBLE || violationChange(s, p, q, a, b, c) == CONFLICT) return FORBIDDEN;
  return <f64>(usage + moveDelta(s, p, q, a, b, c));
}

/** Carries out what {@link priceOf} has priced; for tests. */
export function apply(s: Reassignment, p: i32, q: i32, b: i32, c: i32): void {
  const delta = priceOf(s, p, q, b, c);
  assert(delta != FORBIDDEN, "only a legal proposal is carried out");
  s.violations += violationChange(s, p, q, at(s.owner, p), b, c);
  carryOut(s, p, q, at(s.owner, p), b, c);
  s.cost += delta;
  s.overflow += s.overflowChange;
}

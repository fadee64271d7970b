// What a proposal costs, exactly: integers below 2^31 in four lanes, sums in 64 bits.
import { at, Reassignment } from "./reassignment";

/** More than any cost, so that it is never accepted: the proposal breaks a capacity. */
export const INFEASIBLE: i64 = i64.MAX_VALUE;

/** max(0, x') - max(0, x) */
@inline
function rise(after: v128, before: v128): v128 {
  const zero = i32x4.splat(0);
  return i32x4.sub(i32x4.max_s(after, zero), i32x4.max_s(before, zero));
}

/** max(0, -room) - max(0, -free): by how much more a machine is beyond its capacity. */
@inline
function lack(room: v128, free: v128): v128 {
  const zero = i32x4.splat(0);
  return i32x4.sub(i32x4.min_s(free, zero), i32x4.min_s(room, zero));
}

/**
 * Negative where more than twice the capacity would be in use, or where what comes is too large for the machine however empty
 * it is: a process that can never stay there may be kept there by its service.
 */
@inline
function tooFull(room: v128, coming: v128, capacity: usize): v128 {
  const most = v128.load(capacity);
  return v128.or(i32x4.gt_s(i32x4.neg(room), most), i32x4.gt_s(coming, most));
}

/**
 * Change of load and balance cost when p goes from a to b and q (or the null process) comes back for it.
 *
 * @returns INFEASIBLE when a capacity forbids it, transient use on the home machines included.
 */
@inline
export function usageDelta(s: Reassignment, p: i32, q: i32, a: i32, b: i32, isSoft: bool): i64 {
  const row = <usize>s.columnCount << 2;
  const requirement = s.requirement;
  let rp = requirement + <usize>p * row;
  let rq = requirement + <usize>q * row;
  const over = s.over;
  let overA = over + <usize>a * row;
  let overB = over + <usize>b * row;
  // Free room lies at a fixed distance from usage.
  const toFree = s.free - over;
  const homeP = at(s.home, p);
  const homeQ = at(s.home, q);
  // Transient use of a process stays on its home machine wherever it is: only what is not masked moves.
  const pAtA = i32x4.splat(homeP == a ? 0 : -1);
  const pAtB = i32x4.splat(homeP == b ? 0 : -1);
  const qAtA = i32x4.splat(homeQ == a ? 0 : -1);
  const qAtB = i32x4.splat(homeQ == b ? 0 : -1);
  let staying = s.staying;
  let weights = s.weight;
  const end = rp + row;
  let sum = i64x2.splat(0);
  let room = i32x4.splat(0);
  let overflow = i64x2.splat(0);
  const toCapacity = s.capacity - over;
  const toScale = s.overflowWeight - s.weight;
  while (rp < end) {
    const own = v128.load(rp);
    const other = v128.load(rq);
    const stay = v128.load(staying);
    const leaving = i32x4.sub(own, other);
    const loadA = v128.load(overA);
    const loadB = v128.load(overB);
    const change = i32x4.add(rise(i32x4.sub(loadA, leaving), loadA), rise(i32x4.add(loadB, leaving), loadB));
    const weight = v128.load(weights);
    sum = i64x2.add(
      sum,
      i64x2.add(i64x2.extmul_low_i32x4_s(change, weight), i64x2.extmul_high_i32x4_s(change, weight)),
    );
    const freeA = v128.load(overA + toFree);
    const freeB = v128.load(overB + toFree);
    const roomA = i32x4.sub(
      i32x4.add(freeA, v128.and(own, v128.or(stay, pAtA))),
      v128.and(other, v128.or(stay, qAtA)),
    );
    const roomB = i32x4.sub(
      i32x4.add(freeB, v128.and(other, v128.or(stay, qAtB))),
      v128.and(own, v128.or(stay, pAtB)),
    );
    if (isSoft) {
      const more = i32x4.add(lack(roomA, freeA), lack(roomB, freeB));
      const scale = v128.load(weights + toScale);
      overflow = i64x2.add(
        overflow,
        i64x2.add(i64x2.extmul_low_i32x4_s(more, scale), i64x2.extmul_high_i32x4_s(more, scale)),
      );
      room = v128.or(
        room,
        v128.or(tooFull(roomA, other, overA + toCapacity), tooFull(roomB, own, overB + toCapacity)),
      );
    } else room = v128.or(room, v128.or(roomA, roomB));
    rp += 16;
    rq += 16;
    overA += 16;
    overB += 16;
    staying += 16;
    weights += 16;
  }
  if (i32x4.bitmask(room) != 0) return INFEASIBLE;
  if (isSoft) s.overflowChange = <f64>(i64x2.extract_lane(overflow, 0) + i64x2.extract_lane(overflow, 1));
  return i64x2.extract_lane(sum, 0) + i64x2.extract_lane(sum, 1);
}

/**
 * The same for a chain: p goes from a to b, q from there to c, three machines.
 *
 * @returns INFEASIBLE when a capacity forbids it.
 */
@inline
export function chainDelta(s: Reassignment, p: i32, q: i32, a: i32, b: i32, c: i32, isSoft: bool): i64 {
  const row = <usize>s.columnCount << 2;
  const requirement = s.requirement;
  let rp = requirement + <usize>p * row;
  let rq = requirement + <usize>q * row;
  const over = s.over;
  let overA = over + <usize>a * row;
  let overB = over + <usize>b * row;
  let overC = over + <usize>c * row;
  const toFree = s.free - over;
  const homeQ = at(s.home, q);
  const pAtA = i32x4.splat(at(s.home, p) == a ? 0 : -1);
  const pAtB = i32x4.splat(at(s.home, p) == b ? 0 : -1);
  const qAtB = i32x4.splat(homeQ == b ? 0 : -1);
  const qAtC = i32x4.splat(homeQ == c ? 0 : -1);
  let staying = s.staying;
  let weights = s.weight;
  const end = rp + row;
  let sum = i64x2.splat(0);
  let room = i32x4.splat(0);
  let overflow = i64x2.splat(0);
  const toCapacity = s.capacity - over;
  const toScale = s.overflowWeight - s.weight;
  while (rp < end) {
    const own = v128.load(rp);
    const other = v128.load(rq);
    const stay = v128.load(staying);
    const loadA = v128.load(overA);
    const loadB = v128.load(overB);
    const loadC = v128.load(overC);
    const change = i32x4.add(
      i32x4.add(rise(i32x4.sub(loadA, own), loadA), rise(i32x4.add(loadC, other), loadC)),
      rise(i32x4.add(loadB, i32x4.sub(own, other)), loadB),
    );
    const weight = v128.load(weights);
    sum = i64x2.add(
      sum,
      i64x2.add(i64x2.extmul_low_i32x4_s(change, weight), i64x2.extmul_high_i32x4_s(change, weight)),
    );
    const freeB = v128.load(overB + toFree);
    const freeC = v128.load(overC + toFree);
    const roomB = i32x4.sub(
      i32x4.add(freeB, v128.and(other, v128.or(stay, qAtB))),
      v128.and(own, v128.or(stay, pAtB)),
    );
    const roomC = i32x4.sub(freeC, v128.and(other, v128.or(stay, qAtC)));
    if (isSoft) {
      const freeA = v128.load(overA + toFree);
      const roomA = i32x4.add(freeA, v128.and(own, v128.or(stay, pAtA)));
      const more = i32x4.add(i32x4.add(lack(roomA, freeA), lack(roomB, freeB)), lack(roomC, freeC));
      const scale = v128.load(weights + toScale);
      overflow = i64x2.add(
        overflow,
        i64x2.add(i64x2.extmul_low_i32x4_s(more, scale), i64x2.extmul_high_i32x4_s(more, scale)),
      );
      room = v128.or(
        room,
        v128.or(tooFull(roomB, own, overB + toCapacity), tooFull(roomC, other, overC + toCapacity)),
      );
    } else room = v128.or(room, v128.or(roomB, roomC));
    rp += 16;
    rq += 16;
    overA += 16;
    overB += 16;
    overC += 16;
    staying += 16;
    weights += 16;
  }
  if (i32x4.bitmask(room) != 0) return INFEASIBLE;
  if (isSoft) s.overflowChange = <f64>(i64x2.extract_lane(overflow, 0) + i64x2.extract_lane(overflow, 1));
  return i64x2.extract_lane(sum, 0) + i64x2.extract_lane(sum, 1);
}

/** What the process pays for being on the machine: process move and machine move. */
@inline
export function movePrice(s: Reassignment, p: i32, machine: i32): i32 {
  const home = at(s.home, p);
  const price = at(s.machinePrice, home * s.machineCount + machine);
  return home == machine ? price : price + at(s.processPrice, p);
}

/** -1 if p comes home by going from a to b, 1 if it leaves home, else 0. */
@inline
export function awayChange(s: Reassignment, p: i32, a: i32, b: i32): i32 {
  const home = at(s.home, p);
  return (a == home ? 1 : 0) - (b == home ? 1 : 0);
}

/** Change of the price of the most moved service when p goes from a to b and q from b to c. */
@inline
function servicePriceDelta(s: Reassignment, p: i32, q: i32, a: i32, b: i32, c: i32): i64 {
  const isPair = q != <i32>s.itemCount;
  const changeP = awayChange(s, p, a, b);
  const changeQ = isPair ? awayChange(s, q, b, c) : 0;
  if (changeP == 0 && changeQ == 0) return 0;
  const serviceP = at(s.service, p);
  const serviceQ = at(s.service, q);
  const change =
    serviceP == serviceQ
      ? mostMovedChange(s, serviceP, changeP + changeQ, -1, 0)
      : mostMovedChange(s, serviceP, changeP, serviceQ, changeQ);
  return <i64>change * <i64>s.servicePrice;
}

/** How the largest count of moved processes changes when those of services u and v (-1: none) do. */
function mostMovedChange(s: Reassignment, u: i32, changeU: i32, v: i32, changeV: i32): i32 {
  const most = s.movedMost;
  const beforeU = at(s.moved, u);
  const beforeV = v < 0 ? 0 : at(s.moved, v);
  const afterU = beforeU + changeU;
  const afterV = v < 0 ? 0 : beforeV + changeV;
  const after = afterU > afterV ? afterU : afterV;
  if (after >= most) return after - most;
  // Neither is at the top any more: who else is there, or below it?
  let level = most;
  while (level > after) {
    let others = at(s.movedHistogram, level);
    if (beforeU == level) others--;
    if (v >= 0 && beforeV == level) others--;
    if (others > 0) break;
    level--;
  }
  return level - most;
}

/** Change of all that is paid for moves when p goes from a to b and q (or the null process) from b to c, which may be a. */
@inline
export function moveDelta(s: Reassignment, p: i32, q: i32, a: i32, b: i32, c: i32): i64 {
  let delta = <i64>movePrice(s, p, b) - <i64>movePrice(s, p, a);
  if (q != <i32>s.itemCount)
    delta += <i64>movePrice(s, q, c) - <i64>movePrice(s, q, b);
  return (delta + servicePriceDelta(s, p, q, a, b, c)) * <i64>s.moveWeight;
}

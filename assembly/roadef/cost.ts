// What a proposal costs, exactly: integers below 2^31 in four lanes, sums in 64 bits.
import {
  at, COLUMN_COUNT, FREE, HOME, item, MACHINE_COUNT, MACHINE_PRICE, MOVED, MOVED_HISTOGRAM, MOVED_MOST, OVER,
  PROCESS_COUNT, PROCESS_PRICE, REQUIREMENT, SERVICE, SERVICE_PRICE, STAYING, WEIGHT,
} from "./block";

/** More than any cost, so that it is never accepted: the proposal breaks a capacity. */
export const INFEASIBLE: i64 = i64.MAX_VALUE;

/** max(0, x') - max(0, x) */
@inline
function rise(after: v128, before: v128): v128 {
  const zero = i32x4.splat(0);
  return i32x4.sub(i32x4.max_s(after, zero), i32x4.max_s(before, zero));
}

/**
 * Change of load and balance cost when p goes from a to b and q (or the null process) comes back for it.
 *
 * @returns INFEASIBLE when a capacity forbids it, transient use on the home machines included.
 */
@inline
export function usageDelta(block: usize, p: i32, q: i32, a: i32, b: i32): i64 {
  const row = <usize>load<u32>(block, COLUMN_COUNT) << 2;
  const requirement = at(block, REQUIREMENT);
  let rp = requirement + <usize>p * row;
  let rq = requirement + <usize>q * row;
  const over = at(block, OVER);
  let overA = over + <usize>a * row;
  let overB = over + <usize>b * row;
  // Free room lies at a fixed distance from usage.
  const toFree = at(block, FREE) - over;
  const homeP = item(block, HOME, p);
  const homeQ = item(block, HOME, q);
  // Transient use of a process stays on its home machine wherever it is: only what is not masked moves.
  const pAtA = i32x4.splat(homeP == a ? 0 : -1);
  const pAtB = i32x4.splat(homeP == b ? 0 : -1);
  const qAtA = i32x4.splat(homeQ == a ? 0 : -1);
  const qAtB = i32x4.splat(homeQ == b ? 0 : -1);
  let staying = at(block, STAYING);
  let weights = at(block, WEIGHT);
  const end = rp + row;
  let sum = i64x2.splat(0);
  let room = i32x4.splat(0);
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
    const roomA = i32x4.sub(
      i32x4.add(v128.load(overA + toFree), v128.and(own, v128.or(stay, pAtA))),
      v128.and(other, v128.or(stay, qAtA)),
    );
    const roomB = i32x4.sub(
      i32x4.add(v128.load(overB + toFree), v128.and(other, v128.or(stay, qAtB))),
      v128.and(own, v128.or(stay, pAtB)),
    );
    room = v128.or(room, v128.or(roomA, roomB));
    rp += 16;
    rq += 16;
    overA += 16;
    overB += 16;
    staying += 16;
    weights += 16;
  }
  if (i32x4.bitmask(room) != 0) return INFEASIBLE;
  return i64x2.extract_lane(sum, 0) + i64x2.extract_lane(sum, 1);
}

/** What the process pays for being on the machine: process move and machine move. */
@inline
export function movePrice(block: usize, p: i32, machine: i32): i32 {
  const home = item(block, HOME, p);
  const price = item(block, MACHINE_PRICE, home * load<i32>(block, MACHINE_COUNT) + machine);
  return home == machine ? price : price + item(block, PROCESS_PRICE, p);
}

/** -1 if p comes home by going from a to b, 1 if it leaves home, else 0. */
@inline
export function awayChange(block: usize, p: i32, a: i32, b: i32): i32 {
  const home = item(block, HOME, p);
  return (a == home ? 1 : 0) - (b == home ? 1 : 0);
}

/** Change of the price of the most moved service when p goes from a to b and q comes back. */
@inline
function servicePriceDelta(block: usize, p: i32, q: i32, a: i32, b: i32): i64 {
  const isPair = q != load<i32>(block, PROCESS_COUNT);
  const changeP = awayChange(block, p, a, b);
  const changeQ = isPair ? awayChange(block, q, b, a) : 0;
  if (changeP == 0 && changeQ == 0) return 0;
  const serviceP = item(block, SERVICE, p);
  const serviceQ = item(block, SERVICE, q);
  const change =
    serviceP == serviceQ
      ? mostMovedChange(block, serviceP, changeP + changeQ, -1, 0)
      : mostMovedChange(block, serviceP, changeP, serviceQ, changeQ);
  return <i64>change * <i64>load<i32>(block, SERVICE_PRICE);
}

/** How the largest count of moved processes changes when those of services s and t (-1: none) do. */
function mostMovedChange(block: usize, s: i32, changeS: i32, t: i32, changeT: i32): i32 {
  const most = load<i32>(block, MOVED_MOST);
  const beforeS = item(block, MOVED, s);
  const beforeT = t < 0 ? 0 : item(block, MOVED, t);
  const afterS = beforeS + changeS;
  const afterT = t < 0 ? 0 : beforeT + changeT;
  const after = afterS > afterT ? afterS : afterT;
  if (after >= most) return after - most;
  // Neither is at the top any more: who else is there, or below it?
  let level = most;
  while (level > after) {
    let others = item(block, MOVED_HISTOGRAM, level);
    if (beforeS == level) others--;
    if (t >= 0 && beforeT == level) others--;
    if (others > 0) break;
    level--;
  }
  return level - most;
}

/** Change of all that is paid for moves when p goes from a to b and q (or the null process) comes back for it. */
@inline
export function moveDelta(block: usize, p: i32, q: i32, a: i32, b: i32): i64 {
  let delta = <i64>movePrice(block, p, b) - <i64>movePrice(block, p, a);
  if (q != load<i32>(block, PROCESS_COUNT))
    delta += <i64>movePrice(block, q, a) - <i64>movePrice(block, q, b);
  return delta + servicePriceDelta(block, p, q, a, b);
}

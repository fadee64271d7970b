// How an accepted proposal changes the state of a search.
import { awayChange } from "./cost";
import { at, place, Reassignment } from "./reassignment";
import { transferService } from "./rules";

/** Moves p from a to b in everything that is counted, except `cost`. */
export function transfer(s: Reassignment, p: i32, a: i32, b: i32): void {
  leaveList(s, p, a);
  enterList(s, p, b);
  s.assign(p, b);
  use(s, p, a, -1);
  use(s, p, b, 1);
  const rich = at(s.rich, p);
  if (rich >= 0) transferService(s, rich, a, b);
  const change = awayChange(s, p, a, b);
  if (change != 0) countAway(s, p, change);
}

/** Adds (sign 1) or takes away (-1) what p uses on the machine. */
export function use(s: Reassignment, p: i32, machine: i32, sign: i32): void {
  const row = <usize>s.columnCount << 2;
  const requirement = s.requirement + <usize>p * row;
  const over = s.over + <usize>machine * row;
  const free = s.free + <usize>machine * row;
  const staying = s.staying;
  const weights = s.weight;
  const isAway = i32x4.splat(at(s.home, p) == machine ? 0 : -1);
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
    s.machineCost + ((<usize>machine) << 3),
    <f64>(i64x2.extract_lane(cost, 0) + i64x2.extract_lane(cost, 1)),
  );
}

/** weight x max(0, over), summed in two lanes. */
@inline
function weighted(over: v128, weight: v128): v128 {
  const positive = i32x4.max_s(over, i32x4.splat(0));
  return i64x2.add(i64x2.extmul_low_i32x4_s(positive, weight), i64x2.extmul_high_i32x4_s(positive, weight));
}

function leaveList(s: Reassignment, p: i32, machine: i32): void {
  const length = place(s.listLength, machine);
  const last = load<i32>(length) - 1;
  const list = place(s.list, machine * s.listCapacity);
  const index = at(s.listIndex, p);
  const moved = load<i32>(list + ((<usize>last) << 2));
  store<i32>(list + ((<usize>index) << 2), moved);
  store<i32>(place(s.listIndex, moved), index);
  store<i32>(length, last);
}

export function enterList(s: Reassignment, p: i32, machine: i32): void {
  const length = place(s.listLength, machine);
  const index = load<i32>(length);
  assert(index < s.listCapacity, "the list of a machine has room");
  store<i32>(place(s.list, machine * s.listCapacity + index), p);
  store<i32>(place(s.listIndex, p), index);
  store<i32>(length, index + 1);
}

/** p has left home (1) or has come back (-1). */
export function countAway(s: Reassignment, p: i32, change: i32): void {
  const count = s.awayCount;
  s.awayCount = count + change;
  if (change > 0) {
    store<i32>(place(s.away, count), p);
    store<i32>(place(s.awayIndex, p), count);
  } else {
    const index = at(s.awayIndex, p);
    const last = at(s.away, count - 1);
    store<i32>(place(s.away, index), last);
    store<i32>(place(s.awayIndex, last), index);
  }
  const moved = place(s.moved, at(s.service, p));
  const before = load<i32>(moved);
  const after = before + change;
  store<i32>(moved, after);
  const histogram = s.movedHistogram;
  const old = histogram + ((<usize>before) << 2);
  store<i32>(old, load<i32>(old) - 1);
  const now = histogram + ((<usize>after) << 2);
  store<i32>(now, load<i32>(now) + 1);
  let most = s.movedMost;
  if (after > most) most = after;
  while (most > 0 && load<i32>(histogram + ((<usize>most) << 2)) == 0) most--;
  s.movedMost = most;
}

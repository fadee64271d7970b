/**
 * What the rules let through. A proposal is a list of steps (partition, source, target); all of its steps are judged
 * together, against the state before it. Going home is always allowed as far as the home itself goes: nothing is copied for it.
 */
import { Placement } from "./placement";

export const GROUPS: u32 = 1;
export const NODE_MOVES: u32 = 2;
export const BYTES_MOVED: u32 = 4;

/** Steps of one proposal: one big and so many small. */
export const STEPS_MAX: u32 = 5;

@inline
export function putStep(s: Placement, partition: u32, source: u32, target: u32): void {
  const at = s.steps + <usize>(s.stepCount * 12);
  store<u32>(at, partition);
  store<u32>(at, source, 4);
  store<u32>(at, target, 8);
  s.stepCount++;
}

@inline
export function stepPartition(s: Placement, i: u32): u32 {
  return load<u32>(s.steps + <usize>(i * 12));
}

@inline
export function stepSource(s: Placement, i: u32): u32 {
  return load<u32>(s.steps + <usize>(i * 12), 4);
}

@inline
export function stepTarget(s: Placement, i: u32): u32 {
  return load<u32>(s.steps + <usize>(i * 12), 8);
}

/** Whether a node has room for a partition; what leaves a node frees nothing until its migration has ended. */
@inline
export function hasRoom(s: Placement, p: u32, node: u32): bool {
  if (s.homeOf(p) == node) return true;
  return load<f64>(s.bytesFree + ((<usize>node) << 3)) >= s.bytesOf(p);
}

/** The steps' rules beyond room and count of moves, which a pair has answered for itself; sets bytesDelta. */
export function keepsOtherRules(s: Placement): bool {
  const flags = s.ruleFlags;
  s.bytesDelta = 0;
  if ((flags & BYTES_MOVED) != 0 && !fitsBudget(s)) return false;
  if ((flags & NODE_MOVES) != 0 && !keepsNodeMoves(s)) return false;
  return (flags & GROUPS) == 0 || keepsGroups(s);
}

/** Room and count of moves for any list of steps; sets movedDelta. */
export function keepsRoomAndCount(s: Placement): bool {
  let moved = 0;
  for (let i: u32 = 0; i < s.stepCount; i++) {
    const p = stepPartition(s, i);
    const target = stepTarget(s, i);
    moved += s.movesFor(p, target) - s.movesFor(p, stepSource(s, i));
    if (!s.away(p, target)) continue;
    let arriving: f64 = 0;
    for (let j: u32 = 0; j <= i; j++) {
      const other = stepPartition(s, j);
      if (stepTarget(s, j) == target && s.away(other, target)) arriving += s.bytesOf(other);
    }
    if (load<f64>(s.bytesFree + ((<usize>target) << 3)) < arriving) return false;
  }
  s.movedDelta = moved;
  return moved <= 0 || <i32>s.movedCount + moved <= <i32>s.movesMax;
}

function fitsBudget(s: Placement): bool {
  let delta: f64 = 0;
  for (let i: u32 = 0; i < s.stepCount; i++) {
    const p = stepPartition(s, i);
    delta += <f64>(s.away(p, stepTarget(s, i)) - s.away(p, stepSource(s, i))) * s.bytesOf(p);
  }
  s.bytesDelta = delta;
  return delta <= 0 || s.bytesMoved + delta <= s.bytesMovedMax;
}

/** What a step adds to the moves of the node it leaves: its own if that is its home, minus these if it had come there. */
@inline
function leaves(s: Placement, p: u32, node: u32): i32 {
  const members = load<i32>(s.memberCount + ((<usize>p) << 2));
  return s.away(p, node) ? -members : members;
}

function keepsNodeMoves(s: Placement): bool {
  for (let i: u32 = 0; i < s.stepCount; i++)
    if (!keepsMovesOf(s, stepSource(s, i)) || !keepsMovesOf(s, stepTarget(s, i))) return false;
  return true;
}

function keepsMovesOf(s: Placement, node: u32): bool {
  let delta = 0;
  for (let i: u32 = 0; i < s.stepCount; i++) {
    const p = stepPartition(s, i);
    if (stepSource(s, i) == node) delta += leaves(s, p, node);
    if (stepTarget(s, i) == node) delta -= leaves(s, p, node);
  }
  return delta <= 0 || load<i32>(s.nodeMoves + ((<usize>node) << 2)) + delta <= s.nodeMovesMax;
}

/**
 * Members of a group keep apart and keep their zones. At most one member of a group moves in a proposal, so that each step
 * can be judged by itself. A home may be shared by members whose home it is: that was so at the start.
 */
function keepsGroups(s: Placement): bool {
  for (let i: u32 = 0; i < s.stepCount; i++) {
    const group = load<i32>(s.groupOf + ((<usize>stepPartition(s, i)) << 2));
    if (group < 0) continue;
    for (let j: u32 = 0; j < i; j++)
      if (load<i32>(s.groupOf + ((<usize>stepPartition(s, j)) << 2)) == group) return false;
    if (!canJoin(s, i, <u32>group) || !keepsZones(s, i, <u32>group)) return false;
  }
  return true;
}

function canJoin(s: Placement, step: u32, group: u32): bool {
  const target = stepTarget(s, step);
  const held = load<u16>(s.groupOnNode + ((<usize>(group * s.nodeCount + target)) << 1));
  return held == 0 || (!s.away(stepPartition(s, step), target) && held < 256);
}

function keepsZones(s: Placement, step: u32, group: u32): bool {
  const from = load<u32>(s.zoneOf + ((<usize>stepSource(s, step)) << 2));
  const to = load<u32>(s.zoneOf + ((<usize>stepTarget(s, step)) << 2));
  if (from == to) return true;
  const counts = s.groupInZone + ((<usize>(group * s.zoneCount)) << 1);
  const lost = load<u16>(counts + ((<usize>from) << 1)) == 1 ? 1 : 0;
  const won = load<u16>(counts + ((<usize>to) << 1)) == 0 ? 1 : 0;
  if (won >= lost) return true;
  const zones = <i32>load<u16>(s.groupZones + ((<usize>group) << 1));
  return zones + won - lost >= load<i32>(s.groupZonesMin + ((<usize>group) << 2));
}

/** Counts a step that is carried out; owner and loads are the caller's. */
export function countStep(s: Placement, p: u32, source: u32, target: u32): void {
  // A partition frees nothing at home until its migration has ended, and takes nothing by staying there.
  const bytes = s.bytesOf(p);
  const free = s.bytesFree;
  if (s.away(p, source))
    store<f64>(free + ((<usize>source) << 3), load<f64>(free + ((<usize>source) << 3)) + bytes);
  if (s.away(p, target))
    store<f64>(free + ((<usize>target) << 3), load<f64>(free + ((<usize>target) << 3)) - bytes);
  if (s.ruleFlags == 0) return;
  if ((s.ruleFlags & NODE_MOVES) != 0) {
    addTo(s.nodeMoves, source, leaves(s, p, source));
    addTo(s.nodeMoves, target, -leaves(s, p, target));
  }
  if ((s.ruleFlags & GROUPS) != 0) {
    countInGroup(s, p, source, -1);
    countInGroup(s, p, target, 1);
  }
}

@inline
function addTo(counts: usize, index: u32, by: i32): void {
  const at = counts + ((<usize>index) << 2);
  store<i32>(at, load<i32>(at) + by);
}

/** Enters p in the counts of its group on the node (sign 1), or takes it out (-1). */
export function countInGroup(s: Placement, p: u32, node: u32, sign: i32): void {
  const group = load<i32>(s.groupOf + ((<usize>p) << 2));
  if (group < 0) return;
  const onNode = s.groupOnNode + ((<usize>(<u32>group * s.nodeCount + node)) << 1);
  store<u16>(onNode, <u16>(<i32>load<u16>(onNode) + sign * (s.away(p, node) ? 256 : 1)));
  const zone = load<u32>(s.zoneOf + ((<usize>node) << 2));
  const inZone = s.groupInZone + ((<usize>(<u32>group * s.zoneCount + zone)) << 1);
  const count = <i32>load<u16>(inZone) + sign;
  store<u16>(inZone, <u16>count);
  const zones = s.groupZones + ((<usize>group) << 1);
  if (sign > 0 && count == 1) store<u16>(zones, load<u16>(zones) + 1);
  if (sign < 0 && count == 0) store<u16>(zones, load<u16>(zones) - 1);
}

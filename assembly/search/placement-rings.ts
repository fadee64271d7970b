/**
 * The members of each node in a ring, and a cursor in it: drawing one, and moving one to another node, take the same time however
 * many there are. A node's own entry in its ring, behind those of all partitions, is where it begins.
 */
import { Placement } from "./placement";

/** Movable partitions in the rings of their nodes, in order of number. */
export function buildRings(s: Placement): void {
  for (let n: u32 = 0; n < s.nodeCount; n++) {
    const ring = s.itemCount + n;
    store<u32>(s.next + ((<usize>ring) << 2), ring);
    store<u32>(s.previous + ((<usize>ring) << 2), ring);
    store<u32>(s.cursor + ((<usize>n) << 2), ring);
  }
  for (let i: u32 = 0; i < s.movableCount; i++) {
    const p = load<u32>(s.movable + ((<usize>i) << 2));
    joinRing(s, p, s.ownerOf(p));
  }
}

/** The next member in the node's ring, or partitionCount if it has none. */
export function memberOf(s: Placement, node: u32): u32 {
  const ring = s.itemCount + node;
  const at = s.cursor + ((<usize>node) << 2);
  let member = load<u32>(s.next + ((<usize>load<u32>(at)) << 2));
  if (member == ring) member = load<u32>(s.next + ((<usize>ring) << 2));
  if (member == ring) return s.itemCount;
  store<u32>(at, member);
  return member;
}

@inline
export function leaveRing(s: Placement, p: u32, node: u32): void {
  const after = load<u32>(s.next + ((<usize>p) << 2));
  const before = load<u32>(s.previous + ((<usize>p) << 2));
  store<u32>(s.next + ((<usize>before) << 2), after);
  store<u32>(s.previous + ((<usize>after) << 2), before);
  const cursor = s.cursor + ((<usize>node) << 2);
  if (load<u32>(cursor) == p) store<u32>(cursor, before);
}

/** Enters behind the cursor, so that a draw comes to it last. */
@inline
export function joinRing(s: Placement, p: u32, node: u32): void {
  const before = load<u32>(s.cursor + ((<usize>node) << 2));
  const after = load<u32>(s.next + ((<usize>before) << 2));
  store<u32>(s.next + ((<usize>before) << 2), p);
  store<u32>(s.previous + ((<usize>p) << 2), before);
  store<u32>(s.next + ((<usize>p) << 2), after);
  store<u32>(s.previous + ((<usize>after) << 2), p);
  store<u32>(s.cursor + ((<usize>node) << 2), p);
}

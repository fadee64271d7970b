/** Everything of a placement's state that follows from `owner`, summed afresh in f64. */
import { nodeWith, rankPeaks } from "./placement-cost";
import { countInGroup, GROUPS, NODE_MOVES } from "./placement-rules";
import { buildRings } from "./placement-rings";
import { tangents } from "./placement-screen";
import { Placement } from "./placement";

export function rebuild(s: Placement): void {
  sumNodes(s, s.load, s.background, s.nodeLoad);
  if (s.riskZ > 0) sumNodes(s, s.variance, 0, s.nodeVariance);
  let cost: f64 = 0;
  const none = s.loadRow(s.itemCount);
  for (let n: u32 = 0; n < s.nodeCount; n++) {
    nodeWith(s, n, none, none);
    store<f32>(s.nodeCost + ((<usize>n) << 2), s.costA);
    if (s.isScreened != 0) tangents(s, n);
    if (s.peakWeight > 0) store<f32>(s.nodePeak + ((<usize>n) << 2), s.peakA);
    cost += <f64>s.costA;
  }
  for (let p: u32 = 0; p < s.itemCount; p++) cost += <f64>s.priceAt(p, s.ownerOf(p));
  if (s.peakWeight > 0) {
    rankPeaks(s);
    cost += <f64>(s.peakWeight * load<f32>(s.nodePeak + ((<usize>s.highest0) << 2)));
  }
  s.cost = cost;
  countMoves(s);
  if ((s.ruleFlags & GROUPS) != 0) countGroups(s);
  buildRings(s);
}

/** f32[node][depth] at `target` = start + sum over the node's partitions of their rows; `start` 0 stands for zeros. */
function sumNodes(s: Placement, rows: usize, start: usize, target: usize): void {
  const depth = s.depth;
  const count = <usize>(s.nodeCount * depth);
  const sums = s.scratch;
  for (let i: usize = 0; i < count; i++)
    store<f64>(sums + (i << 3), start == 0 ? 0 : <f64>load<f32>(start + (i << 2)));
  for (let p: u32 = 0; p < s.itemCount; p++) {
    let row = rows + ((<usize>(p * depth)) << 2);
    let sum = sums + ((<usize>(s.ownerOf(p) * depth)) << 3);
    const end = row + ((<usize>depth) << 2);
    while (row < end) {
      store<f64>(sum, load<f64>(sum) + <f64>load<f32>(row));
      row += 4;
      sum += 8;
    }
  }
  for (let i: usize = 0; i < count; i++) store<f32>(target + (i << 2), <f32>load<f64>(sums + (i << 3)));
}

/** Moves, bytes and room. */
function countMoves(s: Placement): void {
  memory.copy(s.bytesFree, s.bytesRoom, (<usize>s.nodeCount) << 3);
  if ((s.ruleFlags & NODE_MOVES) != 0) memory.fill(s.nodeMoves, 0, (<usize>s.nodeCount) << 2);
  let moved: i32 = 0;
  let bytesMoved: f64 = 0;
  for (let p: u32 = 0; p < s.itemCount; p++) {
    const owner = s.ownerOf(p);
    if (!s.away(p, owner)) continue;
    const bytes = s.bytesOf(p);
    const members = s.movesFor(p, owner);
    moved += members;
    bytesMoved += bytes;
    const free = s.bytesFree + ((<usize>owner) << 3);
    store<f64>(free, load<f64>(free) - bytes);
    if ((s.ruleFlags & NODE_MOVES) == 0) continue;
    const out = s.nodeMoves + ((<usize>s.homeOf(p)) << 2);
    store<i32>(out, load<i32>(out) + members);
    const into = s.nodeMoves + ((<usize>owner) << 2);
    store<i32>(into, load<i32>(into) + members);
  }
  s.movedCount = moved;
  s.bytesMoved = bytesMoved;
}

function countGroups(s: Placement): void {
  memory.fill(s.groupOnNode, 0, (<usize>(s.groupCount * s.nodeCount)) << 1);
  memory.fill(s.groupInZone, 0, (<usize>(s.groupCount * s.zoneCount)) << 1);
  memory.fill(s.groupZones, 0, (<usize>s.groupCount) << 1);
  for (let p: u32 = 0; p < s.itemCount; p++) countInGroup(s, p, s.ownerOf(p), 1);
}

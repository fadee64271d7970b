/**
 * The neighbourhood of a placement: eight ways to propose a change. Which of them are worth their time depends on the
 * instance and on how far the search has come; the loop learns it.
 */
import { addRows, nodeWith, pairCost, peakDelta, rankPeaks } from "./placement-cost";
import { countStep, hasRoom, keepsOtherRules, keepsRoomAndCount, putStep } from "./placement-rules";
import { stepPartition, stepSource, stepTarget } from "./placement-rules";
import { joinRing, leaveRing, memberOf } from "./placement-rings";
import { Placement } from "./placement";
import { leastRise, tangents } from "./placement-screen";
import { REJECTED } from "./state";

// Operators, in the order of the host's table.
/** Any partition to any node. */
const SHIFT: u32 = 0;
/** Any two partitions change places. */
const SWAP: u32 = 1;
/** A partition that is away goes home. */
const HOME: u32 = 2;
/** A partition of a costly node goes to a cheap one. */
const HOT_SHIFT: u32 = 3;
/** Two partitions of about the same size change places: late in the search, nothing else is left to gain. */
const NEAR_SWAP: u32 = 4;
/** A partition of a costly node changes places with one that is a little smaller. */
const HOT_SWAP: u32 = 5;
/** A partition goes to a node, and one of that node goes on to a third. */
const CHAIN: u32 = 6;
// 7: One big partition changes places with several small ones.

/** Draws until a partition away from home is found, at most. */
const HOME_DRAWS: u32 = 4;
/** Members of a node looked at for a bundle, and taken, at most. */
const BUNDLE_LOOKS: u32 = 12;
const BUNDLE_MAX: u32 = 4;
/** A bundle may be larger than what it replaces by so much. */
const BUNDLE_SLACK: f32 = 1.125;

/** Draws one proposal, judges it and carries it out. @returns change of the cost, or REJECTED. */
export function attempt(s: Placement, operator: u32): f64 {
  if (s.movableCount == 0 || s.targetCount == 0) return REJECTED;
  let q = s.itemCount;
  let p: u32;
  let b: u32;
  if (operator == SHIFT) {
    p = anyMovable(s);
    b = anyTarget(s);
  } else if (operator == SWAP) {
    p = anyMovable(s);
    q = anyMovable(s);
    b = s.ownerOf(q);
  } else if (operator == NEAR_SWAP) {
    p = anyMovable(s);
    q = nearInSize(s, p, false);
    b = s.ownerOf(q);
  } else if (operator == HOT_SHIFT || operator == HOT_SWAP) {
    p = memberOf(s, hotNode(s));
    if (p >= s.itemCount) return REJECTED;
    if (operator == HOT_SWAP) {
      q = nearInSize(s, p, true);
      b = s.ownerOf(q);
    } else b = coolTarget(s);
  } else if (operator == HOME) {
    p = anyMovable(s);
    for (let i: u32 = 1; i < HOME_DRAWS && !s.away(p, s.ownerOf(p)); i++) p = anyMovable(s);
    b = s.homeOf(p);
  } else return operator == CHAIN ? tryChain(s) : tryBundle(s);
  return tryPair(s, p, q, s.ownerOf(p), b);
}

@inline
function anyMovable(s: Placement): u32 {
  return load<u32>(s.movable + ((<usize>s.drawBelow(s.movableCount)) << 2));
}

@inline
function anyTarget(s: Placement): u32 {
  return load<u32>(s.targets + ((<usize>s.drawBelow(s.targetCount)) << 2));
}

/** What a node has most of: utilisation if that is priced, else cost per capacity of the first resource. */
@inline
function heatOf(s: Placement, node: u32): f32 {
  if (s.peakWeight > 0) return load<f32>(s.nodePeak + ((<usize>node) << 2));
  const inverse = load<f32>(s.inverseCapacity + ((<usize>(node * s.resourceCount)) << 2));
  return load<f32>(s.nodeCost + ((<usize>node) << 2)) * inverse;
}

/** The hotter of two drawn nodes; every other time the one with the highest utilisation, where that is priced. */
function hotNode(s: Placement): u32 {
  const first = s.drawBelow(s.nodeCount);
  if (s.peakWeight > 0 && (s.random0 & 1) != 0) return s.highest0;
  const second = s.drawBelow(s.nodeCount);
  return heatOf(s, first) < heatOf(s, second) ? second : first;
}

/** The cooler of two drawn targets. */
function coolTarget(s: Placement): u32 {
  const first = anyTarget(s);
  const second = anyTarget(s);
  return heatOf(s, first) > heatOf(s, second) ? second : first;
}

/**
 * A partition 1 to 128 places from p in order of size, the nearer the likelier: the distance has a random number of
 * bits. p itself where the order ends: that is no proposal.
 */
function nearInSize(s: Placement, p: u32, isSmaller: bool): u32 {
  const draw = s.draw();
  const distance = 1 + ((draw >> 3) & ((1 << (draw & 7)) - 1));
  const rank = load<i32>(s.rankOf + ((<usize>p) << 2));
  const other = isSmaller || draw >> 31 != 0 ? rank - <i32>distance : rank + <i32>distance;
  if (other < 0 || other >= <i32>s.movableCount) return p;
  return load<u32>(s.bySize + ((<usize>other) << 2));
}

/** p from a to b, and q, unless it is the null partition, from b to a. */
function tryPair(s: Placement, p: u32, q: u32, a: u32, b: u32): f64 {
  const none = s.itemCount;
  if (a == b) return REJECTED;
  const threshold = screenThreshold(s);
  if (!hasRoom(s, p, b)) return REJECTED;
  let moved = s.movesFor(p, b) - s.movesFor(p, a);
  let price = s.priceAt(p, b) - s.priceAt(p, a);
  if (q != none) {
    if (!hasRoom(s, q, a)) return REJECTED;
    moved += s.movesFor(q, a) - s.movesFor(q, b);
    price += s.priceAt(q, a) - s.priceAt(q, b);
  }
  if (price == Infinity) return REJECTED;
  if (moved > 0 && <i32>s.movedCount + moved > <i32>s.movesMax) return REJECTED;
  const rowP = s.loadRow(p);
  const rowQ = s.loadRow(q);
  if (!isNaN(threshold) && <f64>(leastRise(s, a, b, rowP, rowQ) + price) > threshold) return REJECTED;
  // Later than the screen, which is cheaper and rejects more.
  if (s.ruleFlags != 0) {
    s.stepCount = 0;
    putStep(s, p, a, b);
    if (q != none) putStep(s, q, b, a);
    if (!keepsOtherRules(s)) return REJECTED;
  }
  const delta = judgePair(s, a, b, rowP, rowQ, price, threshold);
  if (delta == REJECTED) return REJECTED;
  s.movedDelta = moved;
  commitPair(s, a, b, rowP, rowQ);
  commitStep(s, p, a, b);
  if (q != none) commitStep(s, q, b, a);
  return delta;
}

/** Threshold of a proposal that is to be screened, else NaN: rises are sampled from all proposals, not from those let through. */
@inline
function screenThreshold(s: Placement): f64 {
  return s.isScreened == 0 || s.sampleCount < s.sampleMax ? NaN : s.drawThreshold();
}

/** Change of the cost if row p goes from a to b and row q back, or REJECTED; a NaN threshold is yet to be drawn. */
@inline
function judgePair(s: Placement, a: u32, b: u32, rowP: usize, rowQ: usize, price: f32, threshold: f64): f64 {
  pairCost(s, a, b, rowP, rowQ);
  const delta = <f64>pairDelta(s, a, b, price);
  if (isNaN(threshold)) return s.accepts(delta) ? delta : REJECTED;
  return delta <= 0 || delta < threshold ? delta : REJECTED;
}

@inline
function pairDelta(s: Placement, a: u32, b: u32, price: f32): f32 {
  let delta =
    s.costA -
    load<f32>(s.nodeCost + ((<usize>a) << 2)) +
    (s.costB - load<f32>(s.nodeCost + ((<usize>b) << 2))) +
    price;
  if (s.peakWeight > 0) delta += s.peakWeight * peakDelta(s, a, b, a);
  return delta;
}

function commitPair(s: Placement, a: u32, b: u32, rowP: usize, rowQ: usize): void {
  addRows(s, a, rowQ, rowP);
  addRows(s, b, rowP, rowQ);
  store<f32>(s.nodeCost + ((<usize>a) << 2), s.costA);
  store<f32>(s.nodeCost + ((<usize>b) << 2), s.costB);
  s.movedCount += s.movedDelta;
  if (s.ruleFlags != 0) s.bytesMoved += s.bytesDelta;
  if (s.isScreened != 0) {
    tangents(s, a);
    tangents(s, b);
  }
  if (s.peakWeight > 0) {
    store<f32>(s.nodePeak + ((<usize>a) << 2), s.peakA);
    store<f32>(s.nodePeak + ((<usize>b) << 2), s.peakB);
    rankPeaks(s);
  }
}

/** Owner, ring and counts of one partition. */
function commitStep(s: Placement, p: u32, source: u32, target: u32): void {
  s.assign(p, target);
  countStep(s, p, source, target);
  leaveRing(s, p, source);
  joinRing(s, p, target);
}

/** Change of price by the listed steps; Infinity where a rule is broken. */
function judgeSteps(s: Placement): f32 {
  if (!keepsRoomAndCount(s) || (s.ruleFlags != 0 && !keepsOtherRules(s))) return Infinity;
  let price: f32 = 0;
  for (let i: u32 = 0; i < s.stepCount; i++) {
    const p = stepPartition(s, i);
    price += s.priceAt(p, stepTarget(s, i)) - s.priceAt(p, stepSource(s, i));
  }
  return price;
}

function commitSteps(s: Placement): void {
  for (let i: u32 = 0; i < s.stepCount; i++)
    commitStep(s, stepPartition(s, i), stepSource(s, i), stepTarget(s, i));
}

/** p from a to b, q from b to c: home if it is away, every other time, else any node. */
function tryChain(s: Placement): f64 {
  const p = anyMovable(s);
  const q = anyMovable(s);
  const a = s.ownerOf(p);
  const b = s.ownerOf(q);
  if (a == b) return REJECTED;
  const home = s.homeOf(q);
  const c = home != b && (s.random0 & 1) != 0 ? home : anyTarget(s);
  if (c == b) return REJECTED;
  if (c == a) return tryPair(s, p, q, a, b);
  s.stepCount = 0;
  putStep(s, p, a, b);
  putStep(s, q, b, c);
  const price = judgeSteps(s);
  if (price == Infinity) return REJECTED;
  const none = s.loadRow(s.itemCount);
  const rowP = s.loadRow(p);
  const rowQ = s.loadRow(q);
  nodeWith(s, c, rowQ, none);
  s.costC = s.costA;
  s.peakC = s.peakA;
  nodeWith(s, b, rowP, rowQ);
  const costB = s.costB;
  const peakB = s.peakB;
  nodeWith(s, a, none, rowP);
  s.costB = costB;
  s.peakB = peakB;
  let delta =
    s.costA -
    load<f32>(s.nodeCost + ((<usize>a) << 2)) +
    (s.costB - load<f32>(s.nodeCost + ((<usize>b) << 2))) +
    (s.costC - load<f32>(s.nodeCost + ((<usize>c) << 2))) +
    price;
  if (s.peakWeight > 0) delta += s.peakWeight * peakDelta(s, a, b, c);
  if (!s.accepts(<f64>delta)) return REJECTED;
  addRows(s, a, none, rowP);
  addRows(s, b, rowP, rowQ);
  addRows(s, c, rowQ, none);
  store<f32>(s.nodeCost + ((<usize>a) << 2), s.costA);
  store<f32>(s.nodeCost + ((<usize>b) << 2), s.costB);
  store<f32>(s.nodeCost + ((<usize>c) << 2), s.costC);
  if (s.isScreened != 0) {
    tangents(s, a);
    tangents(s, b);
    tangents(s, c);
  }
  s.movedCount += s.movedDelta;
  if (s.ruleFlags != 0) s.bytesMoved += s.bytesDelta;
  if (s.peakWeight > 0) {
    store<f32>(s.nodePeak + ((<usize>a) << 2), s.peakA);
    store<f32>(s.nodePeak + ((<usize>b) << 2), s.peakB);
    store<f32>(s.nodePeak + ((<usize>c) << 2), s.peakC);
    rankPeaks(s);
  }
  commitSteps(s);
  return <f64>delta;
}

/** p from a to b, and from b to a some of the smaller ones, of about the same size together. */
function tryBundle(s: Placement): f64 {
  const p = anyMovable(s);
  const first = anyMovable(s);
  const a = s.ownerOf(p);
  const b = s.ownerOf(first);
  if (a == b) return REJECTED;
  const threshold = screenThreshold(s);
  s.stepCount = 0;
  putStep(s, p, a, b);
  gatherBundle(s, first, a, b, BUNDLE_SLACK * load<f32>(s.size + ((<usize>p) << 2)));
  if (s.stepCount < 3) return REJECTED;
  const price = judgeSteps(s);
  if (price == Infinity) return REJECTED;
  const rowP = s.loadRow(p);
  const bundle = sumBundle(s);
  if (!isNaN(threshold) && <f64>(leastRise(s, a, b, rowP, bundle) + price) > threshold) return REJECTED;
  const delta = judgePair(s, a, b, rowP, bundle, price, threshold);
  if (delta == REJECTED) return REJECTED;
  commitPair(s, a, b, rowP, bundle);
  commitSteps(s);
  return delta;
}

/** Steps from b to a of members of b from `first` on, while they fit into the size. */
@inline
function gatherBundle(s: Placement, first: u32, a: u32, b: u32, sizeMax: f32): void {
  const ring = s.itemCount + b;
  let member = first;
  let sum: f32 = 0;
  for (let i: u32 = 0; i < BUNDLE_LOOKS && s.stepCount <= BUNDLE_MAX; i++) {
    if (member != ring) {
      const size = load<f32>(s.size + ((<usize>member) << 2));
      if (sum + size <= sizeMax) {
        sum += size;
        putStep(s, member, b, a);
      }
    }
    member = load<u32>(s.next + ((<usize>member) << 2));
    if (member == first) return;
  }
}

/** Sums the rows of all steps but the first into the bundle's row. */
function sumBundle(s: Placement): usize {
  const bundle = s.loadRow(s.itemCount + 1);
  sumRows(s, s.load, bundle);
  if (s.riskZ > 0) sumRows(s, s.variance, bundle + (s.variance - s.load));
  return bundle;
}

function sumRows(s: Placement, rows: usize, target: usize): void {
  const rowBytes = (<usize>s.depth) << 2;
  memory.copy(target, rows + <usize>stepPartition(s, 1) * rowBytes, rowBytes);
  for (let i: u32 = 2; i < s.stepCount; i++) {
    const row = rows + <usize>stepPartition(s, i) * rowBytes;
    for (let at: usize = 0; at < rowBytes; at += 16)
      v128.store(target + at, f32x4.add(v128.load(target + at), v128.load(row + at)));
  }
}

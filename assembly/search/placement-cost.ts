/**
 * What nodes cost, four slots at a time (see `src/affinity/cost-model.ts`, the f64 oracle). Over d = resource x slot:
 *   u = load + z sqrt(variance + (beta load)^2);  rho = u / capacity
 *   phi(rho) = 1 / (1 - m) - 1 + 400 (rho - m), m = min(rho, 0.95): rho / (1 - rho), then its tangent, without a branch
 *   cost = sum over d of weight_d [ load phi(rho) + overload max(0, rho - safe) ],  peak = max over d of rho
 */
import { Placement } from "./placement";

const LINEAR_ABOVE: f32 = 0.95;
const SLOPE: f32 = 400;

/** load phi(rho) + overload max(0, rho - safe) for four slots. */
@inline
function cell(loads: v128, rho: v128, overload: v128, safe: v128): v128 {
  const m = f32x4.pmin(rho, f32x4.splat(LINEAR_ABOVE));
  const one = f32x4.splat(1);
  const phi = f32x4.add(
    f32x4.sub(f32x4.div(one, f32x4.sub(one, m)), one),
    f32x4.mul(f32x4.sub(rho, m), f32x4.splat(SLOPE)),
  );
  const over = f32x4.mul(overload, f32x4.pmax(f32x4.sub(rho, safe), f32x4.splat(0)));
  return f32x4.add(f32x4.mul(loads, phi), over);
}

/** load + z sqrt(variance + betaSquared load^2); rounding may leave a variance a hair below zero. */
@inline
function allow(loads: v128, variance: v128, z: v128, betaSquared: v128): v128 {
  const common = f32x4.mul(f32x4.mul(loads, loads), betaSquared);
  const spread = f32x4.sqrt(f32x4.add(f32x4.pmax(variance, f32x4.splat(0)), common));
  return f32x4.add(loads, f32x4.mul(z, spread));
}

@inline
export function sum4(v: v128): f32 {
  return (
    f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3))
  );
}

@inline
function max4(v: v128): f32 {
  return max<f32>(
    max<f32>(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1)),
    max<f32>(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3)),
  );
}

/**
 * Costs of nodes a and b once the row p has left a for b and the row q has come back for it, into costA and costB; peaks
 * into peakA and peakB. Rows are pointers into `load`. The flags are constants of each call, so that each gets a loop of its own.
 */
@inline
function pairLoop(s: Placement, a: u32, b: u32, p: usize, q: usize, isRisky: bool, hasPeak: bool): void {
  const rowBytes = (<usize>s.depth) << 2;
  const stride = (<usize>s.slotStride) << 2;
  const resourceCount = s.resourceCount;
  const z = f32x4.splat(s.riskZ);
  const betaSquared = f32x4.splat(s.commonErrorSquared);
  const safe = f32x4.splat(s.safeUtilisation);
  let lp = p;
  let lq = q;
  let la = s.nodeLoad + <usize>a * rowBytes;
  let lb = s.nodeLoad + <usize>b * rowBytes;
  // Variances lie at a fixed distance from their loads.
  const toVariance = s.variance - s.load;
  const toNodeVariance = s.nodeVariance - s.nodeLoad;
  let weights = s.slotWeight;
  let inverseAt = s.inverseCapacity + ((<usize>(a * resourceCount)) << 2);
  // Unsigned wrap-around makes this right for b < a as well.
  const toInverseB = (<usize>((b - a) * resourceCount)) << 2;
  let overloadAt = s.overloadFactor;
  let sumA = f32x4.splat(0);
  let sumB = f32x4.splat(0);
  let peakA = f32x4.splat(0);
  let peakB = f32x4.splat(0);
  const endOfWeights = weights + rowBytes;
  while (weights < endOfWeights) {
    const inverseA = v128.load32_splat(inverseAt);
    const inverseB = v128.load32_splat(inverseAt + toInverseB);
    const overload = v128.load32_splat(overloadAt);
    const end = weights + stride;
    while (weights < end) {
      const leaving = f32x4.sub(v128.load(lp), v128.load(lq));
      const loadA = f32x4.sub(v128.load(la), leaving);
      const loadB = f32x4.add(v128.load(lb), leaving);
      let uA = loadA;
      let uB = loadB;
      if (isRisky) {
        const doubt = f32x4.sub(v128.load(lp + toVariance), v128.load(lq + toVariance));
        uA = allow(loadA, f32x4.sub(v128.load(la + toNodeVariance), doubt), z, betaSquared);
        uB = allow(loadB, f32x4.add(v128.load(lb + toNodeVariance), doubt), z, betaSquared);
      }
      const weight = v128.load(weights);
      const rhoA = f32x4.mul(uA, inverseA);
      const rhoB = f32x4.mul(uB, inverseB);
      sumA = f32x4.add(sumA, f32x4.mul(weight, cell(loadA, rhoA, overload, safe)));
      sumB = f32x4.add(sumB, f32x4.mul(weight, cell(loadB, rhoB, overload, safe)));
      if (hasPeak) {
        peakA = f32x4.pmax(peakA, rhoA);
        peakB = f32x4.pmax(peakB, rhoB);
      }
      lp += 16;
      lq += 16;
      la += 16;
      lb += 16;
      weights += 16;
    }
    inverseAt += 4;
    overloadAt += 4;
  }
  s.costA = sum4(sumA);
  s.costB = sum4(sumB);
  if (hasPeak) {
    s.peakA = max4(peakA);
    s.peakB = max4(peakB);
  }
}

/** Costs (and peaks) of a and b once row p has gone from a to b and row q from b to a. */
export function pairCost(s: Placement, a: u32, b: u32, p: usize, q: usize): void {
  if (s.peakWeight > 0) {
    if (s.riskZ > 0) pairLoop(s, a, b, p, q, true, true);
    else pairLoop(s, a, b, p, q, false, true);
  } else if (s.riskZ > 0) pairLoop(s, a, b, p, q, true, false);
  else pairLoop(s, a, b, p, q, false, false);
}

/** Cost and peak of one node with row p added and row q taken away, into costA and peakA. */
@inline
export function nodeWith(s: Placement, node: u32, p: usize, q: usize): void {
  // The pair of a node with itself: what arrives at one is what the other is asked about, in costB.
  pairCost(s, node, node, p, q);
  s.costA = s.costB;
  s.peakA = s.peakB;
}

/** Adds row p to the node and takes row q away. */
export function addRows(s: Placement, node: u32, p: usize, q: usize): void {
  const rowBytes = (<usize>s.depth) << 2;
  let at = s.nodeLoad + <usize>node * rowBytes;
  for (let i: usize = 0; i < rowBytes; i += 16)
    v128.store(at + i, f32x4.add(v128.load(at + i), f32x4.sub(v128.load(p + i), v128.load(q + i))));
  if (s.riskZ > 0) {
    const toVariance = s.variance - s.load;
    at = s.nodeVariance + <usize>node * rowBytes;
    for (let i: usize = 0; i < rowBytes; i += 16)
      v128.store(
        at + i,
        f32x4.add(v128.load(at + i), f32x4.sub(v128.load(p + toVariance + i), v128.load(q + toVariance + i))),
      );
  }
}

/** Highest utilisation of all nodes but the named ones. */
@inline
function peakBeside(s: Placement, a: u32, b: u32, c: u32): f32 {
  let n = s.highest0;
  if (n == a || n == b || n == c) {
    n = s.highest1;
    if (n == a || n == b || n == c) {
      n = s.highest2;
      if (n == a || n == b || n == c) {
        n = s.highest3;
        if (n == a || n == b || n == c) return 0;
      }
    }
  }
  return load<f32>(s.nodePeak + ((<usize>n) << 2));
}

/** Change of the highest utilisation of all, once a, b and c have those of the proposal; c may be one of the others. */
@inline
export function peakDelta(s: Placement, a: u32, b: u32, c: u32): f32 {
  const now = load<f32>(s.nodePeak + ((<usize>s.highest0) << 2));
  const own = max<f32>(max<f32>(s.peakA, s.peakB), c == a ? s.peakA : s.peakC);
  return max<f32>(own, peakBeside(s, a, b, c)) - now;
}

/** Finds the four highest nodes again. */
export function rankPeaks(s: Placement): void {
  const nodeCount = s.nodeCount;
  const peaks = s.nodePeak;
  let n0: u32 = 0;
  let n1: u32 = 0;
  let n2: u32 = 0;
  let n3: u32 = 0;
  let p0: f32 = -1;
  let p1: f32 = -1;
  let p2: f32 = -1;
  let p3: f32 = -1;
  for (let n: u32 = 0; n < nodeCount; n++) {
    const peak = load<f32>(peaks + ((<usize>n) << 2));
    if (peak <= p3) continue;
    p3 = peak;
    n3 = n;
    if (p3 > p2) {
      p3 = p2;
      n3 = n2;
      p2 = peak;
      n2 = n;
    }
    if (p2 > p1) {
      p2 = p1;
      n2 = n1;
      p1 = peak;
      n1 = n;
    }
    if (p1 > p0) {
      p1 = p0;
      n1 = n0;
      p0 = peak;
      n0 = n;
    }
  }
  s.highest0 = n0;
  s.highest1 = p1 < 0 ? n0 : n1;
  s.highest2 = p2 < 0 ? s.highest1 : n2;
  s.highest3 = p3 < 0 ? s.highest2 : n3;
}

/**
 * A cheap look at a proposal before it is priced: nearly all are rejected, and most could be told from tangents and bends.
 *
 * A node's cost F in one slot is convex in its load L and grows with its variance V. Without risk and below 0.95, for a change
 * l of at most the node's headroom c (1 - rho),
 *   F(L + l) >= F(L) + l dF/dL + l^2 / 4 d2F/dL2
 * since what follows the tangent is y^2 / (1 - y) for y = l / headroom, at least y^2 / 2 for y >= -1. Beyond 0.95, F is a parabola
 * of its own. So the sum over both nodes is a lower bound of what pricing would find, but for risk, whose bend is left out, and for
 * partitions larger than the headroom. What passes is priced exactly and judged by the same threshold: that is Metropolis' rule,
 * taken in two stages.
 *
 * @see Christen & Fox, "Markov chain Monte Carlo using an approximation", 2005
 */
import { Placement } from "./placement";
import { sum4 } from "./placement-cost";

const LINEAR_ABOVE: f32 = 0.95;
const SLOPE: f32 = 400;
/** Keeps the variance's slope finite on a node that has none. */
const SPREAD_MIN: f32 = 1e-6;

/** Slope, bend and doubt (dF/dL, d2F/dL2 / 4, dF/dV) of a node as it stands, for all slots. */
export function tangents(s: Placement, node: u32): void {
  if (s.riskZ > 0) tangentLoop(s, node, true);
  else tangentLoop(s, node, false);
}

@inline
function tangentLoop(s: Placement, node: u32, isRisky: bool): void {
  const rowBytes = (<usize>s.depth) << 2;
  const stride = (<usize>s.slotStride) << 2;
  const one = f32x4.splat(1);
  const zero = f32x4.splat(0);
  const safe = f32x4.splat(s.safeUtilisation);
  const z = f32x4.splat(s.riskZ);
  const betaSquared = f32x4.splat(s.commonErrorSquared);
  const row = <usize>node * rowBytes;
  let at = s.nodeLoad + row;
  const toVariance = s.nodeVariance - s.nodeLoad;
  const toSlope = s.nodeSlope - s.nodeLoad;
  const toBend = s.nodeBend - s.nodeLoad;
  const toDoubt = s.nodeDoubt - s.nodeLoad;
  let weights = s.slotWeight;
  let inverseAt = s.inverseCapacity + ((<usize>(node * s.resourceCount)) << 2);
  let overloadAt = s.overloadFactor;
  const endOfWeights = weights + rowBytes;
  while (weights < endOfWeights) {
    const inverse = v128.load32_splat(inverseAt);
    const overload = v128.load32_splat(overloadAt);
    const end = weights + stride;
    while (weights < end) {
      const loads = v128.load(at);
      let u = loads;
      let uByLoad = one;
      let uByVariance = zero;
      if (isRisky) {
        const common = f32x4.mul(loads, betaSquared);
        const x = f32x4.add(f32x4.pmax(v128.load(at + toVariance), zero), f32x4.mul(loads, common));
        const spread = f32x4.pmax(f32x4.sqrt(x), f32x4.splat(SPREAD_MIN));
        const zBySpread = f32x4.div(z, spread);
        u = f32x4.add(loads, f32x4.mul(z, spread));
        uByLoad = f32x4.add(one, f32x4.mul(zBySpread, common));
        uByVariance = f32x4.mul(zBySpread, f32x4.splat(0.5));
      }
      const rho = f32x4.mul(u, inverse);
      const m = f32x4.pmin(rho, f32x4.splat(LINEAR_ABOVE));
      const r = f32x4.div(one, f32x4.sub(one, m));
      const phi = f32x4.add(f32x4.sub(r, one), f32x4.mul(f32x4.sub(rho, m), f32x4.splat(SLOPE)));
      const rSquared = f32x4.mul(r, r);
      const isOver = f32x4.gt(rho, safe);
      const byRho = f32x4.add(f32x4.mul(loads, rSquared), v128.and(overload, isOver));
      const rhoByLoad = f32x4.mul(uByLoad, inverse);
      const weight = v128.load(weights);
      v128.store(at + toSlope, f32x4.mul(weight, f32x4.add(phi, f32x4.mul(byRho, rhoByLoad))));
      // phi'' = 2 r^3 below 0.95 and 0 beyond; a quarter of 2 phi' rho' + L phi'' rho'^2.
      const curved = v128.and(f32x4.mul(f32x4.mul(loads, rSquared), f32x4.mul(r, rhoByLoad)), f32x4.lt(rho, f32x4.splat(LINEAR_ABOVE)));
      const bend = f32x4.mul(f32x4.mul(rhoByLoad, f32x4.add(rSquared, curved)), f32x4.splat(0.5));
      v128.store(at + toBend, f32x4.mul(weight, bend));
      if (isRisky)
        v128.store(at + toDoubt, f32x4.mul(weight, f32x4.mul(byRho, f32x4.mul(uByVariance, inverse))));
      at += 16;
      weights += 16;
    }
    inverseAt += 4;
    overloadAt += 4;
  }
}

/** What the costs of a and b would rise by at least, if row p went from a to b and row q back. */
export function leastRise(s: Placement, a: u32, b: u32, p: usize, q: usize): f32 {
  if (s.riskZ > 0) return riseLoop(s, a, b, p, q, true);
  return riseLoop(s, a, b, p, q, false);
}

@inline
function riseLoop(s: Placement, a: u32, b: u32, p: usize, q: usize, isRisky: bool): f32 {
  const rowBytes = (<usize>s.depth) << 2;
  let lp = p;
  let lq = q;
  let atA = s.nodeSlope + <usize>a * rowBytes;
  const toB = <usize>(b - a) * rowBytes;
  const toBend = s.nodeBend - s.nodeSlope;
  const toDoubt = s.nodeDoubt - s.nodeSlope;
  const toVariance = s.variance - s.load;
  const end = p + rowBytes;
  let sum = f32x4.splat(0);
  while (lp < end) {
    const coming = f32x4.sub(v128.load(lp), v128.load(lq));
    const bend = f32x4.add(v128.load(atA + toBend), v128.load(atA + toB + toBend));
    const slope = f32x4.sub(v128.load(atA + toB), v128.load(atA));
    sum = f32x4.add(sum, f32x4.mul(coming, f32x4.add(slope, f32x4.mul(coming, bend))));
    if (isRisky) {
      const doubt = f32x4.sub(v128.load(lp + toVariance), v128.load(lq + toVariance));
      const price = f32x4.sub(v128.load(atA + toB + toDoubt), v128.load(atA + toDoubt));
      sum = f32x4.add(sum, f32x4.mul(doubt, price));
    }
    lp += 16;
    lq += 16;
    atA += 16;
  }
  return sum4(sum);
}

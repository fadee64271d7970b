/**
 * Simulated annealing of a partition map: shifts and swaps over f32 state, four slots at a time.
 *
 * Everything lives in one control block and the arrays it points to, all owned by the host; the field offsets below are
 * repeated in `src/kernels/anneal-layout.ts` and compared on load. A shift is a swap with the null partition, a row of
 * zeros after the last partition, so that there is one delta and one commit.
 *
 * Cost of a node, over d = resource x slot (see `src/affinity/cost-model.ts`, the f64 oracle):
 *   u = load + z sqrt(variance + (beta load)^2);  rho = u / capacity
 *   phi(rho) = 1 / (1 - m) - 1 + 400 (rho - m), m = min(rho, 0.95): rho / (1 - rho), then its tangent, without a branch
 *   sum over d of weight_d [ load phi(rho) + overload max(0, rho - safe) ]
 */

// Control block, byte offsets. Counts and pointers are u32.
const PARTITION_COUNT: usize = 0;
const NODE_COUNT: usize = 4;
const DEPTH: usize = 8;
const SLOT_STRIDE: usize = 12; // a multiple of 4
const RESOURCE_COUNT: usize = 16;
const LOAD: usize = 20; // f32[partition + 1][depth]
const VARIANCE: usize = 24; // f32[partition + 1][depth]; 0 if riskZ is 0
const NODE_LOAD: usize = 28; // f32[node][depth]
const NODE_VARIANCE: usize = 32; // f32[node][depth]; 0 if riskZ is 0
const NODE_COST: usize = 36; // f32[node]
const SLOT_WEIGHT: usize = 40; // f32[depth]
const INVERSE_CAPACITY: usize = 44; // f32[node][resource]
const OVERLOAD_FACTOR: usize = 48; // f32[resource]
const BACKGROUND: usize = 52; // f32[node][depth]
const OWNER: usize = 56; // i32[partition]
const HOME: usize = 60; // i32[partition]
const BEST_OWNER: usize = 64; // i32[partition]
const MOVE_PRICE: usize = 68; // f32[partition + 1], the last is 0
const HOLD_PENALTY: usize = 72; // f32[node]
const BYTES: usize = 76; // f64[partition]
const BYTES_FREE: usize = 80; // f64[node]; -1 for a node that must not receive
const MOVABLE: usize = 84; // i32[movableCount]
const MOVABLE_COUNT: usize = 88;
const TARGETS: usize = 92; // i32[targetCount]
const TARGET_COUNT: usize = 96;
const RANDOM: usize = 100; // u32[4], not all zero
const NEGATIVE_LOG: usize = 104; // f32[1024]: -ln((i + 0.5) / 1024)
const SCRATCH: usize = 108; // f64[depth]
const MOVES_MAX: usize = 112;
const MOVED_COUNT: usize = 116;
const TEMPERATURE: usize = 120; // f32
const COOLING: usize = 124; // f32, factor of the temperature per EPOCH iterations
const RISK_Z: usize = 128; // f32
const COMMON_ERROR_SQUARED: usize = 132; // f32
const SAFE_UTILISATION: usize = 136; // f32
const NEW_COST_A: usize = 140; // f32, results of pairCost
const NEW_COST_B: usize = 144; // f32
const ACCEPTED_COUNT: usize = 148;
const COST: usize = 152; // f64, of the present map
const BEST_COST: usize = 160; // f64
const ITERATION: usize = 168; // u32, done since reset
const BLOCK_BYTES: u32 = 176;

/** The host compares it with its own copy of the layout. */
export function annealBlockBytes(): u32 {
  return BLOCK_BYTES;
}

/** The temperature falls once in so many iterations. */
const EPOCH: u32 = 256;
/** Node loads are summed afresh after so many accepted proposals: f32 sums drift by about 1e-7 each. */
const REBUILD_ACCEPTS: u32 = 16384;
/** A new best map is kept only if it is better by more than the rounding of an f32 sum. */
const BEST_MARGIN: f64 = 1e-9;

const LINEAR_ABOVE: f32 = 0.95;
const SLOPE: f32 = 400;

@inline
function field(block: usize, offset: usize): usize {
  return <usize>load<u32>(block + offset);
}

/** xorshift128. @see Marsaglia, "Xorshift RNGs", 2003 */
@inline
function nextRandom(state: usize): u32 {
  let t = load<u32>(state, 12);
  const s = load<u32>(state, 0);
  store<u32>(state, load<u32>(state, 8), 12);
  store<u32>(state, load<u32>(state, 4), 8);
  store<u32>(state, s, 4);
  t ^= t << 11;
  t ^= t >> 8;
  t = t ^ s ^ (s >> 19);
  store<u32>(state, t, 0);
  return t;
}

/** u weight_d [ load phi(rho) + overload max(0, rho - safe) ] for four slots. */
@inline
function cell(loads: v128, u: v128, inverse: v128, overload: v128, safe: v128): v128 {
  const rho = f32x4.mul(u, inverse);
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
function sum4(v: v128): f32 {
  return (
    f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3))
  );
}

/** Costs of nodes a and b once partition p has left a for b and q has come back for it, into NEW_COST_A and NEW_COST_B. */
function pairCost(block: usize, a: u32, b: u32, p: u32, q: u32): void {
  const row = <usize>load<u32>(block, DEPTH) << 2;
  const stride = <usize>load<u32>(block, SLOT_STRIDE) << 2;
  const resourceCount = load<u32>(block, RESOURCE_COUNT);
  const isRisky = load<f32>(block, RISK_Z) > 0;
  const z = f32x4.splat(load<f32>(block, RISK_Z));
  const betaSquared = f32x4.splat(load<f32>(block, COMMON_ERROR_SQUARED));
  const safe = f32x4.splat(load<f32>(block, SAFE_UTILISATION));
  const loads = field(block, LOAD);
  const nodeLoads = field(block, NODE_LOAD);
  let lp = loads + <usize>p * row;
  let lq = loads + <usize>q * row;
  let la = nodeLoads + <usize>a * row;
  let lb = nodeLoads + <usize>b * row;
  // Variances lie at a fixed distance from their loads.
  const toVariance = field(block, VARIANCE) - loads;
  const toNodeVariance = field(block, NODE_VARIANCE) - nodeLoads;
  let weights = field(block, SLOT_WEIGHT);
  const inverses = field(block, INVERSE_CAPACITY);
  const overloads = field(block, OVERLOAD_FACTOR);
  let sumA = f32x4.splat(0);
  let sumB = f32x4.splat(0);
  for (let r: u32 = 0; r < resourceCount; r++) {
    const inverseA = f32x4.splat(load<f32>(inverses + ((<usize>(a * resourceCount + r)) << 2)));
    const inverseB = f32x4.splat(load<f32>(inverses + ((<usize>(b * resourceCount + r)) << 2)));
    const overload = f32x4.splat(load<f32>(overloads + ((<usize>r) << 2)));
    const end = weights + stride;
    if (isRisky) {
      while (weights < end) {
        const leaving = f32x4.sub(v128.load(lp), v128.load(lq));
        const doubt = f32x4.sub(v128.load(lp + toVariance), v128.load(lq + toVariance));
        const loadA = f32x4.sub(v128.load(la), leaving);
        const loadB = f32x4.add(v128.load(lb), leaving);
        const uA = allow(loadA, f32x4.sub(v128.load(la + toNodeVariance), doubt), z, betaSquared);
        const uB = allow(loadB, f32x4.add(v128.load(lb + toNodeVariance), doubt), z, betaSquared);
        const weight = v128.load(weights);
        sumA = f32x4.add(sumA, f32x4.mul(weight, cell(loadA, uA, inverseA, overload, safe)));
        sumB = f32x4.add(sumB, f32x4.mul(weight, cell(loadB, uB, inverseB, overload, safe)));
        lp += 16;
        lq += 16;
        la += 16;
        lb += 16;
        weights += 16;
      }
    } else {
      while (weights < end) {
        const leaving = f32x4.sub(v128.load(lp), v128.load(lq));
        const loadA = f32x4.sub(v128.load(la), leaving);
        const loadB = f32x4.add(v128.load(lb), leaving);
        const weight = v128.load(weights);
        sumA = f32x4.add(sumA, f32x4.mul(weight, cell(loadA, loadA, inverseA, overload, safe)));
        sumB = f32x4.add(sumB, f32x4.mul(weight, cell(loadB, loadB, inverseB, overload, safe)));
        lp += 16;
        lq += 16;
        la += 16;
        lb += 16;
        weights += 16;
      }
    }
  }
  store<f32>(block, sum4(sumA), NEW_COST_A);
  store<f32>(block, sum4(sumB), NEW_COST_B);
}

/** What the rules charge for p on the node: its price away from home, and the penalty of a node to be emptied. */
@inline
function rulePrice(block: usize, p: u32, node: u32): f32 {
  const isHome = load<u32>(field(block, HOME) + ((<usize>p) << 2)) == node;
  return (
    (isHome ? <f32>0 : load<f32>(field(block, MOVE_PRICE) + ((<usize>p) << 2))) +
    load<f32>(field(block, HOLD_PENALTY) + ((<usize>node) << 2))
  );
}

@inline
function hasRoom(block: usize, p: u32, node: u32): bool {
  if (load<u32>(field(block, HOME) + ((<usize>p) << 2)) == node) return true;
  const free = load<f64>(field(block, BYTES_FREE) + ((<usize>node) << 3));
  return free >= load<f64>(field(block, BYTES) + ((<usize>p) << 3));
}

/** 1 if the node is not p's home. */
@inline
function away(block: usize, p: u32, node: u32): i32 {
  return load<u32>(field(block, HOME) + ((<usize>p) << 2)) == node ? 0 : 1;
}

@inline
function addLoad(target: usize, sign: f32, row: usize, bytes: usize): void {
  const s = f32x4.splat(sign);
  for (let i: usize = 0; i < bytes; i += 16)
    v128.store(target + i, f32x4.add(v128.load(target + i), f32x4.mul(s, v128.load(row + i))));
}

/** Moves p from a to b in owner, loads and bytes; costs are the caller's. */
function transfer(block: usize, p: u32, a: u32, b: u32): void {
  const row = <usize>load<u32>(block, DEPTH) << 2;
  const loads = field(block, LOAD) + <usize>p * row;
  addLoad(field(block, NODE_LOAD) + <usize>a * row, -1, loads, row);
  addLoad(field(block, NODE_LOAD) + <usize>b * row, 1, loads, row);
  if (load<f32>(block, RISK_Z) > 0) {
    const variances = field(block, VARIANCE) + <usize>p * row;
    addLoad(field(block, NODE_VARIANCE) + <usize>a * row, -1, variances, row);
    addLoad(field(block, NODE_VARIANCE) + <usize>b * row, 1, variances, row);
  }
  store<u32>(field(block, OWNER) + ((<usize>p) << 2), b);
  // A partition frees nothing at home until its migration has ended, and takes nothing by staying there.
  const bytes = load<f64>(field(block, BYTES) + ((<usize>p) << 3));
  const free = field(block, BYTES_FREE);
  if (away(block, p, a)) store<f64>(free + ((<usize>a) << 3), load<f64>(free + ((<usize>a) << 3)) + bytes);
  if (away(block, p, b)) store<f64>(free + ((<usize>b) << 3), load<f64>(free + ((<usize>b) << 3)) - bytes);
}

/** Sums loads and costs afresh from OWNER, in f64. */
function rebuild(block: usize): void {
  const partitionCount = load<u32>(block, PARTITION_COUNT);
  const nodeCount = load<u32>(block, NODE_COUNT);
  const depth = load<u32>(block, DEPTH);
  const isRisky = load<f32>(block, RISK_Z) > 0;
  let cost: f64 = 0;
  for (let n: u32 = 0; n < nodeCount; n++) {
    const at = <usize>(n * depth) << 2;
    sumNode(block, n, field(block, LOAD), field(block, BACKGROUND) + at, field(block, NODE_LOAD) + at);
    if (isRisky) sumNode(block, n, field(block, VARIANCE), 0, field(block, NODE_VARIANCE) + at);
    pairCost(block, n, n, partitionCount, partitionCount);
    const own = load<f32>(block, NEW_COST_A);
    store<f32>(field(block, NODE_COST) + ((<usize>n) << 2), own);
    cost += <f64>own;
  }
  const owner = field(block, OWNER);
  for (let p: u32 = 0; p < partitionCount; p++)
    cost += <f64>rulePrice(block, p, load<u32>(owner + ((<usize>p) << 2)));
  store<f64>(block, cost, COST);
}

/** f32[depth] at `target` = start + sum over the node's partitions of their rows. */
function sumNode(block: usize, node: u32, rows: usize, start: usize, target: usize): void {
  const partitionCount = load<u32>(block, PARTITION_COUNT);
  const depth = load<u32>(block, DEPTH);
  const owner = field(block, OWNER);
  const scratch = field(block, SCRATCH);
  for (let d: u32 = 0; d < depth; d++)
    store<f64>(scratch + ((<usize>d) << 3), start == 0 ? 0 : <f64>load<f32>(start + ((<usize>d) << 2)));
  for (let p: u32 = 0; p < partitionCount; p++) {
    if (load<u32>(owner + ((<usize>p) << 2)) != node) continue;
    const row = rows + ((<usize>(p * depth)) << 2);
    for (let d: u32 = 0; d < depth; d++) {
      const at = scratch + ((<usize>d) << 3);
      store<f64>(at, load<f64>(at) + <f64>load<f32>(row + ((<usize>d) << 2)));
    }
  }
  for (let d: u32 = 0; d < depth; d++)
    store<f32>(target + ((<usize>d) << 2), <f32>load<f64>(scratch + ((<usize>d) << 3)));
}

/** Starts from OWNER: BYTES_FREE and MOVED_COUNT have to agree with it. Sets costs and the best map. */
export function annealReset(block: usize): void {
  assert((load<u32>(block, SLOT_STRIDE) & 3) == 0, "slots are padded to a multiple of 4");
  assert(
    load<u32>(block, SLOT_STRIDE) * load<u32>(block, RESOURCE_COUNT) == load<u32>(block, DEPTH),
    "depth is resources x padded slots",
  );
  rebuild(block);
  store<f64>(block, load<f64>(block, COST), BEST_COST);
  memory.copy(field(block, BEST_OWNER), field(block, OWNER), (<usize>load<u32>(block, PARTITION_COUNT)) << 2);
  store<u32>(block, 0, ACCEPTED_COUNT);
  store<u32>(block, 0, ITERATION);
}

/** Uniform in [0, count) from 32 random bits; the bias of count / 2^32 does not matter to a search. */
@inline
function drawBelow(draw: u32, count: u32): u32 {
  return <u32>((<u64>draw * <u64>count) >> 32);
}

/**
 * Runs `iterations` proposals: 4/8 shifts, 3/8 swaps, 1/8 returns home (a shift if the partition is there). Drawn proposals
 * that change nothing, or that the rules forbid, count as well. Call {@link annealReset} first; the block keeps all state between calls, so that chunks of
 * any size give the same result as one long call.
 *
 * @param isSampling 1: accept nothing, and return the mean of the deltas above 0 instead.
 * @returns accepted proposals so far, or the mean.
 */
export function annealRun(block: usize, iterations: u32, isSampling: u32): f64 {
  const nullPartition = load<u32>(block, PARTITION_COUNT);
  const movable = field(block, MOVABLE);
  const movableCount = load<u32>(block, MOVABLE_COUNT);
  const targets = field(block, TARGETS);
  const targetCount = load<u32>(block, TARGET_COUNT);
  const owner = field(block, OWNER);
  const random = field(block, RANDOM);
  const nodeCost = field(block, NODE_COST);
  const negativeLog = field(block, NEGATIVE_LOG);
  const movesMax = load<i32>(block, MOVES_MAX);
  let temperature = load<f32>(block, TEMPERATURE);
  let iteration = load<u32>(block, ITERATION);
  let positiveSum: f64 = 0;
  let positiveCount: u32 = 0;
  if (movableCount == 0 || targetCount == 0) return 0;

  for (let i: u32 = 0; i < iterations; i++) {
    if (!isSampling) {
      iteration++;
      if (iteration % EPOCH == 0) temperature *= load<f32>(block, COOLING);
    }
    const p = load<u32>(movable + ((<usize>drawBelow(nextRandom(random), movableCount)) << 2));
    const draw = nextRandom(random);
    const kind = draw & 7;
    const a = load<u32>(owner + ((<usize>p) << 2));
    let q = nullPartition;
    let b: u32;
    if (kind >= 4 && kind < 7) {
      q = load<u32>(movable + ((<usize>drawBelow(nextRandom(random), movableCount)) << 2));
      b = load<u32>(owner + ((<usize>q) << 2));
    } else {
      b = load<u32>(field(block, HOME) + ((<usize>p) << 2));
      if (kind != 7 || b == a) b = load<u32>(targets + ((<usize>drawBelow(draw & ~7, targetCount)) << 2));
    }
    if (a == b || !hasRoom(block, p, b)) continue;
    let movedDelta = away(block, p, b) - away(block, p, a);
    let ruleDelta = rulePrice(block, p, b) - rulePrice(block, p, a);
    if (q != nullPartition) {
      if (!hasRoom(block, q, a)) continue;
      movedDelta += away(block, q, a) - away(block, q, b);
      ruleDelta += rulePrice(block, q, a) - rulePrice(block, q, b);
    }
    const movedCount = load<i32>(block, MOVED_COUNT) + movedDelta;
    if (movedDelta > 0 && movedCount > movesMax) continue;

    pairCost(block, a, b, p, q);
    const costA = load<f32>(block, NEW_COST_A);
    const costB = load<f32>(block, NEW_COST_B);
    const atA = nodeCost + ((<usize>a) << 2);
    const atB = nodeCost + ((<usize>b) << 2);
    const delta = costA - load<f32>(atA) + (costB - load<f32>(atB)) + ruleDelta;
    if (isSampling) {
      if (delta > 0) {
        positiveSum += <f64>delta;
        positiveCount++;
      }
      continue;
    }
    if (delta > 0) {
      const index = nextRandom(random) >> 22;
      if (delta >= temperature * load<f32>(negativeLog + ((<usize>index) << 2))) continue;
    }

    transfer(block, p, a, b);
    if (q != nullPartition) transfer(block, q, b, a);
    store<f32>(atA, costA);
    store<f32>(atB, costB);
    store<i32>(block, movedCount, MOVED_COUNT);
    const accepted = load<u32>(block, ACCEPTED_COUNT) + 1;
    store<u32>(block, accepted, ACCEPTED_COUNT);
    store<f64>(block, load<f64>(block, COST) + <f64>delta, COST);
    if (accepted % REBUILD_ACCEPTS == 0) rebuild(block);
    if (load<f64>(block, COST) < load<f64>(block, BEST_COST) - BEST_MARGIN) {
      store<f64>(block, load<f64>(block, COST), BEST_COST);
      memory.copy(field(block, BEST_OWNER), owner, (<usize>nullPartition) << 2);
    }
  }
  store<f32>(block, temperature, TEMPERATURE);
  store<u32>(block, iteration, ITERATION);
  if (isSampling) return positiveCount == 0 ? 0 : positiveSum / <f64>positiveCount;
  return <f64>load<u32>(block, ACCEPTED_COUNT);
}

import type { PlacementInstance } from '../../src/affinity/instance.ts';
import { ANNEAL_EPOCH, negativeLogTable } from '../../src/kernels/anneal-layout.ts';

const f = Math.fround;
const REBUILD_ACCEPTS = 16384;
const BEST_MARGIN = 1e-9;

/**
 * The annealing kernel again, slowly and plainly: one number at a time, rounded to f32 wherever the kernel rounds and in
 * the same order, four running sums standing for the four lanes. Results have to agree to the last bit.
 */
export class AnnealOracle {
  readonly owner: Int32Array;
  best: Int32Array;
  cost = 0;
  bestCost = 0;
  acceptedCount = 0;
  temperature = 0;
  cooling = 1;
  readonly #instance: PlacementInstance;
  readonly #load: Float32Array;
  readonly #variance: Float32Array;
  readonly #weight: Float32Array;
  readonly #inverse: Float32Array;
  readonly #overload: Float32Array;
  readonly #background: Float32Array;
  readonly #price: Float32Array;
  readonly #hold: Float32Array;
  readonly #nodeLoad: Float32Array;
  readonly #nodeVariance: Float32Array;
  readonly #nodeCost: Float32Array;
  readonly #free: Float64Array;
  readonly #movable: number[] = [];
  readonly #targets: number[] = [];
  readonly #logs = negativeLogTable();
  readonly #random: Uint32Array;
  #movedCount = 0;
  #iteration = 0;

  /** @param random u32[4], not all zero. */
  constructor(instance: PlacementInstance, start: Int32Array, random: Uint32Array) {
    const { partitionCount, nodeCount, depth } = instance;
    this.#instance = instance;
    this.owner = start.slice();
    this.best = start.slice();
    this.#load = new Float32Array((partitionCount + 1) * depth);
    this.#load.set(instance.load);
    this.#variance = new Float32Array((partitionCount + 1) * depth);
    this.#variance.set(instance.variance);
    this.#weight = Float32Array.from(instance.slotWeight);
    this.#inverse = Float32Array.from(instance.capacity, (own) => 1 / own);
    this.#overload = Float32Array.from(instance.overloadFactor);
    this.#background = Float32Array.from(instance.background);
    this.#price = Float32Array.from(instance.movePrice);
    this.#hold = Float32Array.from(instance.holdPenalty);
    this.#nodeLoad = new Float32Array(nodeCount * depth);
    this.#nodeVariance = new Float32Array(nodeCount * depth);
    this.#nodeCost = new Float32Array(nodeCount);
    this.#free = instance.bytesFree.map((free, n) => (instance.isTarget[n] === 1 ? free : -1));
    this.#random = random.slice();
    for (let p = 0; p < partitionCount; p++) {
      if (instance.isMovable[p] === 1) this.#movable.push(p);
      if (start[p] === instance.home[p]) continue;
      this.#movedCount++;
      this.#free[start[p]] -= instance.bytes[p];
    }
    for (let n = 0; n < nodeCount; n++) if (instance.isTarget[n] === 1) this.#targets.push(n);
    this.#rebuild();
    this.bestCost = this.cost;
  }

  run(iterations: number, isSampling: boolean): number {
    const { partitionCount, home, movesMax } = this.#instance;
    let positiveSum = 0;
    let positiveCount = 0;
    for (let i = 0; i < iterations; i++) {
      if (!isSampling && ++this.#iteration % ANNEAL_EPOCH === 0)
        this.temperature = f(this.temperature * this.cooling);
      const p = this.#movable[this.#below(this.#draw(), this.#movable.length)];
      const draw = this.#draw();
      const kind = draw & 7;
      const a = this.owner[p];
      let q = partitionCount;
      let b: number;
      if (kind >= 4 && kind < 7) {
        q = this.#movable[this.#below(this.#draw(), this.#movable.length)];
        b = this.owner[q];
      } else {
        b = home[p];
        if (kind !== 7 || b === a) b = this.#targets[this.#below((draw & ~7) >>> 0, this.#targets.length)];
      }
      if (a === b || !this.#hasRoom(p, b)) continue;
      let movedDelta = this.#away(p, b) - this.#away(p, a);
      let ruleDelta = f(this.#rulePrice(p, b) - this.#rulePrice(p, a));
      if (q !== partitionCount) {
        if (!this.#hasRoom(q, a)) continue;
        movedDelta += this.#away(q, a) - this.#away(q, b);
        ruleDelta = f(ruleDelta + f(this.#rulePrice(q, a) - this.#rulePrice(q, b)));
      }
      if (movedDelta > 0 && this.#movedCount + movedDelta > movesMax) continue;
      const costA = this.#nodeCostWith(a, p, q, -1);
      const costB = this.#nodeCostWith(b, p, q, 1);
      const delta = f(f(f(costA - this.#nodeCost[a]) + f(costB - this.#nodeCost[b])) + ruleDelta);
      if (isSampling) {
        if (delta > 0) {
          positiveSum += delta;
          positiveCount++;
        }
        continue;
      }
      if (delta > 0 && delta >= f(this.temperature * this.#logs[this.#draw() >>> 22])) continue;
      this.#transfer(p, a, b);
      if (q !== partitionCount) this.#transfer(q, b, a);
      this.#nodeCost[a] = costA;
      this.#nodeCost[b] = costB;
      this.#movedCount += movedDelta;
      this.acceptedCount++;
      this.cost += delta;
      if (this.acceptedCount % REBUILD_ACCEPTS === 0) this.#rebuild();
      if (this.cost < this.bestCost - BEST_MARGIN) {
        this.bestCost = this.cost;
        this.best = this.owner.slice();
      }
    }
    if (isSampling) return positiveCount === 0 ? 0 : positiveSum / positiveCount;
    return this.acceptedCount;
  }

  #draw(): number {
    const r = this.#random;
    let t = r[3];
    const s = r[0];
    r[3] = r[2];
    r[2] = r[1];
    r[1] = s;
    t ^= t << 11;
    t ^= t >>> 8;
    r[0] = t ^ s ^ (s >>> 19);
    return r[0];
  }

  #below(draw: number, count: number): number {
    return Math.floor((draw * count) / 4294967296);
  }

  #away(p: number, node: number): number {
    return this.#instance.home[p] === node ? 0 : 1;
  }

  #hasRoom(p: number, node: number): boolean {
    return this.#instance.home[p] === node || this.#free[node] >= this.#instance.bytes[p];
  }

  #rulePrice(p: number, node: number): number {
    return f((this.#instance.home[p] === node ? 0 : this.#price[p]) + this.#hold[node]);
  }

  /** Cost of a node after p -> q there: `sign` -1 on the node p leaves, 1 on the one it comes to. */
  #nodeCostWith(node: number, p: number, q: number, sign: -1 | 1): number {
    const { depth, slotStride, resourceCount, riskZ, commonError, safeUtilisation } = this.#instance;
    const z = f(riskZ);
    const betaSquared = f(commonError ** 2);
    const safe = f(safeUtilisation);
    const lanes = new Float32Array(4);
    for (let d = 0; d < depth; d++) {
      const r = Math.floor(d / slotStride);
      const leaving = f(this.#load[p * depth + d] - this.#load[q * depth + d]);
      const load = f(this.#nodeLoad[node * depth + d] + sign * leaving);
      let u = load;
      if (riskZ > 0) {
        const doubt = f(this.#variance[p * depth + d] - this.#variance[q * depth + d]);
        const variance = f(this.#nodeVariance[node * depth + d] + sign * doubt);
        const common = f(f(load * load) * betaSquared);
        u = f(load + f(z * f(Math.sqrt(f(Math.max(variance, 0) + common)))));
      }
      const rho = f(u * this.#inverse[node * resourceCount + r]);
      const m = Math.min(rho, f(0.95));
      const phi = f(f(f(1 / f(1 - m)) - 1) + f(f(rho - m) * 400));
      const over = f(this.#overload[r] * Math.max(f(rho - safe), 0));
      const cell = f(f(load * phi) + over);
      lanes[d & 3] = f(lanes[d & 3] + f(this.#weight[d] * cell));
    }
    return f(f(lanes[0] + lanes[1]) + f(lanes[2] + lanes[3]));
  }

  #transfer(p: number, a: number, b: number): void {
    const { depth, bytes } = this.#instance;
    for (let d = 0; d < depth; d++) {
      this.#nodeLoad[a * depth + d] -= this.#load[p * depth + d];
      this.#nodeLoad[b * depth + d] += this.#load[p * depth + d];
      this.#nodeVariance[a * depth + d] -= this.#variance[p * depth + d];
      this.#nodeVariance[b * depth + d] += this.#variance[p * depth + d];
    }
    this.owner[p] = b;
    if (this.#away(p, a)) this.#free[a] += bytes[p];
    if (this.#away(p, b)) this.#free[b] -= bytes[p];
  }

  #rebuild(): void {
    const { partitionCount, nodeCount, depth } = this.#instance;
    this.cost = 0;
    for (let n = 0; n < nodeCount; n++) {
      for (let d = 0; d < depth; d++) {
        let load = this.#background[n * depth + d];
        let variance = 0;
        for (let p = 0; p < partitionCount; p++) {
          if (this.owner[p] !== n) continue;
          load += this.#load[p * depth + d];
          variance += this.#variance[p * depth + d];
        }
        this.#nodeLoad[n * depth + d] = load;
        this.#nodeVariance[n * depth + d] = variance;
      }
      this.#nodeCost[n] = this.#nodeCostWith(n, partitionCount, partitionCount, 1);
      this.cost += this.#nodeCost[n];
    }
    for (let p = 0; p < partitionCount; p++) this.cost += this.#rulePrice(p, this.owner[p]);
  }
}

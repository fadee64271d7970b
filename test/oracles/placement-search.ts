import { type PlacementNumbers, SCREENED_DEPTH_MIN, sizesOf } from '../../src/kernels/placement-block.ts';
import { PLACEMENT_OPERATORS } from '../../src/kernels/search-layout.ts';
import { REJECTED, SearchOracle } from './search-loop.ts';

const f = Math.fround;
const NONE = -1;

interface Step {
  readonly partition: number;
  readonly source: number;
  readonly target: number;
}

/** Rows of loads and variances, as f32; null stands for zeros. */
interface Row {
  readonly load: Float32Array;
  readonly variance: Float32Array;
}

/** What a change of load, its square, and a change of variance do to a node's cost in each slot. */
interface Tangent {
  readonly slope: Float32Array;
  readonly bend: Float32Array;
  readonly doubt: Float32Array;
}

/**
 * The placement kernel again, slowly and plainly: one number at a time, rounded to f32 wherever the kernel rounds and in
 * the same order, four running sums standing for the four lanes; rules counted afresh for every proposal, rings as lists.
 * Results have to agree to the last bit.
 */
export class PlacementOracle extends SearchOracle {
  readonly #numbers: PlacementNumbers;
  readonly #rows: Row[];
  readonly #background: Row[];
  readonly #weight: Float32Array;
  readonly #inverse: Float32Array;
  readonly #overload: Float32Array;
  readonly #size: Float32Array;
  readonly #bySize: number[];
  readonly #movable: number[];
  readonly #targets: number[];
  readonly #nodes: Row[];
  /** Proposals that the screen has rejected, and those of them that their price would not have. */
  screenedOutCount = 0;
  wronglyScreenedOutCount = 0;
  #nodeCost: number[] = [];
  #nodePeak: number[] = [];
  /** Members of each node in the order they are drawn, the last one drawn last; NONE closes the kernel's ring. */
  #rings: number[][] = [];

  constructor(numbers: PlacementNumbers, start: Int32Array, seed: readonly number[], samplesMax: number) {
    super(start, {
      seed,
      samplesMax,
      bestMargin: 1e-9,
      operators: PLACEMENT_OPERATORS,
    });
    const { partitionCount, nodeCount, depth } = numbers;
    const rowsOf = (load: Float64Array, variance: Float64Array | null, count: number): Row[] =>
      Array.from({ length: count }, (_, i) => ({
        load: Float32Array.from(load.subarray(i * depth, (i + 1) * depth)),
        variance: Float32Array.from(
          variance?.subarray(i * depth, (i + 1) * depth) ?? new Float32Array(depth),
        ),
      }));
    this.#numbers = numbers;
    this.#rows = rowsOf(numbers.load, numbers.variance, partitionCount);
    this.#background = rowsOf(numbers.background, null, nodeCount);
    this.#nodes = rowsOf(numbers.background, null, nodeCount);
    this.#weight = Float32Array.from(numbers.slotWeight);
    this.#inverse = Float32Array.from(numbers.capacity, (own) => 1 / own);
    this.#overload = Float32Array.from(numbers.overloadFactor);
    this.#size = sizesOf(numbers);
    const flagged = (flags: Uint8Array): number[] => [...flags.keys()].filter((i) => flags[i] === 1);
    this.#movable = flagged(numbers.isMovable);
    this.#targets = flagged(numbers.isTarget);
    this.#bySize = this.#movable.toSorted((p, q) => this.#size[p] - this.#size[q] || p - q);
    this.reset();
  }

  protected attempt(operator: number): number {
    if (this.#movable.length === 0 || this.#targets.length === 0) return REJECTED;
    switch (PLACEMENT_OPERATORS[operator].name) {
      case 'shift': {
        const p = this.#anyMovable();
        return this.#tryPair(p, NONE, this.#anyTarget());
      }
      case 'swap': {
        const p = this.#anyMovable();
        const q = this.#anyMovable();
        return this.#tryPair(p, q, this.owner[q]);
      }
      case 'near-swap': {
        const p = this.#anyMovable();
        const q = this.#nearInSize(p, false);
        return this.#tryPair(p, q, this.owner[q]);
      }
      case 'hot-shift': {
        const p = this.#memberOf(this.#hotNode());
        return p === NONE ? REJECTED : this.#tryPair(p, NONE, this.#coolTarget());
      }
      case 'hot-swap': {
        const p = this.#memberOf(this.#hotNode());
        if (p === NONE) return REJECTED;
        const q = this.#nearInSize(p, true);
        return this.#tryPair(p, q, this.owner[q]);
      }
      case 'home': {
        let p = this.#anyMovable();
        for (let i = 1; i < 4 && this.owner[p] === this.#numbers.home[p]; i++) p = this.#anyMovable();
        return this.#tryPair(p, NONE, this.#numbers.home[p]);
      }
      case 'chain':
        return this.#tryChain();
      case 'bundle':
        return this.#tryBundle();
    }
  }

  protected rebuild(): void {
    const { nodeCount, depth, peakWeight } = this.#numbers;
    this.cost = 0;
    for (let n = 0; n < nodeCount; n++) {
      for (let d = 0; d < depth; d++) {
        let load = this.#background[n].load[d];
        let variance = 0;
        this.#rows.forEach((row, p) => {
          if (this.owner[p] !== n) return;
          load += row.load[d];
          variance += row.variance[d];
        });
        this.#nodes[n].load[d] = load;
        this.#nodes[n].variance[d] = variance;
      }
      const { cost, peak } = this.#nodeWith(n, [], [], 1);
      this.#nodeCost[n] = cost;
      this.#nodePeak[n] = peak;
      this.cost += cost;
    }
    this.#rows.forEach((_, p) => {
      this.cost += this.#rulePrice(p, this.owner[p]);
    });
    if (peakWeight > 0) this.cost += f(f(peakWeight) * Math.max(...this.#nodePeak));
    this.#rings = Array.from({ length: nodeCount }, () => [NONE]);
    for (const p of this.#movable) this.#rings[this.owner[p]].push(p);
  }

  #anyMovable(): number {
    return this.#movable[this.drawBelow(this.#movable.length)];
  }

  #anyTarget(): number {
    return this.#targets[this.drawBelow(this.#targets.length)];
  }

  #heatOf(node: number): number {
    if (this.#numbers.peakWeight > 0) return this.#nodePeak[node];
    return f(this.#nodeCost[node] * this.#inverse[node * this.#numbers.resourceCount]);
  }

  #hotNode(): number {
    const { nodeCount, peakWeight } = this.#numbers;
    const first = this.drawBelow(nodeCount);
    if (peakWeight > 0 && (this.drawn & 1) !== 0) return this.#nodePeak.indexOf(Math.max(...this.#nodePeak));
    const second = this.drawBelow(nodeCount);
    return this.#heatOf(first) < this.#heatOf(second) ? second : first;
  }

  #coolTarget(): number {
    const first = this.#anyTarget();
    const second = this.#anyTarget();
    return this.#heatOf(first) > this.#heatOf(second) ? second : first;
  }

  #memberOf(node: number): number {
    const ring = this.#rings[node];
    if (ring.length === 1) return NONE;
    const isPastEnd = ring[0] === NONE;
    const passed = ring.splice(0, isPastEnd ? 2 : 1);
    ring.push(...passed);
    return passed[passed.length - 1];
  }

  #nearInSize(p: number, isSmaller: boolean): number {
    const draw = this.draw();
    const distance = 1 + ((draw >>> 3) & ((1 << (draw & 7)) - 1));
    const other = this.#bySize.indexOf(p) + (isSmaller || draw >>> 31 !== 0 ? -distance : distance);
    return this.#bySize[other] ?? p;
  }

  #tryPair(p: number, q: number, b: number): number {
    const a = this.owner[p];
    if (a === b) return REJECTED;
    const steps: Step[] = [{ partition: p, source: a, target: b }];
    if (q !== NONE) steps.push({ partition: q, source: b, target: a });
    return this.#trySteps(steps, [
      { node: a, sign: -1, plus: [p], minus: steps.slice(1).map(({ partition }) => partition) },
      { node: b, sign: 1, plus: [p], minus: steps.slice(1).map(({ partition }) => partition) },
    ]);
  }

  #tryChain(): number {
    const p = this.#anyMovable();
    const q = this.#anyMovable();
    const a = this.owner[p];
    const b = this.owner[q];
    if (a === b) return REJECTED;
    const home = this.#numbers.home[q];
    const c = home !== b && (this.drawn & 1) !== 0 ? home : this.#anyTarget();
    if (c === b) return REJECTED;
    if (c === a) return this.#tryPair(p, q, b);
    return this.#trySteps(
      [
        { partition: p, source: a, target: b },
        { partition: q, source: b, target: c },
      ],
      [
        { node: a, sign: -1, plus: [p], minus: [] },
        { node: b, sign: 1, plus: [p], minus: [q] },
        { node: c, sign: 1, plus: [q], minus: [] },
      ],
    );
  }

  #tryBundle(): number {
    const p = this.#anyMovable();
    const first = this.#anyMovable();
    const a = this.owner[p];
    const b = this.owner[first];
    if (a === b) return REJECTED;
    const sizeMax = f(f(1.125) * this.#size[p]);
    const ring = this.#rings[b];
    const at = ring.indexOf(first);
    const bundle: number[] = [];
    let sum = 0;
    for (const member of [...ring.slice(at), ...ring.slice(0, at)].slice(0, 12)) {
      if (bundle.length === 4) break;
      // Coming to the entry that closes the ring counts as a look.
      if (member === NONE || f(sum + this.#size[member]) > sizeMax) continue;
      sum = f(sum + this.#size[member]);
      bundle.push(member);
    }
    if (bundle.length < 2) {
      // The kernel has drawn its threshold by then.
      if (this.#isScreened && !this.isSampling) this.drawThreshold();
      return REJECTED;
    }
    return this.#trySteps(
      [
        { partition: p, source: a, target: b },
        ...bundle.map((partition) => ({ partition, source: b, target: a })),
      ],
      [
        { node: a, sign: -1, plus: [p], minus: bundle },
        { node: b, sign: 1, plus: [p], minus: bundle },
      ],
    );
  }

  /** Judges steps and carries them out. The nodes are those they change, each once. */
  #trySteps(
    steps: readonly Step[],
    nodes: readonly { node: number; sign: -1 | 1; plus: number[]; minus: number[] }[],
  ): number {
    const isScreened = this.#isScreened && nodes.length === 2 && !this.isSampling;
    const threshold = isScreened ? this.drawThreshold() : 0;
    if (!this.#keepsRules(steps)) return REJECTED;
    let price = 0;
    steps.forEach(({ partition, source, target }, i) => {
      const own = f(this.#rulePrice(partition, target) - this.#rulePrice(partition, source));
      price = i === 0 ? own : f(price + own);
    });
    const isScreenedOut = isScreened && f(this.#leastRise(nodes[0].node, nodes[1]) + price) > threshold;
    const after = nodes.map(({ node, plus, minus, sign }) => this.#nodeWith(node, plus, minus, sign));
    const rises = after.map(({ cost }, i) => f(cost - this.#nodeCost[nodes[i].node]));
    let delta = f(rises.slice(1).reduce((sum, rise) => f(sum + rise), rises[0]) + price);
    if (this.#numbers.peakWeight > 0) {
      const peaks = this.#nodePeak.slice();
      after.forEach(({ peak }, i) => {
        peaks[nodes[i].node] = peak;
      });
      const rise = f(Math.max(...peaks) - Math.max(...this.#nodePeak));
      delta = f(delta + f(f(this.#numbers.peakWeight) * rise));
    }
    if (isScreenedOut) {
      this.screenedOutCount++;
      if (delta <= 0 || delta < threshold) this.wronglyScreenedOutCount++;
      return REJECTED;
    }
    if (isScreened ? delta > 0 && delta >= threshold : !this.accepts(delta)) return REJECTED;
    nodes.forEach(({ node, plus, minus, sign }, i) => {
      this.#nodes[node] = this.#rowsWith(node, plus, minus, sign);
      this.#nodeCost[node] = after[i].cost;
      this.#nodePeak[node] = after[i].peak;
    });
    for (const { partition, source, target } of steps) {
      this.owner[partition] = target;
      this.#rings[source].splice(this.#rings[source].indexOf(partition), 1);
      this.#rings[target].push(partition);
    }
    return delta;
  }

  #rulePrice(p: number, node: number): number {
    return this.#numbers.placePrice[p * this.#numbers.nodeCount + node];
  }

  #sum(partitions: readonly number[], what: keyof Row, d: number): number {
    return partitions.reduce((total, p) => f(total + this.#rows[p][what][d]), 0);
  }

  #rowsWith(node: number, plus: readonly number[], minus: readonly number[], sign: -1 | 1): Row {
    const { depth } = this.#numbers;
    const changed = (what: keyof Row): Float32Array =>
      Float32Array.from(
        { length: depth },
        (_, d) => this.#nodes[node][what][d] + sign * f(this.#sum(plus, what, d) - this.#sum(minus, what, d)),
      );
    return { load: changed('load'), variance: changed('variance') };
  }

  get #isScreened(): boolean {
    return this.#numbers.depth >= SCREENED_DEPTH_MIN && this.#numbers.peakWeight === 0;
  }

  /** What a and the other node would cost more at least, by tangents and half of the bends, if `plus` went from a and `minus` came. */
  #leastRise(a: number, b: { node: number; plus: number[]; minus: number[] }): number {
    const { depth, riskZ } = this.#numbers;
    const tangentA = this.#tangentOf(a);
    const tangentB = this.#tangentOf(b.node);
    const lanes = new Float32Array(4);
    for (let d = 0; d < depth; d++) {
      const coming = f(this.#sum(b.plus, 'load', d) - this.#sum(b.minus, 'load', d));
      const bend = f(tangentA.bend[d] + tangentB.bend[d]);
      const slope = f(tangentB.slope[d] - tangentA.slope[d]);
      lanes[d & 3] += f(coming * f(slope + f(coming * bend)));
      if (riskZ === 0) continue;
      const doubt = f(this.#sum(b.plus, 'variance', d) - this.#sum(b.minus, 'variance', d));
      lanes[d & 3] += f(doubt * f(tangentB.doubt[d] - tangentA.doubt[d]));
    }
    return f(f(lanes[0] + lanes[1]) + f(lanes[2] + lanes[3]));
  }

  #tangentOf(node: number): Tangent {
    const { depth, slotStride, resourceCount, riskZ, commonError, safeUtilisation } = this.#numbers;
    const tangent: Tangent = {
      slope: new Float32Array(depth),
      bend: new Float32Array(depth),
      doubt: new Float32Array(depth),
    };
    const { load, variance } = this.#nodes[node];
    for (let d = 0; d < depth; d++) {
      const r = Math.floor(d / slotStride);
      const inverse = this.#inverse[node * resourceCount + r];
      let u = load[d];
      let uByLoad = 1;
      let uByVariance = 0;
      if (riskZ > 0) {
        const common = f(load[d] * f(commonError ** 2));
        const x = f(f(Math.max(variance[d], 0)) + f(load[d] * common));
        const spread = Math.max(f(Math.sqrt(x)), f(1e-6));
        const zBySpread = f(f(riskZ) / spread);
        u = f(u + f(f(riskZ) * spread));
        uByLoad = f(1 + f(zBySpread * common));
        uByVariance = f(zBySpread * 0.5);
      }
      const rho = f(u * inverse);
      const m = Math.min(rho, f(0.95));
      const root = f(1 / f(1 - m));
      const phi = f(f(root - 1) + f(f(rho - m) * 400));
      const squared = f(root * root);
      const byRho = f(f(load[d] * squared) + (rho > f(safeUtilisation) ? this.#overload[r] : 0));
      const rhoByLoad = f(uByLoad * inverse);
      tangent.slope[d] = this.#weight[d] * f(phi + f(byRho * rhoByLoad));
      const curved = rho < f(0.95) ? f(f(load[d] * squared) * f(root * rhoByLoad)) : 0;
      tangent.bend[d] = this.#weight[d] * f(f(rhoByLoad * f(squared + curved)) * 0.5);
      tangent.doubt[d] = this.#weight[d] * f(byRho * f(uByVariance * inverse));
    }
    return tangent;
  }

  /** Cost and peak of a node with rows added and others taken away (sign 1), or the other way round (-1). */
  #nodeWith(
    node: number,
    plus: readonly number[],
    minus: readonly number[],
    sign: -1 | 1,
  ): { cost: number; peak: number } {
    const { depth, slotStride, resourceCount, riskZ, commonError, safeUtilisation } = this.#numbers;
    const { load, variance } = this.#rowsWith(node, plus, minus, sign);
    const betaSquared = f(commonError ** 2);
    const lanes = new Float32Array(4);
    let peak = 0;
    for (let d = 0; d < depth; d++) {
      const r = Math.floor(d / slotStride);
      let u = load[d];
      if (riskZ > 0) {
        const common = f(f(load[d] * load[d]) * betaSquared);
        u = f(u + f(f(riskZ) * f(Math.sqrt(f(Math.max(variance[d], 0) + common)))));
      }
      const rho = f(u * this.#inverse[node * resourceCount + r]);
      const m = Math.min(rho, f(0.95));
      const phi = f(f(f(1 / f(1 - m)) - 1) + f(f(rho - m) * 400));
      const over = f(this.#overload[r] * Math.max(f(rho - f(safeUtilisation)), 0));
      const cell = f(f(load[d] * phi) + over);
      lanes[d & 3] = f(lanes[d & 3] + f(this.#weight[d] * cell));
      peak = Math.max(peak, rho);
    }
    return { cost: f(f(lanes[0] + lanes[1]) + f(lanes[2] + lanes[3])), peak };
  }

  /** Each rule by its definition: on the map that the steps would leave, but for what only may not get worse. */
  #keepsRules(steps: readonly Step[]): boolean {
    const { home, bytes, memberCount, movesMax, nodeMovesMax, bytesMovedMax, nodeCount } = this.#numbers;
    const next = this.owner.slice();
    for (const { partition, target } of steps) next[partition] = target;
    const isAway = (p: number, owner: Int32Array): boolean => owner[p] !== home[p];
    const sumAway = (owner: Int32Array, own: (p: number) => number): number =>
      owner.reduce((sum, _, p) => sum + (isAway(p, owner) ? own(p) : 0), 0);
    const mayRise = (max: number, own: (p: number, owner: Int32Array) => number): boolean => {
      const after = sumAway(next, (p) => own(p, next));
      return after <= max || after <= sumAway(this.owner, (p) => own(p, this.owner));
    };
    if (!mayRise(movesMax, (p) => memberCount[p]) || !mayRise(bytesMovedMax, (p) => bytes[p])) return false;
    for (let n = 0; n < nodeCount; n++) {
      const touches = (p: number, owner: Int32Array): number =>
        owner[p] === n || home[p] === n ? memberCount[p] : 0;
      if (!mayRise(nodeMovesMax, touches)) return false;
    }
    for (const { partition, target } of steps) {
      if (this.#rulePrice(partition, target) === Number.POSITIVE_INFINITY) return false;
      if (target !== home[partition] && !this.#hasRoom(steps, target)) return false;
    }
    return this.#keepsGroups(steps);
  }

  /** What leaves a node in the same proposal does not make room for what comes. */
  #hasRoom(steps: readonly Step[], node: number): boolean {
    const { home, bytes, bytesFree, isTarget } = this.#numbers;
    const isCopied = (p: number, owner: number): boolean => owner === node && home[p] !== node;
    let free = isTarget[node] === 1 ? bytesFree[node] : -1;
    this.owner.forEach((owner, p) => {
      if (isCopied(p, owner)) free -= bytes[p];
    });
    const arriving = steps.reduce(
      (sum, { partition, target }) => sum + (isCopied(partition, target) ? bytes[partition] : 0),
      0,
    );
    return free >= arriving;
  }

  #keepsGroups(steps: readonly Step[]): boolean {
    const { groupOf, groupZonesMin, zoneOf, home } = this.#numbers;
    const groups = steps.map(({ partition }) => groupOf[partition]).filter((group) => group >= 0);
    if (new Set(groups).size < groups.length) return false;
    return steps.every(({ partition, source, target }) => {
      const group = groupOf[partition];
      if (group < 0) return true;
      const others = [...groupOf.keys()].filter((p) => groupOf[p] === group && p !== partition);
      const sharing = others.filter((p) => this.owner[p] === target);
      if (sharing.length > 0 && (home[partition] !== target || sharing.some((p) => home[p] !== target)))
        return false;
      const zonesWith = (node: number): number =>
        new Set([...others.map((p) => this.owner[p]), node].map((n) => zoneOf[n])).size;
      return zonesWith(target) >= Math.min(zonesWith(source), groupZonesMin[group]);
    });
  }
}

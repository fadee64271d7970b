import { assert } from '../base/assert.ts';
import { ForeshardError } from '../base/errors.ts';
import type { Forecast } from '../model/forecast.ts';
import { dimensionIndex, LOAD_DIMENSION_COUNT } from '../model/load-profile.ts';
import type { NodeUtilisation } from '../model/node-utilisation.ts';
import type { PartitionMap } from '../model/partition-map.ts';
import { neutralRules, type PlacementRules } from './rules.ts';
import { type AffinitySettings, assertAffinitySettings } from './settings.ts';

/** Everything a plan is made from. */
export interface PlacementInputs {
  readonly map: PartitionMap;
  readonly forecast: Forecast;
  /** One for each storage node, in order of nodeId. */
  readonly nodes: readonly NodeUtilisation[];
  /** f64[partition]. */
  readonly partitionBytes: Float64Array;
  /** Partitions that stay where they are: being moved, or moved lately. */
  readonly restingPartitions: ReadonlySet<number>;
  /** Where partitions that are being moved go: moves in flight count as done. Those named here rest as well. */
  readonly openMigrations?: ReadonlyMap<number, number>;
}

/**
 * A placement problem as plain numbers, the same for every optimiser.
 *
 * `depth` runs over resource x slot, slots padded to a multiple of 4 so that a kernel takes four at a time; padding
 * carries no load and no weight. Loads are in units of the mean node capacity of their resource, which keeps f32 exact
 * enough whatever the unit was.
 */
export interface PlacementInstance extends PlacementRules {
  readonly partitionCount: number;
  readonly nodeCount: number;
  readonly slotCount: number;
  readonly slotStride: number;
  readonly resourceCount: number;
  readonly depth: number;
  /** f64[partition][depth]: mean. */
  readonly load: Float64Array;
  /** f64[partition][depth]: variance, all zero where nothing is known. */
  readonly variance: Float64Array;
  /** f64[node][depth]. */
  readonly background: Float64Array;
  /** f64[node][resource], above 0. */
  readonly capacity: Float64Array;
  /** f64[depth]: what one unit of load x phi costs in the slot. */
  readonly slotWeight: Float64Array;
  /** f64[resource]: what utilisation above the safe one costs, relative to slotWeight. */
  readonly overloadFactor: Float64Array;
  readonly riskZ: number;
  readonly commonError: number;
  readonly safeUtilisation: number;
  /** i32[partition]: the owner a partition has, or is already on its way to. */
  readonly home: Int32Array;
  /** f64[partition]: price of being anywhere but home, index points. */
  readonly movePrice: Float64Array;
  /** f64[node]: index points for each partition the node holds; 0 but for a node that has to be emptied. */
  readonly holdPenalty: Float64Array;
  /** u8[partition]: 0 pins a partition to its home. */
  readonly isMovable: Uint8Array;
  /** u8[node]: 0 for a node that must not receive anything. */
  readonly isTarget: Uint8Array;
  readonly bytes: Float64Array;
  /** f64[node]: what may still be received. A partition that leaves frees nothing until its migration has ended. */
  readonly bytesFree: Float64Array;
  readonly movesMax: number;
}

/**
 * Index points for each partition left on a node that is down. Far above any price of moving and far below what
 * overloading the others would cost when every partition of the node is hot: an unreachable partition is an outage.
 */
const DRAIN_PENALTY = 1;

/** Bandwidth assumed where a node states none (0 or not finite): 1 Gbit/s, half used. Only prices depend on it. */
const BANDWIDTH_DEFAULT = 62_500_000;

const HOUR_MS = 3_600_000;

const badInput = (message: string): ForeshardError =>
  new ForeshardError('FORESHARD_CORRUPT', 'report', `placement input: ${message}`);

/** @throws ForeshardError FORESHARD_CORRUPT naming the first number that cannot be. */
export function assertPlacementInputs(inputs: PlacementInputs): void {
  const { map, forecast, nodes, partitionBytes } = inputs;
  const { partitionCount } = map;
  if (nodes.length === 0) throw badInput('there is no storage node');
  nodes.forEach((node, index) => {
    if (node.nodeId !== index) throw badInput(`node ${node.nodeId} stands at index ${index}`);
    for (let r = 0; r < LOAD_DIMENSION_COUNT; r++) {
      const capacity = node.capacity[r] as number;
      const background = node.background[r] as number;
      if (!(capacity >= 0)) throw badInput(`capacity of node ${index}, dimension ${r} is ${capacity}`);
      if (!(background >= 0 && Number.isFinite(background)))
        throw badInput(`background of node ${index}, dimension ${r} is ${background}`);
    }
  });
  if (!nodes.some((node) => node.isAlive)) throw badInput('no storage node is alive');
  if (map.ownerOf.length !== partitionCount) throw badInput('the map has not one owner for each partition');
  for (let p = 0; p < partitionCount; p++) {
    const owner = map.ownerOf[p] as number;
    if (!(owner >= 0 && owner < nodes.length))
      throw badInput(`partition ${p} belongs to node ${owner}, which is not among the ${nodes.length} nodes`);
    if (!((partitionBytes[p] as number) >= 0))
      throw badInput(`partition ${p} has ${partitionBytes[p]} bytes`);
  }
  for (const [p, target] of inputs.openMigrations ?? [])
    if (!(p >= 0 && p < partitionCount && target >= 0 && target < nodes.length))
      throw badInput(`an open migration names partition ${p} and node ${target}`);
  if (forecast.partitionCount !== partitionCount)
    throw badInput(
      `the forecast is for ${forecast.partitionCount} partitions, the map for ${partitionCount}`,
    );
  const length = forecast.horizonSteps * partitionCount * LOAD_DIMENSION_COUNT;
  if ([forecast.point, forecast.mean, forecast.upper].some((values) => values.length < length))
    throw badInput('the forecast is shorter than its horizon');
  if (!(forecast.level > 0 && forecast.level < 1)) throw badInput(`forecast level is ${forecast.level}`);
}

/** Inverse of the standard normal distribution, relative error below 1.2e-9. @see Acklam, 2003 */
export function normalQuantile(probability: number): number {
  assert(probability > 0 && probability < 1, 'a probability is inside 0..1');
  if (probability < 0.5) return -normalQuantile(1 - probability);
  if (probability > 0.97575) {
    const q = Math.sqrt(-2 * Math.log(1 - probability));
    const top =
      ((((-0.007784894002430293 * q - 0.3223964580411365) * q - 2.400758277161838) * q - 2.549732539343734) *
        q +
        4.374664141464968) *
        q +
      2.938163982698783;
    const bottom =
      (((0.007784695709041462 * q + 0.3224671290700398) * q + 2.445134137142996) * q + 3.754408661907416) *
        q +
      1;
    return -top / bottom;
  }
  const q = probability - 0.5;
  const r = q * q;
  const top =
    (((((-39.69683028665376 * r + 220.9460984245205) * r - 275.9285104469687) * r + 138.357751867269) * r -
      30.66479806614716) *
      r +
      2.506628277459239) *
    q;
  const bottom =
    ((((-54.47609879822406 * r + 161.5858368580409) * r - 155.6989798598866) * r + 66.80131188771972) * r -
      13.28068155288572) *
      r +
    1;
  return top / bottom;
}

/**
 * Turns a forecast and the state of the nodes into a placement problem.
 *
 * @throws ForeshardError FORESHARD_CORRUPT for a number that cannot be (NaN or negative load, no capacity, unknown
 *   node), FORESHARD_CONFIG for a setting out of range, FORESHARD_NOT_READY for a forecast without a step.
 */
export function buildInstance(inputs: PlacementInputs, settings: AffinitySettings): PlacementInstance {
  assertAffinitySettings(settings);
  assertPlacementInputs(inputs);
  const { map, forecast, nodes } = inputs;
  const { partitionCount } = map;
  const nodeCount = nodes.length;
  const slotCount = Math.min(forecast.horizonSteps, settings.slotCountMax);
  if (slotCount < 1)
    throw new ForeshardError('FORESHARD_NOT_READY', 'wait', 'placement input: the forecast has no step');
  const resourceCount = settings.dimensions.length;
  const slotStride = (slotCount + 3) & ~3;
  const depth = resourceCount * slotStride;
  const load = new Float64Array(partitionCount * depth);
  const variance = new Float64Array(partitionCount * depth);
  const background = new Float64Array(nodeCount * depth);
  const capacity = new Float64Array(nodeCount * resourceCount);
  const slotWeight = new Float64Array(depth);
  const overloadFactor = new Float64Array(resourceCount);
  const stepHours = forecast.stepMs / HOUR_MS;
  const weightSum = settings.dimensions.reduce((sum, { weight }) => sum + weight, 0);
  // The upper bound is the (1 + level) / 2 quantile, so many standard deviations above the point.
  const boundZ = normalQuantile((1 + forecast.level) / 2);

  settings.dimensions.forEach(({ dimension, weight }, r) => {
    const offset = dimensionIndex(dimension);
    const unit = 1 / scaleCapacity(nodes, offset, { dimension, capacity, r, resourceCount });
    let discountSum = 0;
    let loadSum = 0;
    for (let t = 0; t < slotCount; t++) {
      const discount = settings.discountPerDay ** ((t * stepHours) / 24);
      let slotLoad = 0;
      for (let p = 0; p < partitionCount; p++) {
        const at = (t * partitionCount + p) * LOAD_DIMENSION_COUNT + offset;
        const point = forecast.point[at] as number;
        const upper = forecast.upper[at] as number;
        const mean = forecast.mean[at] as number;
        if (!(point >= 0 && Number.isFinite(point) && upper >= point && Number.isFinite(upper)))
          throw badInput(`forecast of ${dimension}, partition ${p}, step ${t} is ${point} (upper ${upper})`);
        if (!(mean >= 0 && Number.isFinite(mean)))
          throw badInput(`forecast of ${dimension}, partition ${p}, step ${t} has a mean of ${mean}`);
        const cell = p * depth + r * slotStride + t;
        // Nodes carry sums, and sums are made of means.
        load[cell] = mean * unit;
        variance[cell] = (((upper - point) * unit) / boundZ) ** 2;
        slotLoad += mean * unit;
      }
      nodes.forEach((node, n) => {
        const own = (node.background[offset] as number) * unit;
        background[n * depth + r * slotStride + t] = own;
        slotLoad += own;
      });
      slotWeight[r * slotStride + t] = discount;
      discountSum += discount;
      loadSum += discount * slotLoad;
    }
    const share = weight / weightSum;
    // A forecast of no load at all is legal: every map is as good as any other then.
    const scale = loadSum > 0 ? share / loadSum : 0;
    for (let t = 0; t < slotCount; t++) slotWeight[r * slotStride + t]! *= scale;
    overloadFactor[r] = (settings.overloadWeight * loadSum) / discountSum;
  });

  return {
    partitionCount,
    nodeCount,
    slotCount,
    slotStride,
    resourceCount,
    depth,
    load,
    variance,
    background,
    capacity,
    slotWeight,
    overloadFactor,
    riskZ: settings.riskZ,
    commonError: settings.commonError,
    safeUtilisation: settings.safeUtilisation,
    bytes: inputs.partitionBytes,
    movesMax: settings.movesMax,
    ...neutralRules({ partitionCount, nodeCount, resourceCount }),
    ...buildRules(inputs, settings, { load, depth, horizonHours: slotCount * stepHours }),
  };
}

/** Fills capacity[node][r] in units of the mean, which it returns. */
function scaleCapacity(
  nodes: readonly NodeUtilisation[],
  offset: number,
  {
    dimension,
    capacity,
    r,
    resourceCount,
  }: {
    dimension: string;
    capacity: Float64Array;
    r: number;
    resourceCount: number;
  },
): number {
  // A node that is down may be unable to say what it could carry; as a source only, it counts as an average one.
  let sum = 0;
  let aliveCount = 0;
  for (const node of nodes) {
    if (!node.isAlive) continue;
    const own = node.capacity[offset] as number;
    if (!(own > 0 && Number.isFinite(own)))
      throw badInput(`capacity of node ${node.nodeId} in ${dimension} is ${own}: it must be above 0`);
    sum += own;
    aliveCount++;
  }
  const mean = sum / aliveCount;
  nodes.forEach((node, n) => {
    const own = node.capacity[offset] as number;
    capacity[n * resourceCount + r] = own > 0 && Number.isFinite(own) ? own / mean : 1;
  });
  return mean;
}

/** Who may go where, and at what price. */
function buildRules(
  inputs: PlacementInputs,
  settings: AffinitySettings,
  { load, depth, horizonHours }: { load: Float64Array; depth: number; horizonHours: number },
) {
  const { map, nodes, partitionBytes, restingPartitions } = inputs;
  const openMigrations = inputs.openMigrations ?? new Map<number, number>();
  const { partitionCount } = map;
  const home = map.ownerOf.slice();
  const isTarget = Uint8Array.from(nodes, (node) => (node.isAlive ? 1 : 0));
  const holdPenalty = Float64Array.from(nodes, (node) => (node.isAlive ? 0 : DRAIN_PENALTY));
  const bytesFree = Float64Array.from(nodes, (node) => node.dataBytesMax - node.dataBytes);
  for (const [p, target] of openMigrations) {
    home[p] = target;
    bytesFree[target]! -= partitionBytes[p] as number;
  }

  let loadNow = 0;
  for (let p = 0; p < partitionCount; p++) loadNow += load[p * depth] as number;
  const isMovable = new Uint8Array(partitionCount);
  const movePrice = new Float64Array(partitionCount);
  for (let p = 0; p < partitionCount; p++) {
    const { bandwidthBytesPerSecond } = nodes[home[p] as number] as NodeUtilisation;
    const bandwidth = bandwidthBytesPerSecond > 0 ? bandwidthBytesPerSecond : BANDWIDTH_DEFAULT;
    const copySeconds = (partitionBytes[p] as number) / bandwidth;
    const loadShare = loadNow > 0 ? (load[p * depth] as number) / loadNow : 0;
    movePrice[p] =
      (settings.moveFixedIndexHours +
        settings.moveIndexHoursPerSecond * copySeconds +
        settings.moveBlipIndexHours * loadShare) /
      horizonHours;
    isMovable[p] = restingPartitions.has(p) || openMigrations.has(p) ? 0 : 1;
  }
  return { home, isTarget, holdPenalty, bytesFree, isMovable, movePrice };
}

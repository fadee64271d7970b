import { ForeshardError } from '../base/errors.ts';
import type { Forecast } from '../model/forecast.ts';
import { dimensionIndex, LOAD_DIMENSION_COUNT } from '../model/load-profile.ts';
import type { NodeUtilisation } from '../model/node-utilisation.ts';
import type { PartitionMap } from '../model/partition-map.ts';
import { withBreachPrice } from './breach-price.ts';
import { buildLoads, type LoadTable } from './loads.ts';
import { withPrices } from './move-price.ts';
import { normalQuantile } from './normal-quantile.ts';
import type { PlanMemory } from './plan-memory.ts';
import { roomIn } from './room.ts';
import { type CompiledRules, compileRules, type RuleGround } from './rules/rule-set.ts';
import { neutralRules, type PlacementRules } from './rules/rules.ts';
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
  /** What was planned and done before; none is nothing. */
  readonly memory?: PlanMemory;
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

/** Bandwidth assumed where a node states none: 1 Gbit/s, half used. */
export const BANDWIDTH_DEFAULT = 62_500_000;

export const HOUR_MS = 3_600_000;

const badInput = (message: string): ForeshardError =>
  new ForeshardError('FORESHARD_CORRUPT', 'report', `placement input: ${message}`);

/** @throws ForeshardError FORESHARD_CORRUPT naming the first number that cannot be. */
function assertPlacementInputs(inputs: PlacementInputs): void {
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

/**
 * Turns a forecast and the state of the nodes into a placement problem.
 *
 * @throws ForeshardError FORESHARD_CORRUPT for a number that cannot be (NaN or negative load, no capacity, unknown
 *   node), FORESHARD_CONFIG for a setting out of range, FORESHARD_NOT_READY for a forecast without a step.
 */
export function buildInstance(inputs: PlacementInputs, settings: AffinitySettings): PlacementInstance {
  return buildRuledInstance(inputs, settings).instance;
}

/** {@link buildInstance}, and the sets of partitions that the rules move as one. */
export function buildRuledInstance(inputs: PlacementInputs, settings: AffinitySettings): RuledInstance {
  assertAffinitySettings(settings);
  assertPlacementInputs(inputs);
  const { map, forecast, nodes } = inputs;
  const slotCount = Math.min(forecast.horizonSteps, settings.slotCountMax);
  if (slotCount < 1)
    throw new ForeshardError('FORESHARD_NOT_READY', 'wait', 'placement input: the forecast has no step');
  const loads = buildLoads(forecastTable(inputs, settings, slotCount), settings);
  const shape = { partitionCount: map.partitionCount, nodeCount: nodes.length, ...loads };
  const owners = ownersOf(inputs);
  const bare = {
    ...neutralRules(shape),
    ...shape,
    ...limitsOf(settings),
    ...owners,
    bytes: inputs.partitionBytes,
    bandwidth: Float64Array.from(nodes, ({ bandwidthBytesPerSecond: own }) =>
      own > 0 ? own : BANDWIDTH_DEFAULT,
    ),
    dirtyRate: writtenBytesPerSecond(forecast),
  };
  const priced = (instance: typeof bare): PlacementInstance =>
    withPrices(instance, settings, (slotCount * forecast.stepMs) / HOUR_MS);

  const { isPinned, units, ...rules } = rulesOf(inputs, settings, {
    ...owners,
    hasRoom: roomIn(() => priced(bare)),
  });
  const isMovable = owners.isMovable.map((own, p) => (isPinned[p] === 1 ? 0 : own));
  const instance = withBreachPrice(priced({ ...bare, ...rules, isMovable }), settings.benefitCostRatio);
  return { instance, units };
}

export interface RuledInstance {
  readonly instance: PlacementInstance;
  /** Partitions that move as one; see `units.ts`. */
  readonly units: readonly (readonly number[])[];
}

/** Of the settings, what an instance takes over as it stands. */
export function limitsOf(settings: AffinitySettings) {
  return {
    riskZ: settings.riskZ,
    commonError: settings.commonError,
    safeUtilisation: settings.safeUtilisation,
    movesMax: settings.movesMax,
    nodeMovesMax: settings.nodeMovesMax,
    bytesMovedMax: settings.bytesMovedMax,
    peakWeight: settings.peakWeight,
    capacityZ: settings.isCapacityHard ? settings.capacityZ : null,
  };
}

function forecastTable(
  { map, forecast, nodes }: PlacementInputs,
  settings: AffinitySettings,
  slotCount: number,
): LoadTable {
  const { partitionCount } = map;
  const offsets = settings.dimensions.map(({ dimension }) => dimensionIndex(dimension));
  const cell = (p: number, r: number, t: number): number =>
    (t * partitionCount + p) * LOAD_DIMENSION_COUNT + (offsets[r] as number);
  const node = (n: number): NodeUtilisation => nodes[n] as NodeUtilisation;
  return {
    partitionCount,
    nodeCount: nodes.length,
    slotCount,
    slotHours: forecast.stepMs / HOUR_MS,
    resources: settings.dimensions.map(({ dimension, weight }) => ({ name: dimension, weight })),
    // The upper bound is the (1 + level) / 2 quantile, so many standard deviations above the point.
    upperZ: normalQuantile((1 + forecast.level) / 2),
    mean: (p, r, t) => forecast.mean[cell(p, r, t)] as number,
    point: (p, r, t) => forecast.point[cell(p, r, t)] as number,
    upper: (p, r, t) => forecast.upper[cell(p, r, t)] as number,
    background: (n, r) => node(n).background[offsets[r] as number] as number,
    capacity: (n, r) => node(n).capacity[offsets[r] as number] as number,
    isAlive: (n) => node(n).isAlive,
    partitionName: (p) => `partition ${p}`,
    nodeName: (n) => `node ${n}`,
  };
}

/** Who owns what, who may give and who may take. */
function ownersOf({ map, nodes, partitionBytes, restingPartitions, openMigrations }: PlacementInputs) {
  const home = map.ownerOf.slice();
  const isTarget = Uint8Array.from(nodes, (node) => (node.isAlive ? 1 : 0));
  const holdPenalty = Float64Array.from(nodes, (node) => (node.isAlive ? 0 : 1));
  const bytesFree = Float64Array.from(nodes, (node) => node.dataBytesMax - node.dataBytes);
  const isMovable = new Uint8Array(map.partitionCount).fill(1);
  for (const p of restingPartitions) isMovable[p] = 0;
  for (const [p, target] of openMigrations ?? []) {
    home[p] = target;
    isMovable[p] = 0;
    bytesFree[target]! -= partitionBytes[p] as number;
  }
  return { home, isTarget, holdPenalty, bytesFree, isMovable };
}

function rulesOf(
  { map, nodes, partitionBytes }: PlacementInputs,
  settings: AffinitySettings,
  { home, isTarget, hasRoom }: Required<Pick<RuleGround, 'home' | 'isTarget' | 'hasRoom'>>,
): CompiledRules {
  const { nodeZones, ...rules } = settings.rules;
  return compileRules(rules, {
    partitionCount: map.partitionCount,
    nodeCount: nodes.length,
    home,
    isTarget,
    hasRoom,
    bytes: partitionBytes,
    nodeZones: nodes.map(({ zone }, n) => zone ?? nodeZones[n] ?? ''),
    partitionName: (p) => `partition ${p}`,
    nodeName: (n) => `node ${n}`,
  });
}

/** f64[partition]: what is written to each in the first step, which a copy has to catch up with. */
function writtenBytesPerSecond({ partitionCount, mean, stepMs }: Forecast): Float64Array {
  const offset = dimensionIndex('writeBytes');
  return Float64Array.from(
    { length: partitionCount },
    (_, p) => (1000 / stepMs) * Math.max(0, mean[p * LOAD_DIMENSION_COUNT + offset] as number),
  );
}

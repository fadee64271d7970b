import type { PlacementInputs } from '../../src/affinity/instance.ts';
import type { Random } from '../../src/base/random.ts';
import { asNodeId } from '../../src/model/ids.ts';
import { dimensionIndex, LOAD_DIMENSION_COUNT } from '../../src/model/load-profile.ts';

export interface Size {
  readonly partitionCount: number;
  readonly nodeCount: number;
  readonly slotCount: number;
}

export const sizeName = ({ partitionCount, nodeCount, slotCount }: Size): string =>
  `${partitionCount}x${nodeCount}x${slotCount}`;

/** Of every instance of the bench. */
export const SEED = 1n;

/** Bytes a second that copies may use, the same everywhere. */
export const BANDWIDTH = 1e8;

/**
 * Loads lognormal x Zipf 0.7, capacities 1 : 1 : 1.5 : 2, utilisation 0.6, a random map; more than one slot gives each
 * partition a daily wave with its own hour. Sizes in bytes are lognormal.
 */
export function syntheticInputs(
  random: Random,
  { partitionCount, nodeCount, slotCount }: Size,
): PlacementInputs {
  const normal = (): number =>
    Math.sqrt(-2 * Math.log(1 - random.nextFloat())) * Math.cos(2 * Math.PI * random.nextFloat());
  const scale = Float64Array.from(
    { length: partitionCount },
    (_, p) => Math.exp(0.5 * normal()) / (p + 1) ** 0.7,
  );
  const hour = scale.map(() => 24 * random.nextFloat());
  const total = scale.reduce((sum, own) => sum + own, 0);
  const shape = Array.from({ length: nodeCount }, (_, n) => [1, 1, 1.5, 2][n % 4] as number);
  const shapeSum = shape.reduce((sum, own) => sum + own, 0);
  const queries = dimensionIndex('queries');
  const point = new Float64Array(slotCount * partitionCount * LOAD_DIMENSION_COUNT);
  for (let t = 0; t < slotCount; t++)
    for (let p = 0; p < partitionCount; p++) {
      const wave = slotCount === 1 ? 1 : 1 + 0.4 * Math.sin((2 * Math.PI * (t + (hour[p] as number))) / 24);
      point[(t * partitionCount + p) * LOAD_DIMENSION_COUNT + queries] = (scale[p] as number) * wave;
    }
  return {
    map: {
      partitionCount,
      ownerOf: Int32Array.from({ length: partitionCount }, () => random.nextBelow(nodeCount)),
      epochOf: new Uint32Array(partitionCount).fill(1),
    },
    forecast: {
      startMs: 0,
      stepMs: 3_600_000,
      horizonSteps: slotCount,
      partitionCount,
      level: 0.8,
      point,
      mean: point,
      lower: point,
      upper: point,
      skill: new Float64Array(partitionCount),
      members: [],
    },
    nodes: shape.map((own, n) => ({
      nodeId: asNodeId(n),
      isAlive: true,
      capacity: new Float64Array(LOAD_DIMENSION_COUNT).fill(((total / 0.6) * own) / shapeSum),
      background: new Float64Array(LOAD_DIMENSION_COUNT),
      dataBytes: 0,
      dataBytesMax: Number.POSITIVE_INFINITY,
      bandwidthBytesPerSecond: BANDWIDTH,
    })),
    partitionBytes: scale.map(() => 1e6 * Math.exp(0.5 * normal())),
    restingPartitions: new Set(),
  };
}

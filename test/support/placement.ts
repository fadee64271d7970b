import type { PlacementInputs } from '../../src/affinity/instance.ts';
import type { Random } from '../../src/base/random.ts';
import type { Forecast } from '../../src/model/forecast.ts';
import { asNodeId } from '../../src/model/ids.ts';
import { LOAD_DIMENSION_COUNT } from '../../src/model/load-profile.ts';
import type { NodeUtilisation } from '../../src/model/node-utilisation.ts';

/** A storage node that carries `capacity` of every dimension. */
export function nodeOf(
  nodeId: number,
  capacity: number,
  changes: Partial<NodeUtilisation> = {},
): NodeUtilisation {
  return {
    nodeId: asNodeId(nodeId),
    isAlive: true,
    capacity: new Float64Array(LOAD_DIMENSION_COUNT).fill(capacity),
    background: new Float64Array(LOAD_DIMENSION_COUNT),
    dataBytes: 0,
    dataBytesMax: 1e12,
    bandwidthBytesPerSecond: 1e8,
    ...changes,
  };
}

/** A forecast from `loadOf(step, partition, dimension)`; the upper bound is `spread` above, relatively. */
export function forecastOf(options: {
  readonly horizonSteps: number;
  readonly partitionCount: number;
  readonly spread?: number;
  loadOf(step: number, partition: number, dimension: number): number;
}): Forecast {
  const { horizonSteps, partitionCount, spread = 0.2 } = options;
  const length = horizonSteps * partitionCount * LOAD_DIMENSION_COUNT;
  const point = Float64Array.from({ length }, (_, i) =>
    options.loadOf(
      Math.floor(i / (partitionCount * LOAD_DIMENSION_COUNT)),
      Math.floor(i / LOAD_DIMENSION_COUNT) % partitionCount,
      i % LOAD_DIMENSION_COUNT,
    ),
  );
  return {
    startMs: Date.UTC(2001, 0, 1),
    stepMs: 3_600_000,
    horizonSteps,
    partitionCount,
    level: 0.8,
    point,
    mean: point,
    lower: point.map((value) => Math.max(0, value * (1 - spread))),
    upper: point.map((value) => value * (1 + spread)),
    skill: new Float64Array(partitionCount),
    members: [],
  };
}

/** Inputs on which nothing rests and every partition is small. */
export function inputsOf(options: {
  readonly ownerOf: Int32Array | readonly number[];
  readonly forecast: Forecast;
  readonly nodes: readonly NodeUtilisation[];
  readonly changes?: Partial<PlacementInputs>;
}): PlacementInputs {
  const partitionCount = options.ownerOf.length;
  return {
    map: {
      partitionCount,
      ownerOf: Int32Array.from(options.ownerOf),
      epochOf: new Uint32Array(partitionCount).fill(1),
    },
    forecast: options.forecast,
    nodes: options.nodes,
    partitionBytes: new Float64Array(partitionCount).fill(1e6),
    restingPartitions: new Set(),
    ...options.changes,
  };
}

/** A random problem: skewed loads with a daily wave each, unequal nodes at about 60 %, a random map. */
export function randomInputs(
  random: Random,
  sizes: { partitionCount: number; nodeCount: number; horizonSteps: number },
): PlacementInputs {
  const { partitionCount, nodeCount, horizonSteps } = sizes;
  const scale = Float64Array.from(
    { length: partitionCount },
    (_, p) => (0.2 + random.nextFloat()) / (p + 1) ** 0.5,
  );
  const phase = scale.map(() => 24 * random.nextFloat());
  const forecast = forecastOf({
    horizonSteps,
    partitionCount,
    loadOf: (t, p, d) =>
      (scale[p] as number) * (1 + 0.5 * Math.sin((2 * Math.PI * (t + (phase[p] as number))) / 24)) * (d + 1),
  });
  const total = scale.reduce((sum, own) => sum + own, 0);
  const shape = Array.from({ length: nodeCount }, () => 1 + Math.floor(3 * random.nextFloat()) / 2);
  const shapeSum = shape.reduce((sum, own) => sum + own, 0);
  const nodes = shape.map((own, n) => {
    const capacity = new Float64Array(LOAD_DIMENSION_COUNT).map(
      (_, d) => ((total / 0.6) * own * (d + 1)) / shapeSum,
    );
    const background = capacity.map((most) => 0.02 * random.nextFloat() * most);
    return nodeOf(n, 0, { capacity, background });
  });
  return inputsOf({
    ownerOf: Int32Array.from({ length: partitionCount }, () => random.nextBelow(nodeCount)),
    forecast,
    nodes,
    changes: {
      partitionBytes: Float64Array.from({ length: partitionCount }, () => 1e6 * (1 + random.nextFloat())),
    },
  });
}

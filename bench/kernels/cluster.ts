import { seededRandom } from '../../src/base/random.ts';
import { loadKernels } from '../../src/kernels/instance.ts';
import * as clusterOracle from '../../test/oracles/cluster.ts';
import type { Contest } from './contest.ts';

export function clusterContests(isSmall: boolean): Contest[] {
  const { arena, exports } = loadKernels();
  const shape = { count: isSmall ? 32 : 256, dimension: 168, clusterCount: 8 };
  const { count, dimension, clusterCount } = shape;
  const random = seededRandom(3n);
  const points = arena.f64(count * dimension);
  for (let i = 0; i < points.view.length; i++) points.view[i] = random.nextFloat();
  const centroids = arena.f64(clusterCount * dimension);
  centroids.view.set(points.view.subarray(0, centroids.view.length));
  const labels = arena.i32(count);
  const distances = arena.f64(count);
  let expected: Float64Array = new Float64Array();
  return [
    {
      name: 'nearest-centroids',
      amount: count,
      unit: 'points',
      settings: shape,
      kernel: () =>
        exports.nearestCentroids(
          points.pointer,
          count,
          dimension,
          centroids.pointer,
          clusterCount,
          labels.pointer,
          distances.pointer,
        ),
      oracle() {
        expected = clusterOracle.nearestCentroids({
          ...shape,
          points: points.view,
          centroids: centroids.view,
        }).distances;
      },
      kernelResult: () => distances.view,
      oracleResult: () => expected,
    },
  ];
}

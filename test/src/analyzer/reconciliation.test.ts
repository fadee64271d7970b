import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { type Hierarchy, reconcile } from '../../../src/analyzer/reconciliation.ts';
import { InvariantError } from '../../../src/base/errors.ts';
import { type Random, seededRandom } from '../../../src/base/random.ts';
import { denseReconciliation } from '../../oracles/reconciliation.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('reconciliation');
const seed = testSeed('reconciliation');
const sum = (values: Iterable<number>): number => [...values].reduce((total, value) => total + value, 0);
const between = (random: Random, min: number, max: number): number => min + (max - min) * random.nextFloat();

/** Forecasts that disagree by `quarrel` times what they are about. */
function randomHierarchy(random: Random, quarrel: number): Required<Hierarchy> {
  const clusterCount = 1 + random.nextBelow(4);
  const count = clusterCount + random.nextBelow(8);
  const clusterOf = Int32Array.from({ length: count }, (_, i) =>
    i < clusterCount ? i : random.nextBelow(clusterCount),
  );
  const point = Float64Array.from({ length: count }, () => between(random, 50, 100));
  const sums = new Float64Array(clusterCount);
  point.forEach((value, i) => {
    sums[clusterOf[i] as number] = (sums[clusterOf[i] as number] as number) + value;
  });
  const other = (value: number): number => Math.max(0, value * (1 + between(random, -quarrel, quarrel)));
  const variances = (length: number): Float64Array =>
    Float64Array.from({ length }, () => between(random, 0.5, 20));
  return {
    partitions: { point, variance: variances(count) },
    clusters: { point: sums.map(other), variance: variances(clusterCount), clusterOf },
    total: { point: other(sum(sums)), variance: between(random, 0.5, 20) },
  };
}

test('it is what least squares says, as long as nothing would be negative', () => {
  const random = seededRandom(seed).fork('dense');
  for (let run = 0; run < 50; run++) {
    const hierarchy = randomHierarchy(random, 0.05);
    const { partitions, clusters, total } = hierarchy;
    const count = partitions.point.length;
    const identity = Array.from({ length: count }, (_, i) =>
      Array.from({ length: count }, (_, j) => (i === j ? 1 : 0)),
    );
    const byCluster = Array.from(clusters.point, (_, c) =>
      Array.from(clusters.clusterOf, (own) => (own === c ? 1 : 0)),
    );
    const expected = denseReconciliation(
      [...identity, ...byCluster, new Array(count).fill(1)],
      [...partitions.point, ...clusters.point, total.point],
      [...partitions.variance, ...clusters.variance, total.variance],
    );
    const found = reconcile(hierarchy).partitions;
    expected.forEach((value, i) => {
      check.ok(
        value > 0 && Math.abs(value - (found[i] as number)) < 1e-8,
        `run ${run}, partition ${i}: ${value}`,
      );
    });
  }
});

test('with covariances with the sum it is MinT with the full covariance of the partitions', () => {
  const random = seededRandom(seed).fork('full');
  const count = 5;
  // W = a common part and own ones: W 1 is what each shares with the sum.
  const common = Float64Array.from({ length: count }, () => between(random, 0.5, 3));
  const own = Float64Array.from({ length: count }, () => between(random, 0.5, 3));
  const point = Float64Array.from({ length: count }, () => between(random, 50, 100));
  const covariance = common.map((value, i) => value * sum(common) + (own[i] as number));
  const total = { point: sum(point) + 20, variance: 7 };
  // b = y + W S' (S W S' + V)^-1 (Y - S y), the projection of MinT in its gain form.
  const gain = (total.point - sum(point)) / (sum(covariance) + total.variance);
  const { partitions } = reconcile({ partitions: { point, variance: covariance }, total });
  partitions.forEach((value, i) => {
    check.ok(Math.abs(value - ((point[i] as number) + (covariance[i] as number) * gain)) < 1e-9);
  });
});

test('sums agree, and nothing is negative, however much the levels quarrel', () => {
  const random = seededRandom(seed).fork('quarrel');
  for (let run = 0; run < 200; run++) {
    const hierarchy = randomHierarchy(random, 1.5);
    const { partitions, clusters, total } = reconcile(hierarchy);
    check.ok(partitions.every((value) => value >= 0));
    clusters.forEach((value, c) => {
      const own = partitions.filter((_, i) => hierarchy.clusters.clusterOf[i] === c);
      check.ok(Math.abs(value - sum(own)) <= 1e-9 * Math.max(1, value));
    });
    check.ok(Math.abs(total - sum(partitions)) <= 1e-9 * Math.max(1, total));
  }
});

test('a total of nothing makes every partition nothing, where the total is certain', () => {
  const { partitions, total } = reconcile({
    partitions: { point: Float64Array.of(3, 0, 5), variance: Float64Array.of(1, 1, 4) },
    total: { point: 0, variance: 0 },
  });
  check.equal([...partitions], [0, 0, 0]);
  check.is(total, 0);
});

test('a partition that nobody can forecast borrows from its cluster, a sure one hardly moves', () => {
  const { partitions } = reconcile({
    partitions: { point: Float64Array.of(100, 10), variance: Float64Array.of(1, 400) },
    clusters: { point: Float64Array.of(150), variance: Float64Array.of(4), clusterOf: Int32Array.of(0, 0) },
  });
  check.ok(Math.abs((partitions[0] as number) - 100) < 0.2);
  check.ok((partitions[1] as number) > 49 && (partitions[1] as number) < 50.1);
});

test('without a cluster or a total the partitions stay as they are', () => {
  const point = Float64Array.of(1, 2, 3);
  const { partitions, total } = reconcile({ partitions: { point, variance: Float64Array.of(1, 0, 9) } });
  check.equal(partitions, point);
  check.is(total, 6);
  const unsure = reconcile({
    partitions: { point, variance: Float64Array.of(1, 2, 9) },
    total: { point: 500, variance: Number.POSITIVE_INFINITY },
  });
  check.equal(unsure.partitions, point);
});

test('a cluster without partitions is 0', () => {
  const { clusters } = reconcile({
    partitions: { point: Float64Array.of(4), variance: Float64Array.of(1) },
    clusters: {
      point: Float64Array.of(4, 7),
      variance: Float64Array.of(1, 1),
      clusterOf: Int32Array.of(0),
    },
  });
  check.equal([...clusters], [4, 0]);
});

test('what is no forecast is our own bug', () => {
  const of =
    (point: number, variance: number): (() => unknown) =>
    () =>
      reconcile({ partitions: { point: Float64Array.of(point), variance: Float64Array.of(variance) } });
  for (const work of [of(Number.NaN, 1), of(-1, 1), of(1, -1), of(1, Number.NaN)])
    check.throws(work, (error: unknown) => error instanceof InvariantError);
});

test.run();
